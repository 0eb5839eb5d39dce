//! The numbers that layers store their weights in and compute with, as their `dtype` says. Here all are float32.

use serde_json::Value;
use std::collections::BTreeMap;

/// Keras's mode of 8 bits, the one whose weights are read.
pub(super) const INT8: &str = "int8";
/// Modes that store weights in 8 bits or fewer.
const QUANTISED: &[&str] = &["int4", INT8, "float8", "gptq", "awq"];

/// What a `dtype` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy<'a> {
    /// float32, or nothing.
    Float32,
    /// Another policy of floats, by its name: `mixed_float16`.
    Floats(&'a str),
    /// Weights of 8 bits or fewer, by their mode.
    Quantised(&'a str),
}

/// Reads a `dtype`: a name, a `DTypePolicy`, the `Policy` of tf.keras, a map of policies with a default, or a quantised policy.
pub(super) fn policy(dtype: &Value) -> Policy<'_> {
    let name = match dtype {
        Value::String(name) => name.as_str(),
        dtype => {
            let config = &dtype["config"];
            if !config["default_policy"].is_null() {
                return policy(&config["default_policy"]);
            }
            config["name"].as_str().or(config["mode"].as_str()).unwrap_or_default()
        }
    };
    let mode = QUANTISED.iter().find(|mode| name.starts_with(**mode));
    match (mode, name) {
        (Some(mode), _) => Policy::Quantised(mode),
        (None, "" | "float32" | "_infer") => Policy::Float32,
        (None, name) if name.contains("float") => Policy::Floats(name),
        // whole numbers: those of inputs and of lookups
        (None, _) => Policy::Float32,
    }
}

/// What a layer's `dtype` is in a file that is written: weights are float32 there. Whole numbers, as inputs may be, stay.
pub(super) fn written(dtype: &Value) -> Value {
    let is_map = !dtype["config"]["default_policy"].is_null();
    match policy(dtype) {
        Policy::Float32 if !is_map => dtype.clone(),
        _ => Value::from("float32"),
    }
}

/// What layers of a model store and compute, where it is not float32, and how many do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Policies(BTreeMap<String, usize>);

impl Policies {
    /// Counts a layer.
    pub(super) fn note(&mut self, dtype: &Value) {
        // a layer of another mode is not run, and says so itself
        if let Policy::Floats(name) | Policy::Quantised(name @ INT8) = policy(dtype) {
            *self.0.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// One line for each policy that layers have.
    pub(super) fn warnings(&self) -> Vec<String> {
        let line = |(name, count): (&String, &usize)| {
            let whose = match count {
                1 => "1 layer has".to_owned(),
                count => format!("{count} layers have"),
            };
            let what = match name.as_str() {
                INT8 => {
                    "their weights are taken as the float32 numbers that they stand for, and products are computed in float32; Keras rounds a layer's input to 8 bits as well, so its outputs are less exact"
                }
                "float64" => "weights are rounded to float32, and all is computed in float32",
                _ => {
                    "weights are taken as they are, and all is computed in float32, so outputs differ from Keras's by its rounding"
                }
            };
            format!("{whose} the dtype policy `{name}`: {what}; what is written is float32")
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn policies_of_all_versions_are_read() {
        for (dtype, expected) in [
            (json!(null), Policy::Float32),
            (json!("float32"), Policy::Float32),
            (json!("int64"), Policy::Float32),
            (json!("bfloat16"), Policy::Floats("bfloat16")),
            (
                json!({"class_name": "Policy", "config": {"name": "mixed_float16"}}),
                Policy::Floats("mixed_float16"),
            ),
            (json!({"class_name": "DTypePolicy", "config": {"name": "float32"}}), Policy::Float32),
            (
                json!({"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8", "source_name": "float32"}}),
                Policy::Quantised("int8"),
            ),
            (json!("int4_from_mixed_bfloat16"), Policy::Quantised("int4")),
            (
                json!({"class_name": "DTypePolicyMap", "config": {"default_policy": "float16", "policy_map": {}}}),
                Policy::Floats("float16"),
            ),
        ] {
            assert_eq!(policy(&dtype), expected, "{dtype}");
            if expected != Policy::Float32 {
                assert_eq!(written(&dtype), "float32");
            }
        }
    }

    #[test]
    fn whole_numbers_stay_whole() {
        assert_eq!(written(&json!("int32")), "int32");
    }

    #[test]
    fn a_policy_is_said_once() {
        let mut policies = Policies::default();
        for dtype in ["float32", "mixed_float16", "mixed_float16", "int8_from_float32"] {
            policies.note(&json!(dtype));
        }
        let warnings = policies.warnings();
        assert_eq!(warnings.len(), 2);
        assert!(warnings[1].starts_with("2 layers have the dtype policy `mixed_float16`"), "{warnings:?}");
    }
}
