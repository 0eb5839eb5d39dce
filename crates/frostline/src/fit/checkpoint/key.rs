//! What a training depends on: a checkpoint is of one training, and of no other.

use crate::fit::Prepared;
use frostline_data::Example;
use frostline_graph::Result;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All that the numbers of a training depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TrainingKey {
    version: String,
    /// The layers and the weights as training begins, those of the new head too.
    model: String,
    /// Part, name, label and content of each image.
    images: String,
    /// Decode, resize, preprocess.
    pixels: String,
    recipe: Value,
    validation: Value,
    seed: u64,
    /// Results on another processor differ in the last bits.
    instructions: String,
}

impl TrainingKey {
    /// Errors: an image that cannot be read.
    pub(super) fn of(prepared: &Prepared) -> Result<Self> {
        let Prepared { dataset, model, setting, pipeline, validation, .. } = prepared;
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{:?}", model.graph).as_bytes());
        for (path, handle) in model.weights.iter() {
            hasher.update(path.as_bytes());
            handle.with(|tensor| {
                hasher.update(bytemuck::cast_slice(&tensor.data));
            });
        }
        let model = hasher.finalize().to_hex().to_string();
        let examples: Vec<(&str, &Example)> =
            dataset.examples().map(|(split, example)| (split.name(), example)).collect();
        let contents: Vec<_> = examples
            .par_iter()
            .map(|(_, example)| dataset.content_of(example))
            .collect::<std::result::Result<_, _>>()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{:?}", dataset.classes).as_bytes());
        for ((split, example), content) in examples.iter().zip(&contents) {
            hasher.update(format!("{split} {} {:?}", example.name, example.target).as_bytes());
            hasher.update(content.as_bytes());
        }
        let json = |value: serde_json::Result<Value>| value.unwrap_or_default();
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model,
            images: hasher.finalize().to_hex().to_string(),
            pixels: blake3::hash(format!("{pipeline:?}").as_bytes()).to_hex().to_string(),
            recipe: json(serde_json::to_value(&setting.config)),
            validation: json(serde_json::to_value(validation)),
            seed: setting.seed,
            instructions: frostline_kernels::instruction_set().to_owned(),
        })
    }

    /// What is not as it was in the training of a checkpoint, in words.
    pub(super) fn differences(&self, was: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.version != was.version {
            found.push(format!("frostline is {}, it was {}", self.version, was.version));
        }
        if self.seed != was.seed {
            found.push(format!("the setting `seed` is {}, it was {}", self.seed, was.seed));
        }
        settings("", &self.recipe, &was.recipe, &mut found);
        if self.validation != was.validation {
            found.push(format!("the setting `val` is {}, it was {}", self.validation, was.validation));
        }
        // what follows from these is not told as well
        if found.is_empty() {
            let parts = [
                (self.images != was.images, "the images or their labels are others"),
                (self.pixels != was.pixels, "images are prepared otherwise"),
                (self.model != was.model, "the model is another"),
            ];
            found.extend(parts.iter().filter(|(differs, _)| *differs).map(|(_, what)| (*what).to_owned()));
        }
        found
    }

    /// The instructions that the processor of a checkpoint had, where this one has others.
    pub(super) fn other_processor<'a>(&self, was: &'a Self) -> Option<&'a str> {
        (self.instructions != was.instructions).then_some(was.instructions.as_str())
    }
}

/// The settings that differ, by their names in a recipe.
fn settings(of: &str, own: &Value, was: &Value, found: &mut Vec<String>) {
    match (own, was) {
        (Value::Object(own), Value::Object(was)) => {
            let missing = was.keys().filter(|key| !own.contains_key(*key));
            for key in own.keys().chain(missing) {
                let at = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                match (at(own), at(was)) {
                    (own, was) if own == was => {}
                    (
                        own @ (Value::Object(_) | Value::Array(_)),
                        was @ (Value::Object(_) | Value::Array(_)),
                    ) => {
                        settings(&format!(" of `{key}`{of}"), &own, &was, found);
                    }
                    (own, was) => {
                        found.push(format!(
                            "the setting `{key}`{of} is {}, it was {}",
                            shown(&own),
                            shown(&was)
                        ));
                    }
                }
            }
        }
        (Value::Array(own), Value::Array(was)) if own.len() == was.len() => {
            for (index, (own, was)) in own.iter().zip(was).enumerate() {
                settings(&format!("{of} {}", index + 1), own, was, found);
            }
        }
        (own, was) if own != was => {
            found.push(format!("the setting{of} is {}, it was {}", shown(own), shown(was)));
        }
        _ => {}
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not given".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_that_differ_are_named() {
        let own = json!({"batch": 32, "stage": [{"lr": 0.1}, {"lr": 0.01}], "patience": 3});
        let was = json!({"batch": 16, "stage": [{"lr": 0.1}, {"lr": 0.02}], "clip-norm": 1.0});
        let mut found = Vec::new();
        settings("", &own, &was, &mut found);
        assert_eq!(
            found,
            [
                "the setting `batch` is 32, it was 16",
                "the setting `lr` of `stage` 2 is 0.01, it was 0.02",
                "the setting `patience` is 3, it was not given",
                "the setting `clip-norm` is not given, it was 1.0"
            ]
        );
    }
}
