//! Operations that take places of an axis: slices, turned axes, repetitions, margins, parts.

use super::given::{Given, Operand};
use crate::Result;
use crate::ops::{Take, ValueId};
use serde_json::Value;

type Values = Result<Vec<ValueId>>;

/// The value with these places of an axis; as it is where they are all, in order.
fn taken(given: &mut Given<'_, '_>, x: ValueId, axis: usize, places: Vec<usize>) -> Result<ValueId> {
    let extent = given.shape(x)[axis];
    if places.iter().copied().eq(0..extent) {
        return Ok(x);
    }
    given.push(Take::new(axis, places), &[x])
}

/// `x[:, 1:, ::2, 0, ..., None]`
pub(super) fn get_item(given: &mut Given<'_, '_>) -> Values {
    let mut x = given.tensor("x")?;
    let steps = steps(given, given.rank(x) + 1)?;
    let mut shape = Vec::new();
    // the batch's axis is 0
    let mut axis = 0;
    for (index, step) in steps.into_iter().enumerate() {
        match step {
            Step::New if index == 0 => return Err(given.over_the_batch()),
            Step::New => shape.push(1),
            Step::Key(key) if axis == 0 && !is_whole(key) => return Err(given.over_the_batch()),
            Step::Whole | Step::Key(_) if axis == 0 => axis += 1,
            Step::Whole => {
                shape.push(given.shape(x)[axis - 1]);
                axis += 1;
            }
            Step::Key(key) => {
                let extent = given.shape(x)[axis - 1];
                let places = if is_slice(key) {
                    let places = sliced(key, extent);
                    let places = places.ok_or_else(|| given.error(format!("the slice {key} is none")))?;
                    shape.push(places.len());
                    places
                } else {
                    let place = key.as_i64().ok_or_else(|| {
                        given.error(format!("its key holds {key}, where slices and numbers are run"))
                    })?;
                    vec![wrapped(given, place, extent)?]
                };
                x = taken(given, x, axis - 1, places)?;
                axis += 1;
            }
        }
    }
    Ok(vec![given.reshape(x, &shape)?])
}

/// What the key says of each axis of a tensor of so many, the batch's first; without an ellipsis the rest is whole.
fn steps<'a>(given: &Given<'a, '_>, rank: usize) -> Result<Vec<Step<'a>>> {
    let key = given.setting("key").ok_or_else(|| given.error("its key is no list of slices and numbers"))?;
    let keys: Vec<&Value> = match key {
        Value::Array(keys) => keys.iter().collect(),
        one => vec![one],
    };
    let ellipses = keys.iter().filter(|key| is_ellipsis(key)).count();
    let named = keys.iter().filter(|key| !key.is_null() && !is_ellipsis(key)).count();
    let skipped = rank.checked_sub(named).filter(|_| ellipses < 2);
    let skipped = skipped
        .ok_or_else(|| given.error("its key has more places than its tensor has axes, or two ellipses"))?;
    let mut steps = Vec::new();
    for key in keys {
        match key {
            key if key.is_null() => steps.push(Step::New),
            key if is_ellipsis(key) => steps.extend((0..skipped).map(|_| Step::Whole)),
            key => steps.push(Step::Key(key)),
        }
    }
    if ellipses == 0 {
        steps.extend((0..skipped).map(|_| Step::Whole));
    }
    Ok(steps)
}

/// Whether a slice takes all places of an axis of any extent.
fn is_whole(key: &Value) -> bool {
    is_slice(key)
        && bound(key, "start").is_none_or(|start| start == 0)
        && key["config"]["stop"].is_null()
        && bound(key, "step").is_none_or(|step| step == 1)
}

/// What a key says of an axis.
enum Step<'a> {
    /// A new one.
    New,
    /// All of it.
    Whole,
    /// A slice or a place.
    Key(&'a Value),
}

fn is_ellipsis(key: &Value) -> bool {
    key["class_name"] == "__ellipsis__"
}

fn is_slice(key: &Value) -> bool {
    key["class_name"] == "__slice__"
}

fn bound(slice: &Value, name: &str) -> Option<i64> {
    slice["config"][name].as_i64()
}

