//! A value of the ONNX graph as frostline has it: the batch first, channels last.
//!
//! ONNX's axes are *logical*: `[batch, channels, height, width]` in most files. What is computed here is *stored* as
//! `[batch, height, width, channels]`. Each value says where its logical axes are stored, so that a `Transpose` moves
//! nothing and a pair of them vanishes.

use super::builder::Builder;
use super::constant::{Constant, Data, Extent};
use super::fold;
use super::view::{Counted, Pair, View};
use frostline_graph::{Shape, TensorId};
use serde_json::{Value as Json, json};

/// Where the axes of `[batch, channels, height, width]` are stored.
pub(super) const IMAGE: [usize; 4] = [0, 3, 1, 2];

/// Where the axes of `[batch, channels, depth, height, width]` are stored.
pub(super) const VOLUME: [usize; 5] = [0, 4, 1, 2, 3];

/// Where the axes of `[batch, channels, length]` are stored.
pub(super) const SEQUENCE: [usize; 3] = [0, 2, 1];

/// A value.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) id: TensorId,
    /// As stored, without the batch, for a small and a large image: what differs is open.
    pub(super) shapes: [Shape; 2],
    /// For each logical axis, the batch's first, the axis at which it is stored.
    pub(super) axes: Vec<usize>,
    /// For each stored axis, the batch left out, how many of the image's rows and columns run along it: they stay in front
    /// of the channels.
    pub(super) pixels: Vec<usize>,
    /// No number is below 0, whatever the weights.
    pub(super) nonnegative: bool,
    /// Only one node reads it, so that its layer may be changed.
    pub(super) sole: bool,
    /// The rows of an image that was flattened as it is stored, not as ONNX counts.
    pub(super) flattened: Option<Flattened>,
    /// How the file counts its axes.
    pub(super) view: View,
}

/// An image in a row. Its elements are in the order in which it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Flattened {
    /// As stored, without the batch.
    pub(super) shapes: [Shape; 2],
    /// Where its logical axes are stored.
    pub(super) axes: Vec<usize>,
}

impl Flattened {
    /// For each element of the row as it is stored the place that it has for ONNX; `None` where the image's size is open.
    pub(super) fn places(&self) -> Option<Vec<usize>> {
        let [small, large] = &self.shapes;
        if small != large {
            return None;
        }
        let logical: Vec<usize> = self
            .axes
            .iter()
            .skip(1)
            .map(|axis| small.get(axis.checked_sub(1)?).copied())
            .collect::<Option<_>>()?;
        let len: usize = logical.iter().product();
        let counted =
            Constant { dims: logical, data: Data::Whole((0..len as i64).map(Extent::Known).collect()) };
        // the logical axis that lies at each stored one
        let order: Vec<i64> = (1..self.axes.len())
            .map(|stored| self.axes.iter().position(|axis| *axis == stored).map(|logical| logical as i64 - 1))
            .collect::<Option<_>>()?;
        let places = fold::transpose(&counted, Some(&order))?.as_known()?;
        Some(places.into_iter().map(|place| place as usize).collect())
    }
}

/// Where the pixels of a value of so many axes are, the batch left out: an image's channels are last.
pub(super) fn pixels(rank: usize) -> Vec<usize> {
    match rank {
        3 => vec![1, 1, 0],
        4 => vec![1, 1, 1, 0],
        _ => vec![0; rank],
    }
}

