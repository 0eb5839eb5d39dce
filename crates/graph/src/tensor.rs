//! A dense f32 array and its shape.

/// The extents of a tensor. Where it belongs to a value of a model, the batch dimension is left out:
/// an image is `[height, width, channels]`.
pub type Shape = Vec<usize>;

/// A dense, row-major f32 array.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// Extents, outermost first.
    pub shape: Shape,
    /// `shape.iter().product()` elements.
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor filled with `value`.
    pub fn filled(shape: &[usize], value: f32) -> Self {
        Self { shape: shape.to_vec(), data: vec![value; shape.iter().product()] }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// True for a tensor with an extent of zero.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}
