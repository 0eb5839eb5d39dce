//! Layers as the ops that they lower to, for those that ONNX has no operator of its own for.

use super::emit::Attribute;
use super::layer::{Output, Writer};
use super::window::window;
use crate::onnx::proto::tensor_proto::DataType;
use frostline_graph::layers::Kind;
use frostline_graph::ops::{
    ByWeight, ByWeightKind, GlobalPool, LayerInfo, Lowering, Node, Op, Param, Pool, PoolKind, Program,
};
use frostline_graph::{Result, Shape};

impl Writer<'_> {
    /// The ops of a layer, and the values that it gives. Errors: an op that is not written, or ops that depend on a size that is
    /// open.
    pub(super) fn by_ops(&mut self, path: &str, kind: &Kind, inputs: &[usize]) -> Result<Vec<usize>, String> {
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
        // each op writes the value behind those before it
        let mut made = inputs.to_vec();
        for node in &small.nodes {
            let given: Vec<usize> = node.inputs.iter().map(|value| made[value.0]).collect();
            let output = match &node.op {
                Op::Constant(constant) => {
                    // what is joined to a value, or leaves the layer, has as many rows as there are images
                    let joined = |other: &Node| {
                        matches!(other.op, Op::Concat(_)) && other.inputs.contains(&node.output)
                    };
                    let is_whole = small.outputs.contains(&node.output) || small.nodes.iter().any(joined);
                    let batch = inputs.first().filter(|_| is_whole);
                    self.constant(path, &constant.tensor, batch.copied())?
                }
                op => {
                    let params: Vec<&Param> =
                        node.params.iter().map(|param| &small.params[param.0]).collect();
                    self.op(path, op, &params, &given)?
                }
            };
            let shapes = [&small, &large].map(|program| program.values[node.output.0].clone());
            made.push(self.push_output(output, shapes));
        }
        Ok(small.outputs.iter().map(|value| made[value.0]).collect())
    }

    fn op(&mut self, path: &str, op: &Op, params: &[&Param], inputs: &[usize]) -> Result<Output, String> {
        let index = inputs.first().copied().ok_or("it is called on nothing")?;
        let mut x = self.values.get(index).cloned().ok_or("it is called on nothing")?;
        let output = match op {
            Op::Affine(op) => return self.scaled(path, inputs, &op.scale, &op.offset),
            Op::Binary(op) => return self.binary(path, op.kind, inputs),
            Op::Concat(op) => return self.concatenate(path, op.axis as i64 + 1, inputs),
            Op::BatchNorm(op) => {
                let all =
                    params.iter().map(|param| self.numbers(param)).collect::<Result<Vec<_>, String>>()?;
                // the operator of that name has the channels behind the batch
                let affine = op.affine(|index| all[index].as_slice());
                return self.scaled(path, inputs, &affine.scale, &affine.offset);
            }
            Op::ByWeight(ByWeight { kind: ByWeightKind::Scale }) => {
                let input = self.emit.last(&mut x, path);
                let factors = self.param(params.first().ok_or("it has no factors")?)?;
                Output::Last(self.emit.node(path, "Mul", &[&input, &factors], &[]))
            }
            Op::Conv3d(op) => self.conv3d(path, op, params, &mut x)?,
            Op::Crop(op) => self.crop(path, op.margins, &mut x),
            Op::Dense(_) => {
                let input = self.emit.last(&mut x, path);
                let names =
                    params.iter().map(|param| self.param(param)).collect::<Result<Vec<_>, String>>()?;
                let [kernel, bias @ ..] = names.as_slice() else {
                    return Err("it has no kernel".to_owned());
                };
                Output::Last(self.emit.product(path, &input, kernel, bias.first().map(String::as_str)))
            }
            Op::Dropout(_) => Output::Input(index),
            Op::Elementwise(op) => {
                self.in_place(path, &mut x, |emit, x| emit.elementwise(path, op.function, x))
            }
            Op::Embed(_) => {
                let input = self.emit.last(&mut x, path);
                let table = params.first().ok_or("it has no table")?;
                let table = self.param(table)?;
                let to = [("to", Attribute::Int(DataType::Int64 as i64))];
                let places = self.emit.node(path, "Cast", &[&input], &to);
                Output::Last(self.emit.node(path, "Gather", &[&table, &places], &[]))
            }
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
            Op::Product(op) => {
                let (names, _) = self.side_by_side(path, inputs)?;
                let [a, b] = names.as_slice() else {
                    return Err("a product of other than two values".to_owned());
                };
                let b = match op.transposed {
                    true => self.emit.transpose(path, b, &turned(x.shapes[0].len() + 1)),
                    false => b.clone(),
                };
                Output::Last(self.emit.product(path, a, &b, None))
            }
            Op::Recurrent(op) => {
                let input = self.emit.last(&mut x, path);
                Output::Last(self.cell(path, op, params, &input)?)
            }
            Op::Reduce(op) => {
                let input = self.emit.last(&mut x, path);
                Output::Last(self.emit.reduce(path, op, &input))
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
            Op::Select(_) => return self.select(path, inputs),
            Op::Softmax(_) => {
                let input = self.emit.last(&mut x, path);
                Output::Last(self.emit.node(path, "Softmax", &[&input], &[("axis", Attribute::Int(-1))]))
            }
            Op::Take(op) => {
                let input = self.emit.last(&mut x, path);
                Output::Last(self.emit.take(path, op, &x.shapes[0], &input)?)
            }
            Op::Unary(op) => {
                let input = match x.first.clone() {
                    Some(first) => first,
                    None => self.emit.last(&mut x, path),
                };
                let made = self.emit.kernel_activation(path, op.activation, &input);
                if x.first.is_some() { Output::First(made) } else { Output::Last(made) }
            }
            Op::UnitNorm(_) => {
                let input = self.emit.last(&mut x, path);
                Output::Last(self.emit.unit_norm(path, &input, -1))
            }
            Op::ByWeight(_)
            | Op::Conv2d(_)
            | Op::ConvTranspose2d(_)
            | Op::Depthwise(_)
            | Op::GroupNorm(_)
            | Op::Constant(_)
            | Op::Normalize(_) => {
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

impl Writer<'_> {
    /// The numbers of a weight that an op reads.
    pub(super) fn numbers(&self, param: &Param) -> Result<Vec<f32>, String> {
        let weight = self.weights.get(&param.path).map_err(|error| error.to_string())?.get();
        match weight.data.len() == param.shape.iter().product::<usize>() {
            true => Ok(weight.data),
            false => Err(format!("its weight `{}` has the shape {:?}", param.path, weight.shape)),
        }
    }

    /// A weight as its op reads it.
    fn param(&mut self, param: &Param) -> Result<String, String> {
        let numbers = self.numbers(param)?;
        Ok(self.emit.floats(&param.path, &param.shape, &numbers))
    }
}

/// A layer's ops on inputs of these shapes: each writes the value behind those before it.
fn lower(path: &str, kind: &Kind, shapes: Vec<Shape>) -> Result<Program, String> {
    let mut program = Program::default();
    program.layers.push(LayerInfo { path: path.to_owned(), frozen: true, inference: true });
    let inputs: Vec<_> = shapes.into_iter().map(|shape| program.value(shape)).collect();
    let outputs =
        kind.lower_all(&mut Lowering::new(&mut program, 0), &inputs).map_err(|error| error.message())?;
    program.outputs = outputs;
    Ok(program)
}

/// The order of axes, batch counted, with the last two exchanged.
fn turned(rank: usize) -> Vec<i64> {
    let mut order: Vec<i64> = (0..rank as i64).collect();
    order.swap(rank - 1, rank - 2);
    order
}
