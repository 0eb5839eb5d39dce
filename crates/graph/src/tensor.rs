//! A dense f32 array and its shape.

/// The extents of a tensor. Where it belongs to a value of a model, the batch dimension is left out:
/// an image is `[height, width, channels]`.
pub type Shape = Vec<usize>;

/// What the extents of a shape come to.
pub trait Extents {
    /// The number of elements: the product of all extents, 1 for a scalar.
    fn elements(&self) -> usize;
}

impl Extents for [usize] {
    fn elements(&self) -> usize {
        self.iter().product()
    }
}

/// A dense, row-major f32 array.
///
/// ```
/// use frostline_graph::Tensor;
///
/// let tensor = Tensor { shape: vec![2, 3], data: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0] };
/// assert_eq!(tensor.permuted(&[1, 0]).unwrap().data, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
/// ```
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
        Self { shape: shape.to_vec(), data: vec![value; shape.elements()] }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// True for a tensor with an extent of zero.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The tensor with its axes in this order: axis `i` of the result is axis `order[i]` of this one. None where the order does
    /// not name each axis once.
    pub fn permuted(&self, order: &[usize]) -> Option<Self> {
        permuted(&self.shape, order, &self.data).map(|(shape, data)| Self { shape, data })
    }
}

/// The elements of an array of these extents with its axes in this order, and their extents. Returns `None` if `order` is not a
/// permutation of the axes, or if the number of values does not match the shape. No list of places is made: a kernel may have a hundred million elements.
pub fn permuted<T: Copy>(dims: &[usize], order: &[usize], values: &[T]) -> Option<(Vec<usize>, Vec<T>)> {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..dims.len()) || dims.elements() != values.len() {
        return None;
    }
    let mut own = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        own[axis - 1] = own[axis] * dims[axis];
    }
    let new: Vec<usize> = order.iter().map(|axis| dims[*axis]).collect();
    let strides: Vec<usize> = order.iter().map(|axis| own[*axis]).collect();
    if values.is_empty() {
        return Some((new, Vec::new()));
    }
    let mut found = Vec::with_capacity(values.len());
    let Some((last, outer)) = new.split_last() else { return Some((new, values.to_vec())) };
    let mut at = vec![0usize; outer.len()];
    for _ in 0..outer.iter().product() {
        let base: usize = at.iter().zip(&strides).map(|(at, stride)| at * stride).sum();
        let step = strides.last().copied().unwrap_or(1);
        for place in 0..*last {
            found.push(*values.get(base + place * step)?);
        }
        // the next place of the outer axes, the last of them first
        for axis in (0..outer.len()).rev() {
            at[axis] += 1;
            if at[axis] < outer[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    Some((new, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_change_places() {
        let values: Vec<usize> = (0..24).collect();
        let (dims, found) = permuted(&[2, 3, 4], &[2, 0, 1], &values).expect("valid");
        assert_eq!(dims, [4, 2, 3]);
        assert_eq!(found[..6], [0, 4, 8, 12, 16, 20]);
        assert_eq!(permuted(&[2, 3], &[1, 0], &values[..6]).expect("valid").1, [0, 3, 1, 4, 2, 5]);
        assert_eq!(permuted(&[], &[], &[7]), Some((vec![], vec![7])));
        assert_eq!(permuted(&[0, 3], &[1, 0], &values[..0]), Some((vec![3, 0], vec![])));
        assert_eq!(permuted(&[2, 3], &[0, 0], &values[..6]), None);
        assert_eq!(permuted(&[2, 3], &[0, 1], &values), None);
    }
}
