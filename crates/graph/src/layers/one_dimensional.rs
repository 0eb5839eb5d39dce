//! Layers over one axis, `[length, channels]`: they run as their counterparts over images of height 1.

use super::{Config, Conv2D, GlobalPooling2D, Kind, LayerKind, MaskRule, WeightSpec, read_kind};
use crate::ops::{self, Binary, BinaryKind, Lowering, Reduce, ReduceKind, ValueId};
use crate::{Error, Result, Shape};
use serde_json::{Map, Value, json};

/// Settings that are one number here and two there, with what the other is.
const PAIRS: &[(&str, u64)] = &[
    ("dilation_rate", 1),
    ("kernel_size", 1),
    ("output_padding", 0),
    ("pool_size", 1),
    ("size", 1),
    ("strides", 1),
];

/// A layer over one axis.
#[derive(Clone, Debug)]
pub struct OneDimensional {
    class_name: &'static str,
    /// Verbatim.
    config: Map<String, Value>,
    over_images: Box<Kind>,
    /// Zeros before the sequence: `causal` padding.
    before: usize,
}

impl OneDimensional {
    /// Keras's classes; those over images end in `2D`.
    pub const CLASSES: &[&'static str] = &[
        "AveragePooling1D",
        "Conv1D",
        "Conv1DTranspose",
        "Cropping1D",
        "DepthwiseConv1D",
        "GlobalAveragePooling1D",
        "GlobalMaxPooling1D",
        "MaxPooling1D",
        "SeparableConv1D",
        "SpatialDropout1D",
        "UpSampling1D",
        "ZeroPadding1D",
    ];

    /// The layer over images of height 1 that it runs as.
    pub fn over_images(&self) -> &Kind {
        &self.over_images
    }

    /// How many steps of zeros are put before the sequence first.
    pub fn before(&self) -> usize {
        self.before
    }

    /// The image that the layer over images reads.
    fn image(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let mut images = images(inputs)?;
        images.iter_mut().for_each(|image| image[1] = image[1].saturating_add(self.before));
        Ok(images)
    }

    /// The mean, or the maximum, over the one axis.
    ///
    /// # Errors
    ///
    /// None that a caller can cause.
    pub fn pooling(kind: ops::PoolKind) -> Result<Self> {
        let class = match kind {
            ops::PoolKind::Average => "GlobalAveragePooling1D",
            ops::PoolKind::Max => "GlobalMaxPooling1D",
        };
        let read = Self::from_config(class, &Config::new("pooling", &Map::new()));
        read.unwrap_or_else(|| Err(Error::surgery(format!("`{class}` is no layer"))))
    }

    /// The mean over the steps that a mask has: no number where it has none, as in Keras.
    fn mean_of_steps_that_count(
        &self,
        lowering: &mut Lowering<'_>,
        input: ValueId,
        mask: ValueId,
    ) -> Result<ValueId> {
        let shape = self.output_shape(&[lowering.shape(input).clone()]).map_err(Error::surgery)?;
        let steps = lowering.shape(input)[0];
        let column = lowering.push(ops::Reshape { shape: vec![steps, 1] }, &[mask], &[])?;
        let counted = lowering.push(Binary { kind: BinaryKind::Multiply }, &[input, column], &[])?;
        let sum = Reduce { kind: ReduceKind::Sum, axes: vec![0], keep_dims: false };
        let (total, count) =
            (lowering.push(sum.clone(), &[counted], &[])?, lowering.push(sum, &[column], &[])?);
        let mean = lowering.push(Binary { kind: BinaryKind::Divide }, &[total, count], &[])?;
        match *lowering.shape(mean) == shape {
            true => Ok(mean),
            false => lowering.push(ops::Reshape { shape }, &[mean], &[]),
        }
    }

    /// Reads a layer of one of the classes; `None` for all others.
    pub fn from_config(class_name: &'static str, config: &Config<'_>) -> Option<Result<Self>> {
        let counterpart = class_name.replace("1D", "2D");
        if let Err(error) = config.channels_last() {
            return Some(Err(error));
        }
        let own = config.take_all();
        let mut settings = match over_images(&counterpart, &own) {
            Some(settings) => settings,
            None => {
                let message = "a setting has more numbers than axes\nhelp: the file may be damaged";
                return Some(Err(config.error(message)));
            }
        };
        let is_causal =
            class_name == "Conv1D" && settings.get("padding").is_some_and(|name| name == "causal");
        if is_causal {
            settings.insert("padding".to_owned(), json!("valid"));
        }
        let over_images = read_kind(&counterpart, &config.of(&settings))?;
        Some(over_images.map(|over_images| {
            // as many as make the last step of a window the step that it is for
            let before = match &over_images {
                Kind::Conv2D(Conv2D { convolution, .. }) if is_causal => {
                    (convolution.kernel_size[1] - 1).saturating_mul(convolution.sliding.dilation[1])
                }
                _ => 0,
            };
            Self { class_name, config: own, over_images: Box::new(over_images), before }
        }))
    }
}

