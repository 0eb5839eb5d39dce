//! The layer that was found, and what is known of it.

use crate::loss::probabilities;
use crate::pieces::Pieces;
use crate::standardise::read;
use crate::{FeatureTable, HeadError, Kind, Method};
use serde::{Deserialize, Serialize};

/// A dense layer on raw features, and its predictions of rows it has not seen.
///
/// The features are standardised by the mean and deviation of all rows, labels unseen, before any row is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Solved {
    /// `[width, outputs]`, of a dense layer on raw features: standardisation and temperature are folded in.
    pub kernel: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
    /// Numbers a feature vector has.
    pub width: usize,
    /// Classes, labels or numbers.
    pub outputs: usize,
    /// What outputs mean: softmax of logits, sigmoid of logits, or numbers.
    pub kind: Kind,
    /// The method taken: never [`Method::Auto`].
    pub method: Method,
    /// The ridge penalty as a multiple of the mean squared norm of the standardised features: `λ = t Σs/n`.
    pub ridge_penalty: Option<f64>,
    /// The penalty `c` in `mean log loss + c/2 |W|²`, for standardised features whose mean squared norm is 1. scikit-learn's `C` is
    /// `1/(n c)` on those features.
    pub logistic_penalty: Option<f64>,
    /// What the logits were multiplied with to make probabilities as sure as they are right; already in kernel and bias. 1 for numbers.
    /// For [`Method::Mean`] that of the mean of logits that had a temperature each before.
    pub temperature: f64,
    /// `[rows, outputs]`: logits with the temperature, or numbers. Each row is by a solution that has seen neither it nor its group.
    pub out_of_sample: Vec<f64>,
    /// The mean of `−ln p` over the rows (and labels) out of sample, weighted as the rows are. `None` for numbers.
    pub log_loss: Option<f64>,
    /// The standard error of the log loss.
    pub log_loss_error: Option<f64>,
    /// The share of the rows, or of the labels of all rows, that is right out of sample; unweighted. `None` for numbers.
    pub accuracy: Option<f64>,
    /// The mean squared error out of sample, for numbers.
    pub mean_squared_error: Option<f64>,
    /// Every method that was tried, with its log loss out of sample.
    pub tried: Vec<Tried>,
}

/// A method and how well it does out of sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Which.
    pub method: Method,
    /// Its log loss with its own temperature.
    pub log_loss: f64,
}

impl Solved {
    /// Out of sample: softmax of the classes, sigmoid of the labels, numbers as they are. `[rows, outputs]`
    #[must_use]
    pub fn probabilities(&self) -> Vec<f64> {
        probabilities(self.kind, &self.out_of_sample, self.outputs)
    }

    /// What the layer gives for `features`: logits with the temperature, or numbers. `[rows, outputs]`
    ///
    /// # Errors
    /// [`HeadError::Size`] where the width is another one, and those of the table.
    pub fn predict(&self, features: &dyn FeatureTable) -> Result<Vec<f64>, HeadError> {
        if features.width() != self.width {
            let (expected, received) = (self.width, features.width());
            return Err(HeadError::Size { what: "the width of the features", expected, received });
        }
        let mut found = Vec::with_capacity(features.rows() * self.outputs);
        let piece = |rows: &[usize]| {
            let mut values = vec![0.0; rows.len() * self.width];
            read(features, rows, &mut values)?;
            let mut out = Vec::with_capacity(rows.len() * self.outputs);
            for row in values.chunks_exact(self.width) {
                let mut sums: Vec<f64> = self.bias.iter().map(|bias| f64::from(*bias)).collect();
                for (value, kernel) in row.iter().zip(self.kernel.chunks_exact(self.outputs)) {
                    let value = f64::from(*value);
                    sums.iter_mut().zip(kernel).for_each(|(sum, kernel)| *sum += value * f64::from(*kernel));
                }
                out.extend(sums);
            }
            Ok(out)
        };
        Pieces::in_order(features.rows()).fold(piece, |_, part: Vec<f64>| found.extend(part))?;
        Ok(found)
    }
}
