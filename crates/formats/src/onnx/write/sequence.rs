//! Layers over one axis, and products of vectors and matrices.

use super::emit::{Attribute, Emitter, Value};
use super::layer::{Output, Writer};
use frostline_graph::Result;
use frostline_graph::layers::{Dot, Kind, OneDimensional};
use serde_json::Value as Json;

/// The least norm, so that nothing is divided by 0: Keras's.
const LEAST: f32 = 1e-12;

impl Emitter {
    /// `x / max(√Σ x², least)` along an axis.
    pub(super) fn unit_norm(&mut self, path: &str, x: &str, axis: i64) -> String {
        let square = match self.opset {
            ..=17 => self.node(path, "ReduceSumSquare", &[x], &[("axes", Attribute::Ints(vec![axis]))]),
            _ => {
                let axis = self.whole(&format!("{path}/axis"), &[axis]);
                self.node(path, "ReduceSumSquare", &[x, &axis], &[])
            }
        };
        let norm = self.node(path, "Sqrt", &[&square], &[]);
        let least = self.number(&format!("{path}/least"), LEAST);
        let norm = self.node(path, "Max", &[&norm, &least], &[]);
        self.node(path, "Div", &[x, &norm], &[])
    }
}

impl Writer<'_> {
    /// A layer over `[length, channels]` as its counterpart over an image of height 1.
    pub(super) fn over_one_axis(
        &mut self,
        path: &str,
        layer: &OneDimensional,
        inputs: &[usize],
    ) -> Result<Output, String> {
        let mut x = inputs
            .first()
            .and_then(|index| self.values.get(*index))
            .cloned()
            .ok_or("it is called on nothing")?;
        let counterpart = layer.over_images();
        let mut shapes = x.shapes.each_ref().map(|shape| [&[1], shape.as_slice()].concat());
        let axis = self.emit.whole(&format!("{path}/axis"), &[1]);
        let mut row = self.emit.last(&mut x, path);
        if layer.before() > 0 {
            let margins = self.emit.whole(&format!("{path}/before"), &[0, layer.before() as i64, 0, 0, 0, 0]);
            row = self.emit.node(path, "Pad", &[&row, &margins], &[]);
            shapes.iter_mut().for_each(|shape| shape[1] += layer.before());
        }
        let row = self.emit.node(path, "Unsqueeze", &[&row, &axis], &[]);
        let image = self.push(Value { first: None, last: Some(row), shapes: shapes.clone() });
        self.over_one_axis = true;
        let output = self.layer(path, counterpart, &[image]);
        self.over_one_axis = false;
        let image = match output? {
            // what global pooling gives is a vector already
            Output::Last(name) if matches!(counterpart, Kind::GlobalPooling2D(_)) => {
                return Ok(Output::Last(name));
            }
            Output::Last(name) => name,
            Output::First(name) => self.emit.last(&mut Value { first: Some(name), last: None, shapes }, path),
            Output::Input(index) if index == image => {
                return Ok(Output::Input(inputs.first().copied().unwrap_or_default()));
            }
            Output::Input(index) => {
                let mut made = self.values.get(index).cloned().ok_or("it gives nothing")?;
                if made.shapes[0].len() < 3 {
                    return Ok(Output::Input(index));
                }
                self.emit.last(&mut made, path)
            }
        };
        Ok(Output::Last(self.emit.node(path, "Squeeze", &[&image, &axis], &[])))
    }

    /// The product of two vectors, or of two matrices, along an axis of each.
    pub(super) fn dot(&mut self, path: &str, layer: &Dot, inputs: &[usize]) -> Result<Output, String> {
        let &[first, second] = inputs else { return Err(format!("it is called on {} values", inputs.len())) };
        let axes = match &layer.axes {
            Json::Array(axes) => [axes.first(), axes.get(1)].map(|axis| axis.and_then(Json::as_i64)),
            axis => [axis.as_i64(); 2],
        };
        let mut sides = Vec::with_capacity(2);
        for (index, axis) in [first, second].into_iter().zip(axes) {
            let mut value = self.values.get(index).cloned().ok_or("it is called on nothing")?;
            let rank = value.shapes[0].len() as i64 + 1;
            let axis = axis
                .map(|axis| if axis < 0 { axis + rank } else { axis })
                .ok_or("its axes cannot be read")?;
            let mut name = self.emit.last(&mut value, path);
            if layer.normalize {
                name = self.emit.unit_norm(path, &name, axis);
            }
            sides.push((name, axis, rank));
        }
        let [(a, i, rank), (b, j, _)] = sides.as_slice() else {
            return Err("it is called on nothing".to_owned());
        };
        if *rank == 2 {
            let product = self.emit.node(path, "Mul", &[a, b], &[]);
            let axis = self.emit.whole(&format!("{path}/axis"), &[1]);
            return Ok(Output::Last(self.emit.node(path, "ReduceSum", &[&product, &axis], &[])));
        }
        // the axis that is summed over: last in the first, first in the second
        let a = if *i == 1 { self.emit.transpose(path, a, &[0, 2, 1]) } else { a.clone() };
        let b = if *j == 2 { self.emit.transpose(path, b, &[0, 2, 1]) } else { b.clone() };
        Ok(Output::Last(self.emit.node(path, "MatMul", &[&a, &b], &[])))
    }
}
