//! What became of a file's content.

use frostline_graph::Model;
use std::path::Path;

/// A model and the report of its loading.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// The report.
    pub report: LoadReport,
}

/// What became of a file's content. Every weight of the model is filled, or the load has failed, but for those `kept`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// Tensors of layers in the file (the optimizer's not counted).
    pub tensors: usize,
    /// Tensors that became weights of the model.
    pub loaded: usize,
    /// The names of those that did not.
    pub unused: Vec<String>,
    /// Weights that the file does not fill and that stay what they were, each with the reason: where that was asked for.
    pub kept: Vec<String>,
    /// What is worth knowing: settings that mean nothing here, the optimizer's state left behind.
    pub notes: Vec<String>,
    /// Why the model may compute something else than it did where it comes from.
    pub warnings: Vec<String>,
    /// Layers that cannot be run here: path and class.
    pub unsupported: Vec<(String, String)>,
}

impl LoadReport {
    /// What somebody who works with the model should know of its file: tensors that are not used, and warnings.
    pub fn told(&self, path: &Path) -> Vec<String> {
        let Self { unused, tensors, unsupported, .. } = self;
        let path = path.display();
        let mut told = Vec::new();
        if !unused.is_empty() {
            let why = match unsupported.is_empty() {
                true => "belong to no layer",
                false => "are not read, as those of layers that cannot be run here, or lie above one,",
            };
            told.push(format!("`{path}`: {} of {tensors} tensors {why}: {}", unused.len(), few(unused)));
        }
        told.extend(self.warnings.iter().map(|warning| format!("`{path}`: {warning}")));
        told
    }
}

/// As many names are told.
const TOLD: usize = 3;

/// The first of these names, and how many more there are: a line that can be read.
pub fn few(names: &[String]) -> String {
    let told: Vec<String> = names.iter().take(TOLD).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(TOLD) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::few;

    #[test]
    fn a_long_list_is_told_by_its_first_names_and_their_number() {
        let names: Vec<String> = (0..255).map(|number| format!("t{number}")).collect();
        assert_eq!(few(&names), "`t0`, `t1`, `t2` and 252 more");
        assert_eq!(few(&names[..2]), "`t0`, `t1`");
    }
}
