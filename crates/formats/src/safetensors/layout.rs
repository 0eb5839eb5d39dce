//! From the layout of a tensor in the file to Keras's.

use frostline_graph::{Shape, Tensor};

/// How the axes of a weight come out of those of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// As they are.
    Same,
    /// Axis `i` of the weight is axis `order[i]` of the tensor.
    Permuted(&'static [usize]),
    /// A vector whose further axes are 1.
    Vector,
}

impl Layout {
    /// The shape of the weight that a tensor of this shape gives; `None` where it cannot have this layout.
    pub(super) fn shape(self, tensor: &[usize]) -> Option<Shape> {
        match self {
            Self::Same => Some(tensor.to_vec()),
            Self::Permuted(order) if order.len() == tensor.len() => {
                order.iter().map(|axis| tensor.get(*axis).copied()).collect()
            }
            Self::Permuted(_) => None,
            Self::Vector => {
                let (length, rest) = tensor.split_first()?;
                rest.iter().all(|extent| *extent == 1).then(|| vec![*length])
            }
        }
    }

    /// The shape of the tensor that gives a weight of this shape, for messages.
    pub(super) fn tensor_shape(self, weight: &[usize]) -> Shape {
        match self {
            Self::Permuted(order) => {
                let source_axis = |axis: usize| order.iter().position(|other| *other == axis);
                let extent = |axis| source_axis(axis).and_then(|at| weight.get(at)).copied().unwrap_or(0);
                (0..order.len()).map(extent).collect()
            }
            Self::Same | Self::Vector => weight.to_vec(),
        }
    }

    /// The weight of this shape, which [`Layout::shape`] has given.
    pub(super) fn apply(self, tensor: Tensor, shape: &[usize]) -> Tensor {
        let data = match self {
            Self::Permuted(order) => tensor.permuted(order).unwrap_or(tensor).data,
            Self::Same | Self::Vector => tensor.data,
        };
        Tensor { shape: shape.to_vec(), data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_permuted_as_numpy_transposes_them() {
        // np.arange(12).reshape(2, 3, 1, 2).transpose(2, 3, 1, 0).ravel()
        let tensor = Tensor { shape: vec![2, 3, 1, 2], data: (0..12u8).map(f32::from).collect() };
        let layout = Layout::Permuted(&[2, 3, 1, 0]);
        let shape = layout.shape(&tensor.shape).expect("four axes");
        assert_eq!(shape, [1, 2, 3, 2]);
        assert_eq!(layout.tensor_shape(&shape), tensor.shape);
        let expected = [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11u8].map(f32::from);
        assert_eq!(layout.apply(tensor, &shape).data, expected);
        assert_eq!(layout.shape(&[2, 3]), None);
    }

    #[test]
    fn a_vector_may_have_further_axes_of_one() {
        assert_eq!(Layout::Vector.shape(&[7, 1, 1]), Some(vec![7]));
        assert_eq!(Layout::Vector.shape(&[7]), Some(vec![7]));
        assert_eq!(Layout::Vector.shape(&[7, 2]), None);
        assert_eq!(Layout::Vector.shape(&[]), None);
    }
}
