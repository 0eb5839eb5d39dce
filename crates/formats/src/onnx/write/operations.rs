//! The ops of arithmetic, of reductions and of places of an axis as operators.

use super::emit::{Attribute, Emitter};
use super::layer::{Output, Writer};
use crate::onnx::proto::tensor_proto::DataType;
use frostline_graph::layers::NamedActivation;
use frostline_graph::ops::{Activation, BinaryKind, Function, Op, Reduce, ReduceKind, Take};
use frostline_graph::{Result, Shape, Tensor};
use std::f32::consts::{LN_2, LN_10};

impl Writer<'_> {
    /// Numbers of the model with an axis for the batch: of one place, or, where a value says it, as long as its batch.
    pub(super) fn constant(
        &mut self,
        path: &str,
        tensor: &Tensor,
        batch: Option<usize>,
    ) -> Result<Output, String> {
        let dims = [&[1], tensor.shape.as_slice()].concat();
        let numbers = self.emit.floats(&format!("{path}/constant"), &dims, &tensor.data);
        let Some(batch) = batch else { return Ok(Output::Last(numbers)) };
        let mut other = self.values.get(batch).cloned().ok_or("it is called on nothing")?;
        let other = self.emit.last(&mut other, path);
        let shape = self.emit.node(path, "Shape", &[&other], &[("end", Attribute::Int(1))]);
        let own: Vec<i64> = tensor.shape.iter().map(|extent| *extent as i64).collect();
        let own = self.emit.whole(&format!("{path}/extents"), &own);
        let shape = self.emit.node(path, "Concat", &[&shape, &own], &[("axis", Attribute::Int(0))]);
        Ok(Output::Last(self.emit.node(path, "Expand", &[&numbers, &shape], &[])))
    }

    pub(super) fn binary(
        &mut self,
        path: &str,
        kind: BinaryKind,
        inputs: &[usize],
    ) -> Result<Output, String> {
        let (names, first) = self.side_by_side(path, inputs)?;
        let [a, b] = names.as_slice() else { return Err(format!("it is called on {} values", names.len())) };
        let made = self.emit.binary(path, kind, a, b);
        Ok(if first { Output::First(made) } else { Output::Last(made) })
    }

    pub(super) fn select(&mut self, path: &str, inputs: &[usize]) -> Result<Output, String> {
        let (names, first) = self.side_by_side(path, inputs)?;
        let [condition, then, otherwise] = names.as_slice() else {
            return Err(format!("it is called on {} values", names.len()));
        };
        let condition = self.emit.truth(path, condition);
        let made = self.emit.node(path, "Where", &[&condition, then, otherwise], &[]);
        Ok(if first { Output::First(made) } else { Output::Last(made) })
    }
}

impl Emitter {
    fn cast(&mut self, path: &str, x: &str, to: DataType) -> String {
        self.node(path, "Cast", &[x], &[("to", Attribute::Int(to as i64))])
    }

    /// Whether a number is not 0.
    fn truth(&mut self, path: &str, x: &str) -> String {
        self.cast(path, x, DataType::Bool)
    }

    /// A truth as 1 or 0.
    fn of_truth(&mut self, path: &str, op: &str, inputs: &[&str]) -> String {
        let truth = self.node(path, op, inputs, &[]);
        self.cast(path, &truth, DataType::Float)
    }

