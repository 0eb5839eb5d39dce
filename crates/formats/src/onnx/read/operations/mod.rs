//! Operators without a layer of their own as Keras's operations: arithmetic, reductions, places of axes, products.

mod blocks;
mod normalising;
mod places;
mod products;
mod reductions;

use super::constant::{Constant, Data};
use super::convert::Converter;
use super::fold;
use super::node::Node;
use super::value::{Value, plain};
use frostline_graph::layers::{Argument, Array, CALL};
use frostline_graph::{Shape, Tensor};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Operators of one value, element by element, and Keras's class for each.
const FUNCTIONS: &[(&str, &str)] = &[
    ("Abs", "Absolute"),
    ("Ceil", "Ceil"),
    ("Cos", "Cos"),
    ("Erf", "Erf"),
    ("Floor", "Floor"),
    ("Log", "Log"),
    ("Neg", "Negative"),
    ("Not", "LogicalNot"),
    ("Reciprocal", "Reciprocal"),
    ("Round", "Round"),
    ("Sign", "Sign"),
    ("Sin", "Sin"),
    ("Sqrt", "Sqrt"),
];
/// Operators of two values or of a value and known numbers.
const PAIRS: &[(&str, &str)] = &[
    ("Add", "Add"),
    ("And", "LogicalAnd"),
    ("Div", "TrueDivide"),
    ("Equal", "Equal"),
    ("Greater", "Greater"),
    ("GreaterOrEqual", "GreaterEqual"),
    ("Less", "Less"),
    ("LessOrEqual", "LessEqual"),
    ("Max", "Maximum"),
    ("Min", "Minimum"),
    ("Mod", "Mod"),
    ("Mul", "Multiply"),
    ("Or", "LogicalOr"),
    ("Pow", "Power"),
    ("Sub", "Subtract"),
    ("Xor", "LogicalXor"),
];
/// Operators that leave one number of all along some axes.
const REDUCTIONS: &[(&str, &str)] = &[
    ("ReduceL1", "Norm"),
    ("ReduceL2", "Norm"),
    ("ReduceLogSumExp", "Logsumexp"),
    ("ReduceMax", "Max"),
    ("ReduceMean", "Mean"),
    ("ReduceMin", "Min"),
    ("ReduceProd", "Prod"),
    ("ReduceSum", "Sum"),
    ("ReduceSumSquare", "Sum"),
];

pub(super) fn is_function(op: &str) -> bool {
    class_of(FUNCTIONS, op).is_some()
}

pub(super) fn is_pair(op: &str) -> bool {
    class_of(PAIRS, op).is_some()
}

pub(super) fn is_reduction(op: &str) -> bool {
    class_of(REDUCTIONS, op).is_some()
}