/// The places of Python's `start:stop:step` on an axis of this extent.
fn sliced(slice: &Value, extent: usize) -> Option<Vec<usize>> {
    let extent = extent as i64;
    let step = bound(slice, "step").unwrap_or(1);
    let within = |place: i64, least: i64, most: i64| {
        (if place < 0 { place + extent } else { place }).clamp(least, most)
    };
    let named =
        |name: &str, least: i64, most: i64| bound(slice, name).map(|place| within(place, least, most));
    match step {
        1.. => {
            let (start, stop) =
                (named("start", 0, extent).unwrap_or(0), named("stop", 0, extent).unwrap_or(extent));
            Some((start..stop).step_by(step as usize).map(|place| place as usize).collect())
        }
        ..0 => {
            let start = named("start", -1, extent - 1).unwrap_or(extent - 1);
            let stop = named("stop", -1, extent - 1).unwrap_or(-1);
            let count = (start - stop).max(0) as usize;
            Some(
                (0..count)
                    .step_by(step.unsigned_abs() as usize)
                    .map(|below| (start - below as i64) as usize)
                    .collect(),
            )
        }
        0 => None,
    }
}

/// A place that may be counted from the end.
fn wrapped(given: &Given<'_, '_>, place: i64, extent: usize) -> Result<usize> {
    let counted = if place < 0 { place + extent as i64 } else { place };
    usize::try_from(counted)
        .ok()
        .filter(|place| *place < extent)
        .ok_or_else(|| given.error(format!("it takes place {place} of an axis of {extent}")))
}

/// Places that are part of the model, of any shape.
pub(super) fn take(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let Operand::Array(indices) = given.operand("indices")? else {
        return Err(given.error("its places are computed, where those that are part of the model are run"));
    };
    let axis = given.whole("axis")?.ok_or_else(|| given.over_the_batch())?;
    let mut shape = given.shape(x);
    let axis = given.axis(axis, shape.len())?;
    let extent = shape[axis];
    let places =
        indices.data.iter().map(|place| wrapped(given, *place as i64, extent)).collect::<Result<Vec<_>>>()?;
    let taken = taken(given, x, axis, places)?;
    shape.splice(axis..=axis, indices.shape.iter().copied());
    Ok(vec![given.reshape(taken, &shape)?])
}

/// `start` and `shape`, batch counted.
pub(super) fn slice(given: &mut Given<'_, '_>) -> Values {
    let mut x = given.tensor("inputs")?;
    let (starts, lens) = (given.wholes("start_indices")?, given.wholes("shape")?);
    let (Some(starts), Some(lens)) = (starts, lens) else {
        return Err(given.error("its places are computed, where those that are part of the model are run"));
    };
    let own = given.shape(x);
    if starts.len() != own.len() + 1 || lens.len() != starts.len() || starts[0] != 0 || lens[0] != -1 {
        return Err(given.over_the_batch());
    }
    for (axis, (start, len)) in starts.into_iter().zip(lens).skip(1).enumerate() {
        let start = wrapped(given, start, own[axis].max(1))?;
        let len = usize::try_from(len).unwrap_or(own[axis] - start).min(own[axis] - start);
        x = taken(given, x, axis, (start..start + len).collect())?;
    }
    Ok(vec![x])
}

pub(super) fn flip(given: &mut Given<'_, '_>) -> Values {
    let mut x = given.tensor("x")?;
    for axis in given.axes("axis", given.rank(x))? {
        let extent = given.shape(x)[axis];
        x = taken(given, x, axis, (0..extent).rev().collect())?;
    }
    Ok(vec![x])
}

pub(super) fn roll(given: &mut Given<'_, '_>) -> Values {
    let mut x = given.tensor("x")?;
    let axes = given.wholes("axis")?.ok_or_else(|| given.over_the_batch())?;
    let shifts = given.wholes("shift")?.ok_or_else(|| given.error("it has no shift"))?;
    for (index, axis) in axes.iter().enumerate() {
        let axis = given.axis(*axis, given.rank(x))?;
        let extent = given.shape(x)[axis] as i64;
        let shift = shifts.get(index).or(shifts.first()).copied().unwrap_or(0);
        x = taken(
            given,
            x,
            axis,
            (0..extent).map(|place| (place - shift).rem_euclid(extent) as usize).collect(),
        )?;
    }
    Ok(vec![x])
}

