//! Masks in the files of Keras 3: a Functional model writes down the mask that a layer was called with, and the operations that make
//! it. Where it is the one that follows from the layers below, both are left out: it is handed from layer to layer here, as it
//! is in Keras when it reads a model.

use super::dialect::normalise;
use super::inbound::{ATTENTION, tensors};
use frostline_graph::layers::{Config, Kind, MaskRule, read_kind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Layers in a row that a mask is followed through.
const MAX_DEPTH: usize = 400;
/// Operations that masks are made with.
const MADE_WITH: &[&str] =
    &["NotEqual", "LogicalOr", "Any", "ConvertToTensor", "ExpandDims", "ZerosLike", "Concatenate"];

/// The keywords that masks are given by, with the place of the argument that each is for.
const KEYWORDS: &[(&str, usize)] = &[("mask", 0), ("query_mask", 0), ("value_mask", 1), ("key_mask", 2)];

/// What the steps that count are read off.
type Sources = BTreeSet<String>;

/// The layers without masks that follow from the layers below. `outputs`: those of the model, as its config has them.
pub(super) fn without_masks(layers: &[Value], outputs: &Value) -> Vec<Value> {
    let mut layers = layers.to_vec();
    let found = Found::of(&layers);
    let mut dropped: Vec<(usize, usize)> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        for (node, call) in nodes(layer).iter().enumerate() {
            let given = given(call);
            let follows = |(mask, input): &(Option<&str>, Option<&str>)| {
                let implicit = input.and_then(|input| found.implicit(input, 0));
                match mask {
                    Some(mask) => implicit.is_some() && found.explicit(mask, 0) == implicit,
                    None => implicit.is_none(),
                }
            };
            if given.iter().any(|(mask, _)| mask.is_some()) && given.iter().all(follows) {
                dropped.push((index, node));
            }
        }
    }
    if dropped.is_empty() {
        return layers;
    }
    for (layer, node) in dropped {
        let call = layers[layer].get_mut("inbound_nodes").and_then(|nodes| nodes.get_mut(node));
        if let Some(keywords) = call.and_then(|call| call["kwargs"].as_object_mut()) {
            KEYWORDS.iter().for_each(|(keyword, _)| drop(keywords.remove(*keyword)));
        }
    }
    // the operations that made them, where nothing else reads those
    let outputs: BTreeSet<String> = tensors(outputs).into_iter().map(|tensor| tensor.layer).collect();
    loop {
        let read: BTreeSet<String> = layers.iter().flat_map(read_by).collect();
        let before = layers.len();
        layers.retain(|layer| {
            let is_made_with = layer["class_name"].as_str().is_some_and(|class| MADE_WITH.contains(&class));
            !is_made_with || name(layer).is_none_or(|name| read.contains(name) || outputs.contains(name))
        });
        if layers.len() == before {
            return layers;
        }
    }
}

/// Whether a model's config has layers that say which steps of a sequence count.
pub(super) fn makes_masks(config: &Value) -> bool {
    match config {
        Value::Array(items) => items.iter().any(makes_masks),
        Value::Object(map) => {
            map.get("class_name").is_some_and(|class| class == "Masking")
                || map.get("mask_zero").is_some_and(|mask| mask == true)
                || map.values().any(makes_masks)
        }
        _ => false,
    }
}

fn name(layer: &Value) -> Option<&str> {
    layer["name"].as_str().or_else(|| layer["config"]["name"].as_str())
}