fn class_of(table: &[(&str, &'static str)], op: &str) -> Option<&'static str> {
    table.iter().find(|(own, _)| *own == op).map(|(_, class)| *class)
}

/// The `place`-th value that an operation is called on.
pub(super) fn tensor(place: usize) -> Json {
    json!({"tensor": place})
}

/// Known numbers that an operation is called on.
fn array(shape: Shape, data: Vec<f32>) -> Json {
    let tensor = Arc::new(Tensor { shape, data });
    Argument::Array(Array { tensor, dtype: "float32".to_owned() }).json()
}

/// Numbers beside a value: one alone as a number, others with an axis for the batch.
fn numbers(shape: Shape, data: Vec<f32>) -> Json {
    match data.as_slice() {
        [_] => array(vec![], data),
        _ => array([vec![1], shape].concat(), data),
    }
}

impl Converter<'_> {
    /// The values of a node, in one arrangement of their axes, and what an operation of Keras is called on for its inputs.
    fn operands(&mut self, node: &Node, name: &str) -> Result<(Vec<Json>, Vec<Value>), String> {
        let mut values = Vec::new();
        let mut places = Vec::new();
        for index in 0..node.inputs.len() {
            match self.known(node, index) {
                Some(constant) => places.push(Err(constant)),
                None => {
                    places.push(Ok(values.len()));
                    values.push(self.value(node, index)?.in_order(&mut self.builder, name)?);
                }
            }
        }
        let rank = values.first().ok_or("it is called on no value")?.rank();
        if let Some(other) = values.iter().find(|value| value.rank() != rank) {
            return Err(format!(
                "it is called on values of {rank} and {} axes, of which one would meet the batch's",
                other.rank()
            ));
        }
        self.brought_together(&mut values, name)?;
        let first = values.first().ok_or("it is called on no value")?;
        let argument = |place: Result<usize, std::rc::Rc<Constant>>| match place {
            Ok(place) => Ok(tensor(place)),
            Err(constant) => beside(first, &constant),
        };
        let arguments = places.into_iter().map(argument).collect::<Result<Vec<_>, String>>()?;
        Ok((arguments, values))
    }

    /// Brings values that meet element by element into one arrangement of their axes.
    pub(in crate::onnx::read) fn brought_together(
        &mut self,
        values: &mut [Value],
        name: &str,
    ) -> Result<(), String> {
        // as the largest is stored, of those the first whose channels are last
        let size = |value: &&Value| (value.shapes[0].iter().product::<usize>(), value.has_channels_last());
        let axes = values.iter().rev().max_by_key(size).map(|value| value.axes.clone()).unwrap_or_default();
        for value in values {
            *value = value.arranged(&mut self.builder, name, &axes)?;
        }
        Ok(())
    }

    /// An operation of Keras on these values; its outputs, stored as they come.
    pub(in crate::onnx::read) fn operation(
        &mut self,
        name: &str,
        class: &str,
        settings: Json,
        arguments: Vec<Json>,
        inputs: &[&Value],
    ) -> Result<Vec<Value>, String> {
        let mut config = settings;
        config[CALL] = json!({"args": arguments, "kwargs": {}});
        self.builder.layers(name, class, config, inputs)
    }

    /// [`Converter::operation`] that gives one value.
    pub(in crate::onnx::read) fn one(
        &mut self,
        name: &str,
        class: &str,
        settings: Json,
        arguments: Vec<Json>,
        inputs: &[&Value],
    ) -> Result<Value, String> {
        let made = self.operation(name, class, settings, arguments, inputs)?;
        made.into_iter().next().ok_or_else(|| "it gives nothing".to_owned())
    }

    /// An operation on one value that leaves its axes where they are.
    pub(in crate::onnx::read) fn in_place(
        &mut self,
        name: &str,
        class: &str,
        settings: Json,
        x: &Value,
    ) -> Result<Value, String> {
        Ok(self.one(name, class, settings, vec![tensor(0)], &[x])?.stored_as(x))
    }

    /// The node as an operation of Keras. `None` for an operator that is none.
    pub(in crate::onnx::read) fn as_operation(
        &mut self,
        node: &Node,
        name: &str,
    ) -> Option<Result<Vec<Value>, String>> {
        if let Some(class) = class_of(FUNCTIONS, &node.op) {
            let nonnegative = ["Abs", "Sqrt"].contains(&node.op.as_str());
            let made = self.function_of(node, name, class, json!({}));
            return Some(made.map(|made| vec![Value { nonnegative, ..made }]));
        }
        if let Some(class) = class_of(PAIRS, &node.op) {
            return Some(self.joint(node, name, class).map(|value| vec![value]));
        }
        if class_of(REDUCTIONS, &node.op).is_some() {
            return Some(self.reduction(node, name).map(|value| vec![value]));
        }
        let made = match node.op.as_str() {
            "ArgMax" | "ArgMin" => self.place(node, name),
            "Celu" => self.function_of(node, name, "Celu", json!({"alpha": node.float("alpha", 1.0)})),
            "DepthToSpace" => self.depth_to_space(node, name),
            "Einsum" => self.einsum(node, name),
            "Expand" => self.expand(node, name),
            "Gather" => match self.embedding(node, name) {
                Some(made) => made,
                None => self.gather(node, name),
            },
            "InstanceNormalization" => self.instance_normalization(node, name),
            "LRN" => self.local_response(node, name),
            "LogSoftmax" => self.log_softmax(node, name),
            "LpNormalization" => self.lp_normalization(node, name),
            "MatMul" => self.matmul_of_values(node, name),
            "Mish" => self.mish(node, name),
            "Shrink" => self.shrink(node, name),
            "SpaceToDepth" => self.space_to_depth(node, name),
            "Split" => return Some(self.split(node, name)),
            "ThresholdedRelu" => {
                let settings = json!({"threshold": node.float("alpha", 1.0), "default_value": 0.0});
                self.function_of(node, name, "Threshold", settings)
            }
            "Tile" => self.tile(node, name),
            "Where" => self.joint(node, name, "Where"),
            _ => return None,
        };
        Some(made.map(|value| vec![value]))
    }

    fn function_of(&mut self, node: &Node, name: &str, class: &str, settings: Json) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        self.in_place(name, class, settings, &x)
    }

    /// An operation on values and numbers that meet element by element.
    fn joint(&mut self, node: &Node, name: &str, class: &str) -> Result<Value, String> {
        let (arguments, values) = self.operands(node, name)?;
        let made = self.one(name, class, json!({}), arguments, &values.iter().collect::<Vec<_>>())?;
        let first = values.first().ok_or("it is called on no value")?;
        Ok(made.stored_as(first))
    }

    /// `x · softplus(x)`'s hyperbolic tangent.
    fn mish(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let softplus = self.builder.alike(
            &format!("{name}.softplus"),
            "Activation",
            json!({"activation": "softplus"}),
            &x,
        )?;
        let tanh = self.builder.alike(
            &format!("{name}.tanh"),
            "Activation",
            json!({"activation": "tanh"}),
            &softplus,
        )?;
        Ok(self.builder.layer(name, "Multiply", json!({}), &[&x, &tanh])?.stored_as(&x))
    }

    fn shrink(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let (threshold, bias) = (node.float("lambd", 0.5), node.float("bias", 0.0));
        match bias {
            0.0 => self.function_of(node, name, "HardShrink", json!({ "threshold": threshold })),
            bias if bias == threshold => {
                self.function_of(node, name, "SoftShrink", json!({ "threshold": threshold }))
            }
            _ => Err(format!("its bias {bias} is neither 0 nor its threshold {threshold}")),
        }
    }

    /// The value that a node reads first, its elements in the order of the file.
    pub(in crate::onnx::read) fn unflattened(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        self.value(node, 0)?.in_order(&mut self.builder, name)
    }

    /// `x · scale + offset`, by tensors of any shape.
    pub(in crate::onnx::read) fn affine_by_arrays(
        &mut self,
        x: &Value,
        name: &str,
        scale: &Constant,
        offset: &Constant,
    ) -> Result<Value, String> {
        let mut made = x.clone();
        for (class, constant, neutral) in [("Multiply", scale, 1.0), ("Add", offset, 0.0)] {
            if constant.uniform() == Some(neutral) {
                continue;
            }
            let numbers = beside(x, constant)?;
            let next = self.one(name, class, json!({}), vec![tensor(0), numbers], &[&made])?;
            made = next.stored_as(x);
        }
        Ok(made)
    }
}

/// A known tensor as it is stored beside a value that it meets.
fn beside(value: &Value, constant: &Constant) -> Result<Json, String> {
    let whole = constant.as_known().map(|all| all.iter().map(|number| *number as f32).collect());
    let as_floats =
        Constant { dims: constant.dims.clone(), data: whole.map_or(constant.data.clone(), Data::Float) };
    let (shape, data) = value
        .beside(&as_floats)
        .ok_or_else(|| format!("a known tensor of {:?} does not meet its value", constant.dims))?;
    Ok(numbers(shape, data))
}

/// Where a logical axis is stored; the batch's is none that anything may go along.
fn stored_axis(x: &Value, axis: i64) -> Result<usize, String> {
    let logical = fold::axis_of(axis, x.rank()).ok_or_else(|| format!("it has no axis {axis}"))?;
    let stored = x.axes.get(logical).copied().filter(|stored| *stored > 0);
    stored
        .ok_or_else(|| "it goes over the images of a batch, each of which is computed alone here".to_owned())
}

/// What a value has become, of whose stored axes some are reduced.
fn without(x: &Value, stored: &[usize], keep: bool, made: Value) -> Value {
    if keep {
        return made.stored_as(x);
    }
    let left: Vec<usize> = x.axes.iter().copied().filter(|axis| !stored.contains(axis)).collect();
    let place = |axis: &usize| left.iter().filter(|other| *other < axis).count();
    let axes: Vec<usize> = left.iter().map(place).collect();
    let pixels = x.pixels.iter().enumerate().filter(|(index, _)| !stored.contains(&(index + 1)));
    let pixels = pixels.map(|(_, count)| *count).collect();
    let axes = if axes.len() == made.rank() { axes } else { plain(made.rank()) };
    Value { axes, pixels, ..made }
}
