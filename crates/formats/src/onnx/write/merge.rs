//! Layers that join several values.

use super::emit::{Attribute, Value};
use super::layer::{Output, Writer};
use frostline_graph::Result;
use frostline_graph::layers::Merge;

impl Writer<'_> {
    /// The names of several values in one layout, and whether that has the channels first. Values of fewer axes are given
    /// more, in front of their own: the batch comes before them all.
    pub(super) fn side_by_side(
        &mut self,
        path: &str,
        inputs: &[usize],
    ) -> Result<(Vec<String>, bool), String> {
        let all: Vec<Value> = inputs.iter().filter_map(|input| self.values.get(*input).cloned()).collect();
        let rank = all.iter().map(|value| value.shapes[0].len()).max().ok_or("it is called on nothing")?;
        let first = all.iter().all(Value::is_image) && all.iter().any(|value| value.first.is_some());
        let mut names = Vec::with_capacity(all.len());
        for (mut value, index) in all.into_iter().zip(inputs) {
            let name =
                if first { self.emit.first(&mut value, path) } else { self.emit.last(&mut value, path) };
            let missing = rank - value.shapes[0].len();
            names.push(match missing {
                0 => name,
                _ => {
                    let axes: Vec<i64> = (1..=missing as i64).collect();
                    let axes = self.emit.whole(&format!("{path}/axes"), &axes);
                    self.emit.node(path, "Unsqueeze", &[&name, &axes], &[])
                }
            });
            if let Some(present) = self.values.get_mut(*index) {
                *present = value;
            }
        }
        Ok((names, first))
    }

    pub(super) fn joined(
        &mut self,
        path: &str,
        op: &str,
        names: &[String],
        first: bool,
        attributes: &[(&str, Attribute<'_>)],
    ) -> Output {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let made = self.emit.node(path, op, &names, attributes);
        if first { Output::First(made) } else { Output::Last(made) }
    }

    pub(super) fn merge(&mut self, path: &str, merge: Merge, inputs: &[usize]) -> Result<Output, String> {
        let (names, first) = self.side_by_side(path, inputs)?;
        let op = match merge {
            Merge::Add => "Add",
            Merge::Subtract => "Sub",
            Merge::Multiply => "Mul",
            Merge::Average => "Mean",
            Merge::Maximum => "Max",
            Merge::Minimum => "Min",
        };
        let (begin, rest) = names.split_first().ok_or("it is called on nothing")?;
        // these take two
        if matches!(merge, Merge::Add | Merge::Subtract | Merge::Multiply) && rest.len() > 1 {
            let made =
                rest.iter().fold(begin.clone(), |all, next| self.emit.node(path, op, &[&all, next], &[]));
            return Ok(if first { Output::First(made) } else { Output::Last(made) });
        }
        Ok(self.joined(path, op, &names, first, &[]))
    }

    /// `a + scale · b`
    pub(super) fn scaled_add(&mut self, path: &str, scale: f32, inputs: &[usize]) -> Result<Output, String> {
        let (names, first) = self.side_by_side(path, inputs)?;
        let [a, b] = names.as_slice() else { return Err(format!("it is called on {} values", names.len())) };
        let b = self.emit.affine(path, b, &[], &[scale], &[0.0]);
        Ok(self.joined(path, "Add", &[a.clone(), b], first, &[]))
    }

    /// Along an axis, batch counted; negative from the end.
    pub(super) fn concatenate(&mut self, path: &str, axis: i64, inputs: &[usize]) -> Result<Output, String> {
        let rank = inputs
            .first()
            .and_then(|input| self.values.get(*input))
            .map_or(0, |value| value.shapes[0].len() as i64)
            + 1;
        let (names, first) = self.side_by_side(path, inputs)?;
        let axis = if axis < 0 { axis + rank } else { axis };
        let axis = match (first, axis) {
            (true, 1) => 2,
            (true, 2) => 3,
            (true, _) => 1,
            (false, axis) => axis,
        };
        Ok(self.joined(path, "Concat", &names, first, &[("axis", Attribute::Int(axis))]))
    }
}