    fn binary(&mut self, path: &str, kind: BinaryKind, a: &str, b: &str) -> String {
        match kind {
            BinaryKind::Add => self.node(path, "Add", &[a, b], &[]),
            BinaryKind::Subtract => self.node(path, "Sub", &[a, b], &[]),
            BinaryKind::Multiply => self.node(path, "Mul", &[a, b], &[]),
            BinaryKind::Maximum => self.node(path, "Max", &[a, b], &[]),
            BinaryKind::Minimum => self.node(path, "Min", &[a, b], &[]),
            BinaryKind::Divide => self.node(path, "Div", &[a, b], &[]),
            BinaryKind::DivideNoNan => {
                let zero = self.number(&format!("{path}/zero"), 0.0);
                let is_zero = self.node(path, "Equal", &[b, &zero], &[]);
                let quotient = self.node(path, "Div", &[a, b], &[]);
                self.node(path, "Where", &[&is_zero, &zero, &quotient], &[])
            }
            BinaryKind::FloorDivide => {
                let quotient = self.node(path, "Div", &[a, b], &[]);
                self.node(path, "Floor", &[&quotient], &[])
            }
            BinaryKind::Modulo => {
                let floor = self.binary(path, BinaryKind::FloorDivide, a, b);
                let whole = self.node(path, "Mul", &[b, &floor], &[]);
                self.node(path, "Sub", &[a, &whole], &[])
            }
            BinaryKind::Power => self.node(path, "Pow", &[a, b], &[]),
            BinaryKind::Equal => self.of_truth(path, "Equal", &[a, b]),
            BinaryKind::NotEqual => {
                let equal = self.node(path, "Equal", &[a, b], &[]);
                self.of_truth(path, "Not", &[&equal])
            }
            BinaryKind::Greater => self.of_truth(path, "Greater", &[a, b]),
            BinaryKind::GreaterEqual => self.of_truth(path, "GreaterOrEqual", &[a, b]),
            BinaryKind::Less => self.of_truth(path, "Less", &[a, b]),
            BinaryKind::LessEqual => self.of_truth(path, "LessOrEqual", &[a, b]),
            BinaryKind::And | BinaryKind::Or | BinaryKind::Xor => {
                let op = match kind {
                    BinaryKind::And => "And",
                    BinaryKind::Or => "Or",
                    _ => "Xor",
                };
                let (a, b) = (self.truth(path, a), self.truth(path, b));
                self.of_truth(path, op, &[&a, &b])
            }
        }
    }

    /// A function of mathematics, element by element.
    pub(super) fn elementwise(&mut self, path: &str, function: Function, x: &str) -> String {
        match function {
            Function::Absolute => self.node(path, "Abs", &[x], &[]),
            Function::Ceil => self.node(path, "Ceil", &[x], &[]),
            Function::Clip { min, max } => {
                let bound = |emit: &mut Self, name: &str, bound: f32| match bound.is_infinite() {
                    true => String::new(),
                    false => emit.number(&format!("{path}/{name}"), bound),
                };
                let (min, max) = (bound(self, "min", min), bound(self, "max", max));
                self.node(path, "Clip", &[x, &min, &max], &[])
            }
            Function::Cos => self.node(path, "Cos", &[x], &[]),
            Function::Erf => self.node(path, "Erf", &[x], &[]),
            Function::Expm1 => {
                let exp = self.node(path, "Exp", &[x], &[]);
                self.affine(path, &exp, &[], &[1.0], &[-1.0])
            }
            Function::Floor => self.node(path, "Floor", &[x], &[]),
            Function::HardShrink { threshold } => {
                self.node(path, "Shrink", &[x], &[("lambd", Attribute::Float(threshold))])
            }
            Function::Log => self.node(path, "Log", &[x], &[]),
            Function::Log1p => {
                let shifted = self.affine(path, x, &[], &[1.0], &[1.0]);
                self.node(path, "Log", &[&shifted], &[])
            }
            Function::Log2 | Function::Log10 => {
                let base = if function == Function::Log2 { LN_2 } else { LN_10 };
                let log = self.node(path, "Log", &[x], &[]);
                self.affine(path, &log, &[], &[base.recip()], &[0.0])
            }
            Function::Not => {
                let truth = self.truth(path, x);
                self.of_truth(path, "Not", &[&truth])
            }
            Function::Power { exponent } => {
                let exponent = self.number(&format!("{path}/exponent"), exponent);
                self.node(path, "Pow", &[x, &exponent], &[])
            }
            Function::Reciprocal => self.node(path, "Reciprocal", &[x], &[]),
            Function::Round => self.node(path, "Round", &[x], &[]),
            Function::Rsqrt => {
                let root = self.node(path, "Sqrt", &[x], &[]);
                self.node(path, "Reciprocal", &[&root], &[])
            }
            Function::Sign => self.node(path, "Sign", &[x], &[]),
            Function::Sin => self.node(path, "Sin", &[x], &[]),
            Function::SoftShrink { threshold } => {
                let lambda = [("lambd", Attribute::Float(threshold)), ("bias", Attribute::Float(threshold))];
                self.node(path, "Shrink", &[x], &lambda)
            }
            Function::Sqrt => self.node(path, "Sqrt", &[x], &[]),
            Function::StopGradient => self.node(path, "Identity", &[x], &[]),
            Function::Threshold { threshold, otherwise } => {
                let bound = self.number(&format!("{path}/threshold"), threshold);
                let above = self.node(path, "Greater", &[x, &bound], &[]);
                let otherwise = self.number(&format!("{path}/otherwise"), otherwise);
                self.node(path, "Where", &[&above, x, &otherwise], &[])
            }
            Function::Trunc => {
                let sign = self.node(path, "Sign", &[x], &[]);
                let size = self.node(path, "Abs", &[x], &[]);
                let floor = self.node(path, "Floor", &[&size], &[]);
                self.node(path, "Mul", &[&sign, &floor], &[])
            }
        }
    }

