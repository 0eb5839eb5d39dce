//! Operations of Keras (`keras.ops.mean(x, axis=-1)`, `x[:, 0]`, `1.0 - x`): in a Functional model what code computes with
//! tensors becomes nodes of the graph that are no layers. Each has settings, as a layer has, and is called on tensors, arrays,
//! numbers and slices, in any order.
//!
//! To add one: a line of the list in `list.rs`, and in the file of its family how it lowers.

mod argument;
mod arithmetic;
mod arrange;
mod attention;
mod elementwise;
mod given;
mod images;
mod join;
mod list;
mod network;
mod product;
mod reduce;
mod take;

pub use argument::{Argument, Arguments, Array};

use super::{Config, LayerKind};
use crate::ops::{LayerInfo, Lowering, Program, ValueId};
use crate::{Error, Result, Shape};
use given::Given;
use list::{Class, OPERATIONS};
use serde_json::{Map, Value};

/// An operation with its settings and what it is called on.
#[derive(Clone, Debug)]
pub struct Operation {
    class: &'static Class,
    /// The arguments of its constructor in Keras.
    settings: Map<String, Value>,
    /// What it is called on.
    pub arguments: Arguments,
}

/// The key of a config at which the call stands, in the form of [`Arguments::read`].
pub const CALL: &str = "call";

impl Operation {
    /// Keras's operations.
    pub const CLASSES: &[&'static str] = list::NAMES;

    /// Reads the settings, and the call from [`CALL`], where the format puts it: without it the class is a layer, and `None` is
    /// returned.
    pub fn from_config(class_name: &str, config: &Config<'_>) -> Option<Result<Self>> {
        let class = OPERATIONS.iter().find(|class| class.name == class_name)?;
        let call = config.get(CALL)?;
        let arguments = Arguments::read(call).map_err(|message| config.error(message));
        Some(arguments.map(|arguments| Self { class, settings: config.all_but(&["name", CALL]), arguments }))
    }

    /// Each operation: the last part of its module in Keras, and its class.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        OPERATIONS.iter().map(|class| (class.module.rsplit('.').next().unwrap_or_default(), class.name))
    }

    /// The parameters of an operation's call in Keras, in order.
    pub fn parameters(class_name: &str) -> Option<&'static [&'static str]> {
        OPERATIONS.iter().find(|class| class.name == class_name).map(|class| class.parameters)
    }

    /// Keras's module of the operation.
    pub fn module(&self) -> &'static str {
        self.class.module
    }

    /// The arguments of the constructor in Keras.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.settings
    }

    /// `y = x · scale + offset`, where the operation is that: one number each, or one for each place of the last axis.
    pub fn scale_and_offset(&self) -> Option<(Vec<f32>, Vec<f32>)> {
        arithmetic::scale_and_offset(self)
    }

    /// The ops that it lowers to, for inputs of these shapes without the batch.
    pub(crate) fn program(&self, inputs: &[Shape]) -> Result<Program, String> {
        let mut program = Program::default();
        program.layers.push(LayerInfo { path: String::new(), frozen: true, inference: true });
        program.inputs = inputs.iter().map(|shape| program.value(shape.clone())).collect();
        let given = program.inputs.clone();
        let outputs = self.lower_to(&mut Lowering::new(&mut program, 0), &given);
        program.outputs = outputs.map_err(|error| error.message())?;
        Ok(program)
    }

    fn lower_to(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        (self.class.lower)(&mut Given::new(self, inputs, lowering))
    }
}

impl LayerKind for Operation {
    fn class_name(&self) -> &'static str {
        self.class.name
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = self.settings.clone();
        config.insert(CALL.to_owned(), self.arguments.json());
        config
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.output_shapes(inputs)?.into_iter().next().ok_or_else(|| "it gives nothing".to_owned())
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let program = self.program(inputs)?;
        Ok(program.outputs.iter().map(|value| program.shape(*value).clone()).collect())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let outputs = self.lower_to(lowering, inputs)?;
        outputs.first().copied().ok_or_else(|| Error::surgery("it gives nothing"))
    }

    fn lower_all(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        self.lower_to(lowering, inputs)
    }

    fn keras_module(&self) -> &'static str {
        self.class.module
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;
    use serde_json::json;

    /// What an operation says to a value of 4 x 3.
    fn shape(class: &str, settings: Value, more: Value) -> Result<Shape, String> {
        let mut config = settings;
        let given: Vec<Value> = std::iter::once(json!({"tensor": 0}))
            .chain(more.as_array().into_iter().flatten().cloned())
            .collect();
        config[CALL] = json!({"args": given, "kwargs": {}});
        read(class, config).map_err(|error| error.to_string())?.output_shape(&[vec![4, 3]])
    }

    #[test]
    fn absurd_settings_are_refused() {
        let most = i64::MAX;
        for (class, settings, more) in [
            ("Tile", json!({"repeats": [1, most, 2]}), json!([])),
            ("Repeat", json!({"repeats": most, "axis": 1}), json!([])),
            ("BroadcastTo", json!({"shape": [null, most, 3]}), json!([])),
            ("Pad", json!({"pad_width": [[0, 0], [most, most], [0, 0]]}), json!([])),
            ("ExpandDims", json!({"axis": [4, 4]}), json!([])),
            ("Slice", json!({"shape": [-1, 2, 2]}), json!([[0, most, 0]])),
            ("GetItem", json!({}), json!([[0, 0]])),
            (
                "GetItem",
                json!({}),
                json!([{"class_name": "__slice__", "config": {"start": 4, "stop": null, "step": null}}]),
            ),
            ("Take", json!({"axis": 1}), json!([[most]])),
            ("Reshape", json!({"newshape": [-1, most]}), json!([])),
            ("Einsum", json!({"subscripts": "...A->..."}), json!([])),
            ("Softmax", json!({"axis": 0}), json!([])),
            ("Transpose", json!({"axes": [0, 1, 1]}), json!([])),
            ("Split", json!({"indices_or_sections": 0, "axis": 1}), json!([])),
            ("Roll", json!({"shift": 1, "axis": most}), json!([])),
        ] {
            let found = shape(class, settings.clone(), more.clone());
            assert!(found.is_err(), "{class} {settings} {more} gives {found:?}");
        }
        assert_eq!(shape("Slice", json!({"shape": [-1, 2, 9]}), json!([[0, 1, 0]])), Ok(vec![2, 3]));
    }

    #[test]
    fn a_class_without_a_call_is_no_operation() {
        let config = Map::from_iter([("axis".to_owned(), json!(-1))]);
        assert!(Operation::from_config("Mean", &Config::new("layer", &config)).is_none());
    }

    #[test]
    fn names_are_in_order_and_once() {
        let mut names: Vec<&str> = Operation::CLASSES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Operation::CLASSES.len());
    }
}