/// The axes of a value that is stored as it is counted.
pub(super) fn plain(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

impl Value {
    /// The number of axes, the batch counted.
    pub(super) fn rank(&self) -> usize {
        self.axes.len()
    }

    /// The extents of a logical axis for both sizes; of the batch's, `[1, 1]`.
    pub(super) fn extents(&self, logical: usize) -> [usize; 2] {
        let stored = self.axes.get(logical).copied().unwrap_or(0);
        self.shapes
            .each_ref()
            .map(|shape| stored.checked_sub(1).and_then(|axis| shape.get(axis)).copied().unwrap_or(1))
    }

    pub(super) fn counted(&self) -> Counted {
        let extents = |axes: std::ops::Range<usize>| axes.map(|axis| self.extents(axis)).collect();
        let View { before, windows, windows_first } = self.view;
        let batch = before + 1;
        Counted {
            before: extents(1..batch),
            windows: if windows { self.extents(batch) } else { [1, 1] },
            windows_first,
            behind: extents(batch + usize::from(windows)..self.rank()),
        }
    }

    /// The shape as the file counts it, as `Shape` gives it.
    pub(super) fn shape(&self) -> Vec<Extent> {
        let extent = |(axis, [small, large]): (usize, Pair)| match axis == self.view.before {
            _ if small != large => Extent::Open,
            true => Extent::Batch(small as i64),
            false => Extent::Known(small as i64),
        };
        self.counted().in_file().into_iter().enumerate().map(extent).collect()
    }

    /// The number of axes that the file has.
    pub(super) fn rank_in_file(&self) -> usize {
        self.rank() - usize::from(self.view.windows)
    }

    /// The number of channels, which are stored last.
    pub(super) fn channels(&self) -> usize {
        self.shapes[0].last().copied().unwrap_or(1)
    }

    /// The logical axis that is stored last.
    pub(super) fn last(&self) -> usize {
        self.axes.iter().position(|axis| axis + 1 == self.rank()).unwrap_or(0)
    }

    /// Whether no row or column of an image runs along the axis that is stored last.
    pub(super) fn has_channels_last(&self) -> bool {
        self.pixels.last() == Some(&0)
    }

    /// The only logical axis along which the numbers of a known tensor that meets this value differ; none where it holds one
    /// number, or where several differ. `None` where it has more axes than the value.
    pub(super) fn axis_of(&self, constant: &Constant) -> Option<Option<usize>> {
        let missing = self.rank().checked_sub(constant.dims.len())?;
        let mut along = (0..constant.dims.len()).filter(|axis| constant.dims.get(*axis) != Some(&1));
        let first = along.next().filter(|_| constant.uniform().is_none());
        Some(first.filter(|_| along.next().is_none()).map(|axis| axis + missing))
    }

    /// The extents with those of the other size, by stored axis.
    fn stored_pairs(&self) -> Vec<[usize; 2]> {
        self.shapes[0].iter().zip(&self.shapes[1]).map(|(small, large)| [*small, *large]).collect()
    }

    /// The value with its axes stored at these places, by a layer for the one of this name.
    pub(super) fn arranged(&self, builder: &mut Builder, name: &str, axes: &[usize]) -> Result<Self, String> {
        self.moved(builder, axes, &|kind| format!("{name}.{kind}"))
    }

    /// [`Value::arranged`] by a layer of this very name.
    pub(super) fn arranged_as(
        &self,
        builder: &mut Builder,
        name: &str,
        axes: &[usize],
    ) -> Result<Self, String> {
        self.moved(builder, axes, &|_| name.to_owned())
    }

    fn moved(
        &self,
        builder: &mut Builder,
        axes: &[usize],
        name: &dyn Fn(&str) -> String,
    ) -> Result<Self, String> {
        let value = self.unflattened(builder, name)?;
        if value.axes == axes {
            return Ok(value);
        }
        if axes.len() != value.rank() || value.axes.first() != Some(&0) {
            return Err(format!("a value of {} axes where {} are expected", value.rank(), axes.len()));
        }
        // for each new place the present one
        let order: Vec<usize> = (1..axes.len())
            .map(|place| {
                axes.iter()
                    .position(|axis| *axis == place)
                    .and_then(|logical| value.axes.get(logical))
                    .copied()
            })
            .collect::<Option<_>>()
            .ok_or("axes that are no order")?;
        let pairs = value.stored_pairs();
        let pair =
            |place: &usize| place.checked_sub(1).and_then(|axis| pairs.get(axis)).copied().unwrap_or([1, 1]);
        let moving: Vec<usize> = order.iter().copied().filter(|place| pair(place) != [1, 1]).collect();
        let made = match moving.is_sorted() {
            // nothing moves but axes of one element
            true => {
                let target: Vec<[usize; 2]> = order.iter().map(pair).collect();
                builder.reshape(&name("reshape"), &value, &target)?
            }
            false => builder.layer(&name("permute"), "Permute", json!({"dims": order}), &[&value])?,
        };
        let pixels = order.iter().map(|place| value.pixels.get(place - 1).copied().unwrap_or(0)).collect();
        Ok(Self { axes: axes.to_vec(), pixels, nonnegative: value.nonnegative, ..made })
    }

    /// The value in ONNX's own order.
    pub(super) fn plain(&self, builder: &mut Builder, name: &str) -> Result<Self, String> {
        self.arranged(builder, name, &plain(self.rank()))
    }

    /// The value with its axes where they are, a row in the order in which ONNX counts.
    pub(super) fn in_order(&self, builder: &mut Builder, name: &str) -> Result<Self, String> {
        self.unflattened(builder, &|_| name.to_owned())
    }

    /// What a layer has made of `x` that leaves its axes where they are.
    pub(super) fn stored_as(self, x: &Self) -> Self {
        Self { axes: x.axes.clone(), pixels: x.pixels.clone(), flattened: x.flattened.clone(), ..self }
    }

    /// A row in the order in which ONNX counts, made where it is not.
    fn unflattened(&self, builder: &mut Builder, name: &dyn Fn(&str) -> String) -> Result<Self, String> {
        let Some(flattened) = &self.flattened else { return Ok(self.clone()) };
        let [small, large] = &flattened.shapes;
        let target: Vec<[usize; 2]> =
            small.iter().zip(large).map(|(small, large)| [*small, *large]).collect();
        let row = Self { flattened: None, ..self.clone() };
        let image = builder.reshape(&name("reshape"), &row, &target)?;
        let image = Self { axes: flattened.axes.clone(), ..image };
        let image = image.moved(builder, &plain(image.rank()), name)?;
        let made = builder.layer(&name("flatten"), "Flatten", json!({}), &[&image])?;
        Ok(Self { nonnegative: self.nonnegative, ..made })
    }

    /// The value in another logical shape, the batch left out.
    pub(super) fn reshaped(
        &self,
        builder: &mut Builder,
        name: &str,
        target: &[[usize; 2]],
    ) -> Result<Self, String> {
        let value = self.unflattened(builder, &|kind: &str| format!("{name}.{kind}"))?;
        let own: Vec<[usize; 2]> = (1..value.rank()).map(|axis| value.extents(axis)).collect();
        if own == target {
            return Ok(value);
        }
        let groups = groups(&own, target).ok_or_else(|| {
            let known = |pairs: &[[usize; 2]]| pairs.iter().map(|[small, _]| *small).collect::<Vec<_>>();
            format!("cannot reshape {:?} to {:?}", known(&own), known(target))
        })?;
        let order = stored_order(&value, &groups);
        let Some(mut order) = order else {
            if let [_] = target {
                let made = builder.layer(name, "Flatten", json!({}), &[&value])?;
                let flattened = Flattened { shapes: value.shapes.clone(), axes: value.axes.clone() };
                return Ok(Self { flattened: Some(flattened), nonnegative: value.nonnegative, ..made });
            }
            let value = value.arranged(builder, name, &side_by_side(&value, &groups))?;
            return match stored_order(&value, &groups) {
                Some(_) => value.reshaped(builder, name, target),
                None => Err("it reshapes axes that cannot be brought side by side".to_owned()),
            };
        };
        if target.len() == 3 && target.iter().skip(1).all(|extent| *extent == [1, 1]) {
            order = vec![1, 2, 0]; // one number a channel: as images are stored
        }
        let stored: Vec<[usize; 2]> = order.iter().filter_map(|axis| target.get(*axis)).copied().collect();
        let made = match stored == value.stored_pairs() {
            true => value.clone(),
            false if stored.len() == 1 => builder.flattened(name, &value)?,
            false => builder.reshape(name, &value, &stored)?,
        };
        let mut axes = vec![0; target.len() + 1];
        for (place, logical) in order.iter().enumerate() {
            if let Some(axis) = axes.get_mut(logical + 1) {
                *axis = place + 1;
            }
        }
        let pixels = pixels_of(&value, &groups, &order, target);
        Ok(Self { axes, pixels, nonnegative: value.nonnegative, ..made })
    }

    /// A known tensor that meets this value element by element, as it would be stored: its extents, the batch left out, and
    /// its elements.
    pub(super) fn beside(&self, constant: &Constant) -> Option<(Shape, Vec<f32>)> {
        let missing = self.rank().checked_sub(constant.dims.len())?;
        let mut dims = vec![1; missing];
        dims.extend(&constant.dims);
        if dims.first() != Some(&1) || self.flattened.is_some() {
            return None;
        }
        let order: Vec<i64> = (0..self.rank())
            .map(|stored| self.axes.iter().position(|axis| *axis == stored).map(|logical| logical as i64))
            .collect::<Option<_>>()?;
        let aligned = Constant { dims, data: constant.data.clone() };
        let moved = fold::transpose(&aligned, Some(&order))?;
        let values = moved.as_floats()?.to_vec();
        Some((moved.dims.get(1..)?.to_vec(), values))
    }

    /// [`Value::beside`] for a tensor that has one number for all elements, or one a channel: those numbers.
    pub(super) fn per_channel(&self, constant: &Constant) -> Option<Vec<f32>> {
        if let Some(number) = constant.uniform() {
            return Some(vec![number]);
        }
        let (shape, values) = self.beside(constant)?;
        let (last, others) = shape.split_last()?;
        (others.iter().all(|extent| *extent == 1) && *last == self.channels()).then_some(values)
    }
}

/// Axes of a shape, and the axes of another that hold the same elements.
struct Group {
    from: Vec<usize>,
    to: Vec<usize>,
}

/// The smallest runs of axes of both shapes with equal products.
fn groups(from: &[[usize; 2]], to: &[[usize; 2]]) -> Option<Vec<Group>> {
    let times = |a: [usize; 2], b: [usize; 2]| Some([a[0].checked_mul(b[0])?, a[1].checked_mul(b[1])?]);
    let (mut found, mut i, mut j): (Vec<Group>, usize, usize) = (Vec::new(), 0, 0);
    while i < from.len() && j < to.len() {
        let (first, second) = (i, j);
        let (mut left, mut right) = (from[i], to[j]);
        (i, j) = (i + 1, j + 1);
        while left != right {
            if left < right {
                left = times(left, *from.get(i)?)?;
                i += 1;
            } else {
                right = times(right, *to.get(j)?)?;
                j += 1;
            }
        }
        found.push(Group { from: (first..i).collect(), to: (second..j).collect() });
    }
    let ones = |rest: &[[usize; 2]]| rest.iter().all(|extent| *extent == [1, 1]);
    if !ones(from.get(i..)?) || !ones(to.get(j..)?) {
        return None;
    }
    match found.last_mut() {
        Some(last) => {
            last.from.extend(i..from.len());
            last.to.extend(j..to.len());
        }
        None => found.push(Group { from: (i..from.len()).collect(), to: (j..to.len()).collect() }),
    }
    Some(found)
}

/// The new logical axes in the order in which they are stored, if nothing has to move: the axes of each group must lie
/// side by side in their order.
fn stored_order(value: &Value, groups: &[Group]) -> Option<Vec<usize>> {
    let logical_at =
        |stored: usize| value.axes.iter().position(|axis| *axis == stored).map(|logical| logical - 1);
    let stored: Vec<usize> = (1..value.rank()).map(logical_at).collect::<Option<_>>()?;
    let mut moving = stored.iter().copied().filter(|logical| value.extents(logical + 1) != [1, 1]).peekable();
    let (mut order, mut done) = (Vec::new(), vec![false; groups.len()]);
    while let Some(logical) = moving.peek().copied() {
        let at = groups.iter().position(|group| group.from.contains(&logical))?;
        let group = groups.get(at)?;
        for axis in group.from.iter().filter(|axis| value.extents(**axis + 1) != [1, 1]) {
            (moving.next() == Some(*axis)).then_some(())?;
        }
        order.extend(&group.to);
        *done.get_mut(at)? = true;
    }
    let rest = groups.iter().zip(&done).filter(|(_, done)| !**done);
    order.extend(rest.flat_map(|(group, _)| group.to.iter().copied()));
    Some(order)
}

/// Where the axes have to be stored so that those of each group lie side by side: rows and columns in front, as they are, the
/// others as they are counted.
fn side_by_side(value: &Value, groups: &[Group]) -> Vec<usize> {
    let stored = |logical: &usize| value.axes.get(logical + 1).copied().unwrap_or(0);
    let is_pixel =
        |stored: usize| stored.checked_sub(1).and_then(|axis| value.pixels.get(axis)).is_some_and(|n| *n > 0);
    let pixel = |group: &&Group| group.from.iter().map(stored).filter(|at| is_pixel(*at)).min();
    let mut order: Vec<&Group> = groups.iter().collect();
    if order.iter().any(|group| pixel(group).is_some()) {
        order.sort_by_key(|group| (pixel(group).is_none(), pixel(group)));
    }
    let mut axes = plain(value.rank());
    for (place, logical) in order.iter().flat_map(|group| &group.from).enumerate() {
        if let Some(axis) = axes.get_mut(logical + 1) {
            *axis = place + 1;
        }
    }
    axes
}

/// How many rows and columns run along each stored axis of a reshaped value: as many axes as a group holds of them, the first
/// of each. The rows of an image that is taken apart are counted by the first axis of the two.
fn pixels_of(value: &Value, groups: &[Group], order: &[usize], target: &[[usize; 2]]) -> Vec<usize> {
    let own = |logical: &usize| {
        let stored = value.axes.get(logical + 1).copied().unwrap_or(0);
        stored.checked_sub(1).and_then(|axis| value.pixels.get(axis)).copied().unwrap_or(0)
    };
    let mut found = vec![0; target.len()];
    for group in groups {
        let mut left: usize = group.from.iter().map(own).sum();
        let several: Vec<usize> =
            group.to.iter().copied().filter(|axis| target.get(*axis) != Some(&[1, 1])).collect();
        let to = if several.is_empty() { &group.to } else { &several };
        for (index, axis) in to.iter().enumerate() {
            let take = if index + 1 == to.len() { left } else { left.min(1) };
            left -= take;
            if let Some(count) = found.get_mut(*axis) {
                *count = take;
            }
        }
    }
    order.iter().map(|axis| found.get(*axis).copied().unwrap_or(0)).collect()
}

/// Extents as a target shape of Keras: open ones are −1.
pub(super) fn target_shape(pairs: &[[usize; 2]]) -> Json {
    pairs.iter().map(|[small, large]| if small == large { json!(small) } else { json!(-1) }).collect()
}
