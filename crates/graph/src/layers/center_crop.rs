//! `CenterCrop`: the middle of an image; of one that is smaller, what has the proportions of the crop, enlarged bilinearly.
//! Keras: `keras.layers.CenterCrop`, `keras.utils.image_utils.smart_resize`.

use super::{Config, LayerKind};
use crate::ops::{Crop, Lowering, Resize, ResizeMethod, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct CenterCrop {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl CenterCrop {
    /// Reads `height` and `width`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        config.channels_last()?;
        let (height, width) = (config.usize("height")?, config.usize("width")?);
        let fits = [height, width].iter().all(|extent| (1..1 << 16).contains(extent));
        fits.then_some(Self { height, width }).ok_or_else(|| config.error("its size is 0 or very large"))
    }

    /// How much is taken off each side of an image of this size.
    fn margins(&self, image: [usize; 2]) -> [[usize; 2]; 2] {
        let wanted = [self.height, self.width];
        let part = |axis: usize| {
            let other = 1 - axis;
            match wanted[0] <= image[0] && wanted[1] <= image[1] {
                true => wanted[axis],
                false => (image[other] * wanted[axis] / wanted[other]).clamp(1, image[axis]),
            }
        };
        [0, 1].map(|axis| {
            let all = image[axis] - part(axis);
            [all / 2, all - all / 2]
        })
    }
}

impl LayerKind for CenterCrop {
    fn class_name(&self) -> &'static str {
        "CenterCrop"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("height".to_owned(), json!(self.height)),
            ("width".to_owned(), json!(self.width)),
            ("data_format".to_owned(), json!("channels_last")),
        ])
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match super::one_of(inputs)?.as_slice() {
            [_, _, channels] => Ok(vec![self.height, self.width, *channels]),
            other => Err(format!("expected an image [height, width, channels], received {other:?}")),
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = lowering.shape(inputs[0]);
        let margins = self.margins([shape[0], shape[1]]);
        let cropped = lowering.push(Crop { margins }, inputs, &[])?;
        if lowering.shape(cropped)[..2] == [self.height, self.width] {
            return Ok(cropped);
        }
        let (height, width, method) = (self.height, self.width, ResizeMethod::Bilinear);
        lowering.push(Resize { height, width, method }, &[cropped], &[])
    }

    fn fixes_size(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_row_is_taken_off_below() {
        let crop = CenterCrop { height: 6, width: 4 };
        assert_eq!(crop.margins([9, 7]), [[1, 2], [1, 2]]);
        // of a smaller image what has the proportions of the crop
        assert_eq!(CenterCrop { height: 12, width: 4 }.margins([9, 7]), [[0, 0], [2, 2]]);
    }
}
