//! Operations that bring the same elements into another shape or order.

use super::given::Given;
use crate::ops::{Permute, ValueId};
use crate::{Extents, Result};

type Values = Result<Vec<ValueId>>;

/// The batch stays in front: its place in the new shape is -1, or `None` where the shape was taken from a tensor.
pub(super) fn reshape(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let own = given.shape(x);
    let wanted = given.setting("newshape").and_then(serde_json::Value::as_array);
    let wanted = wanted.ok_or_else(|| given.error("its `newshape` is no list"))?;
    let Some((batch, rest)) = wanted.split_first() else { return Err(given.over_the_batch()) };
    let mut shape = Vec::new();
    let mut open = None;
    for extent in rest {
        match extent.as_i64() {
            Some(-1) if open.is_none() && batch.as_i64() != Some(-1) => {
                open = Some(shape.len());
                shape.push(1);
            }
            Some(extent @ 0..) => shape.push(extent as usize),
            _ => return Err(given.error(format!("its `newshape` is {wanted:?}, which cannot be told"))),
        }
    }
    if let Some(place) = open {
        let known = shape.elements().max(1);
        shape[place] = own.elements() / known;
    }
    let keeps_batch = batch.is_null() || batch.as_i64() == Some(-1) || (own.elements() == shape.elements());
    if !keeps_batch || own.elements() != shape.elements() {
        return Err(given.error(format!(
            "it reshapes {own:?} to {shape:?}, and so mixes the images of a batch, each of which is computed alone here"
        )));
    }
    Ok(vec![given.reshape(x, &shape)?])
}

pub(super) fn expand_dims(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let mut shape = given.shape(x);
    let named = given.wholes("axis")?.ok_or_else(|| given.error("it names no axis"))?;
    let rank = shape.len() + named.len();
    let mut axes = named.into_iter().map(|axis| given.axis(axis, rank)).collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(given.error("it names an axis twice"));
    }
    axes.into_iter().for_each(|axis| shape.insert(axis, 1));
    Ok(vec![given.reshape(x, &shape)?])
}

pub(super) fn squeeze(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let shape = given.shape(x);
    let axes = match given.setting("axis") {
        Some(_) => given.axes("axis", shape.len())?,
        None => (0..shape.len()).filter(|axis| shape[*axis] == 1).collect(),
    };
    if let Some(axis) = axes.iter().find(|axis| shape[**axis] != 1) {
        return Err(given.error(format!("it takes away an axis of {} places", shape[*axis])));
    }
    let left: Vec<usize> =
        (0..shape.len()).filter(|axis| !axes.contains(axis)).map(|axis| shape[axis]).collect();
    Ok(vec![given.reshape(x, &left)?])
}

pub(super) fn transpose(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let order = given.wholes("axes")?.ok_or_else(|| given.over_the_batch())?;
    let rank = given.rank(x);
    let [0, rest @ ..] = order.as_slice() else { return Err(given.over_the_batch()) };
    let order = rest.iter().map(|axis| given.axis(*axis, rank)).collect::<Result<Vec<_>>>()?;
    Ok(vec![given.push(Permute { order }, &[x])?])
}

pub(super) fn swap_axes(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let rank = given.rank(x);
    let mut order: Vec<usize> = (0..rank).collect();
    let named = |name: &str| {
        let axis = given.whole(name)?.ok_or_else(|| given.error("it names no axes"))?;
        given.axis(axis, rank)
    };
    let (first, second) = (named("axis1")?, named("axis2")?);
    order.swap(first, second);
    Ok(vec![given.push(Permute { order }, &[x])?])
}

pub(super) fn move_axis(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let rank = given.rank(x);
    let named = |name: &str| -> Result<Vec<usize>> {
        let axes = given.wholes(name)?.ok_or_else(|| given.error(format!("it names no {name}")))?;
        axes.into_iter().map(|axis| given.axis(axis, rank)).collect()
    };
    let (from, to) = (named("source")?, named("destination")?);
    let mut pairs: Vec<(usize, usize)> = to.iter().copied().zip(from.iter().copied()).collect();
    pairs.sort_unstable();
    let mut order: Vec<usize> = (0..rank).filter(|axis| !from.contains(axis)).collect();
    pairs.into_iter().for_each(|(to, from)| order.insert(to.min(order.len()), from));
    Ok(vec![given.push(Permute { order }, &[x])?])
}

/// `[height, width, block · block · channels]` to `[height · block, width · block, channels]`.
pub(super) fn depth_to_space(given: &mut Given<'_, '_>) -> Values {
    let (x, block, [height, width, channels]) = blocks(given)?;
    if !channels.is_multiple_of(block * block) {
        return Err(given.error(format!("{channels} channels are no blocks of {block} x {block}")));
    }
    let rest = channels / (block * block);
    let split = given.reshape(x, &[height, width, block, block, rest])?;
    let turned = given.push(Permute { order: vec![0, 2, 1, 3, 4] }, &[split])?;
    Ok(vec![given.reshape(turned, &[height * block, width * block, rest])?])
}

/// The way back.
pub(super) fn space_to_depth(given: &mut Given<'_, '_>) -> Values {
    let (x, block, [height, width, channels]) = blocks(given)?;
    if !height.is_multiple_of(block) || !width.is_multiple_of(block) {
        return Err(given.error(format!("{height} x {width} pixels are no blocks of {block} x {block}")));
    }
    let split = given.reshape(x, &[height / block, block, width / block, block, channels])?;
    let turned = given.push(Permute { order: vec![0, 2, 1, 3, 4] }, &[split])?;
    Ok(vec![given.reshape(turned, &[height / block, width / block, block * block * channels])?])
}

fn blocks(given: &Given<'_, '_>) -> Result<(ValueId, usize, [usize; 3])> {
    given.channels_last()?;
    let x = given.tensor("x")?;
    let block =
        given.whole("block_size")?.and_then(|block| usize::try_from(block).ok()).filter(|block| *block > 0);
    let shape = <[usize; 3]>::try_from(given.shape(x)).ok();
    match (block, shape) {
        (Some(block), Some(shape)) => Ok((x, block, shape)),
        _ => Err(given.error("it is called on no image, or has no size of its blocks")),
    }
}
