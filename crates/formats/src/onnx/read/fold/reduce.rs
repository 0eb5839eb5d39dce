//! Known tensors compared, chosen between, repeated, and reduced along axes.

use super::shape::pick;
use super::{MOST, axes, axis_of, broadcast, indices};
use crate::onnx::read::constant::{Constant, Data, Extent, product};
use crate::onnx::read::node::Node;
use frostline_graph::Extents;

/// 1 where two tensors are equal, or greater, or less, else 0.
pub(super) fn compare(op: &str, a: &Constant, b: &Constant) -> Option<Constant> {
    let dims = broadcast(&a.dims, &b.dims)?;
    let (at_a, at_b) = (indices(&a.dims, &dims), indices(&b.dims, &dims));
    let pairs = || at_a.iter().zip(&at_b);
    let truth = |is: bool| Extent::Known(i64::from(is));
    let data: Option<Vec<Extent>> = match (&a.data, &b.data) {
        (Data::Whole(x), Data::Whole(y)) => pairs()
            .map(|(a, b)| match (op, *x.get(*a)?, *y.get(*b)?) {
                (_, Extent::Known(x), Extent::Known(y)) => Some(truth(holds(op, x as f64, y as f64))),
                // the number of images, or of pixels, is none that a file knows
                ("Equal", Extent::Batch(_) | Extent::Open, Extent::Known(..=0)) => Some(truth(false)),
                ("Equal", Extent::Known(..=0), Extent::Batch(_) | Extent::Open) => Some(truth(false)),
                _ => None,
            })
            .collect(),
        (Data::Float(x), Data::Float(y)) => pairs()
            .map(|(a, b)| Some(truth(holds(op, f64::from(*x.get(*a)?), f64::from(*y.get(*b)?)))))
            .collect(),
        _ => None,
    };
    Some(Constant { dims, data: Data::Whole(data?) })
}

fn holds(op: &str, a: f64, b: f64) -> bool {
    match op {
        "Equal" => a == b,
        "Greater" => a > b,
        "GreaterOrEqual" => a >= b,
        "Less" => a < b,
        _ => a <= b,
    }
}

/// Of two tensors the one that a third says, element by element.
pub(super) fn choose(inputs: &[Option<&Constant>]) -> Option<Constant> {
    let all: Vec<&Constant> = inputs.iter().copied().collect::<Option<_>>()?;
    let [condition, then, otherwise] = all.as_slice() else { return None };
    let dims = broadcast(&broadcast(&condition.dims, &then.dims)?, &otherwise.dims)?;
    let truths = condition.as_known()?;
    let [at, first, second] = [condition, then, otherwise].map(|tensor| indices(&tensor.dims, &dims));
    let places = at.iter().zip(first.iter().zip(&second));
    let data = match (&then.data, &otherwise.data) {
        (Data::Whole(x), Data::Whole(y)) => {
            let pick = |(c, (a, b)): (&usize, (&usize, &usize))| {
                if *truths.get(*c)? != 0 { x.get(*a).copied() } else { y.get(*b).copied() }
            };
            Data::Whole(places.map(pick).collect::<Option<_>>()?)
        }
        (Data::Float(x), Data::Float(y)) => {
            let pick = |(c, (a, b)): (&usize, (&usize, &usize))| {
                if *truths.get(*c)? != 0 { x.get(*a).copied() } else { y.get(*b).copied() }
            };
            Data::Float(places.map(pick).collect::<Option<_>>()?)
        }
        _ => return None,
    };
    Some(Constant { dims, data })
}

/// The tensor so many times along each axis.
pub(super) fn tile(x: &Constant, times: &[i64]) -> Option<Constant> {
    if times.len() != x.dims.len() {
        return None;
    }
    let times: Vec<usize> = times.iter().map(|times| usize::try_from(*times).ok()).collect::<Option<_>>()?;
    let dims: Vec<usize> =
        x.dims.iter().zip(&times).map(|(extent, times)| extent.checked_mul(*times)).collect::<Option<_>>()?;
    product(&dims).filter(|len| *len <= MOST)?;
    let mut places = vec![0usize];
    for (extent, own) in dims.iter().zip(&x.dims) {
        places = places
            .iter()
            .flat_map(|base| (0..*extent).map(move |at| base * own + at % (*own).max(1)))
            .collect();
    }
    pick(x, dims, &places)
}

/// Tensors behind one another along an axis.
pub(super) fn joined<'a>(inputs: &[Option<&'a Constant>], axis: i64) -> Option<Constant> {
    let all: Vec<&'a Constant> = inputs.iter().copied().collect::<Option<_>>()?;
    let first = all.first()?;
    let axis = axis_of(axis, first.dims.len())?;
    let same = |other: &&&Constant| {
        let fits = |(at, (a, b)): (usize, (&usize, &usize))| at == axis || a == b;
        other.dims.len() == first.dims.len() && other.dims.iter().zip(&first.dims).enumerate().all(fits)
    };
    if all.iter().filter(same).count() != all.len() {
        return None;
    }
    let mut dims = first.dims.clone();
    *dims.get_mut(axis)? = all.iter().map(|tensor| tensor.dims[axis]).sum();
    product(&dims).filter(|len| *len <= MOST)?;
    let rows: usize = first.dims[..axis].elements();
    fn interleaved<T: Copy>(parts: &[(&[T], usize)], rows: usize) -> Option<Vec<T>> {
        let mut all = Vec::new();
        for row in 0..rows {
            for (values, len) in parts {
                all.extend_from_slice(values.get(row * len..(row + 1) * len)?);
            }
        }
        Some(all)
    }
    let len = |tensor: &Constant| tensor.dims[axis..].elements();
    let data = match &first.data {
        Data::Float(_) => {
            let parts = all.iter().map(|tensor| Some((tensor.as_floats()?, len(tensor))));
            Data::Float(interleaved(&parts.collect::<Option<Vec<_>>>()?, rows)?)
        }
        Data::Whole(_) => {
            let whole = |tensor: &&'a Constant| match &tensor.data {
                Data::Whole(extents) => Some((extents.as_slice(), len(tensor))),
                _ => None,
            };
            Data::Whole(interleaved(&all.iter().map(whole).collect::<Option<Vec<_>>>()?, rows)?)
        }
        Data::Other(_) => return None,
    };
    Some(Constant { dims, data })
}

