//! `ZeroPadding2D` and `Cropping2D`: zeros around an image, or its rim taken off.

use super::{Config, LayerKind};
use crate::ops::{Crop, Lowering, Pad, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// `[[top, bottom], [left, right]]`
pub(super) type Margins = [[usize; 2]; 2];

/// Zeros around an image.
#[derive(Clone, Debug, PartialEq)]
pub struct ZeroPadding2D {
    /// How many on each side.
    pub padding: Margins,
}

/// The rim of an image taken off.
#[derive(Clone, Debug, PartialEq)]
pub struct Cropping2D {
    /// How much on each side.
    pub cropping: Margins,
}

/// One number for all sides, one for the vertical and one for the horizontal sides, or one a side.
fn margins(config: &Config<'_>, key: &str, default: usize) -> Result<Margins> {
    config.channels_last()?;
    let side = |value: &Value| -> Option<[usize; 2]> {
        let extent = |value: &Value| value.as_u64().and_then(|extent| usize::try_from(extent).ok());
        match value {
            Value::Array(pair) if pair.len() == 2 => Some([extent(&pair[0])?, extent(&pair[1])?]),
            _ => extent(value).map(|extent| [extent; 2]),
        }
    };
    let found = match config.get(key) {
        None => Some([[default; 2]; 2]),
        Some(Value::Array(sides)) if sides.len() == 2 => {
            side(&sides[0]).zip(side(&sides[1])).map(|(v, h)| [v, h])
        }
        Some(value) => side(value).map(|side| [side; 2]),
    };
    found.filter(|margins| margins.as_flattened().iter().all(|margin| *margin < 1 << 16)).ok_or_else(|| {
        config.error(format!("`{key}` cannot be read\nhelp: expected 1, (1, 1) or ((1, 1), (1, 1))"))
    })
}

fn image(inputs: &[Shape]) -> Result<[usize; 3], String> {
    let input = super::one_of(inputs)?;
    input
        .as_slice()
        .try_into()
        .map_err(|_| format!("expected an image [height, width, channels], received {input:?}"))
}

impl ZeroPadding2D {
    /// Reads `padding`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        Ok(Self { padding: margins(config, "padding", 1)? })
    }
}

impl Cropping2D {
    /// Reads `cropping`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        Ok(Self { cropping: margins(config, "cropping", 0)? })
    }
}

impl LayerKind for ZeroPadding2D {
    fn class_name(&self) -> &'static str {
        "ZeroPadding2D"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("padding".to_owned(), json!(self.padding)),
            ("data_format".to_owned(), json!("channels_last")),
        ])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [height, width, channels] = image(inputs)?;
        let [vertical, horizontal] = self.padding.map(|sides| sides.iter().sum::<usize>());
        Ok(vec![height + vertical, width + horizontal, channels])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        lowering.push(Pad { margins: self.padding }, inputs, &[])
    }
}

impl LayerKind for Cropping2D {
    fn class_name(&self) -> &'static str {
        "Cropping2D"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("cropping".to_owned(), json!(self.cropping)),
            ("data_format".to_owned(), json!("channels_last")),
        ])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [height, width, channels] = image(inputs)?;
        let [vertical, horizontal] = self.cropping.map(|sides| sides.iter().sum::<usize>());
        match (height.checked_sub(vertical), width.checked_sub(horizontal)) {
            (Some(height), Some(width)) if height > 0 && width > 0 => Ok(vec![height, width, channels]),
            _ => {
                Err(format!("cropping {:?} leaves nothing of an image of {height} x {width}", self.cropping))
            }
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        lowering.push(Crop { margins: self.cropping }, inputs, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn margins_are_one_two_or_four_numbers() {
        let shape = |padding: Value| {
            read("ZeroPadding2D", json!({"padding": padding})).expect("valid").output_shape(&[vec![4, 5, 3]])
        };
        assert_eq!(shape(json!(1)), Ok(vec![6, 7, 3]));
        assert_eq!(shape(json!([1, 2])), Ok(vec![6, 9, 3]));
        assert_eq!(shape(json!([[0, 1], [2, 0]])), Ok(vec![5, 7, 3]));
        for wrong in [json!([1, 2, 3]), json!(-1), json!("x"), json!([[1], [2, 3]]), json!(100_000)] {
            assert!(read("ZeroPadding2D", json!({"padding": wrong})).is_err());
        }
    }

    #[test]
    fn cropping_must_leave_something() {
        let shape = |cropping: Value| {
            read("Cropping2D", json!({"cropping": cropping})).expect("valid").output_shape(&[vec![4, 5, 3]])
        };
        assert_eq!(shape(json!([[0, 1], [2, 0]])), Ok(vec![3, 3, 3]));
        assert!(shape(json!(2)).is_err());
    }
}