/// Each place several times, one behind the other.
pub(super) fn repeat(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let repeats = given.wholes("repeats")?.ok_or_else(|| given.error("it does not say how often"))?;
    let axis = given.whole("axis")?.ok_or_else(|| given.over_the_batch())?;
    let axis = given.axis(axis, given.rank(x))?;
    let extent = given.shape(x)[axis];
    let times =
        |place: usize| repeats.get(place % repeats.len().max(1)).map_or(0, |times| (*times).max(0) as usize);
    if repeats.len() != 1 && repeats.len() != extent {
        return Err(given.error(format!("it has {} repeats for {extent} places", repeats.len())));
    }
    given.places((0..extent).try_fold(0usize, |all, place| all.checked_add(times(place))))?;
    let places = (0..extent).flat_map(|place| std::iter::repeat_n(place, times(place))).collect();
    Ok(vec![taken(given, x, axis, places)?])
}

/// The whole several times.
pub(super) fn tile(given: &mut Given<'_, '_>) -> Values {
    let mut x = given.tensor("x")?;
    let repeats = given.wholes("repeats")?.ok_or_else(|| given.error("it does not say how often"))?;
    let mut shape = given.shape(x);
    let rank = shape.len();
    let own = match repeats.len().checked_sub(rank) {
        None => repeats.as_slice(),
        Some(0) => repeats.as_slice(),
        Some(1) if repeats[0] == 1 => &repeats[1..],
        Some(_) => return Err(given.over_the_batch()),
    };
    let first = rank - own.len();
    for (axis, times) in own.iter().enumerate() {
        let times = usize::try_from(*times).map_err(|_| given.error("it repeats less than once"))?;
        let extent = shape[first + axis];
        let count = given.places(extent.checked_mul(times))?;
        shape[first + axis] = count;
        x = taken(given, x, first + axis, (0..count).map(|place| place % extent.max(1)).collect())?;
    }
    Ok(vec![x])
}

/// Axes of one place are repeated; the batch keeps its own, whatever the shape says of it.
pub(super) fn broadcast_to(given: &mut Given<'_, '_>) -> Values {
    let mut x = given.tensor("x")?;
    let wanted = given
        .setting("shape")
        .and_then(Value::as_array)
        .ok_or_else(|| given.error("its shape is no list"))?;
    let shape = given.shape(x);
    if wanted.len() != shape.len() + 1 {
        return Err(given.over_the_batch());
    }
    for (axis, wanted) in wanted.iter().skip(1).enumerate() {
        let wanted = wanted.as_u64().map_or(shape[axis], |extent| extent as usize);
        if wanted != shape[axis] && shape[axis] != 1 {
            return Err(given.error(format!("{} places cannot become {wanted}", shape[axis])));
        }
        if wanted != shape[axis] {
            let count = given.places(Some(wanted))?;
            x = taken(given, x, axis, vec![0; count])?;
        }
    }
    Ok(vec![x])
}

/// Margins of a number, of the nearest place, or of the places behind the border as in a mirror.
pub(super) fn pad(given: &mut Given<'_, '_>) -> Values {
    let mut x = given.tensor("x")?;
    let fill = given.number_or("constant_values", 0.0)?;
    let mode = given.text("mode", "constant").to_owned();
    let widths = margins(given)?;
    let rank = given.rank(x);
    let widths = match widths.as_slice() {
        [[0, 0], rest @ ..] if rest.len() == rank => rest.to_vec(),
        _ => return Err(given.over_the_batch()),
    };
    for (axis, [before, behind]) in widths.into_iter().enumerate().filter(|(_, margins)| *margins != [0, 0]) {
        given.places(before.checked_add(behind))?;
        let extent = given.shape(x)[axis] as i64;
        let place = |place: i64| -> Option<u32> {
            let inside = match mode.as_str() {
                "constant" => place,
                "edge" => place.clamp(0, extent - 1),
                "reflect" => mirrored(place, 2 * (extent - 1).max(1), extent),
                _ => mirrored(place, 2 * extent, extent),
            };
            (0..extent).contains(&inside).then_some(inside as u32)
        };
        let all = -(before as i64)..extent + behind as i64;
        let places = match mode.as_str() {
            "constant" | "edge" | "reflect" | "symmetric" => {
                all.map(|at| place(at).unwrap_or(Take::FILL)).collect()
            }
            other => return Err(given.error(format!("its mode is `{other}`, which is not run"))),
        };
        x = given.push(Take { axis, places, fill }, &[x])?;
    }
    Ok(vec![x])
}

