//! Arrays with their axes in another order.

/// The elements of an array of these extents with its axes in this order, and their extents; `None` where the order names no
/// axes of it. No list of places is made: a kernel may have a hundred million elements.
pub(super) fn turned<T: Copy>(dims: &[usize], order: &[usize], values: &[T]) -> Option<(Vec<usize>, Vec<T>)> {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..dims.len()) || dims.iter().product::<usize>() != values.len() {
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
        let (dims, found) = turned(&[2, 3, 4], &[2, 0, 1], &values).expect("valid");
        assert_eq!(dims, [4, 2, 3]);
        assert_eq!(found[..6], [0, 4, 8, 12, 16, 20]);
        assert_eq!(turned(&[2, 3], &[1, 0], &values[..6]).expect("valid").1, [0, 3, 1, 4, 2, 5]);
        assert_eq!(turned(&[], &[], &[7]), Some((vec![], vec![7])));
        assert_eq!(turned(&[0, 3], &[1, 0], &values[..0]), Some((vec![3, 0], vec![])));
        assert_eq!(turned(&[2, 3], &[0, 0], &values[..6]), None);
        assert_eq!(turned(&[2, 3], &[0, 1], &values), None);
    }
}
