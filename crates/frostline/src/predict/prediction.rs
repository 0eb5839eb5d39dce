//! What a model says of one picture or one row.

use crate::fit::{Outputs, predicted_class, predicted_labels, returns};
use frostline_data::DataError;
use frostline_graph::{Error, Model, Shape, Tensor};
use std::fmt;

/// What a model says of one picture or one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// What the picture is called.
    pub name: String,
    /// What the first output stands for.
    pub answer: Answer,
    /// All outputs as they are, without the batch.
    pub outputs: Vec<Tensor>,
}

/// What a model's first output stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One of the classes.
    Class {
        /// Which, by the model's order.
        index: usize,
        /// A score for each class, in the model's order; of a model with one output those of both of its classes.
        scores: Vec<f32>,
        /// Whether it is none of the classes; none where the model cannot tell.
        none_of_these: Option<bool>,
    },
    /// Any number of labels.
    Labels {
        /// The labels that it has, in the model's order.
        has: Vec<usize>,
        /// The probability of each label.
        scores: Vec<f32>,
    },
    /// A number.
    Number(f32),
    /// The output is no vector, and stands for no class.
    Unnamed,
}

/// What a model predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// One class for each picture.
    Classes,
    /// Any number of labels for each picture.
    Labels,
    /// A number.
    Number,
    /// What stands for no class.
    Unnamed,
}

/// Why there is no prediction of one picture or one row.
#[derive(Debug)]
pub enum Refusal {
    /// The picture cannot be read.
    Picture(DataError),
    /// What the model puts out for it is no finite number.
    NotFinite(Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Picture(error) => error.fmt(formatter),
            Self::NotFinite(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for Refusal {}

impl Prediction {
    /// Whether all outputs are finite numbers. Those that stand for classes are.
    pub fn is_finite(&self) -> bool {
        self.outputs.iter().flat_map(|output| &output.data).all(|value| value.is_finite())
    }
}

/// How outputs are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    from: Outputs,
    several_labels: bool,
}

impl Reader {
    pub(super) fn of(model: &Model) -> Self {
        Self { from: returns(&model.graph), several_labels: model.info.several_labels }
    }

    /// What is predicted by a model whose first output has this shape.
    pub(super) fn task(&self, shape: &Shape) -> Task {
        match shape.as_slice() {
            [1] if self.from == Outputs::Logits => Task::Number,
            [_] if self.several_labels => Task::Labels,
            [_] => Task::Classes,
            _ => Task::Unnamed,
        }
    }

    pub(super) fn answer(&self, first: &Tensor, none_of_these: Option<bool>) -> Answer {
        let row = first.data.as_slice();
        match self.task(&first.shape) {
            Task::Number => Answer::Number(row[0]),
            Task::Labels => {
                let scores: Vec<f32> = match self.from {
                    Outputs::Probabilities => row.to_vec(),
                    Outputs::Logits => row.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect(),
                };
                Answer::Labels { has: predicted_labels(&scores), scores }
            }
            Task::Classes => {
                let scores = match row {
                    [one] => vec![1.0 - one, *one],
                    row => row.to_vec(),
                };
                Answer::Class { index: predicted_class(row), scores, none_of_these }
            }
            Task::Unnamed => Answer::Unnamed,
        }
    }
}
