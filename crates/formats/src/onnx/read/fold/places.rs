//! Elements of known tensors by places that are known.

use super::shape::pick;
use super::{MOST, axis_of};
use crate::onnx::read::constant::{Constant, Data, Extent, MOST_WHOLE, product};
use crate::onnx::read::node::Node;
use frostline_graph::Extents;

/// The first element of each part of `dims` that a row of places names, and how long such a part is.
fn parts(dims: &[usize], places: &Constant) -> Option<(Vec<usize>, usize)> {
    let width = *places.dims.last()?;
    let inner = dims.get(width..)?.to_vec().elements();
    let begin = |row: &[i64]| {
        let mut at = 0usize;
        for (place, extent) in row.iter().zip(dims) {
            at = at * extent + axis_of(*place, *extent)?;
        }
        Some(at * inner)
    };
    let rows = places.as_known()?;
    let begins = rows.chunks(width.max(1)).map(begin).collect::<Option<_>>()?;
    Some((begins, inner))
}

/// `GatherND`, of no batch.
pub(super) fn gather_nd(node: &Node, x: &Constant, places: &Constant) -> Option<Constant> {
    (node.int("batch_dims").unwrap_or(0) == 0).then_some(())?;
    let (begins, inner) = parts(&x.dims, places)?;
    let (_, outer) = places.dims.split_last()?;
    let dims = [outer, x.dims.get(*places.dims.last()?..)?].concat();
    product(&dims).filter(|len| *len <= MOST)?;
    let places: Vec<usize> = begins.into_iter().flat_map(|begin| begin..begin + inner).collect();
    pick(x, dims, &places)
}

/// `ScatterND`, which puts elements in place of others.
pub(super) fn scatter_nd(node: &Node, inputs: &[Option<&Constant>]) -> Option<Constant> {
    (node.text("reduction", "none") == "none").then_some(())?;
    let all: Vec<&Constant> = inputs.iter().copied().collect::<Option<_>>()?;
    let [x, places, updates] = all.as_slice() else { return None };
    let (begins, inner) = parts(&x.dims, places)?;
    let at = begins.into_iter().flat_map(|begin| begin..begin + inner);
    let data = match (&x.data, &updates.data) {
        (Data::Float(values), Data::Float(updates)) => {
            let mut values = values.clone();
            (at.clone().count() == updates.len()).then_some(())?;
            for (at, update) in at.zip(updates) {
                *values.get_mut(at)? = *update;
            }
            Data::Float(values)
        }
        (Data::Whole(values), Data::Whole(updates)) => {
            let mut values = values.clone();
            (at.clone().count() == updates.len()).then_some(())?;
            for (at, update) in at.zip(updates) {
                *values.get_mut(at)? = *update;
            }
            Data::Whole(values)
        }
        _ => return None,
    };
    Some(Constant { dims: x.dims.clone(), data })
}

/// `OneHot` of whole numbers along a new last axis.
pub(super) fn one_hot(node: &Node, inputs: &[Option<&Constant>]) -> Option<Constant> {
    let all: Vec<&Constant> = inputs.iter().copied().collect::<Option<_>>()?;
    let [places, depth, values] = all.as_slice() else { return None };
    let depth = usize::try_from(*depth.as_known()?.first()?).ok()?;
    let rank = places.dims.len();
    (axis_of(node.int("axis").unwrap_or(-1), rank + 1)? == rank).then_some(())?;
    let dims = [places.dims.as_slice(), &[depth]].concat();
    let rows: Vec<usize> =
        places.as_known()?.iter().map(|place| axis_of(*place, depth)).collect::<Option<_>>()?;
    product(&dims).filter(|len| *len <= MOST_WHOLE)?;
    let is_on = || rows.iter().flat_map(|row| (0..depth).map(move |place| place == *row));
    let data = match &values.data {
        Data::Float(values) => {
            let &[off, on] = values.as_slice() else { return None };
            Data::Float(is_on().map(|is_on| if is_on { on } else { off }).collect())
        }
        Data::Whole(values) => {
            let &[off, on] = values.as_slice() else { return None };
            Data::Whole(is_on().map(|is_on| if is_on { on } else { off }).collect())
        }
        Data::Other(_) => return None,
    };
    Some(Constant { dims, data })
}

/// Each truth the other way.
pub(super) fn not(x: &Constant) -> Option<Constant> {
    let data = x.as_known()?.iter().map(|truth| Extent::Known(i64::from(*truth == 0))).collect();
    Some(Constant { dims: x.dims.clone(), data: Data::Whole(data) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(dims: &[usize], numbers: &[i64]) -> Constant {
        let data = Data::Whole(numbers.iter().map(|number| Extent::Known(*number)).collect());
        Constant { dims: dims.to_vec(), data }
    }

    #[test]
    fn rows_are_taken_and_put_by_their_places() {
        let table = Constant::floats(&[2, 2, 2], (0..8).map(|number| number as f32).collect());
        let places = whole(&[3, 1], &[1, 0, -1]);
        let taken = gather_nd(&Node::default(), &table, &places).expect("there");
        assert_eq!(taken.dims, [3, 2, 2]);
        assert_eq!(taken.as_floats().and_then(|all| all.get(..4)), Some(&[4.0, 5.0, 6.0, 7.0][..]));
        let (places, update) = (whole(&[1, 2], &[0, 1]), Constant::floats(&[1, 2], vec![8.0, 9.0]));
        let put = scatter_nd(&Node::default(), &[Some(&table), Some(&places), Some(&update)]).expect("there");
        assert_eq!(put.as_floats(), Some(&[0.0, 1.0, 8.0, 9.0, 4.0, 5.0, 6.0, 7.0][..]));
        assert!(gather_nd(&Node::default(), &table, &whole(&[1, 1], &[2])).is_none());
    }

    #[test]
    fn one_place_of_a_row_is_on() {
        let inputs = [whole(&[2], &[1, -1]), whole(&[1], &[3]), whole(&[2], &[0, 1])];
        let made = one_hot(&Node::default(), &inputs.each_ref().map(Some)).expect("there");
        assert_eq!((made.dims.as_slice(), made.as_known()), (&[2, 3][..], Some(vec![0, 1, 0, 0, 0, 1])));
    }
}