fn nodes(layer: &Value) -> &[Value] {
    layer["inbound_nodes"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The layer that a tensor comes out of.
fn history(value: &Value) -> Option<&str> {
    value["config"]["keras_history"].get(0).and_then(Value::as_str)
}

/// The masks that a call is given, each with the value that it is for: a list of them is for a list of values.
fn given(call: &Value) -> Vec<(Option<&str>, Option<&str>)> {
    let inputs = arguments(call);
    let mut found = Vec::new();
    for (keyword, place) in KEYWORDS {
        match &call["kwargs"][*keyword] {
            Value::Null => {}
            Value::Array(masks) => {
                found.extend(masks.iter().zip(&inputs).map(|(mask, input)| (history(mask), Some(*input))));
            }
            mask => {
                let named = ATTENTION.get(*place).and_then(|name| history(&call["kwargs"][*name]));
                found.push((history(mask), named.or_else(|| inputs.get(*place).copied())));
            }
        }
    }
    found
}

/// The layers whose outputs a call is on, by its arguments.
fn arguments(call: &Value) -> Vec<&str> {
    let all = call["args"].as_array().map(Vec::as_slice).unwrap_or_default();
    let flat = all.iter().flat_map(|one| one.as_array().map_or(std::slice::from_ref(one), Vec::as_slice));
    flat.filter_map(history).collect()
}

/// The layers that a layer reads in any way.
fn read_by(layer: &Value) -> Vec<String> {
    fn collect(value: &Value, depth: usize, found: &mut Vec<String>) {
        if let Some(name) = history(value) {
            found.push(name.to_owned());
        }
        match value {
            _ if depth > 32 => {}
            Value::Array(items) => items.iter().for_each(|item| collect(item, depth + 1, found)),
            Value::Object(map) => map.values().for_each(|item| collect(item, depth + 1, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    nodes(layer).iter().for_each(|call| collect(call, 0, &mut found));
    found
}

/// What differs from a value.
fn source(layer: &str, value: f64) -> String {
    format!("{layer} is not {value}")
}

/// Anywhere among the channels of a step.
fn over_channels(source: String) -> String {
    format!("a channel of {source}")
}

fn is_channels(axis: &Value) -> bool {
    let axis = axis.as_array().filter(|axes| axes.len() == 1).map_or(axis, |axes| &axes[0]);
    axis.as_i64().is_some_and(|axis| axis == -1 || axis == 2)
}

struct Found<'a>(BTreeMap<&'a str, &'a Value>);

impl<'a> Found<'a> {
    /// A layer that is called more than once is none of those that are followed.
    fn of(layers: &'a [Value]) -> Self {
        let once = layers.iter().filter(|layer| nodes(layer).len() == 1);
        Self(once.filter_map(|layer| Some((name(layer)?, layer))).collect())
    }

    fn call(&self, layer: &str) -> Option<(&'a Value, &'a Value)> {
        let layer = self.0.get(layer)?;
        Some((layer, nodes(layer).first()?))
    }

    /// What a mask that is written down is made of.
    fn explicit(&self, layer: &str, depth: usize) -> Option<Sources> {
        let (own, call) = self.call(layer)?;
        let inputs = arguments(call);
        match own["class_name"].as_str()? {
            _ if depth > MAX_DEPTH => None,
            "NotEqual" if inputs.len() == 1 => {
                Some(Sources::from([source(inputs.first()?, call["args"][1].as_f64()?)]))
            }
            "Any" if is_channels(&own["config"]["axis"]) => {
                let below = inputs.first()?;
                let made = self.explicit(below, depth + 1)?;
                let of_values = self.0.get(below)?["class_name"] == "NotEqual";
                Some(if of_values { made.into_iter().map(over_channels).collect() } else { made })
            }
            "ConvertToTensor" | "ExpandDims" => self.explicit(inputs.first()?, depth + 1),
            // nothing, in the shape of the values
            "ZerosLike" => Some(Sources::new()),
            "LogicalOr" | "Concatenate" => {
                let parts: Option<Vec<Sources>> =
                    inputs.iter().map(|input| self.explicit(input, depth + 1)).collect();
                parts.map(|parts| parts.into_iter().flatten().collect())
            }
            _ => None,
        }
    }

    /// The mask that follows from the layers below.
    fn implicit(&self, layer: &str, depth: usize) -> Option<Sources> {
        let (own, call) = self.call(layer)?;
        let inputs = arguments(call);
        let (class, config) = normalise(own["class_name"].as_str()?, own["config"].as_object()?, 3);
        let kind = read_kind(&class, &Config::new(layer, &config))?.ok()?;
        if depth > MAX_DEPTH {
            return None;
        }
        match &kind {
            Kind::Embedding(layer) if layer.mask_zero => {
                return Some(Sources::from([source(inputs.first()?, 0.0)]));
            }
            Kind::Masking(layer) => {
                let made = source(inputs.first()?, f64::from(layer.mask_value));
                return Some(Sources::from([over_channels(made)]));
            }
            _ => {}
        }
        match kind.on_mask() {
            MaskRule::Passed => {
                let first = self.implicit(inputs.first()?, depth + 1)?;
                let same = |input: &&str| self.implicit(input, depth + 1).as_ref() == Some(&first);
                inputs.iter().skip(1).all(same).then_some(first)
            }
            MaskRule::Own if kind.keeps_steps() => {
                let first = history(&call["kwargs"][ATTENTION[0]]).or_else(|| inputs.first().copied());
                self.implicit(first?, depth + 1)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tensor(layer: &str) -> Value {
        json!({"class_name": "__keras_tensor__", "config": {"keras_history": [layer, 0, 0]}})
    }

    fn layers(mask: &str) -> Vec<Value> {
        let layer = |class: &str, name: &str, config: Value, args: Value, kwargs: Value| json!({"class_name": class, "name": name, "config": config, "inbound_nodes": [{"args": args, "kwargs": kwargs}]});
        vec![
            layer(
                "Embedding",
                "words",
                json!({"input_dim": 9, "output_dim": 4, "mask_zero": true}),
                json!([tensor("in")]),
                json!({}),
            ),
            layer("NotEqual", "not_equal", json!({}), json!([tensor("in"), 0]), json!({})),
            layer("NotEqual", "other", json!({}), json!([tensor("elsewhere"), 0]), json!({})),
            layer("Dropout", "drop", json!({"rate": 0.1}), json!([tensor("words")]), json!({})),
            layer(
                "LSTM",
                "lstm",
                json!({"units": 3}),
                json!([tensor("drop")]),
                json!({"mask": tensor(mask), "training": false}),
            ),
        ]
    }

    #[test]
    fn a_mask_that_follows_from_the_layers_below_is_left_out_with_what_makes_it() {
        let names = |layers: &[Value]| -> Vec<String> {
            layers.iter().filter_map(|layer| name(layer).map(str::to_owned)).collect()
        };
        let outputs = json!([["lstm", 0, 0]]);
        let without = without_masks(&layers("not_equal"), &outputs);
        assert_eq!(names(&without), ["words", "drop", "lstm"]);
        assert_eq!(without[2]["inbound_nodes"][0]["kwargs"], json!({"training": false}));
        assert_eq!(without_masks(&layers("other"), &outputs).len(), 5, "a mask of something else stays");
        let outputs = json!([["lstm", 0, 0], ["not_equal", 0, 0]]);
        assert_eq!(without_masks(&layers("not_equal"), &outputs).len(), 4, "an output stays");
    }
}