    /// One number of all along some axes, which are counted behind the batch's.
    pub(super) fn reduce(&mut self, path: &str, op: &Reduce, x: &str) -> String {
        let axes: Vec<i64> = op.axes.iter().map(|axis| *axis as i64 + 1).collect();
        let keep = op.keep_dims;
        match op.kind {
            ReduceKind::ArgMax | ReduceKind::ArgMin => {
                let operator = if op.kind == ReduceKind::ArgMax { "ArgMax" } else { "ArgMin" };
                let axis = axes.first().copied().unwrap_or(1);
                let attributes =
                    [("axis", Attribute::Int(axis)), ("keepdims", Attribute::Int(i64::from(keep)))];
                let place = self.node(path, operator, &[x], &attributes);
                self.cast(path, &place, DataType::Float)
            }
            ReduceKind::LogSumExp => self.reduction(path, "ReduceLogSumExp", x, &axes, keep),
            ReduceKind::Max => self.reduction(path, "ReduceMax", x, &axes, keep),
            ReduceKind::Mean => self.reduction(path, "ReduceMean", x, &axes, keep),
            ReduceKind::Min => self.reduction(path, "ReduceMin", x, &axes, keep),
            ReduceKind::Product => self.reduction(path, "ReduceProd", x, &axes, keep),
            ReduceKind::Sum => self.reduction(path, "ReduceSum", x, &axes, keep),
            ReduceKind::Variance => {
                let mean = self.reduction(path, "ReduceMean", x, &axes, true);
                let centred = self.node(path, "Sub", &[x, &mean], &[]);
                let square = self.node(path, "Mul", &[&centred, &centred], &[]);
                self.reduction(path, "ReduceMean", &square, &axes, keep)
            }
        }
    }

    fn reduction(&mut self, path: &str, operator: &str, x: &str, axes: &[i64], keep: bool) -> String {
        let keep = ("keepdims", Attribute::Int(i64::from(keep)));
        // the axes of a sum became an input first
        let of_input = if operator == "ReduceSum" { 13 } else { 18 };
        if self.opset < of_input {
            return self.node(path, operator, &[x], &[("axes", Attribute::Ints(axes.to_vec())), keep]);
        }
        let axes = self.whole(&format!("{path}/axes"), axes);
        self.node(path, operator, &[x, &axes], &[keep])
    }

