//! From the layout of a tensor in the file to Keras's.

use frostline_graph::{Extents, Shape, Tensor};

/// How the axes of a weight come out of those of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// As they are.
    Same,
    /// Axis `i` of the weight is axis `order[i]` of the tensor. Axes of one place at its end may be left out in the file, or be
    /// more; and all axes behind the first may be one, as a Linear layer has them that reads a flattened image.
    Permuted(&'static [usize]),
    /// A vector among axes of one place.
    Vector,
    /// A row of all numbers, in their order.
    Row,
}

impl Layout {
    /// Whether a tensor of this shape gives a weight of that one.
    pub(super) fn fits(self, tensor: &[usize], weight: &[usize]) -> bool {
        match self {
            Self::Same => tensor == weight,
            Self::Permuted(_) => {
                let source = self.tensor_shape(weight);
                let is_flat = match (tensor, source.split_first()) {
                    ([first, rest], Some((outputs, inputs))) => {
                        first == outputs && *rest == inputs.elements()
                    }
                    _ => false,
                };
                trimmed(tensor) == trimmed(&source) || is_flat
            }
            Self::Vector => {
                let mut long = tensor.iter().filter(|extent| **extent != 1);
                let length = long.next().copied().unwrap_or(1);
                !tensor.is_empty() && long.next().is_none() && weight == [length]
            }
            Self::Row => weight == [1, tensor.elements()],
        }
    }

    /// The shape of the tensor that gives a weight of this shape.
    pub(super) fn tensor_shape(self, weight: &[usize]) -> Shape {
        match self {
            Self::Permuted(order) => {
                let source_axis = |axis: usize| order.iter().position(|other| *other == axis);
                let extent = |axis| source_axis(axis).and_then(|at| weight.get(at)).copied().unwrap_or(0);
                (0..order.len()).map(extent).collect()
            }
            Self::Same | Self::Vector | Self::Row => weight.to_vec(),
        }
    }

    /// The weight of this shape, from a tensor that [`Layout::fits`].
    pub(super) fn apply(self, tensor: Tensor, shape: &[usize]) -> Tensor {
        let data = match self {
            Self::Permuted(order) => {
                let tensor = Tensor { shape: self.tensor_shape(shape), data: tensor.data };
                tensor.permuted(order).unwrap_or(tensor).data
            }
            Self::Same | Self::Vector | Self::Row => tensor.data,
        };
        Tensor { shape: shape.to_vec(), data }
    }
}

/// Without the axes of one place at the end.
fn trimmed(shape: &[usize]) -> &[usize] {
    let long = shape.iter().rposition(|extent| *extent != 1).map_or(0, |last| last + 1);
    &shape[..long]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_permuted_as_numpy_transposes_them() {
        // np.arange(12).reshape(2, 3, 1, 2).transpose(2, 3, 1, 0).ravel()
        let tensor = Tensor { shape: vec![2, 3, 1, 2], data: (0..12u8).map(f32::from).collect() };
        let layout = Layout::Permuted(&[2, 3, 1, 0]);
        let shape = [1, 2, 3, 2];
        assert!(layout.fits(&tensor.shape, &shape) && !layout.fits(&[3, 2, 1, 2], &shape));
        assert_eq!(layout.tensor_shape(&shape), tensor.shape);
        let expected = [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11u8].map(f32::from);
        assert_eq!(layout.apply(tensor.clone(), &shape).data, expected);
        // the same numbers from a Linear layer on a flattened image
        assert!(layout.fits(&[2, 6], &shape) && !layout.fits(&[3, 4], &shape));
        let flat = Tensor { shape: vec![2, 6], ..tensor };
        assert_eq!(layout.apply(flat, &shape).data, expected);
    }

    #[test]
    fn axes_of_one_place_at_the_end_do_not_count() {
        let linear = Layout::Permuted(&[1, 0]);
        assert!(linear.fits(&[7, 3], &[3, 7]) && linear.fits(&[7, 3, 1, 1], &[3, 7]));
        assert!(!linear.fits(&[3, 7], &[3, 7]) && !linear.fits(&[7, 3, 1, 2], &[3, 7]));
        let depthwise = Layout::Permuted(&[2, 3, 0, 1]);
        assert!(depthwise.fits(&[5], &[1, 1, 5, 1]) && !depthwise.fits(&[5], &[1, 5, 1, 1]));
    }

    #[test]
    fn a_vector_may_have_further_axes_of_one() {
        for tensor in [&[7, 1, 1][..], &[7], &[1, 1, 7]] {
            assert!(Layout::Vector.fits(tensor, &[7]), "{tensor:?}");
        }
        assert!(!Layout::Vector.fits(&[7, 2], &[7]) && !Layout::Vector.fits(&[], &[1]));
        assert!(Layout::Row.fits(&[1, 3, 2], &[1, 6]) && !Layout::Row.fits(&[3, 2], &[6]));
    }
}
