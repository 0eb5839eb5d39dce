//! `GlobalAveragePooling2D`, `GlobalMaxPooling2D`: one number a channel for the whole image.

use super::{Config, LayerKind};
use crate::ops::{GlobalPool, Lowering, Permute, PoolKind, Reshape, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalPooling2D {
    /// Maximum or mean.
    pub kind: PoolKind,
    /// Whether the result has three axes, of which two have extent 1, instead of `[channels]`.
    pub keepdims: bool,
    /// Whether the image is `[channels, height, width]`: `channels_first`.
    pub channels_first: bool,
}

impl GlobalPooling2D {
    /// Reads the attributes of either class.
    pub fn from_config(kind: PoolKind, config: &Config<'_>) -> Result<Self> {
        let channels_first = match config.str_or("data_format", "channels_last")? {
            "channels_last" => false,
            "channels_first" => true,
            other => {
                return Err(config.error(format!(
                    "`data_format` is `{other}`\nhelp: expected `channels_last` or `channels_first`"
                )));
            }
        };
        Ok(Self { kind, keepdims: config.bool_or("keepdims", false)?, channels_first })
    }
}

impl LayerKind for GlobalPooling2D {
    fn class_name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "GlobalMaxPooling2D",
            PoolKind::Average => "GlobalAveragePooling2D",
        }
    }

    fn config(&self) -> Map<String, Value> {
        let data_format = if self.channels_first { "channels_first" } else { "channels_last" };
        Map::from_iter([
            ("data_format".to_owned(), json!(data_format)),
            ("keepdims".to_owned(), json!(self.keepdims)),
        ])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let channels = match (super::one_of(inputs)?.as_slice(), self.channels_first) {
            ([channels, _, _], true) | ([_, _, channels], false) => *channels,
            (other, _) => return Err(format!("expected an image of three axes, received {other:?}")),
        };
        Ok(match (self.keepdims, self.channels_first) {
            (false, _) => vec![channels],
            (true, true) => vec![channels, 1, 1],
            (true, false) => vec![1, 1, channels],
        })
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let pool = GlobalPool { kind: self.kind, keep_dims: self.keepdims };
        if !self.channels_first {
            return lowering.push(pool, inputs, &[]);
        }
        let image = lowering.push(Permute { order: vec![1, 2, 0] }, inputs, &[])?;
        let pooled = lowering.push(pool, &[image], &[])?;
        match self.keepdims {
            true => {
                let channels = lowering.shape(pooled).iter().product();
                lowering.push(Reshape { shape: vec![channels, 1, 1] }, &[pooled], &[])
            }
            false => Ok(pooled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn the_image_becomes_one_number_a_channel() {
        for class in ["GlobalAveragePooling2D", "GlobalMaxPooling2D"] {
            let shape = |keepdims: bool| {
                read(class, json!({"keepdims": keepdims})).expect("valid").output_shape(&[vec![4, 5, 3]])
            };
            assert_eq!([shape(false), shape(true)], [Ok(vec![3]), Ok(vec![1, 1, 3])]);
            let first = json!({"data_format": "channels_first", "keepdims": true});
            assert_eq!(read(class, first).expect("valid").output_shape(&[vec![3, 4, 5]]), Ok(vec![3, 1, 1]));
            assert!(read(class, json!({})).expect("valid").output_shape(&[vec![3]]).is_err());
        }
    }
}
