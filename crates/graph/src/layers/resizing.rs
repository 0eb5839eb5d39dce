//! `Resizing` and `UpSampling2D`: an image at another size.

use super::{Config, LayerKind};
use crate::ops::{Lowering, Resize, ResizeMethod, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// To a fixed size.
#[derive(Clone, Debug, PartialEq)]
pub struct Resizing {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// How new pixels are made.
    pub method: ResizeMethod,
}

/// By whole factors.
#[derive(Clone, Debug, PartialEq)]
pub struct UpSampling2D {
    /// Down and across.
    pub size: [usize; 2],
    /// How new pixels are made.
    pub method: ResizeMethod,
}

fn method(config: &Config<'_>, default: &'static str) -> Result<ResizeMethod> {
    match config.str_or("interpolation", default)? {
        "bilinear" => Ok(ResizeMethod::Bilinear),
        "nearest" => Ok(ResizeMethod::Nearest),
        other => {
            Err(config
                .error(format!("`interpolation` is `{other}`\nhelp: `bilinear` and `nearest` can be run")))
        }
    }
}

fn method_name(method: ResizeMethod) -> &'static str {
    match method {
        ResizeMethod::Bilinear => "bilinear",
        ResizeMethod::Nearest => "nearest",
    }
}

impl Resizing {
    /// Reads the attributes. What crops or pads to keep the image's proportions cannot be run.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        config.channels_last()?;
        for key in ["crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"] {
            if config.bool_or(key, false)? {
                return Err(config.error(format!("`{key}` is true\nhelp: only plain resizing can be run")));
            }
        }
        config.ignore(&["fill_mode", "fill_value"]);
        let (height, width) = (config.usize("height")?, config.usize("width")?);
        let fits = (1..1 << 16).contains(&height) && (1..1 << 16).contains(&width);
        let method = method(config, "bilinear")?;
        fits.then_some(Self { height, width, method })
            .ok_or_else(|| config.error("its size is 0 or very large"))
    }
}

impl UpSampling2D {
    /// Reads `size` and `interpolation`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        config.channels_last()?;
        let size = super::convolution::positive(config, "size", config.pair_or("size", [2, 2])?)?;
        Ok(Self { size, method: method(config, "nearest")? })
    }
}

fn image(inputs: &[Shape]) -> Result<[usize; 3], String> {
    let input = super::one_of(inputs)?;
    input
        .as_slice()
        .try_into()
        .map_err(|_| format!("expected an image [height, width, channels], received {input:?}"))
}

impl LayerKind for Resizing {
    fn class_name(&self) -> &'static str {
        "Resizing"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("height".to_owned(), json!(self.height)),
            ("width".to_owned(), json!(self.width)),
            ("interpolation".to_owned(), json!(method_name(self.method))),
            ("data_format".to_owned(), json!("channels_last")),
        ])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        image(inputs).map(|[_, _, channels]| vec![self.height, self.width, channels])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let (height, width, method) = (self.height, self.width, self.method);
        lowering.push(Resize { height, width, method }, inputs, &[])
    }

    fn fixes_size(&self) -> bool {
        true
    }
}

impl LayerKind for UpSampling2D {
    fn class_name(&self) -> &'static str {
        "UpSampling2D"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("size".to_owned(), json!(self.size)),
            ("data_format".to_owned(), json!("channels_last")),
            ("interpolation".to_owned(), json!(method_name(self.method))),
        ])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        image(inputs)
            .map(|[height, width, channels]| vec![height * self.size[0], width * self.size[1], channels])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = lowering.shape(inputs[0]);
        let (height, width) = (shape[0] * self.size[0], shape[1] * self.size[1]);
        lowering.push(Resize { height, width, method: self.method }, inputs, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn sizes_are_absolute_or_factors() {
        let resizing = read("Resizing", json!({"height": 8, "width": 3})).expect("valid");
        assert_eq!(resizing.output_shape(&[vec![4, 5, 3]]), Ok(vec![8, 3, 3]));
        assert_eq!(resizing.config()["interpolation"], json!("bilinear"));
        let upsampling = read("UpSampling2D", json!({"size": [2, 3]})).expect("valid");
        assert_eq!(upsampling.output_shape(&[vec![4, 5, 3]]), Ok(vec![8, 15, 3]));
        assert_eq!(upsampling.config()["interpolation"], json!("nearest"));
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for key in ["crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"] {
            let mut config = json!({"height": 8, "width": 3});
            config[key] = json!(true);
            assert!(read("Resizing", config).expect_err(key).to_string().contains(key));
        }
        assert!(read("Resizing", json!({"height": 0, "width": 3})).is_err());
        assert!(read("UpSampling2D", json!({"interpolation": "lanczos3"})).is_err());
    }
}
