//! The targets of a list of examples, as the loss takes them.

use crate::fit::Targets;
use frostline_data::{Example, Target};

/// The targets of all examples of a split.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TargetColumn {
    /// A class an image.
    Classes(Vec<u32>),
    /// For each label 1 where an image has it, else 0: `[images, width]`.
    Labels {
        /// How many labels there are.
        width: usize,
        /// All of them.
        values: Vec<f32>,
    },
    /// `[images, width]`.
    Values {
        /// Numbers an image.
        width: usize,
        /// All of them.
        values: Vec<f32>,
    },
}

impl TargetColumn {
    /// Of examples whose targets are all of one kind, as those of a dataset are. `labels`: how many there are, where an example
    /// may have several.
    pub(crate) fn of(examples: &[Example], labels: usize) -> Self {
        if let Some(Example { target: Target::Labels(_), .. }) = examples.first() {
            let mut values = vec![0.0; examples.len() * labels];
            for (example, row) in examples.iter().zip(values.chunks_exact_mut(labels.max(1))) {
                if let Target::Labels(own) = &example.target {
                    own.iter().for_each(|label| row[*label] = 1.0);
                }
            }
            return Self::Labels { width: labels, values };
        }
        let classes: Option<Vec<u32>> = examples
            .iter()
            .map(|example| match &example.target {
                Target::Class(class) => u32::try_from(*class).ok(),
                Target::Labels(_) | Target::Value(_) => None,
            })
            .collect();
        match classes {
            Some(classes) => Self::Classes(classes),
            None => {
                let values = |example: &Example| match &example.target {
                    Target::Value(values) => values.clone(),
                    Target::Class(class) => vec![*class as f32],
                    Target::Labels(_) => Vec::new(),
                };
                let values: Vec<f32> = examples.iter().flat_map(values).collect();
                Self::Values { width: values.len() / examples.len().max(1), values }
            }
        }
    }

    /// All targets.
    pub(crate) fn all(&self) -> Targets<'_> {
        match self {
            Self::Classes(classes) => Targets::Classes(classes),
            Self::Labels { values, .. } => Targets::Labels(values),
            Self::Values { values, .. } => Targets::Values(values),
        }
    }

    /// The targets of these examples, in `self` kept from call to call so that nothing is allocated.
    pub(in crate::fit) fn gather(&self, indices: &[usize], into: &mut TargetColumn) {
        match (self, into) {
            (Self::Classes(all), Self::Classes(part)) => {
                part.clear();
                part.extend(indices.iter().map(|index| all[*index]));
            }
            (Self::Values { width, values }, Self::Values { values: part, .. })
            | (Self::Labels { width, values }, Self::Labels { values: part, .. }) => {
                part.clear();
                indices.iter().for_each(|index| part.extend_from_slice(&values[index * width..][..*width]));
            }
            (all, part) => {
                *part = match all {
                    Self::Classes(_) => Self::Classes(Vec::new()),
                    Self::Labels { width, .. } => Self::Labels { width: *width, values: Vec::new() },
                    Self::Values { width, .. } => Self::Values { width: *width, values: Vec::new() },
                };
                all.gather(indices, part);
            }
        }
    }
}