    /// Some places of an axis of an image's value of this shape.
    pub(super) fn take(&mut self, path: &str, op: &Take, shape: &Shape, x: &str) -> Result<String, String> {
        let axis = op.axis as i64 + 1;
        let inside: Vec<i64> =
            op.places.iter().filter(|place| **place != Take::FILL).map(|place| i64::from(*place)).collect();
        let before = op.places.iter().take_while(|place| **place == Take::FILL).count();
        let behind = op.places.len() - before - inside.len();
        if op.places.iter().skip(before).take(inside.len()).any(|place| *place == Take::FILL) {
            return Err("it has gaps between its places, which no operator makes".to_owned());
        }
        let mut made = x.to_owned();
        let follows = inside.windows(2).all(|pair| matches!(pair, [a, b] if *b == a + 1));
        if inside.len() == shape[op.axis] && follows {
            // all of them
        } else if let (Some(first), true) = (inside.first(), follows) {
            let whole =
                |emit: &mut Self, name: &str, number: i64| emit.whole(&format!("{path}/{name}"), &[number]);
            let (start, end) =
                (whole(self, "start", *first), whole(self, "end", first + inside.len() as i64));
            let axis = whole(self, "axis", axis);
            made = self.node(path, "Slice", &[&made, &start, &end, &axis], &[]);
        } else {
            let places = self.whole(&format!("{path}/places"), &inside);
            made = self.node(path, "Gather", &[&made, &places], &[("axis", Attribute::Int(axis))]);
        }
        if before + behind > 0 {
            let rank = shape.len() + 1;
            let mut margins = vec![0i64; 2 * rank];
            margins[op.axis + 1] = before as i64;
            margins[rank + op.axis + 1] = behind as i64;
            let margins = self.whole(&format!("{path}/margins"), &margins);
            let fill = self.number(&format!("{path}/fill"), op.fill);
            made = self.node(path, "Pad", &[&made, &margins, &fill], &[]);
        }
        Ok(made)
    }

    /// An activation with its attributes.
    pub(super) fn kernel_activation(&mut self, path: &str, activation: Activation, x: &str) -> String {
        let alpha = |alpha: f32| [("alpha", Attribute::Float(alpha))];
        match activation {
            Activation::Linear => x.to_owned(),
            Activation::Relu { max, negative_slope, threshold } => {
                let max = max.is_finite().then_some(max);
                self.rectifier(path, max, negative_slope, threshold, x)
            }
            Activation::Sigmoid => self.node(path, "Sigmoid", &[x], &[]),
            Activation::Tanh => self.node(path, "Tanh", &[x], &[]),
            Activation::Silu => self.silu(path, x),
            Activation::HardSigmoid => self.hard_sigmoid(path, x, 1.0 / 6.0),
            Activation::HardSilu => self.node(path, "HardSwish", &[x], &[]),
            Activation::Elu { alpha: own } => self.node(path, "Elu", &[x], &alpha(own)),
            Activation::Selu => self.node(path, "Selu", &[x], &[]),
            Activation::Gelu => self.gelu(path, x),
            Activation::GeluTanh => self.gelu_tanh(path, x),
            Activation::Softplus => self.node(path, "Softplus", &[x], &[]),
            Activation::Softsign => self.node(path, "Softsign", &[x], &[]),
            Activation::Exponential => self.node(path, "Exp", &[x], &[]),
            Activation::LeakyRelu { negative_slope } => {
                self.node(path, "LeakyRelu", &[x], &alpha(negative_slope))
            }
        }
    }

    /// An activation as the ops that it lowers to, each element by element.
    pub(super) fn activation_by_ops(
        &mut self,
        path: &str,
        activation: &NamedActivation,
        x: &str,
    ) -> Result<String, String> {
        let program = activation.program().map_err(|error| error.message())?;
        // each op writes the value behind those before it
        let mut made = vec![x.to_owned()];
        for node in &program.nodes {
            let inputs: Vec<&str> = node.inputs.iter().map(|value| made[value.0].as_str()).collect();
            let output = match (&node.op, inputs.as_slice()) {
                (Op::Affine(op), [x]) => self.affine(path, x, &[], &op.scale, &op.offset),
                (Op::Unary(op), [x]) => self.kernel_activation(path, op.activation, x),
                (Op::Elementwise(op), [x]) => self.elementwise(path, op.function, x),
                (Op::Binary(op), [a, b]) => self.binary(path, op.kind, a, b),
                _ => {
                    return Err(format!(
                        "its activation `{}` has no operators in ONNX here",
                        activation.name()
                    ));
                }
            };
            made.push(output);
        }
        Ok(program.outputs.first().map(|value| made[value.0].clone()).unwrap_or_default())
    }
}
