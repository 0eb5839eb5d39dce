//! `GlobalAveragePooling2D`, `GlobalMaxPooling2D`: one number a channel for the whole image.

use super::{Config, LayerKind};
use crate::ops::{GlobalPool, Lowering, PoolKind, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalPooling2D {
    /// Maximum or mean.
    pub kind: PoolKind,
    /// Whether the result is `[1, 1, channels]` instead of `[channels]`.
    pub keepdims: bool,
}

impl GlobalPooling2D {
    /// Reads the attributes of either class.
    pub fn from_config(kind: PoolKind, config: &Config<'_>) -> Result<Self> {
        config.channels_last()?;
        Ok(Self { kind, keepdims: config.bool_or("keepdims", false)? })
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
        Map::from_iter([
            ("data_format".to_owned(), json!("channels_last")),
            ("keepdims".to_owned(), json!(self.keepdims)),
        ])
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match (super::one_of(inputs)?.as_slice(), self.keepdims) {
            ([_, _, channels], true) => Ok(vec![1, 1, *channels]),
            ([_, _, channels], false) => Ok(vec![*channels]),
            (other, _) => Err(format!("expected an image [height, width, channels], received {other:?}")),
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        lowering.push(GlobalPool { kind: self.kind, keep_dims: self.keepdims }, inputs, &[])
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
            assert!(read(class, json!({})).expect("valid").output_shape(&[vec![3]]).is_err());
        }
    }
}
