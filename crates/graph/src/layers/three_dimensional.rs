//! Layers over volumes, `[depth, height, width, channels]`: along the depth and over the planes they run as their counterparts over
//! images do.

use super::{Config, Kind, LayerKind, MaskRule, read_kind};
use crate::ops::{Lowering, Permute, PoolKind, Reshape, ValueId};
use crate::{Error, Extents, Result, Shape};
use serde_json::{Map, Value, json};

/// A layer over volumes that has no kernel.
#[derive(Clone, Debug)]
pub struct ThreeDimensional {
    class_name: &'static str,
    /// Verbatim.
    config: Map<String, Value>,
    over_images: OverImages,
}

/// The layers over images that it runs as.
#[derive(Clone, Debug)]
enum OverImages {
    /// All slices one below the other are one image.
    All(Box<Kind>),
    /// First along the depth, then over height and width; none where nothing is done.
    Apart { depth: Option<Box<Kind>>, plane: Option<Box<Kind>> },
}

/// Settings of three numbers, with what does nothing.
const TRIPLES: &[(&str, u64)] =
    &[("dilation_rate", 1), ("kernel_size", 1), ("pool_size", 1), ("size", 1), ("strides", 1)];

/// What Keras takes for such a setting where the config has none.
fn default(class_name: &str) -> Option<(&'static str, u64)> {
    match class_name {
        "AveragePooling3D" | "MaxPooling3D" => Some(("pool_size", 2)),
        "Cropping3D" => Some(("cropping", 1)),
        "UpSampling3D" => Some(("size", 2)),
        "ZeroPadding3D" => Some(("padding", 1)),
        _ => None,
    }
}

/// The settings along the depth and over the planes, as layers over images have them, and whether they do something there.
pub(super) fn apart(settings: &Map<String, Value>) -> Option<[(Map<String, Value>, bool); 2]> {
    let mut made = [(settings.clone(), false), (settings.clone(), false)];
    let mut set = |key: &str, triple: [Value; 3], nothing: Value| {
        let [depth, height, width] = triple;
        made[0].1 |= depth != nothing;
        made[1].1 |= height != nothing || width != nothing;
        made[0].0.insert(key.to_owned(), json!([depth, nothing]));
        made[1].0.insert(key.to_owned(), json!([height, width]));
    };
    for (key, nothing) in TRIPLES {
        if let Some(value) = settings.get(*key).filter(|value| !value.is_null()) {
            set(key, triple(value)?, json!(nothing));
        }
    }
    for key in ["padding", "cropping"] {
        match settings.get(key).filter(|value| !value.is_string() && !value.is_null()) {
            // one number for both sides, or one a side
            Some(value) => set(
                key,
                triple(value)?.map(|side| if side.is_array() { side } else { json!([side, side]) }),
                json!([0, 0]),
            ),
            None => continue,
        }
    }
    Some(made)
}

/// One for all axes, or one an axis.
fn triple(value: &Value) -> Option<[Value; 3]> {
    match value {
        Value::Array(list) => match list.as_slice() {
            [one] => Some([one, one, one].map(Clone::clone)),
            list => <&[Value; 3]>::try_from(list).ok().cloned(),
        },
        one => Some([one, one, one].map(Clone::clone)),
    }
}

/// The extents of a volume.
fn volume(inputs: &[Shape]) -> Result<[usize; 4], String> {
    let input = super::one_of(inputs)?;
    input
        .as_slice()
        .try_into()
        .map_err(|_| format!("expected a volume [depth, height, width, channels], received {input:?}"))
}

