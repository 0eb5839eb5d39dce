//! Why a loss is no finite number: not every time is the rate too high.

/// What a training was given.
#[derive(Clone, Debug, Default)]
pub(in crate::fit) struct Lost {
    /// The layers whose weights were no finite numbers before the first step.
    pub(in crate::fit) layers: Vec<String>,
    /// The first image in a batch without a finite loss whose row is no finite numbers.
    pub(in crate::fit) image: Option<String>,
}

impl Lost {
    /// What is wrong besides the loss itself, if anything is known, and what helps.
    pub(in crate::fit) fn why(&self) -> (String, &'static str) {
        match (self.layers.as_slice(), &self.image) {
            ([first, ..], _) => (
                format!(
                    ": weights of {} layers are no finite numbers from the beginning, those of `{first}` first",
                    self.layers.len()
                ),
                "take another copy of the model, cut below that layer with the setting `keep`, or train it anew with the setting `weights = reinit`",
            ),
            ([], Some(image)) => (
                format!(": what the frozen layers make of `{image}` is no finite number"),
                "look at its values: they may be too large for the model, or scaled otherwise than it expects (the setting `preprocess`)",
            ),
            ([], None) => (
                String::new(),
                "lower the rate with the setting `lr`, or clip with the setting `clip-norm = 1`",
            ),
        }
    }
}

/// The first row of so many that holds a value that is no finite number.
pub(in crate::fit) fn first_lost(rows: &[f32], images: usize) -> Option<usize> {
    let len = (rows.len() / images.max(1)).max(1);
    rows.chunks_exact(len).position(|row| row.iter().any(|value| !value.is_finite()))
}
