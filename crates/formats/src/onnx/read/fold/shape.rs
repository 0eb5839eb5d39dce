//! Known tensors taken apart, put together and given other shapes.

use super::{MOST, axis_of, broadcast, indices};
use crate::onnx::read::constant::{Constant, Data, Extent, MOST_WHOLE, product};
use crate::onnx::read::node::Node;
use frostline_graph::Extents;
use frostline_graph::permuted;
use std::rc::Rc;

pub(super) fn reshape(x: &Constant, target: &[i64]) -> Option<Constant> {
    let copied = |(axis, extent): (usize, &i64)| match extent {
        0 => x.dims.get(axis).map(|extent| *extent as i64),
        extent => Some(*extent),
    };
    let target: Vec<i64> = target.iter().enumerate().map(copied).collect::<Option<_>>()?;
    let known = target
        .iter()
        .filter(|extent| **extent != -1)
        .try_fold(1usize, |product, extent| product.checked_mul(usize::try_from(*extent).ok()?))?;
    let rest = x.len().checked_div(known)?;
    let dims: Vec<usize> = target.iter().map(|extent| usize::try_from(*extent).unwrap_or(rest)).collect();
    product(&dims)?;
    (dims.elements() == x.len()).then(|| Constant { dims, data: x.data.clone() })
}

/// A tensor for one image of a batch: an extent that is the batch's counts as 1, so that it meets the values of every image.
pub(super) fn for_one(shape: &Constant) -> Option<Vec<i64>> {
    let Data::Whole(extents) = &shape.data else { return None };
    let known = |(index, extent): (usize, &Extent)| match extent {
        Extent::Known(extent) => Some(*extent),
        Extent::Batch(1) if index == 0 => Some(1),
        _ => None,
    };
    extents.iter().enumerate().map(known).collect()
}

pub(super) fn squeeze(x: &Constant, axes: Option<&[i64]>) -> Option<Constant> {
    let rank = x.dims.len();
    let dropped: Vec<usize> = match axes {
        Some(axes) => axes.iter().map(|axis| axis_of(*axis, rank)).collect::<Option<_>>()?,
        None => (0..rank).filter(|axis| x.dims.get(*axis) == Some(&1)).collect(),
    };
    let keeps = |(axis, extent): (usize, &usize)| (!dropped.contains(&axis)).then_some(*extent);
    let dims: Vec<usize> = x.dims.iter().enumerate().filter_map(keeps).collect();
    (dims.elements() == x.len()).then(|| Constant { dims, data: x.data.clone() })
}

pub(super) fn unsqueeze(x: &Constant, axes: &[i64]) -> Option<Constant> {
    let rank = x.dims.len() + axes.len();
    let added: Vec<usize> = axes.iter().map(|axis| axis_of(*axis, rank)).collect::<Option<_>>()?;
    let mut own = x.dims.iter();
    let extent = |axis: usize| if added.contains(&axis) { Some(1) } else { own.next().copied() };
    let dims: Vec<usize> = (0..rank).map(extent).collect::<Option<_>>()?;
    (dims.elements() == x.len()).then(|| Constant { dims, data: x.data.clone() })
}

/// The elements at these places, in this order.
pub(super) fn pick(x: &Constant, dims: Vec<usize>, places: &[usize]) -> Option<Constant> {
    let data = match &x.data {
        Data::Float(values) => {
            Data::Float(places.iter().map(|at| values.get(*at).copied()).collect::<Option<_>>()?)
        }
        Data::Whole(values) => {
            Data::Whole(places.iter().map(|at| values.get(*at).copied()).collect::<Option<_>>()?)
        }
        Data::Other(_) => return None,
    };
    Some(Constant { dims, data })
}

/// The tensor with its axes in another order; `None` reverses them.
pub(in crate::onnx::read) fn transpose(x: &Constant, order: Option<&[i64]>) -> Option<Constant> {
    let rank = x.dims.len();
    let order: Vec<usize> = match order {
        Some(order) => order.iter().map(|axis| axis_of(*axis, rank)).collect::<Option<_>>()?,
        None => (0..rank).rev().collect(),
    };
    let (dims, data) = match &x.data {
        Data::Float(values) => {
            permuted(&x.dims, &order, values).map(|(dims, values)| (dims, Data::Float(values)))?
        }
        Data::Whole(values) => {
            permuted(&x.dims, &order, values).map(|(dims, values)| (dims, Data::Whole(values)))?
        }
        Data::Other(_) => return None,
    };
    Some(Constant { dims, data })
}

