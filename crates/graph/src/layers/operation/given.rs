//! What an operation lowers itself with: its settings and arguments by name, axes counted without the batch, and values.

use super::Operation;
use super::argument::{Argument, array};
use crate::json::number;
use crate::layers::relu::softmax_along;
use crate::ops::{Constant, Lowering, Op, Reshape, ValueId};
use crate::{Error, Extents, Result, Shape, Tensor};
use serde_json::Value;
use std::sync::Arc;

/// An operation that is being lowered.
pub(super) struct Given<'a, 'p> {
    pub(super) operation: &'a Operation,
    inputs: &'a [ValueId],
    lowering: &'a mut Lowering<'p>,
}

/// What stands where a tensor may: a value of the program, or numbers that are part of the model.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Value(ValueId),
    Array(Arc<Tensor>),
}

/// No axis has more places.
const MOST_PLACES: usize = 1 << 24;
/// What cannot be: each image of a batch is computed alone.
const OVER_THE_BATCH: &str = "it goes over the images of a batch, each of which is computed alone here";

impl<'a, 'p> Given<'a, 'p> {
    pub(super) fn new(
        operation: &'a Operation,
        inputs: &'a [ValueId],
        lowering: &'a mut Lowering<'p>,
    ) -> Self {
        Self { operation, inputs, lowering }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        self.lowering.error(message)
    }

    /// The error for an axis that is the batch's.
    pub(super) fn over_the_batch(&self) -> Error {
        self.error(OVER_THE_BATCH)
    }

