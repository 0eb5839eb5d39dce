//! Scores of features, before any training: how well labels can be read from them.
//!
//! All take features `[images, width]` and a class an image. A higher score is better.

mod h_score;
mod head;
mod logme;
mod ridge;
mod spectrum;
#[cfg(test)]
mod tests;

pub use h_score::h_score;
pub use head::{leep, nce};
pub use logme::logme;
pub(super) use ridge::standardised;
pub use ridge::{Ridge, RidgeProbe, kernel_ridge};

/// Features of images: `[images, width]`, one image after the other.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    /// The numbers.
    pub values: &'a [f32],
    /// How many an image has.
    pub width: usize,
}

impl<'a> Features<'a> {
    /// How many images there are.
    pub fn images(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// The features of each image.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + use<'a> {
        self.values.chunks_exact(self.width.max(1))
    }
}
