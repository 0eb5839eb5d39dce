//! What a head says of an image that it has not seen.

use crate::fit::predicted_class;

/// A training image, as it is predicted by a head that has not seen it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Its class.
    pub label: usize,
    /// A probability for each class.
    pub probabilities: Vec<f32>,
}

impl LeftOut {
    /// The class that it is predicted to be of.
    pub fn predicted(&self) -> usize {
        predicted_class(&self.probabilities)
    }
}
