//! Layers that only do something while Keras trains: random augmentation, noise, regularisation of activities.
//! Here they are the identity always, as they are at inference; `--augment` does their work before the cache, so
//! that it is seeded and said. They keep their config, and with it their meaning when Keras trains on.

use super::{Config, LayerKind};
use crate::ops::{Lowering, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value};

/// The layer's class and its config, verbatim.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    class_name: &'static str,
    config: Map<String, Value>,
}

impl Identity {
    /// The classes that are the identity at inference.
    pub const CLASSES: &[&'static str] = &[
        "ActivityRegularization",
        "AlphaDropout",
        "AugMix",
        "CutMix",
        "Equalization",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "MixUp",
        "RandAugment",
        "RandomBrightness",
        "RandomColorDegeneration",
        "RandomColorJitter",
        "RandomContrast",
        "RandomCrop",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomHue",
        "RandomInvert",
        "RandomPerspective",
        "RandomPosterization",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "RandomTranslation",
        "RandomZoom",
        "Solarization",
    ];

    /// Whether Keras changes images with it while it trains.
    pub fn is_augmentation(&self) -> bool {
        let others = ["AugMix", "CutMix", "Equalization", "MixUp", "RandAugment", "Solarization"];
        self.class_name.starts_with("Random") || others.contains(&self.class_name)
    }

    /// The class's config, verbatim.
    pub fn from_config(class_name: &'static str, config: &Config<'_>) -> Option<Result<Self>> {
        Some(Ok(Self { class_name, config: config.take_all() }))
    }
}

impl LayerKind for Identity {
    fn class_name(&self) -> &'static str {
        self.class_name
    }

    fn config(&self) -> Map<String, Value> {
        self.config.clone()
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let shape = super::one_of(inputs)?;
        let size = ["height", "width"].map(|key| self.config.get(key).and_then(Value::as_u64));
        if let ("RandomCrop", [Some(height), Some(width)], [rows, columns, _]) =
            (self.class_name, size, shape.as_slice())
            && [height, width] != [*rows as u64, *columns as u64]
        {
            return Err(format!(
                "it crops images of {rows} x {columns} to {height} x {width} while Keras trains; at inference Keras 3 leaves them as they are, and tf.keras resizes them\nhelp: put a CenterCrop or a Resizing in its place in Python, as the images are meant to be"
            ));
        }
        Ok(shape.clone())
    }

    fn lower(&self, _: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        Ok(inputs[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;
    use serde_json::json;

    #[test]
    fn layers_that_only_keras_trains_with_keep_their_config() {
        for class in Identity::CLASSES {
            let config =
                json!({"name": "a", "trainable": true, "dtype": "float32", "factor": [0.1, 0.2], "seed": 3});
            let kind = read(class, config).expect("valid");
            assert_eq!(Value::Object(kind.config()), json!({"factor": [0.1, 0.2], "seed": 3}));
            assert_eq!((kind.class_name(), kind.output_shape(&[vec![2, 3, 4]])), (*class, Ok(vec![2, 3, 4])));
        }
    }
}