/// The settings of the counterpart.
fn over_images(counterpart: &str, config: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut settings = config.clone();
    for (key, other) in PAIRS {
        if let Some(value) = settings.get_mut(*key).filter(|value| !value.is_null()) {
            *value = json!([other, single(value)?]);
        }
    }
    // pooling goes on by its own width where nothing else is said, but never down
    if counterpart.ends_with("Pooling2D") && settings.get("strides").is_some_and(Value::is_null) {
        settings.remove("strides");
    }
    // margins on both sides of the axis
    for key in ["padding", "cropping"] {
        if matches!(counterpart, "ZeroPadding2D" | "Cropping2D")
            && let Some(value) = settings.get_mut(key)
        {
            let sides = if value.is_array() { value.clone() } else { json!([value, value]) };
            *value = json!([[0, 0], sides]);
        }
    }
    Some(settings)
}

/// The one number, alone or in a list.
fn single(value: &Value) -> Option<Value> {
    match value {
        Value::Array(list) => <&[Value; 1]>::try_from(list.as_slice()).ok().map(|[one]| one.clone()),
        other => Some(other.clone()),
    }
}

/// `[length, channels]` as an image.
fn images(inputs: &[Shape]) -> Result<Vec<Shape>, String> {
    let image = |shape: &Shape| match shape.as_slice() {
        [length, channels] => Ok(vec![1, *length, *channels]),
        other => Err(format!("expected values [length, channels], received {other:?}")),
    };
    inputs.iter().map(image).collect()
}

/// An image of height 1 without its height; what global pooling gives is a vector already.
fn without_height(shape: &[usize]) -> Shape {
    if shape.len() == 3 { shape[1..].to_vec() } else { shape.to_vec() }
}

impl LayerKind for OneDimensional {
    fn class_name(&self) -> &'static str {
        self.class_name
    }

    fn config(&self) -> Map<String, Value> {
        self.config.clone()
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let mut weights = self.over_images.weights(&images(inputs)?)?;
        for weight in weights.iter_mut().filter(|weight| weight.shape.len() == 4) {
            weight.shape.remove(0);
        }
        Ok(weights)
    }

    fn on_mask(&self) -> MaskRule {
        match *self.over_images {
            Kind::Dropout(_) => MaskRule::Passed,
            Kind::GlobalPooling2D(GlobalPooling2D { kind: ops::PoolKind::Average, .. }) => MaskRule::Own,
            _ => MaskRule::Dropped,
        }
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.over_images.output_shape(&self.image(inputs)?).map(|shape| without_height(&shape))
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        if let (MaskRule::Own, Some(mask)) = (self.on_mask(), lowering.mask(inputs[0])) {
            return self.mean_of_steps_that_count(lowering, inputs[0], mask);
        }
        let shapes: Vec<Shape> = inputs.iter().map(|input| lowering.shape(*input).clone()).collect();
        let mut values = Vec::new();
        for (input, shape) in inputs.iter().zip(images(&shapes).map_err(Error::surgery)?) {
            let image = lowering.push(ops::Reshape { shape }, &[*input], &[])?;
            values.push(match self.before {
                0 => image,
                before => lowering.push(ops::Pad { margins: [[0, 0], [before, 0]] }, &[image], &[])?,
            });
        }
        let value = self.over_images.lower(lowering, &values)?;
        match without_height(lowering.shape(value)) {
            shape if shape.len() == 2 => lowering.push(ops::Reshape { shape }, &[value], &[]),
            _ => Ok(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn shapes_and_weights_are_those_of_keras() {
        let conv = json!({"filters": 8, "kernel_size": [3], "strides": [2], "padding": "same"});
        let kind = read("Conv1D", conv.clone()).expect("valid");
        assert_eq!(kind.output_shape(&[vec![9, 4]]), Ok(vec![5, 8]));
        let shapes: Vec<Shape> =
            kind.weights(&[vec![9, 4]]).expect("known").iter().map(|weight| weight.shape.clone()).collect();
        assert_eq!(shapes, [vec![3, 4, 8], vec![8]]);
        assert_eq!(Value::Object(kind.config()), conv);
        let shape =
            |class: &str, config: Value| read(class, config).expect("valid").output_shape(&[vec![9, 4]]);
        assert_eq!(shape("MaxPooling1D", json!({"pool_size": 2, "strides": null})), Ok(vec![4, 4]));
        assert_eq!(shape("ZeroPadding1D", json!({"padding": [1, 2]})), Ok(vec![12, 4]));
        assert_eq!(shape("Cropping1D", json!({"cropping": 2})), Ok(vec![5, 4]));
        assert_eq!(shape("UpSampling1D", json!({"size": 3})), Ok(vec![27, 4]));
        assert_eq!(shape("GlobalMaxPooling1D", json!({})), Ok(vec![4]));
        let causal = json!({"filters": 8, "kernel_size": 3, "dilation_rate": 4, "padding": "causal"});
        assert_eq!(shape("Conv1D", causal), Ok(vec![9, 8]));
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        assert!(
            read("SeparableConv1D", json!({"filters": 8, "kernel_size": 3, "padding": "causal"})).is_err()
        );
        assert!(read("Conv1D", json!({"filters": 8, "kernel_size": [3, 3]})).is_err());
        assert!(read("GlobalMaxPooling1D", json!({"data_format": "channels_first"})).is_err());
        assert!(
            read("Conv1D", json!({"filters": 8, "kernel_size": 3}))
                .expect("valid")
                .output_shape(&[vec![9]])
                .is_err()
        );
    }
}