/// One number of all along some axes, as of kernels that are standardised when they are used.
pub(super) fn reduce(node: &Node, x: &Constant, of: Option<&Constant>) -> Option<Constant> {
    let values = x.as_floats()?;
    let rank = x.dims.len();
    let named = match axes(node, of) {
        Some(named) => named.iter().map(|axis| axis_of(*axis, rank)).collect::<Option<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    let keep = node.int("keepdims").unwrap_or(1) != 0;
    let kept: Vec<usize> = x
        .dims
        .iter()
        .enumerate()
        .map(|(axis, extent)| if named.contains(&axis) { 1 } else { *extent })
        .collect();
    let places = indices(&kept, &x.dims);
    let begin = match node.op.as_str() {
        "ReduceMax" => f64::NEG_INFINITY,
        "ReduceMin" => f64::INFINITY,
        "ReduceProd" => 1.0,
        _ => 0.0,
    };
    let mut found = vec![begin; kept.elements()];
    for (place, value) in places.iter().zip(values) {
        let (all, value) = (found.get_mut(*place)?, f64::from(*value));
        *all = match node.op.as_str() {
            "ReduceMax" => all.max(value),
            "ReduceMin" => all.min(value),
            "ReduceProd" => *all * value,
            "ReduceL2" | "ReduceSumSquare" => *all + value * value,
            _ => *all + value,
        };
    }
    let count = (x.len() / found.len().max(1)) as f64;
    let finish = |all: f64| match node.op.as_str() {
        "ReduceMean" => all / count,
        "ReduceL2" => all.sqrt(),
        _ => all,
    };
    let data = found.into_iter().map(|all| finish(all) as f32).collect();
    let dims = match keep {
        true => kept,
        false => (0..rank).filter(|axis| !named.contains(axis)).map(|axis| x.dims[axis]).collect(),
    };
    Some(Constant { dims, data: Data::Float(data) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::read::fold::shape::for_one;
    use crate::onnx::read::node::Attribute;

    fn list(extents: &[Extent]) -> Constant {
        Constant::whole(extents.to_vec())
    }

    #[test]
    fn a_shape_with_minus_ones_keeps_what_it_had() {
        // what PyTorch writes for `expand(batch, -1, 7)`
        let wanted = list(&[Extent::Batch(1), Extent::Known(-1), Extent::Known(7)]);
        let minus_one = list(&[Extent::Known(-1); 3]);
        let is_open = compare("Equal", &wanted, &minus_one).expect("known");
        assert_eq!(is_open.as_known(), Some(vec![0, 1, 0]));
        let ones = list(&[Extent::Known(1); 3]);
        let shape = choose(&[Some(&is_open), Some(&ones), Some(&wanted)]).expect("known");
        assert_eq!(for_one(&shape), Some(vec![1, 1, 7]));
        assert_eq!(for_one(&list(&[Extent::Known(2), Extent::Batch(1)])), None);
    }

    #[test]
    fn reductions_are_numpy_s() {
        let x = Constant::floats(&[2, 3], vec![1., 2., 3., 4., 6., 8.]);
        let of = |op: &str, axes: &[i64], keep: i64| {
            let attributes = [("axes", Attribute::Ints(axes.to_vec())), ("keepdims", Attribute::Int(keep))];
            let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            reduce(&Node { op: op.to_owned(), attributes, ..Node::default() }, &x, None).expect("known")
        };
        assert_eq!(of("ReduceMean", &[1], 1), Constant::floats(&[2, 1], vec![2., 6.]));
        assert_eq!(of("ReduceMax", &[0], 0), Constant::floats(&[3], vec![4., 6., 8.]));
        assert_eq!(of("ReduceSum", &[-1, 0], 0), Constant::floats(&[], vec![24.]));
    }

    #[test]
    fn tensors_are_joined_and_repeated() {
        let x = Constant::floats(&[2, 1], vec![1., 2.]);
        assert_eq!(tile(&x, &[1, 2]), Some(Constant::floats(&[2, 2], vec![1., 1., 2., 2.])));
        assert_eq!(joined(&[Some(&x), Some(&x)], 1), Some(Constant::floats(&[2, 2], vec![1., 1., 2., 2.])));
        assert_eq!(joined(&[Some(&x), Some(&x)], 0), Some(Constant::floats(&[4, 1], vec![1., 2., 1., 2.])));
        assert!(tile(&x, &[1 << 40, 1 << 40]).is_none());
    }
}
