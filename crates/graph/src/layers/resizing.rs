//! `Resizing` and `UpSampling2D`: an image at another size.

use super::{Config, LayerKind};
use crate::ops::{Crop, Lowering, Resize, ResizeMethod, Take, ValueId};
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
    /// What is done first, so that the image keeps its proportions.
    pub fit: Fit,
}

/// How an image is brought to the proportions of its new size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fit {
    /// It is stretched.
    Squash,
    /// Its rim is taken off: `crop_to_aspect_ratio`.
    Crop,
    /// Something is put around it, of this value: `pad_to_aspect_ratio`.
    Pad(f32),
}

impl Fit {
    fn from_config(config: &Config<'_>) -> Result<Self> {
        let [crops, pads] =
            [config.bool_or("crop_to_aspect_ratio", false)?, config.bool_or("pad_to_aspect_ratio", false)?];
        let (mode, fill) = (config.str_or("fill_mode", "constant")?, config.f32_or("fill_value", 0.0)?);
        match (crops, pads) {
            (false, false) => Ok(Self::Squash),
            (true, false) => Ok(Self::Crop),
            (false, true) if mode == "constant" => Ok(Self::Pad(fill)),
            (false, true) => Err(config.error(format!(
                "`fill_mode` is `{mode}`\nhelp: `constant`, the only one that Keras has, can be run"
            ))),
            (true, true) => Err(config.error(
                "it crops and pads at once\nhelp: one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be true",
            )),
        }
    }

    fn config(self) -> Vec<(String, Value)> {
        match self {
            Self::Squash => Vec::new(),
            Self::Crop => vec![("crop_to_aspect_ratio".to_owned(), json!(true))],
            Self::Pad(fill) => vec![
                ("pad_to_aspect_ratio".to_owned(), json!(true)),
                ("fill_value".to_owned(), super::number(fill)),
            ],
        }
    }

    /// The image in the proportions of `size`, rounded as Keras's TensorFlow backend rounds.
    fn apply(self, lowering: &mut Lowering<'_>, image: ValueId, size: [usize; 2]) -> Result<ValueId> {
        let own = [lowering.shape(image)[0], lowering.shape(image)[1]];
        // what an axis would be by the other
        let wanted =
            [0, 1].map(|axis| ((own[1 - axis] * size[axis]) as f32 / size[1 - axis] as f32) as usize);
        match self {
            Self::Squash => Ok(image),
            Self::Crop => {
                let margins = [0, 1].map(|axis| {
                    let kept = wanted[axis].min(own[axis]).max(1);
                    let before = (own[axis] - kept) / 2;
                    [before, own[axis] - kept - before]
                });
                lowering.push(Crop { margins }, &[image], &[])
            }
            Self::Pad(fill) => {
                let mut padded = image;
                for axis in [0, 1] {
                    let margin = wanted[axis].saturating_sub(own[axis]) / 2;
                    let rim = || std::iter::repeat_n(Take::FILL, margin);
                    let places = rim().chain(0..own[axis] as u32).chain(rim()).collect();
                    padded = lowering.push(Take { axis, places, fill }, &[padded], &[])?;
                }
                Ok(padded)
            }
        }
    }
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
    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        config.channels_last()?;
        if config.bool_or("antialias", false)? {
            return Err(config.error("`antialias` is true\nhelp: resizing without smoothing can be run"));
        }
        let fit = Fit::from_config(config)?;
        let (height, width) = (config.usize("height")?, config.usize("width")?);
        let fits = (1..1 << 16).contains(&height) && (1..1 << 16).contains(&width);
        let method = method(config, "bilinear")?;
        fits.then_some(Self { height, width, method, fit })
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
        let own = [
            ("height".to_owned(), json!(self.height)),
            ("width".to_owned(), json!(self.width)),
            ("interpolation".to_owned(), json!(method_name(self.method))),
            ("data_format".to_owned(), json!("channels_last")),
        ];
        own.into_iter().chain(self.fit.config()).collect()
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        image(inputs).map(|[_, _, channels]| vec![self.height, self.width, channels])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let (height, width, method) = (self.height, self.width, self.method);
        let image = self.fit.apply(lowering, inputs[0], [height, width])?;
        lowering.push(Resize { height, width, method }, &[image], &[])
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
        for (key, value) in [("antialias", json!(true)), ("interpolation", json!("bicubic"))] {
            let mut config = json!({"height": 8, "width": 3});
            config[key] = value;
            assert!(read("Resizing", config).expect_err(key).to_string().contains(key));
        }
        let both =
            json!({"height": 8, "width": 3, "crop_to_aspect_ratio": true, "pad_to_aspect_ratio": true});
        assert!(read("Resizing", both).is_err());
        assert!(read("Resizing", json!({"height": 0, "width": 3})).is_err());
        assert!(read("UpSampling2D", json!({"interpolation": "lanczos3"})).is_err());
    }
}
