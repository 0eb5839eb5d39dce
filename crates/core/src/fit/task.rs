//! What the labels ask of a model: how many outputs, which loss, which metric.

use super::{Loss, Metric};
use crate::data::Dataset;
use crate::layers::{Dense, LayerKind, NamedActivation};

/// What is to be learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// One of two: `Dense(1, sigmoid)` and binary cross-entropy.
    Binary,
    /// One of several: `Dense(n, softmax)` and sparse categorical cross-entropy.
    Classes(usize),
    /// So many numbers: `Dense(n)` and mean squared error.
    Numbers(usize),
}

impl Task {
    /// From the labels.
    pub fn of(dataset: &Dataset) -> Self {
        match (dataset.is_regression(), dataset.classes.len()) {
            (true, _) => Self::Numbers(dataset.target_len()),
            (false, 2) => Self::Binary,
            (false, classes) => Self::Classes(classes),
        }
    }

    /// The output layer for it.
    pub fn output_layer(&self) -> Box<dyn LayerKind> {
        let named = |name| NamedActivation::named(name).unwrap_or(NamedActivation::LINEAR);
        Box::new(match self {
            Self::Binary => Dense::new(1, named("sigmoid")),
            Self::Classes(classes) => Dense::new(*classes, named("softmax")),
            Self::Numbers(numbers) => Dense::new(*numbers, NamedActivation::LINEAR),
        })
    }

    /// The loss for a model with so many outputs.
    pub fn loss(&self, outputs: usize) -> Loss {
        match self {
            Self::Numbers(_) => Loss::MeanSquaredError,
            Self::Binary if outputs == 1 => Loss::BinaryCrossentropy,
            _ => Loss::SparseCategoricalCrossentropy,
        }
    }

    /// The metric that is shown, and that decides which epoch is best.
    pub fn metric(&self) -> Metric {
        match self {
            Self::Numbers(_) => Metric::MeanSquaredError,
            _ => Metric::Accuracy,
        }
    }
}
