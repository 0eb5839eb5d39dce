//! `MaxPooling2D`, `AveragePooling2D`: a window slides over the image; padding never counts.

use super::convolution::{output_extents, padding, padding_name, positive};
use super::{Config, LayerKind};
use crate::ops::{Lowering, Pool, PoolKind, Sliding, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Pooling2D {
    /// Maximum or mean.
    pub kind: PoolKind,
    /// Height and width of the window.
    pub pool_size: [usize; 2],
    /// `strides`, which are the window's size where the config says nothing, and `padding`, which is `valid` or `same`.
    pub sliding: Sliding,
}

impl Pooling2D {
    /// Reads the attributes of either class.
    pub fn from_config(kind: PoolKind, config: &Config<'_>) -> Result<Self> {
        config.channels_last()?;
        let pool_size = positive(config, "pool_size", config.pair_or("pool_size", [2, 2])?)?;
        let strides = positive(config, "strides", config.pair_or("strides", pool_size)?)?;
        let sliding = Sliding { strides, padding: padding(config)?, ..Sliding::default() };
        Ok(Self { kind, pool_size, sliding })
    }
}

impl LayerKind for Pooling2D {
    fn class_name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "MaxPooling2D",
            PoolKind::Average => "AveragePooling2D",
        }
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("pool_size".to_owned(), json!(self.pool_size)),
            ("strides".to_owned(), json!(self.sliding.strides)),
            ("padding".to_owned(), json!(padding_name(self.sliding.padding))),
            ("data_format".to_owned(), json!("channels_last")),
        ])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let input = super::one_of(inputs)?;
        let [height, width] = output_extents(input, self.pool_size, self.sliding)?;
        Ok(vec![height, width, input[2]])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let op = Pool { kind: self.kind, size: self.pool_size, sliding: self.sliding };
        lowering.push(op, inputs, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn strides_are_the_size_where_nothing_is_said() {
        for class in ["MaxPooling2D", "AveragePooling2D"] {
            let shape = |config: Value| read(class, config).expect("valid").output_shape(&[vec![9, 7, 3]]);
            assert_eq!(shape(json!({})), Ok(vec![4, 3, 3]));
            assert_eq!(shape(json!({"pool_size": 3, "strides": null})), Ok(vec![3, 2, 3]));
            assert_eq!(
                shape(json!({"pool_size": [3, 2], "strides": 1, "padding": "same"})),
                Ok(vec![9, 7, 3])
            );
            assert!(shape(json!({"pool_size": 10})).is_err());
            assert!(read(class, json!({"pool_size": 0})).is_err());
        }
    }
}
