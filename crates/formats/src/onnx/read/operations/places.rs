//! Places of axes: slices, parts, repetitions, margins.

use super::{beside, stored_axis, tensor, without};
use crate::onnx::read::constant::{Constant, Data, Extent};
use crate::onnx::read::convert::Converter;
use crate::onnx::read::fold;
use crate::onnx::read::node::Node;
use crate::onnx::read::value::Value;
use frostline_graph::json::of_number;
use frostline_graph::layers::CALL;
use serde_json::{Value as Json, json};

/// A slice as Keras writes it.
fn slice(start: Json, stop: Json, step: Json) -> Json {
    json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}})
}

impl Converter<'_> {
    /// Places of an axis that are known: one alone takes the axis away.
    pub(in crate::onnx::read) fn gather(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.unflattened(node, name)?;
        let places = self.known(node, 1).ok_or_else(|| self.unknown(node, 1, "places"))?;
        let axis = stored_axis(&x, node.int("axis").unwrap_or(0))?;
        let list = places.as_known().ok_or("its places are not known")?;
        let dims = places.dims.clone();
        let (places, keep) = match (dims.as_slice(), list.as_slice()) {
            ([], [one]) => (json!(one), false),
            (_, list) => (json!(list), true),
        };
        let arguments = vec![tensor(0), places];
        let made = self.one(name, "Take", json!({ "axis": axis }), arguments, &[&x])?;
        let made = Value { nonnegative: x.nonnegative, ..without(&x, &[axis], keep, made) };
        if dims.len() < 2 {
            return Ok(made);
        }
        // places in a table: its axes in place of the one
        let along = x.axes.iter().position(|stored| *stored == axis).unwrap_or(0);
        let own = |axes: std::ops::Range<usize>| axes.map(|axis| made.extents(axis)).collect::<Vec<_>>();
        let table = dims.iter().map(|extent| [*extent; 2]);
        let target: Vec<[usize; 2]> =
            own(1..along).into_iter().chain(table).chain(own(along + 1..made.rank())).collect();
        made.reshaped(&mut self.builder, &format!("{name}.reshape"), &target)
    }

    /// `start:end:step` of logical axes.
    pub(in crate::onnx::read) fn get_item(
        &mut self,
        x: &Value,
        name: &str,
        ranges: &[(usize, [i64; 3])],
    ) -> Result<Value, String> {
        let x = x.in_order(&mut self.builder, name)?;
        let mut keys = vec![slice(Json::Null, Json::Null, Json::Null); x.rank()];
        for (axis, [start, end, step]) in ranges {
            let stored = stored_axis(&x, *axis as i64)?;
            // what lies beyond any axis is its end
            let bound = |at: i64, beyond: bool| if beyond { Json::Null } else { json!(at) };
            let far = i64::from(i32::MAX);
            let (start, end) = match step {
                1.. => (bound(*start, false), bound(*end, *end >= far)),
                _ => (bound(*start, *start >= far), bound(*end, *end <= -far)),
            };
            if let Some(key) = keys.get_mut(stored) {
                *key = slice(start, end, json!(step));
            }
        }
        let made = self.one(name, "GetItem", json!({}), vec![tensor(0), json!(keys)], &[&x])?;
        Ok(Value { nonnegative: x.nonnegative, ..made.stored_as(&x) })
    }

    pub(in crate::onnx::read) fn split(&mut self, node: &Node, name: &str) -> Result<Vec<Value>, String> {
        let x = self.unflattened(node, name)?;
        let axis = node.int("axis").unwrap_or(0);
        let stored = stored_axis(&x, axis)?;
        let logical = fold::axis_of(axis, x.rank()).ok_or("its axis is none of its input's")?;
        let [extent, large] = x.extents(logical);
        if extent != large {
            return Err(
                "it splits an axis whose extent is open: export the model with a fixed size".to_owned()
            );
        }
        let sizes = match node.ints("split") {
            Some(sizes) => Some(sizes.to_vec()),
            None => node.input(1).and(self.known(node, 1)).and_then(|sizes| sizes.as_known()),
        };
        if sizes.is_none() && node.input(1).is_some() {
            return Err(self.unknown(node, 1, "parts"));
        }
        let parts = node.outputs.len().max(1);
        let equal = extent.div_ceil(parts) as i64;
        let sizes = sizes.unwrap_or_else(|| vec![equal; parts]);
        let ends: Vec<i64> = sizes
            .iter()
            .scan(0, |end, size| {
                *end = i64::saturating_add(*end, *size);
                Some(*end)
            })
            .collect();
        let inner = ends.split_last().map(|(_, inner)| inner.to_vec()).unwrap_or_default();
        if inner.iter().any(|end| *end > extent as i64) {
            return Err(format!("its parts {sizes:?} are more than the {extent} places of its axis"));
        }
        let settings = json!({"indices_or_sections": inner, "axis": stored});
        let made = self.operation(name, "Split", settings, vec![tensor(0)], &[&x])?;
        let alike = |made: Value| Value { nonnegative: x.nonnegative, ..made.stored_as(&x) };
        Ok(made.into_iter().map(alike).collect())
    }

    /// Axes of one place are repeated.
    pub(in crate::onnx::read) fn expand(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.unflattened(node, name)?;
        let target = self.known(node, 1).ok_or_else(|| self.unknown(node, 1, "extents"))?;
        let Data::Whole(target) = &target.data else {
            return Err("its extents are no whole numbers".to_owned());
        };
        let missing = x.rank().checked_sub(target.len());
        let missing = missing.ok_or("it puts an axis before the batch")?;
        let mut repeats = vec![1i64; x.rank()];
        for (index, extent) in target.iter().enumerate() {
            let axis = index + missing;
            let own = x.extents(axis);
            let wanted = match extent {
                Extent::Known(wanted) if axis > 0 => *wanted,
                _ => continue,
            };
            if wanted != 1 && own == [1, 1] {
                if let Some(repeats) = x.axes.get(axis).and_then(|stored| repeats.get_mut(*stored)) {
                    *repeats = wanted;
                }
            } else if wanted != 1 && wanted != own[0] as i64 {
                return Err(format!("{own:?} places of an axis cannot become {wanted}"));
            }
        }
        self.repeated(&x, name, repeats)
    }

    pub(in crate::onnx::read) fn tile(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.unflattened(node, name)?;
        let times = self.known(node, 1).and_then(|times| times.as_known());
        let times = times.ok_or_else(|| self.unknown(node, 1, "repeats"))?;
        if times.len() != x.rank() || times.first() != Some(&1) {
            return Err(format!("it repeats {times:?}: the images of a batch must stay as many"));
        }
        let repeats = (0..x.rank())
            .map(|stored| {
                x.axes.iter().position(|axis| *axis == stored).and_then(|logical| times.get(logical))
            })
            .collect::<Option<Vec<_>>>();
        let repeats = repeats.ok_or("its repeats are not known")?.into_iter().copied().collect();
        self.repeated(&x, name, repeats)
    }

    /// The value so many times along each stored axis.
    pub(in crate::onnx::read) fn repeated(
        &mut self,
        x: &Value,
        name: &str,
        repeats: Vec<i64>,
    ) -> Result<Value, String> {
        if repeats.iter().all(|times| *times == 1) {
            return Ok(x.clone());
        }
        let made = self.one(name, "Tile", json!({ "repeats": repeats }), vec![tensor(0)], &[x])?;
        Ok(Value { nonnegative: x.nonnegative, ..made.stored_as(x) })
    }

    /// Margins that are no zeros around an image.
    pub(in crate::onnx::read) fn padded(
        &mut self,
        x: &Value,
        name: &str,
        margins: &[i64],
        mode: &str,
        fill: f32,
    ) -> Result<Value, String> {
        let x = x.in_order(&mut self.builder, name)?;
        let rank = x.rank();
        if margins.len() != 2 * rank || margins.iter().any(|margin| *margin < 0) {
            return Err(format!("it pads {margins:?}, which cannot be run"));
        }
        let pair = |stored: usize| {
            let logical = x.axes.iter().position(|axis| *axis == stored)?;
            Some([*margins.get(logical)?, *margins.get(logical + rank)?])
        };
        let widths = (0..rank).map(pair).collect::<Option<Vec<_>>>().ok_or("its margins are not known")?;
        let mut settings = json!({"pad_width": widths, "mode": mode});
        settings[CALL] = match mode {
            "constant" => json!({"args": [tensor(0)], "kwargs": {"constant_values": of_number(fill)}}),
            _ => json!({"args": [tensor(0)], "kwargs": {}}),
        };
        self.builder.alike(name, "Pad", settings, &x)
    }

    /// Known numbers as a value beside another: for every image the same. Keras joins no array to a batch, so zeros of the
    /// batch's length are added to it.
    pub(in crate::onnx::read) fn of_known(
        &mut self,
        like: &Value,
        name: &str,
        stored_axis: usize,
        constant: &Constant,
    ) -> Result<Value, String> {
        let numbers = beside(like, constant)?;
        let mut keys = vec![slice(Json::Null, Json::Null, Json::Null); like.rank()];
        if let Some(key) = keys.get_mut(stored_axis) {
            *key = slice(Json::Null, json!(1), Json::Null);
        }
        let first =
            self.one(&format!("{name}.first"), "GetItem", json!({}), vec![tensor(0), json!(keys)], &[like])?;
        let zeros = self.one(&format!("{name}.zeros"), "ZerosLike", json!({}), vec![tensor(0)], &[&first])?;
        let made =
            self.one(&format!("{name}.known"), "Add", json!({}), vec![tensor(0), numbers], &[&zeros])?;
        Ok(Value { axes: like.axes.clone(), pixels: like.pixels.clone(), ..made })
    }
}