/// What a layer over images that computes each channel by itself makes of all slices of `[slices, height, width, channels]`: they are
/// channels of one image.
pub(super) fn on_each_slice(lowering: &mut Lowering<'_>, kind: &Kind, value: ValueId) -> Result<ValueId> {
    let input = lowering.shape(value).clone();
    let [slices, height, width, channels] = volume(&[input]).map_err(Error::surgery)?;
    let turned = lowering.push(Permute { order: vec![1, 2, 0, 3] }, &[value], &[])?;
    let image = Reshape { shape: vec![height, width, slices * channels] };
    let image = lowering.push(image, &[turned], &[])?;
    let made = kind.lower(lowering, &[image])?;
    let mut shape = lowering.shape(made).clone();
    shape.pop();
    shape.extend([slices, channels]);
    let places = shape.len() - 2;
    let apart = lowering.push(Reshape { shape }, &[made], &[])?;
    let order: Vec<usize> = std::iter::once(places).chain(0..places).chain([places + 1]).collect();
    if places == 0 { Ok(apart) } else { lowering.push(Permute { order }, &[apart], &[]) }
}

impl ThreeDimensional {
    /// Keras's classes; those over images end in `2D`.
    pub const CLASSES: &[&'static str] = &[
        "AveragePooling3D",
        "Cropping3D",
        "GlobalAveragePooling3D",
        "GlobalMaxPooling3D",
        "MaxPooling3D",
        "SpatialDropout3D",
        "UpSampling3D",
        "ZeroPadding3D",
    ];

    /// The mean, or the maximum, over the three axes.
    ///
    /// # Errors
    ///
    /// None that a caller can cause.
    pub fn pooling(kind: PoolKind) -> Result<Self> {
        let class = match kind {
            PoolKind::Average => "GlobalAveragePooling3D",
            PoolKind::Max => "GlobalMaxPooling3D",
        };
        Self::read(class, &Config::new("pooling", &Map::new()))
    }

    /// The layer over images that it is, all slices one below the other; none where it is none.
    pub fn over_all_slices(&self) -> Option<&Kind> {
        match &self.over_images {
            OverImages::All(kind) => Some(kind),
            OverImages::Apart { .. } => None,
        }
    }

    /// Reads a layer of one of the classes; `None` for all others.
    pub fn from_config(class_name: &'static str, config: &Config<'_>) -> Option<Result<Self>> {
        Some(Self::read(class_name, config))
    }

    fn read(class_name: &'static str, config: &Config<'_>) -> Result<Self> {
        config.channels_last()?;
        let own = config.take_all();
        let counterpart = class_name.replace("3D", "2D");
        let kind = |settings: &Map<String, Value>| {
            let read = read_kind(&counterpart, &config.of(settings));
            read.unwrap_or_else(|| Err(config.error(format!("there is no `{counterpart}`")))).map(Box::new)
        };
        let over_images = match counterpart.as_str() {
            "GlobalAveragePooling2D" | "GlobalMaxPooling2D" | "SpatialDropout2D" => {
                OverImages::All(kind(&own)?)
            }
            _ => {
                let mut settings = own.clone();
                if let Some((key, number)) = default(class_name)
                    && settings.get(key).is_none_or(Value::is_null)
                {
                    settings.insert(key.to_owned(), json!(number));
                }
                // pooling goes on by its own size where nothing else is said
                if let Some(size) = settings.get("pool_size").cloned() {
                    let strides = settings.entry("strides").or_insert(Value::Null);
                    if strides.is_null() {
                        *strides = size;
                    }
                }
                let [depth, plane] = apart(&settings).ok_or_else(|| {
                    config
                        .error("a setting has more or fewer numbers than axes\nhelp: the file may be damaged")
                })?;
                // both are read, so that what is wrong with either is found
                let read = |(settings, does): (Map<String, Value>, bool)| {
                    kind(&settings).map(|kind| does.then_some(kind))
                };
                OverImages::Apart { depth: read(depth)?, plane: read(plane)? }
            }
        };
        Ok(Self { class_name, config: own, over_images })
    }
}

