//! Layers as the ops that they lower to, for those that ONNX has no operator of its own for.

use super::emit::Attribute;
use super::layer::{Output, Writer};
use super::window::window;
use frostline_graph::layers::Kind;
use frostline_graph::ops::{BinaryKind, GlobalPool, LayerInfo, Lowering, Op, Pool, PoolKind, Program};
use frostline_graph::{Result, Shape};

impl Writer<'_> {
    /// The ops of a layer. Errors: an op that needs weights, or ops that depend on a size that is open.
    pub(super) fn by_ops(&mut self, path: &str, kind: &Kind, inputs: &[usize]) -> Result<Output, String> {
        let lowered = |size: usize| {
            let shapes = inputs.iter().filter_map(|input| self.values.get(*input));
            lower(path, kind, shapes.map(|value| value.shapes[size].clone()).collect())
        };
        let (small, large) = (lowered(0)?, lowered(1)?);
        if small.nodes.iter().map(|node| &node.op).ne(large.nodes.iter().map(|node| &node.op)) {
            return Err(format!(
                "what a `{}` does depends on the size of its image, which the model leaves open\nhelp: save the model as `.keras`, or give its input a size",
                kind.class_name()
            ));
        }
        let mut made = inputs.to_vec();
        let mut output = Output::Input(inputs.first().copied().ok_or("it is called on nothing")?);
        for (index, node) in small.nodes.iter().enumerate() {
            if index > 0 {
                let before = small.nodes[index - 1].output.0;
                let shapes = [&small, &large].map(|program| program.values[before].clone());
                made.push(self.push_output(output, shapes));
            }
            let given: Vec<usize> = node.inputs.iter().map(|value| made[value.0]).collect();
            output = self.op(path, &node.op, &given)?;
        }
        Ok(output)
    }

    fn op(&mut self, path: &str, op: &Op, inputs: &[usize]) -> Result<Output, String> {
        let index = inputs.first().copied().ok_or("it is called on nothing")?;
        let mut x = self.values.get(index).cloned().ok_or("it is called on nothing")?;
        let output = match op {
            Op::Affine(op) => return self.scaled(path, inputs, &op.scale, &op.offset),
            Op::Binary(op) => {
                let (names, first) = self.side_by_side(path, inputs)?;
                return Ok(self.joined(path, binary(op.kind), &names, first, &[]));
            }
            Op::Concat(op) => return self.concatenate(path, op.axis as i64 + 1, inputs),
            Op::Crop(op) => self.crop(path, op.margins, &mut x),
            Op::Dropout(_) => Output::Input(index),
            Op::GlobalPool(GlobalPool { kind, keep_dims }) => {
                let input = self.emit.first(&mut x, path);
                let operator = if *kind == PoolKind::Max { "GlobalMaxPool" } else { "GlobalAveragePool" };
                let pooled = self.emit.node(path, operator, &[&input], &[]);
                match keep_dims {
                    true => Output::First(pooled),
                    false => Output::Last(self.emit.node(path, "Flatten", &[&pooled], &[])),
                }
            }
            Op::Pad(op) => {
                let [[top, bottom], [left, right]] = op.margins;
                let margins = [0, 0, top, left, 0, 0, bottom, right].map(|margin| margin as i64);
                let margins = self.emit.whole(&format!("{path}/padding"), &margins);
                let input = self.emit.first(&mut x, path);
                Output::First(self.emit.node(path, "Pad", &[&input, &margins], &[]))
            }
            Op::Permute(op) => {
                let order: Vec<i64> =
                    std::iter::once(0).chain(op.order.iter().map(|axis| *axis as i64 + 1)).collect();
                let input = self.emit.last(&mut x, path);
                Output::Last(self.emit.transpose(path, &input, &order))
            }
            Op::Pool(Pool { kind, size, sliding }) => {
                let attributes = window(&x, *size, *sliding);
                let operator = if *kind == PoolKind::Max { "MaxPool" } else { "AveragePool" };
                let input = self.emit.first(&mut x, path);
                Output::First(self.emit.node(path, operator, &[&input], &attributes))
            }
            Op::Reshape(op) => {
                let input = self.emit.last(&mut x, path);
                // 0 copies the batch
                let shape: Vec<i64> =
                    std::iter::once(0).chain(op.shape.iter().map(|extent| *extent as i64)).collect();
                Output::Last(self.emit.reshape(path, &input, &shape))
            }
            Op::Resize(op) => {
                let input = self.emit.first(&mut x, path);
                Output::First(self.emit.resize(path, &input, [op.height, op.width], op.method))
            }
            Op::Softmax(_) => {
                let input = self.emit.last(&mut x, path);
                Output::Last(self.emit.node(path, "Softmax", &[&input], &[("axis", Attribute::Int(-1))]))
            }
            Op::UnitNorm(_) => {
                let input = self.emit.last(&mut x, path);
                Output::Last(self.emit.unit_norm(path, &input, -1))
            }
            Op::BatchNorm(_)
            | Op::ByWeight(_)
            | Op::Conv2d(_)
            | Op::ConvTranspose2d(_)
            | Op::Dense(_)
            | Op::Depthwise(_)
            | Op::GroupNorm(_)
            | Op::Normalize(_)
            | Op::Product(_)
            | Op::Unary(_) => {
                return Err(format!(
                    "it computes a `{}`, which is not written as ONNX for it\nhelp: save the model as `.keras`, or keep the layers below it",
                    op.kind().name()
                ));
            }
        };
        // a layout that was asked for is there for others
        if let Some(value) = self.values.get_mut(index) {
            *value = x;
        }
        Ok(output)
    }
}

/// A layer's ops on inputs of these shapes: each writes the value behind those before it.
fn lower(path: &str, kind: &Kind, shapes: Vec<Shape>) -> Result<Program, String> {
    let mut program = Program::default();
    program.layers.push(LayerInfo { path: path.to_owned(), frozen: true, inference: true });
    let inputs: Vec<_> = shapes.into_iter().map(|shape| program.value(shape)).collect();
    kind.lower(&mut Lowering::new(&mut program, 0), &inputs).map_err(|error| error.message())?;
    Ok(program)
}

fn binary(kind: BinaryKind) -> &'static str {
    match kind {
        BinaryKind::Add => "Add",
        BinaryKind::Subtract => "Sub",
        BinaryKind::Multiply => "Mul",
        BinaryKind::Maximum => "Max",
        BinaryKind::Minimum => "Min",
    }
}
