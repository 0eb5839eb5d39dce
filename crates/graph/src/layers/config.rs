//! Reading a layer's config: typed access with defaults, errors that name the layer, and a list of keys that
//! nobody read.

use crate::{Error, Result, json};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A layer's config in the form of Keras 3.
#[derive(Debug)]
pub struct Config<'a> {
    layer: &'a str,
    map: &'a Map<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

/// Keys that say nothing about what a layer computes: read by the format, or only of use to Keras's training.
const SILENT: &[&str] = &[
    "name",
    "trainable",
    "dtype",
    "batch_shape",
    "batch_input_shape",
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "depthwise_regularizer",
    "pointwise_regularizer",
    "beta_regularizer",
    "gamma_regularizer",
    "kernel_constraint",
    "bias_constraint",
    "depthwise_constraint",
    "pointwise_constraint",
    "beta_constraint",
    "gamma_constraint",
    "quantization_config",
    "lora_rank",
    "lora_alpha",
    "seed",
    "renorm",
    "renorm_clipping",
    "renorm_momentum",
    "synchronized",
    "fused",
    "virtual_batch_size",
    "build_config",
    "autocast",
];

impl<'a> Config<'a> {
    /// Wraps the config of the layer with this path.
    pub fn new(layer: &'a str, map: &'a Map<String, Value>) -> Self {
        Self { layer, map, read: RefCell::default() }
    }

    /// The value of a key; JSON's `null` counts as absent.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(key.to_owned());
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// All keys but these, with what they hold.
    pub fn all_but(&self, keys: &[&str]) -> Map<String, Value> {
        let is_other = |(key, _): &(&String, &Value)| !keys.contains(&key.as_str());
        let others = self.map.iter().filter(is_other);
        others
            .map(|(key, value)| {
                self.read.borrow_mut().insert(key.clone());
                (key.clone(), value.clone())
            })
            .collect()
    }

    /// An error about this layer.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::config(self.layer, message)
    }

    fn wrong(&self, key: &str, expected: &str, found: &Value) -> Error {
        self.error(format!("`{key}` is {found}\nhelp: expected {expected}"))
    }

    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| self.wrong(key, expected, value)),
        }
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.error(format!("its config has no `{key}`")))
    }

    /// A whole number that must be there.
    pub fn usize(&self, key: &str) -> Result<usize> {
        let value = self.read(key, "a whole number", as_usize)?;
        self.required(key, value)
    }

    /// A whole number.
    pub fn usize_or(&self, key: &str, default: usize) -> Result<usize> {
        Ok(self.read(key, "a whole number", as_usize)?.unwrap_or(default))
    }

    /// A number.
    pub fn f32_or(&self, key: &str, default: f32) -> Result<f32> {
        Ok(self.f32(key)?.unwrap_or(default))
    }

    /// A number, where it is there.
    pub fn f32(&self, key: &str) -> Result<Option<f32>> {
        self.read(key, "a number", |value| json::number(value).map(|number| number as f32))
    }

    /// True or false.
    pub fn bool_or(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.read(key, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    /// A string.
    pub fn str_or(&self, key: &str, default: &'a str) -> Result<&'a str> {
        Ok(self.read(key, "a string", Value::as_str)?.unwrap_or(default))
    }

    /// A number for both axes, or one an axis: `[height, width]`.
    pub fn pair(&self, key: &str) -> Result<Option<[usize; 2]>> {
        self.read(key, "a whole number or two", |value| match value {
            Value::Array(items) => match items.as_slice() {
                [one] => Some([as_usize(one)?; 2]),
                [height, width] => Some([as_usize(height)?, as_usize(width)?]),
                _ => None,
            },
            _ => as_usize(value).map(|extent| [extent; 2]),
        })
    }

    /// [`Config::pair`] with a default.
    pub fn pair_or(&self, key: &str, default: [usize; 2]) -> Result<[usize; 2]> {
        Ok(self.pair(key)?.unwrap_or(default))
    }

    /// [`Config::pair`] that must be there.
    pub fn required_pair(&self, key: &str) -> Result<[usize; 2]> {
        let pair = self.pair(key)?;
        self.required(key, pair)
    }

    /// A list of numbers (nested lists are flattened), or one number as a list of one.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f32>>> {
        self.read(key, "a number or a list of numbers", |value| {
            let mut numbers = Vec::new();
            flatten(value, &mut numbers).then_some(numbers)
        })
    }

    /// Fails where the layer wants channels before height and width, which frostline does not run.
    pub fn channels_last(&self) -> Result<()> {
        match self.str_or("data_format", "channels_last")? {
            "channels_last" => Ok(()),
            other => Err(self.error(format!(
                "`data_format` is `{other}`\nhelp: save the model with `channels_last`, the layout that frostline runs"
            ))),
        }
    }

    /// Marks keys as read that mean nothing to the layer.
    pub(super) fn ignore(&self, keys: &[&str]) {
        self.read.borrow_mut().extend(keys.iter().map(|key| (*key).to_owned()));
    }

    /// Everything but what every layer has; counts as read.
    pub(super) fn take_all(&self) -> Map<String, Value> {
        self.read.borrow_mut().extend(self.map.keys().cloned());
        let own = |(key, _): &(&String, &Value)| !["name", "trainable", "dtype"].contains(&key.as_str());
        self.map.iter().filter(own).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Other settings of the same layer.
    pub(super) fn of<'b>(&self, map: &'b Map<String, Value>) -> Config<'b>
    where
        'a: 'b,
    {
        Config::new(self.layer, map)
    }

    /// The keys that nobody has read and that could change what the layer computes.
    pub fn unread(&self) -> Vec<String> {
        let read = self.read.borrow();
        let unknown = |(key, value): &(&String, &Value)| {
            !value.is_null() && !read.contains(*key) && !SILENT.contains(&key.as_str())
        };
        self.map.iter().filter(unknown).map(|(key, _)| key.clone()).collect()
    }
}

fn as_usize(value: &Value) -> Option<usize> {
    let number = value.as_u64().or_else(|| {
        value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0).map(|number| number as u64)
    })?;
    usize::try_from(number).ok().filter(|number| *number <= u32::MAX as usize)
}

fn flatten(value: &Value, numbers: &mut Vec<f32>) -> bool {
    match value {
        Value::Array(items) => items.iter().all(|item| flatten(item, numbers)),
        _ => json::number(value).map(|number| numbers.push(number as f32)).is_some(),
    }
}