/// Lists behind one another; nothing else is joined where nothing depends on the image.
pub(super) fn concat(inputs: &[Option<&Constant>], axis: i64) -> Option<Constant> {
    let (mut whole, mut floats) = (Vec::new(), Vec::new());
    for input in inputs {
        let input = (*input)?;
        (input.dims.len() == 1).then_some(())?;
        match &input.data {
            Data::Whole(values) => whole.extend(values.iter().copied()),
            Data::Float(values) => floats.extend(values.iter().copied()),
            Data::Other(_) => return None,
        }
    }
    ([0, -1].contains(&axis) && whole.len().max(floats.len()) <= MOST).then_some(())?;
    match (whole.is_empty(), floats.is_empty()) {
        (_, true) => Some(Constant::whole(whole)),
        (true, false) => Some(Constant::floats(&[floats.len()], floats)),
        (false, false) => None,
    }
}

pub(super) fn gather(x: &Constant, index: &Constant, axis: i64) -> Option<Constant> {
    let axis = axis_of(axis, x.dims.len())?;
    let extent = *x.dims.get(axis)?;
    let at: Vec<usize> = index.as_known()?.iter().map(|at| axis_of(*at, extent)).collect::<Option<_>>()?;
    let inner: usize = x.dims[axis + 1..].iter().product();
    let outer: usize = x.dims[..axis].iter().product();
    let len = outer.checked_mul(at.len())?.checked_mul(inner)?;
    if len > MOST {
        return None;
    }
    let mut places = Vec::with_capacity(len);
    for before in 0..outer {
        for at in &at {
            places.extend((0..inner).map(|after| (before * extent + at) * inner + after));
        }
    }
    let dims = [&x.dims[..axis], &index.dims, &x.dims[axis + 1..]].concat();
    pick(x, dims, &places)
}

/// Starts, ends, axes and steps of a slice: attributes before opset 10, inputs since.
pub(in crate::onnx::read) fn ranges(node: &Node, inputs: &[Option<&Constant>]) -> Option<[Vec<i64>; 4]> {
    let given = |index: usize, name: &str| match node.ints(name) {
        Some(numbers) => Some(numbers.to_vec()),
        None => inputs.get(index).copied().flatten().and_then(Constant::as_known),
    };
    let (starts, ends) = (given(1, "starts")?, given(2, "ends")?);
    let axes = given(3, "axes").unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = given(4, "steps").unwrap_or_else(|| vec![1; starts.len()]);
    let same = [ends.len(), axes.len(), steps.len()] == [starts.len(); 3];
    same.then_some([starts, ends, axes, steps])
}

pub(super) fn slice(node: &Node, inputs: &[Option<&Constant>]) -> Option<Constant> {
    let mut x = inputs.first().copied().flatten()?.clone();
    let [starts, ends, axes, steps] = ranges(node, inputs)?;
    for (((start, end), axis), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = axis_of(*axis, x.dims.len())?;
        let extent = *x.dims.get(axis)? as i64;
        let from_end = |at: i64| if at < 0 { at.saturating_add(extent) } else { at };
        let kept: Vec<i64> = match step {
            1.. => (from_end(*start).clamp(0, extent)..from_end(*end).clamp(0, extent))
                .step_by(*step as usize)
                .collect(),
            -1 => {
                let (start, end) =
                    (from_end(*start).clamp(0, extent - 1), from_end(*end).clamp(-1, extent - 1));
                (end + 1..=start).rev().collect()
            }
            _ => return None,
        };
        let kept = Constant::whole(kept.into_iter().map(Extent::Known).collect());
        x = gather(&x, &kept, axis as i64)?;
    }
    Some(x)
}

pub(super) fn constant_of_shape(node: &Node, shape: &Constant) -> Option<Constant> {
    let dims: Vec<usize> =
        for_one(shape)?.iter().map(|dim| usize::try_from(*dim).ok()).collect::<Option<_>>()?;
    product(&dims).filter(|len| *len <= MOST)?;
    let len = dims.iter().product();
    let zero = Rc::new(Constant::floats(&[1], vec![0.0]));
    let data = match &node.tensor("value").unwrap_or(&zero).data {
        Data::Float(values) => Data::Float(vec![*values.first()?; len]),
        // lists of extents; nothing longer is one
        Data::Whole(values) if len <= MOST_WHOLE => Data::Whole(vec![*values.first()?; len]),
        Data::Whole(_) => return None,
        Data::Other(_) => return None,
    };
    Some(Constant { dims, data })
}

pub(super) fn expand(x: &Constant, shape: &[i64]) -> Option<Constant> {
    let shape: Vec<usize> = shape.iter().map(|dim| usize::try_from(*dim).ok()).collect::<Option<_>>()?;
    let dims = broadcast(&x.dims, &shape)?;
    let places = indices(&x.dims, &dims);
    pick(x, dims, &places)
}
