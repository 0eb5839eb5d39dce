//! The targets of a list of examples, as the loss takes them.

use crate::fit::Targets;
use frostline_data::{Example, Target};

/// The targets of all examples of a split.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TargetColumn {
    /// A class an image.
    Classes(Vec<u32>),
    /// `[images, width]`.
    Values {
        /// Numbers an image.
        width: usize,
        /// All of them.
        values: Vec<f32>,
    },
}

impl TargetColumn {
    /// Of examples whose targets are all of one kind, as those of a dataset are.
    pub(crate) fn of(examples: &[Example]) -> Self {
        let classes: Option<Vec<u32>> = examples
            .iter()
            .map(|example| match &example.target {
                Target::Class(class) => u32::try_from(*class).ok(),
                Target::Value(_) => None,
            })
            .collect();
        match classes {
            Some(classes) => Self::Classes(classes),
            None => {
                let values = |example: &Example| match &example.target {
                    Target::Value(values) => values.clone(),
                    Target::Class(class) => vec![*class as f32],
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
            (Self::Values { width, values }, Self::Values { values: part, .. }) => {
                part.clear();
                indices.iter().for_each(|index| part.extend_from_slice(&values[index * width..][..*width]));
            }
            (all, part) => {
                *part = match all {
                    Self::Classes(_) => Self::Classes(Vec::new()),
                    Self::Values { width, .. } => Self::Values { width: *width, values: Vec::new() },
                };
                all.gather(indices, part);
            }
        }
    }
}
