//! What an operation is called on, as the graph keeps it.

use crate::json::{number, of_number};
use crate::{Extents, Tensor};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// One argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// The tensor of this place among those that the layer is called on.
    Tensor(usize),
    /// Numbers that are part of the model.
    Array(Array),
    /// Several of them.
    List(Vec<Argument>),
    /// A number, a slice, a text, nothing: as Keras 3 writes it.
    Setting(Value),
}

/// An array that is part of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The numbers, batch counted.
    pub tensor: Arc<Tensor>,
    /// Keras's name of their type in its file.
    pub dtype: String,
}

impl Argument {
    /// Reads an argument in the form of the graph: `{"tensor": 0}`, `{"array": [...], "dtype": "float32"}`, a list, a setting.
    pub fn read(value: &Value) -> Result<Self, String> {
        if let Some(place) = value.get("tensor").and_then(Value::as_u64) {
            return usize::try_from(place).map(Self::Tensor).map_err(|_| "a tensor of no place".to_owned());
        }
        if let Some(nested) = value.get("array") {
            let tensor = Arc::new(array(nested).ok_or("a constant that is no array of numbers")?);
            let dtype = value.get("dtype").and_then(Value::as_str).unwrap_or("float32").to_owned();
            return Ok(Self::Array(Array { tensor, dtype }));
        }
        match value {
            Value::Array(items) if items.iter().any(holds_values) => {
                items.iter().map(Self::read).collect::<Result<_, _>>().map(Self::List)
            }
            other => Ok(Self::Setting(other.clone())),
        }
    }

    /// The form that [`Argument::read`] reads.
    pub fn json(&self) -> Value {
        self.write(
            &|place| json!({"tensor": place}),
            &|array| json!({"array": nested(&array.tensor.shape, &array.tensor.data), "dtype": array.dtype}),
        )
    }

    /// The argument as Keras 3 writes it, where `tensor` says what stands for the tensor of a place.
    pub fn keras(&self, tensor: &dyn Fn(usize) -> Value) -> Value {
        self.write(tensor, &|array| {
            let value = nested(&array.tensor.shape, &array.tensor.data);
            json!({"class_name": "__numpy__", "config": {"value": value, "dtype": array.dtype}})
        })
    }

    fn write(&self, tensor: &dyn Fn(usize) -> Value, array: &dyn Fn(&Array) -> Value) -> Value {
        match self {
            Self::Tensor(place) => tensor(*place),
            Self::Array(own) => array(own),
            Self::List(items) => items.iter().map(|item| item.write(tensor, array)).collect(),
            Self::Setting(value) => value.clone(),
        }
    }
}

fn holds_values(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_values),
        Value::Object(map) => map.contains_key("tensor") || map.contains_key("array"),
        _ => false,
    }
}

/// Numbers in lists in lists, all of one length on each level. True counts as 1.
pub(super) fn array(nested: &Value) -> Option<Tensor> {
    let mut shape = Vec::new();
    let mut level = nested;
    while let Value::Array(items) = level {
        shape.push(items.len());
        level = items.first()?;
        if shape.len() > 16 {
            return None;
        }
    }
    let mut data = Vec::with_capacity(shape.elements().min(1 << 20));
    collect(nested, &shape, &mut data)?;
    Some(Tensor { shape, data })
}

fn collect(value: &Value, shape: &[usize], data: &mut Vec<f32>) -> Option<()> {
    match (value, shape) {
        (Value::Array(items), [len, rest @ ..]) if items.len() == *len => {
            items.iter().try_for_each(|item| collect(item, rest, data))
        }
        (Value::Bool(value), []) => {
            data.push(f32::from(*value));
            Some(())
        }
        (value, []) => {
            data.push(number(value)? as f32);
            Some(())
        }
        _ => None,
    }
}

/// The numbers of an array in lists in lists.
fn nested(shape: &[usize], data: &[f32]) -> Value {
    match shape {
        [] => data.first().map_or(Value::Null, |number| of_number(*number)),
        [_, rest @ ..] => data.chunks(rest.elements().max(1)).map(|part| nested(rest, part)).collect(),
    }
}

/// What a call is given: by place, then by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    /// By place.
    pub positional: Vec<Argument>,
    /// By name.
    pub named: Vec<(String, Argument)>,
}

impl Arguments {
    /// Reads `{"args": [...], "kwargs": {...}}`, each argument in the form of [`Argument::read`].
    pub fn read(call: &Value) -> Result<Self, String> {
        let positional = call["args"].as_array().into_iter().flatten().map(Argument::read);
        let named = call["kwargs"].as_object().into_iter().flatten();
        let named = named.map(|(name, value)| Ok((name.clone(), Argument::read(value)?)));
        Ok(Self {
            positional: positional.collect::<Result<_, String>>()?,
            named: named.collect::<Result<_, String>>()?,
        })
    }

    /// The form that [`Arguments::read`] reads.
    pub fn json(&self) -> Value {
        self.write(&Argument::json)
    }

    /// The arguments as Keras 3 writes them.
    pub fn keras(&self, tensor: &dyn Fn(usize) -> Value) -> Value {
        self.write(&|argument: &Argument| argument.keras(tensor))
    }

    fn write(&self, argument: &dyn Fn(&Argument) -> Value) -> Value {
        let named: Map<String, Value> =
            self.named.iter().map(|(name, value)| (name.clone(), argument(value))).collect();
        json!({"args": self.positional.iter().map(argument).collect::<Vec<_>>(), "kwargs": named})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_as_they_are_written() {
        let call = json!({
            "args": [{"tensor": 0}, [{"tensor": 1}, {"array": [[1.5], [-2.0]], "dtype": "float32"}], [1, null], "same"],
            "kwargs": {"axis": -1, "x2": {"array": [true, false], "dtype": "bool"}}
        });
        let read = Arguments::read(&call).expect("valid");
        let Argument::List(items) = &read.positional[1] else { panic!("no list") };
        let Argument::Array(array) = &items[1] else { panic!("no array") };
        assert_eq!(
            (array.tensor.shape.as_slice(), array.tensor.data.as_slice()),
            (&[2, 1][..], &[1.5, -2.0][..])
        );
        assert_eq!(read.positional[2], Argument::Setting(json!([1, null])));
        let again = Arguments::read(&read.json()).expect("valid");
        assert_eq!(again, read);
    }

    #[test]
    fn ragged_lists_are_no_arrays() {
        for wrong in [json!([[1.0], [2.0, 3.0]]), json!([1.0, [2.0]]), json!(["a"]), json!([null])] {
            assert!(array(&wrong).is_none(), "{wrong}");
        }
        assert_eq!(array(&json!(2.5)).map(|tensor| (tensor.shape, tensor.data)), Some((vec![], vec![2.5])));
    }
}