    fn argument(&self, name: &str) -> Option<&'a Argument> {
        let operation = self.operation;
        let named = operation.arguments.named.iter().find(|(own, _)| own == name).map(|(_, value)| value);
        let place = operation.class.parameters.iter().position(|own| *own == name);
        named.or_else(|| operation.arguments.positional.get(place?))
    }

    /// A setting: an argument of the constructor, or of the call; JSON's `null` counts as absent.
    pub(super) fn setting(&self, name: &str) -> Option<&'a Value> {
        let own = self.operation.settings.get(name);
        let called = || match self.argument(name)? {
            Argument::Setting(value) => Some(value),
            _ => None,
        };
        own.or_else(called).filter(|value| !value.is_null())
    }

    /// Whether an argument is given in the call, and is something.
    pub(super) fn has(&self, name: &str) -> bool {
        self.argument(name).is_some_and(|argument| *argument != Argument::Setting(Value::Null))
    }

    pub(super) fn whole(&self, name: &str) -> Result<Option<i64>> {
        let wrong = || self.error(format!("its `{name}` is no whole number"));
        self.setting(name).map(|value| whole(value).ok_or_else(wrong)).transpose()
    }

    /// A whole number, or several.
    pub(super) fn wholes(&self, name: &str) -> Result<Option<Vec<i64>>> {
        if let Some(Argument::Array(own)) = self.argument(name) {
            return Ok(Some(own.tensor.data.iter().map(|number| *number as i64).collect()));
        }
        let wrong = || self.error(format!("its `{name}` is neither a whole number nor a list of them"));
        let read = |value: &Value| match value {
            Value::Array(items) => items.iter().map(whole).collect(),
            one => whole(one).map(|one| vec![one]),
        };
        self.setting(name).map(|value| read(value).ok_or_else(wrong)).transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f32>> {
        let wrong = || self.error(format!("its `{name}` is no number"));
        self.setting(name)
            .map(|value| number(value).map(|number| number as f32).ok_or_else(wrong))
            .transpose()
    }

    pub(super) fn number_or(&self, name: &str, default: f32) -> Result<f32> {
        Ok(self.number(name)?.unwrap_or(default))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.setting(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn text(&self, name: &str, default: &'static str) -> &'a str {
        self.setting(name).and_then(Value::as_str).unwrap_or(default)
    }

    /// Refuses another order of axes than channels last.
    pub(super) fn channels_last(&self) -> Result<()> {
        match self.text("data_format", "channels_last") {
            "channels_last" => Ok(()),
            other => Err(self.error(format!("its data_format is `{other}`, where channels_last is run"))),
        }
    }

    /// The axis counted without the batch, of a value of this many axes without the batch.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let counted = if axis < 0 { axis + rank as i64 + 1 } else { axis };
        match usize::try_from(counted) {
            Ok(0) => Err(self.over_the_batch()),
            Ok(axis) if axis <= rank => Ok(axis - 1),
            _ => Err(self.error(format!("its axis {axis} is none of its input's"))),
        }
    }

    /// The axis of the setting of this name, or `default`.
    pub(super) fn axis_or(&self, name: &str, default: i64, rank: usize) -> Result<usize> {
        self.axis(self.whole(name)?.unwrap_or(default), rank)
    }

    /// The axes of the setting of this name, sorted, each once. None are all of them, the batch's too.
    pub(super) fn axes(&self, name: &str, rank: usize) -> Result<Vec<usize>> {
        let named = self.wholes(name)?.ok_or_else(|| self.over_the_batch())?;
        let mut axes = named.into_iter().map(|axis| self.axis(axis, rank)).collect::<Result<Vec<_>>>()?;
        axes.sort_unstable();
        axes.dedup();
        Ok(axes)
    }

    pub(super) fn softmax(&mut self, value: ValueId, axis: usize) -> Result<ValueId> {
        softmax_along(self.lowering, value, axis)
    }

    pub(super) fn shape(&self, value: ValueId) -> Shape {
        self.lowering.shape(value).clone()
    }

    pub(super) fn rank(&self, value: ValueId) -> usize {
        self.lowering.shape(value).len()
    }

    fn read(&self, name: &str, argument: &Argument) -> Result<Operand> {
        let wrong = || self.error(format!("its `{name}` is neither a tensor nor numbers"));
        match argument {
            Argument::Tensor(place) => self.inputs.get(*place).copied().map(Operand::Value).ok_or_else(wrong),
            Argument::Array(own) => Ok(Operand::Array(own.tensor.clone())),
            Argument::Setting(value) => {
                array(value).map(|tensor| Operand::Array(Arc::new(tensor))).ok_or_else(wrong)
            }
            Argument::List(_) => Err(wrong()),
        }
    }

    /// What is given as this argument.
    pub(super) fn operand(&self, name: &str) -> Result<Operand> {
        let argument =
            self.argument(name).ok_or_else(|| self.error(format!("it is called without `{name}`")))?;
        self.read(name, argument)
    }

    /// What is given as this argument, which has to be a tensor.
    pub(super) fn tensor(&self, name: &str) -> Result<ValueId> {
        match self.operand(name)? {
            Operand::Value(value) => Ok(value),
            Operand::Array(_) => {
                Err(self.error(format!("its `{name}` is a constant, where a tensor is expected")))
            }
        }
    }

    /// What is given in this argument's list.
    pub(super) fn operands(&self, name: &str) -> Result<Vec<Operand>> {
        match self.argument(name) {
            Some(Argument::List(items)) => items.iter().map(|item| self.read(name, item)).collect(),
            Some(one @ Argument::Tensor(_)) => Ok(vec![self.read(name, one)?]),
            _ => Err(self.error(format!("its `{name}` is no list of tensors"))),
        }
    }

    /// All that it is called on by place.
    pub(super) fn all_operands(&self) -> Result<Vec<Operand>> {
        self.operation.arguments.positional.iter().map(|argument| self.read("operands", argument)).collect()
    }

    /// The numbers as they stand beside a value of so many axes: without the axis of the batch, where they have one.
    pub(super) fn beside(&self, tensor: &Tensor, rank: usize) -> Result<Tensor> {
        match tensor.shape.as_slice() {
            shape if shape.len() <= rank => Ok(tensor.clone()),
            [1, rest @ ..] if rest.len() == rank => {
                Ok(Tensor { shape: rest.to_vec(), data: tensor.data.clone() })
            }
            shape => {
                Err(self
                    .error(format!("a constant of {shape:?} meets a value of {rank} axes behind the batch")))
            }
        }
    }

    /// A value of the program for the operand, beside others of so many axes.
    pub(super) fn value(&mut self, operand: &Operand, rank: usize) -> Result<ValueId> {
        match operand {
            Operand::Value(value) => Ok(*value),
            Operand::Array(tensor) => {
                let tensor = self.beside(tensor, rank)?;
                self.constant(tensor)
            }
        }
    }

    pub(super) fn constant(&mut self, tensor: Tensor) -> Result<ValueId> {
        self.push(Constant { tensor: Arc::new(tensor) }, &[])
    }

    pub(super) fn push(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId> {
        let made = self.lowering.push(op, inputs, &[])?;
        match self.lowering.shape(made).contains(&0) {
            true => Err(self.error("it leaves nothing of its input")),
            false => Ok(made),
        }
    }

    /// So many places of an axis, if they are as many as a value may have: a few bytes of a file may ask for any number.
    pub(super) fn places(&self, count: Option<usize>) -> Result<usize> {
        let wanted = count.filter(|count| *count <= MOST_PLACES);
        wanted.ok_or_else(|| self.error("it makes more places of an axis than can be run"))
    }

    /// The value in another shape, without the batch.
    pub(super) fn reshape(&mut self, value: ValueId, shape: &[usize]) -> Result<ValueId> {
        if self.lowering.shape(value).as_slice() == shape {
            return Ok(value);
        }
        if self.lowering.shape(value).elements() != shape.elements() {
            let own = self.shape(value);
            return Err(self.error(format!("cannot reshape {own:?} to {shape:?}")));
        }
        self.push(Reshape { shape: shape.to_vec() }, &[value])
    }
}

/// A whole number, which may be written with a point.
fn whole(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64))
}