/// A place behind the border as in a mirror: with a period of twice the extent the border counts twice.
fn mirrored(place: i64, period: i64, extent: i64) -> i64 {
    let within = place.rem_euclid(period);
    if within < extent {
        within
    } else if period == 2 * extent {
        period - 1 - within
    } else {
        period - within
    }
}

/// `pad_width`: one number, one pair for all axes, or a pair for each.
fn margins(given: &Given<'_, '_>) -> Result<Vec<[usize; 2]>> {
    let pair = |value: &Value| -> Option<[usize; 2]> {
        match value.as_array()?.as_slice() {
            [before, behind] => Some([before.as_u64()? as usize, behind.as_u64()? as usize]),
            _ => None,
        }
    };
    let widths = given.setting("pad_width").and_then(Value::as_array);
    let widths: Option<Vec<[usize; 2]>> = widths.and_then(|widths| widths.iter().map(pair).collect());
    widths.ok_or_else(|| given.error("its `pad_width` is no list of a pair for each axis"))
}

/// Parts of an axis: so many equal ones, or those that begin at these places.
pub(super) fn split(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let axis = given.axis_or("axis", 0, given.rank(x))?;
    let extent = given.shape(x)[axis];
    let bounds = match given.setting("indices_or_sections") {
        Some(Value::Array(_)) => {
            let starts = given.wholes("indices_or_sections")?.unwrap_or_default();
            let within = |start: i64| {
                (if start < 0 { start + extent as i64 } else { start }).clamp(0, extent as i64) as usize
            };
            let inner = starts.into_iter().map(within);
            std::iter::once(0).chain(inner).chain([extent]).collect::<Vec<_>>()
        }
        _ => {
            let parts = given.whole("indices_or_sections")?.and_then(|parts| usize::try_from(parts).ok());
            let parts = parts.filter(|parts| *parts > 0 && extent.is_multiple_of(*parts));
            let parts = parts
                .ok_or_else(|| given.error(format!("{extent} places cannot be split in equal parts so")))?;
            (0..=parts).map(|part| part * (extent / parts)).collect()
        }
    };
    let parts = bounds.windows(2).map(|ends| (ends[0]..ends[1].max(ends[0])).collect());
    parts.map(|places| taken(given, x, axis, places)).collect()
}

/// The places of an axis, each as a tensor without that axis.
pub(super) fn unstack(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let axis = given.axis_or("axis", 0, given.rank(x))?;
    let mut shape = given.shape(x);
    let extent = shape.remove(axis);
    let place = |place: usize| {
        let taken = taken(given, x, axis, vec![place])?;
        given.reshape(taken, &shape)
    };
    (0..extent).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn slices_are_those_of_python() {
        let of = |start: Value, stop: Value, step: Value, extent: usize| {
            let slice =
                json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}});
            sliced(&slice, extent)
        };
        let none = Value::Null;
        assert_eq!(of(none.clone(), none.clone(), none.clone(), 3), Some(vec![0, 1, 2]));
        assert_eq!(of(json!(1), json!(-1), none.clone(), 5), Some(vec![1, 2, 3]));
        assert_eq!(of(none.clone(), none.clone(), json!(-1), 3), Some(vec![2, 1, 0]));
        assert_eq!(of(json!(-2), none.clone(), json!(-2), 6), Some(vec![4, 2, 0]));
        assert_eq!(of(json!(4), json!(1), json!(-2), 6), Some(vec![4, 2]));
        assert_eq!(of(json!(2), json!(9), json!(2), 6), Some(vec![2, 4]));
        assert_eq!(of(json!(5), json!(2), none.clone(), 6), Some(vec![]));
        assert_eq!(of(none.clone(), none, json!(0), 6), None);
    }

    #[test]
    fn mirrors_repeat_the_border_or_not() {
        let places = |period: i64| (-3..7).map(|place| mirrored(place, period, 4)).collect::<Vec<_>>();
        assert_eq!(places(6), [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert_eq!(places(8), [2, 1, 0, 0, 1, 2, 3, 3, 2, 1]);
    }
}
