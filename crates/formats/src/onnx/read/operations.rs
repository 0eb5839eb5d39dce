//! Operators without a layer of their own as Keras's operations: arithmetic, reductions, places of axes, products.

use super::constant::{Constant, Data, Extent};
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

fn class_of(table: &[(&str, &'static str)], op: &str) -> Option<&'static str> {
    table.iter().find(|(own, _)| *own == op).map(|(_, class)| *class)
}

/// The `place`-th value that an operation is called on.
pub(super) fn tensor(place: usize) -> Json {
    json!({"tensor": place})
}

/// Numbers as an operation is called on them: one alone as a number, others as an array with an axis for the batch.
fn numbers(shape: Shape, data: Vec<f32>) -> Json {
    if let [one] = data.as_slice() {
        return Argument::Array(Array {
            tensor: Arc::new(Tensor { shape: vec![], data: vec![*one] }),
            dtype: "float32".to_owned(),
        })
        .json();
    }
    let tensor = Arc::new(Tensor { shape: [vec![1], shape].concat(), data });
    Argument::Array(Array { tensor, dtype: "float32".to_owned() }).json()
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
                    let value = self.value(node, index)?;
                    let value = match value.flattened {
                        None => value,
                        Some(_) => value.plain(&mut self.builder, name)?,
                    };
                    places.push(Ok(values.len()));
                    values.push(value);
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
        // as the largest is stored, of those the first whose channels are last
        let size = |value: &&Value| (value.shapes[0].iter().product::<usize>(), value.has_channels_last());
        let axes = values.iter().rev().max_by_key(size).map(|value| value.axes.clone()).unwrap_or_default();
        for value in &mut values {
            *value = value.arranged(&mut self.builder, name, &axes)?;
        }
        let first = values.first().ok_or("it is called on no value")?;
        let argument = |place: Result<usize, std::rc::Rc<Constant>>| match place {
            Ok(place) => Ok(tensor(place)),
            Err(constant) => beside(first, &constant),
        };
        let arguments = places.into_iter().map(argument).collect::<Result<Vec<_>, String>>()?;
        Ok((arguments, values))
    }

    /// An operation of Keras on these values; its outputs, stored as they come.
    pub(super) fn operation(
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
    fn one(
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
    pub(super) fn in_place(
        &mut self,
        name: &str,
        class: &str,
        settings: Json,
        x: &Value,
    ) -> Result<Value, String> {
        let made = self.one(name, class, settings, vec![tensor(0)], &[x])?;
        Ok(Value { axes: x.axes.clone(), pixels: x.pixels.clone(), flattened: x.flattened.clone(), ..made })
    }

    /// The node as an operation of Keras. `None` for an operator that is none.
    pub(super) fn as_operation(&mut self, node: &Node, name: &str) -> Option<Result<Vec<Value>, String>> {
        if let Some(class) = class_of(FUNCTIONS, &node.op) {
            let x = match self.value(node, 0) {
                Ok(x) => x,
                Err(message) => return Some(Err(message)),
            };
            let nonnegative = ["Abs", "Sqrt"].contains(&node.op.as_str());
            let made = self.in_place(name, class, json!({}), &x);
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
            "Gather" => self.gather(node, name),
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
        Ok(Value { axes: first.axes.clone(), pixels: first.pixels.clone(), ..made })
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
        let made = self.builder.layer(name, "Multiply", json!({}), &[&x, &tanh])?;
        Ok(Value { axes: x.axes.clone(), pixels: x.pixels.clone(), flattened: x.flattened.clone(), ..made })
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

    fn log_softmax(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.unflattened(node, name)?;
        let default = if self.source.opset < 13 { 1 } else { -1 };
        let axis = stored_axis(&x, node.int("axis").unwrap_or(default))?;
        self.in_place(name, "LogSoftmax", json!({ "axis": axis }), &x)
    }

    fn lp_normalization(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.unflattened(node, name)?;
        let axis = stored_axis(&x, node.int("axis").unwrap_or(-1))?;
        let order = node.int("p").unwrap_or(2);
        // no norm is too small for this operator
        self.in_place(name, "Normalize", json!({"axis": axis, "order": order, "epsilon": 1e-30}), &x)
    }

    /// The value that a node reads first, its elements in the order of the file.
    fn unflattened(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        match x.flattened {
            None => Ok(x),
            Some(_) => x.plain(&mut self.builder, name),
        }
    }

    /// One number of all along some axes.
    pub(super) fn reduction(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let class = class_of(REDUCTIONS, &node.op).ok_or("it is no reduction")?;
        let mut x = self.unflattened(node, name)?;
        let axes = fold::axes(node, self.known(node, 1).as_deref())
            .ok_or("it goes over all axes, or over such as are not known")?;
        let stored = axes.iter().map(|axis| stored_axis(&x, *axis)).collect::<Result<Vec<_>, String>>()?;
        let keep = node.int("keepdims").unwrap_or(1) != 0;
        let mut settings = json!({"axis": stored, "keepdims": keep});
        match node.op.as_str() {
            "ReduceL1" => settings["ord"] = json!(1),
            "ReduceSumSquare" => x = self.in_place(&format!("{name}.square"), "Square", json!({}), &x)?,
            _ => {}
        }
        if let ([axis], "Norm") = (stored.as_slice(), class) {
            settings["axis"] = json!(axis);
        }
        let nonnegative = x.nonnegative || class == "Norm";
        let made = self.one(name, class, settings, vec![tensor(0)], &[&x])?;
        Ok(Value { nonnegative, ..without(&x, &stored, keep, made) })
    }

    fn place(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.unflattened(node, name)?;
        let axis = stored_axis(&x, node.int("axis").unwrap_or(0))?;
        let keep = node.int("keepdims").unwrap_or(1) != 0;
        if node.int("select_last_index").unwrap_or(0) != 0 {
            return Err("it takes the last of equal numbers, where the first can be".to_owned());
        }
        let class = if node.op == "ArgMax" { "Argmax" } else { "Argmin" };
        let made = self.one(name, class, json!({"axis": axis, "keepdims": keep}), vec![tensor(0)], &[&x])?;
        Ok(without(&x, &[axis], keep, made))
    }

    /// Places of an axis that are known: one alone takes the axis away.
    fn gather(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.unflattened(node, name)?;
        let places = self.known(node, 1).ok_or_else(|| self.unknown(node, 1, "places"))?;
        let axis = stored_axis(&x, node.int("axis").unwrap_or(0))?;
        let list = places.as_known().ok_or("its places are not known")?;
        match (places.dims.as_slice(), list.as_slice()) {
            ([], [one]) => {
                let made =
                    self.one(name, "Take", json!({ "axis": axis }), vec![tensor(0), json!(one)], &[&x])?;
                Ok(Value { nonnegative: x.nonnegative, ..without(&x, &[axis], false, made) })
            }
            ([_], list) => {
                let made =
                    self.one(name, "Take", json!({ "axis": axis }), vec![tensor(0), json!(list)], &[&x])?;
                Ok(Value {
                    axes: x.axes.clone(),
                    pixels: x.pixels.clone(),
                    nonnegative: x.nonnegative,
                    ..made
                })
            }
            (dims, _) => {
                Err(format!("its places are a tensor of {} axes, where a list can be run", dims.len()))
            }
        }
    }

    /// `start:end:step` of logical axes.
    pub(super) fn get_item(
        &mut self,
        x: &Value,
        name: &str,
        ranges: &[(usize, [i64; 3])],
    ) -> Result<Value, String> {
        let x = match x.flattened {
            None => x.clone(),
            Some(_) => x.plain(&mut self.builder, name)?,
        };
        let slice = |start: Json, stop: Json, step: Json| json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}});
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
        Ok(Value { axes: x.axes.clone(), pixels: x.pixels.clone(), nonnegative: x.nonnegative, ..made })
    }

    fn split(&mut self, node: &Node, name: &str) -> Result<Vec<Value>, String> {
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
                *end += size;
                Some(*end)
            })
            .collect();
        let inner = ends.split_last().map(|(_, inner)| inner.to_vec()).unwrap_or_default();
        if inner.iter().any(|end| *end > extent as i64) {
            return Err(format!("its parts {sizes:?} are more than the {extent} places of its axis"));
        }
        let settings = json!({"indices_or_sections": inner, "axis": stored});
        let made = self.operation(name, "Split", settings, vec![tensor(0)], &[&x])?;
        let alike = |made: Value| Value {
            axes: x.axes.clone(),
            pixels: x.pixels.clone(),
            nonnegative: x.nonnegative,
            ..made
        };
        Ok(made.into_iter().map(alike).collect())
    }

    /// Axes of one place are repeated.
    fn expand(&mut self, node: &Node, name: &str) -> Result<Value, String> {
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

    fn tile(&mut self, node: &Node, name: &str) -> Result<Value, String> {
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
    fn repeated(&mut self, x: &Value, name: &str, repeats: Vec<i64>) -> Result<Value, String> {
        if repeats.iter().all(|times| *times == 1) {
            return Ok(x.clone());
        }
        let made = self.one(name, "Tile", json!({ "repeats": repeats }), vec![tensor(0)], &[x])?;
        Ok(Value { axes: x.axes.clone(), pixels: x.pixels.clone(), nonnegative: x.nonnegative, ..made })
    }

    /// Margins that are no zeros around an image.
    pub(super) fn padded(
        &mut self,
        x: &Value,
        name: &str,
        margins: &[i64],
        mode: &str,
        fill: f32,
    ) -> Result<Value, String> {
        let x = match x.flattened {
            None => x.clone(),
            Some(_) => x.plain(&mut self.builder, name)?,
        };
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
            "constant" => json!({"args": [tensor(0)], "kwargs": {"constant_values": fill}}),
            _ => json!({"args": [tensor(0)], "kwargs": {}}),
        };
        let made = self.builder.layers(name, "Pad", settings, &[&x])?.into_iter().next();
        let made = made.ok_or("it gives nothing")?;
        Ok(Value { axes: x.axes.clone(), pixels: x.pixels.clone(), ..made })
    }

    /// Known numbers as a value beside another: for every image the same. Keras joins no array to a batch, so zeros of the
    /// batch's length are added to it.
    pub(super) fn of_known(
        &mut self,
        like: &Value,
        name: &str,
        stored_axis: usize,
        constant: &Constant,
    ) -> Result<Value, String> {
        let numbers = beside(like, constant)?;
        let slice = |stop: Json| json!({"class_name": "__slice__", "config": {"start": null, "stop": stop, "step": null}});
        let mut keys = vec![slice(Json::Null); like.rank()];
        if let Some(key) = keys.get_mut(stored_axis) {
            *key = slice(json!(1));
        }
        let first =
            self.one(&format!("{name}.first"), "GetItem", json!({}), vec![tensor(0), json!(keys)], &[like])?;
        let zeros = self.one(&format!("{name}.zeros"), "ZerosLike", json!({}), vec![tensor(0)], &[&first])?;
        let made =
            self.one(&format!("{name}.known"), "Add", json!({}), vec![tensor(0), numbers], &[&zeros])?;
        Ok(Value { axes: like.axes.clone(), pixels: like.pixels.clone(), ..made })
    }

    /// `x · scale + offset`, by tensors of any shape.
    pub(super) fn affine_by_arrays(
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
            made = Value { axes: x.axes.clone(), pixels: x.pixels.clone(), ..next };
        }
        Ok(made)
    }

    /// Matrices of two values, or of one and known numbers.
    fn matmul_of_values(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let mut arguments = Vec::new();
        let mut values = Vec::new();
        for index in 0..2 {
            match self.known(node, index) {
                Some(constant) => {
                    let data =
                        constant.as_floats().ok_or("it multiplies numbers that are not of a float type")?;
                    let tensor = Arc::new(Tensor { shape: constant.dims.clone(), data: data.to_vec() });
                    arguments.push(Argument::Array(Array { tensor, dtype: "float32".to_owned() }).json());
                }
                None => {
                    arguments.push(tensor(values.len()));
                    values.push(self.value(node, index)?.plain(&mut self.builder, name)?);
                }
            }
        }
        if let [a, b] = values.as_slice()
            && a.rank() != b.rank()
        {
            return Err(format!("it multiplies values of {} and {} axes", a.rank(), b.rank()));
        }
        self.one(name, "Matmul", json!({}), arguments, &values.iter().collect::<Vec<_>>())
    }

    fn einsum(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let equation = node.text("equation", "").to_owned();
        let mut values = Vec::new();
        for index in 0..node.inputs.len() {
            values.push(self.value(node, index)?.plain(&mut self.builder, name)?);
        }
        let arguments = (0..values.len()).map(tensor).collect();
        self.one(
            name,
            "Einsum",
            json!({ "subscripts": equation }),
            arguments,
            &values.iter().collect::<Vec<_>>(),
        )
    }

    fn instance_normalization(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.image(node, name)?;
        let (scale, offset) = (self.weight(node, 1, "scale")?, self.weight(node, 2, "bias")?);
        let epsilon = node.float("epsilon", 1e-5);
        let config = json!({"groups": -1, "axis": -1, "epsilon": epsilon});
        let made = self.builder.alike(name, "GroupNormalization", config, &x)?;
        let channels = x.channels();
        for (variable, constant) in [("gamma", scale), ("beta", offset)] {
            let data = constant.as_floats().unwrap_or_default().to_vec();
            self.builder.weight(&made, variable, &[channels], data)?;
        }
        Ok(made)
    }

    /// `x / (bias + α / size · Σ x²)^β`, the sum over the channels around each. Source: ONNX's `LRN`.
    fn local_response(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.image(node, name)?;
        let (alpha, beta, bias) =
            (node.float("alpha", 1e-4), node.float("beta", 0.75), node.float("bias", 1.0));
        let size = node.int("size").and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
        let size = size.ok_or("it has no size")?;
        let channels = x.channels();
        let (before, behind) = ((size - 1) / 2, size / 2);
        let reaches = |from: usize, to: usize| from + before >= to && from <= to + behind;
        let share = alpha / size as f32;
        let band = (0..channels * channels)
            .map(|place| if reaches(place / channels, place % channels) { share } else { 0.0 })
            .collect();
        let band = Array {
            tensor: Arc::new(Tensor { shape: vec![channels; 2], data: band }),
            dtype: "float32".to_owned(),
        };
        let square = self.in_place(&format!("{name}.square"), "Square", json!({}), &x)?;
        let around = vec![tensor(0), Argument::Array(band).json()];
        let sums = self.one(&format!("{name}.sums"), "Matmul", json!({}), around, &[&square])?;
        let shifted =
            self.one(&format!("{name}.bias"), "Add", json!({}), vec![tensor(0), json!(bias)], &[&sums])?;
        let divisor = self.one(
            &format!("{name}.power"),
            "Power",
            json!({}),
            vec![tensor(0), json!(beta)],
            &[&shifted],
        )?;
        let made = self.one(name, "TrueDivide", json!({}), vec![tensor(0), tensor(1)], &[&x, &divisor])?;
        Ok(Value { axes: x.axes.clone(), pixels: x.pixels.clone(), nonnegative: x.nonnegative, ..made })
    }

    fn depth_to_space(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let (x, block, [channels, height, width]) = self.blocks(node, name)?;
        let rest = channels / (block * block);
        let (split, order): ([usize; 5], [usize; 6]) = match node.text("mode", "DCR") {
            "DCR" => ([block, block, rest, height, width], [0, 3, 4, 1, 5, 2]),
            "CRD" => ([rest, block, block, height, width], [0, 1, 4, 2, 5, 3]),
            other => return Err(format!("its mode is `{other}`")),
        };
        self.rearranged(&x, name, &split, &order, &[rest, height * block, width * block])
    }

    fn space_to_depth(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let (x, block, [channels, height, width]) = self.blocks(node, name)?;
        let (rows, columns) = (height / block, width / block);
        let target = [channels * block * block, rows, columns];
        self.rearranged(&x, name, &[channels, rows, block, columns, block], &[0, 3, 5, 1, 2, 4], &target)
    }

    fn blocks(&mut self, node: &Node, name: &str) -> Result<(Value, usize, [usize; 3]), String> {
        let x = self.image(node, name)?;
        let block =
            node.int("blocksize").and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
        let extents = [1, 2, 3].map(|axis| x.extents(axis));
        if extents.iter().any(|[small, large]| small != large) {
            return Err("the size of its image is open: export the model with a fixed size".to_owned());
        }
        Ok((x, block.ok_or("it has no size of its blocks")?, extents.map(|[extent, _]| extent)))
    }

    /// The value with its logical axes taken apart, in another order, and put together.
    fn rearranged(
        &mut self,
        x: &Value,
        name: &str,
        split: &[usize],
        order: &[usize],
        target: &[usize],
    ) -> Result<Value, String> {
        let pairs = |extents: &[usize]| extents.iter().map(|extent| [*extent; 2]).collect::<Vec<_>>();
        let apart = x.reshaped(&mut self.builder, &format!("{name}.split"), &pairs(split))?;
        let moved = order.iter().map(|axis| apart.axes.get(*axis).copied()).collect::<Option<Vec<_>>>();
        let moved = Value { axes: moved.ok_or("its axes are not there")?, ..apart };
        moved.reshaped(&mut self.builder, name, &pairs(target))
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
        return Value { axes: x.axes.clone(), pixels: x.pixels.clone(), ..made };
    }
    let left: Vec<usize> = x.axes.iter().copied().filter(|axis| !stored.contains(axis)).collect();
    let place = |axis: &usize| left.iter().filter(|other| *other < axis).count();
    let axes: Vec<usize> = left.iter().map(place).collect();
    let pixels = x.pixels.iter().enumerate().filter(|(index, _)| !stored.contains(&(index + 1)));
    let pixels = pixels.map(|(_, count)| *count).collect();
    let axes = if axes.len() == made.rank() { axes } else { plain(made.rank()) };
    Value { axes, pixels, ..made }
}