impl LayerKind for ThreeDimensional {
    fn class_name(&self) -> &'static str {
        self.class_name
    }

    fn config(&self) -> Map<String, Value> {
        self.config.clone()
    }

    fn on_mask(&self) -> MaskRule {
        MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [depth, height, width, channels] = volume(inputs)?;
        match &self.over_images {
            OverImages::All(kind) => {
                let shape = kind.output_shape(&[vec![depth * height, width, channels]])?;
                Ok(match shape.len() {
                    1 => shape,
                    // the dropout's is the input's; what keeps its axes has one more
                    _ if shape.elements() == inputs[0].elements() => inputs[0].clone(),
                    _ => [&[1], shape.as_slice()].concat(),
                })
            }
            OverImages::Apart { depth: along, plane } => {
                let depth = match along {
                    Some(kind) => kind.output_shape(&[vec![depth, height * width, channels]])?[0],
                    None => depth,
                };
                let [height, width] = match plane {
                    Some(kind) => {
                        let shape = kind.output_shape(&[vec![height, width, channels]])?;
                        [shape[0], shape[1]]
                    }
                    None => [height, width],
                };
                Ok(vec![depth, height, width, channels])
            }
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let mut value = inputs[0];
        let input = lowering.shape(value).clone();
        let shape = self.output_shape(std::slice::from_ref(&input)).map_err(Error::surgery)?;
        let [depth, height, width, channels] = volume(&[input]).map_err(Error::surgery)?;
        let reshaped = |lowering: &mut Lowering<'_>, value: ValueId, shape: Shape| {
            lowering.push(Reshape { shape }, &[value], &[])
        };
        let (along, plane) = match &self.over_images {
            OverImages::All(kind) => {
                let image = reshaped(lowering, value, vec![depth * height, width, channels])?;
                value = kind.lower(lowering, &[image])?;
                return match *lowering.shape(value) == shape {
                    true => Ok(value),
                    false => reshaped(lowering, value, shape),
                };
            }
            OverImages::Apart { depth, plane } => (depth, plane),
        };
        if let Some(kind) = along {
            let image = reshaped(lowering, value, vec![depth, height * width, channels])?;
            let made = kind.lower(lowering, &[image])?;
            value = reshaped(lowering, made, vec![shape[0], height, width, channels])?;
        }
        match plane {
            Some(kind) => on_each_slice(lowering, kind, value),
            None => Ok(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn shapes_are_those_of_keras() {
        let shape = |class: &str, config: Value| {
            read(class, config).expect("valid").output_shape(&[vec![8, 9, 7, 4]])
        };
        assert_eq!(shape("MaxPooling3D", json!({})), Ok(vec![4, 4, 3, 4]));
        assert_eq!(
            shape("MaxPooling3D", json!({"pool_size": [1, 2, 2], "strides": null})),
            Ok(vec![8, 4, 3, 4])
        );
        let same = json!({"pool_size": 3, "strides": [2, 1, 2], "padding": "same"});
        assert_eq!(shape("AveragePooling3D", same), Ok(vec![4, 9, 4, 4]));
        assert_eq!(
            shape("ZeroPadding3D", json!({"padding": [[1, 0], [2, 2], [0, 3]]})),
            Ok(vec![9, 13, 10, 4])
        );
        assert_eq!(shape("ZeroPadding3D", json!({"padding": [0, 1, 2]})), Ok(vec![8, 11, 11, 4]));
        assert_eq!(shape("Cropping3D", json!({"cropping": 2})), Ok(vec![4, 5, 3, 4]));
        assert_eq!(shape("UpSampling3D", json!({"size": [2, 1, 3]})), Ok(vec![16, 9, 21, 4]));
        assert_eq!(shape("GlobalMaxPooling3D", json!({})), Ok(vec![4]));
        assert_eq!(shape("GlobalAveragePooling3D", json!({"keepdims": true})), Ok(vec![1, 1, 1, 4]));
        assert_eq!(shape("SpatialDropout3D", json!({"rate": 0.5})), Ok(vec![8, 9, 7, 4]));
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        assert!(read("MaxPooling3D", json!({"pool_size": [2, 2]})).is_err());
        assert!(read("MaxPooling3D", json!({"data_format": "channels_first"})).is_err());
        assert!(read("ZeroPadding3D", json!({"padding": [1, 2, -3]})).is_err());
        assert!(read("MaxPooling3D", json!({})).expect("valid").output_shape(&[vec![9, 7, 4]]).is_err());
        assert!(
            read("Cropping3D", json!({"cropping": 4}))
                .expect("valid")
                .output_shape(&[vec![8, 9, 9, 1]])
                .is_err()
        );
    }
}
