//! From pixels of 0 to 255 to what a model was trained on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{DataError, ValueRange};

const CAFFE_MEAN_BGR: [f32; 3] = [103.939, 116.779, 123.68];
const TORCH_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const TORCH_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// How pixels of 0 to 255 become inputs; the modes of Keras's `preprocess_input`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preprocess {
    /// `x / 127.5 − 1`: MobileNet, Inception, Xception, ResNetV2.
    Tf,
    /// RGB to BGR, minus the ImageNet mean, not scaled: VGG, ResNet.
    Caffe,
    /// `x / 255`, minus the ImageNet mean, by its standard deviation: DenseNet.
    Torch,
    /// `x / 255`.
    Unit,
    /// As it is: models that scale inside (EfficientNet, MobileNetV3), and data that is scaled already.
    #[default]
    None,
    /// `x * scale + offset`, for each channel, or one value for all.
    Affine {
        /// Factors.
        scale: Vec<f32>,
        /// Summands.
        offset: Vec<f32>,
    },
}

/// `x · scale + offset`, each one number for all channels or one a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct AffinePixels {
    /// The channels in reverse, before scaling: RGB to BGR.
    pub reverse_channels: bool,
    /// Factors.
    pub scale: Vec<f32>,
    /// Summands.
    pub offset: Vec<f32>,
}

impl Preprocess {
    /// Errors where the mode does not fit the number of channels.
    pub fn check_channels(&self, channels: usize) -> Result<(), DataError> {
        let fits = match self {
            Preprocess::Tf | Preprocess::Unit | Preprocess::None => true,
            Preprocess::Caffe | Preprocess::Torch => channels == 3,
            Preprocess::Affine { scale, offset } => {
                [scale.len(), offset.len()].iter().all(|&n| n == 1 || n == channels)
            }
        };
        if fits {
            return Ok(());
        }
        Err(DataError::setting(
            format!("preprocessing `{self}` does not fit an input with {channels} channels"),
            "give the setting `preprocess = tf`, `unit` or `none`",
        ))
    }

    /// Preprocesses in place. `pixels`: `[…, channels]`, of a number of channels that
    /// [`Preprocess::check_channels`] takes.
    pub fn apply(&self, pixels: &mut [f32], channels: usize) {
        match self {
            Preprocess::None => {}
            Preprocess::Tf => pixels.iter_mut().for_each(|v| *v = *v / 127.5 - 1.0),
            Preprocess::Unit => pixels.iter_mut().for_each(|v| *v /= 255.0),
            Preprocess::Caffe => {
                for p in pixels.chunks_exact_mut(3) {
                    p.swap(0, 2);
                    (0..3).for_each(|c| p[c] -= CAFFE_MEAN_BGR[c]);
                }
            }
            Preprocess::Torch => {
                for p in pixels.chunks_exact_mut(3) {
                    (0..3).for_each(|c| p[c] = (p[c] / 255.0 - TORCH_MEAN[c]) / TORCH_STD[c]);
                }
            }
            Preprocess::Affine { scale, offset } => {
                for p in pixels.chunks_exact_mut(channels.max(1)) {
                    for (c, v) in p.iter_mut().enumerate() {
                        *v = *v * scale[c % scale.len()] + offset[c % offset.len()];
                    }
                }
            }
        }
    }

    /// The same in the form in which a graph of layers or operators has it.
    pub fn as_affine(&self) -> AffinePixels {
        let (scale, offset) = match self {
            Preprocess::None => (vec![1.0], vec![0.0]),
            Preprocess::Tf => (vec![1.0 / 127.5], vec![-1.0]),
            Preprocess::Unit => (vec![1.0 / 255.0], vec![0.0]),
            Preprocess::Caffe => (vec![1.0], CAFFE_MEAN_BGR.iter().map(|mean| -mean).collect()),
            Preprocess::Torch => (
                TORCH_STD.iter().map(|std| 1.0 / (255.0 * std)).collect(),
                TORCH_MEAN.iter().zip(TORCH_STD).map(|(mean, std)| -mean / std).collect(),
            ),
            Preprocess::Affine { scale, offset } => (scale.clone(), offset.clone()),
        };
        AffinePixels { reverse_channels: *self == Preprocess::Caffe, scale, offset }
    }

    /// Where pixels of 0 to 255 come to lie, over all channels. [`Preprocess::None`] says nothing of its model.
    pub fn range(&self) -> Option<ValueRange> {
        if *self == Preprocess::None {
            return None;
        }
        let channels = match self {
            Preprocess::Affine { scale, offset } => scale.len().max(offset.len()),
            _ => 3,
        };
        let mut ends = [vec![0.0; channels], vec![255.0; channels]].concat();
        self.apply(&mut ends, channels);
        Some(ValueRange::of(&ends))
    }
}

impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Preprocess::Tf => "tf",
            Preprocess::Caffe => "caffe",
            Preprocess::Torch => "torch",
            Preprocess::Unit => "unit",
            Preprocess::None => "none",
            Preprocess::Affine { scale, offset } => {
                return write!(f, "affine (scale {scale:?}, offset {offset:?})");
            }
        })
    }
}

impl FromStr for Preprocess {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        Ok(match name {
            "tf" => Preprocess::Tf,
            "caffe" => Preprocess::Caffe,
            "torch" => Preprocess::Torch,
            "unit" => Preprocess::Unit,
            "none" => Preprocess::None,
            _ => {
                return Err(DataError::setting(
                    format!("there is no preprocessing `{name}`"),
                    "it is one of `tf` (x/127.5−1), `caffe`, `torch`, `unit` (x/255), `none`",
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(mode: &Preprocess, pixel: [f32; 3]) -> [f32; 3] {
        let mut p = pixel;
        mode.apply(&mut p, 3);
        p
    }

    fn close(a: [f32; 3], b: [f32; 3]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    }

    #[test]
    fn modes_agree_with_keras_preprocess_input() {
        // keras.applications.imagenet_utils.preprocess_input([[[200., 30., 90.]]], mode=…)
        let pixel = [200.0, 30.0, 90.0];
        assert!(close(applied(&Preprocess::Tf, pixel), [0.568_627_5, -0.764_705_9, -0.294_117_66]));
        assert!(close(applied(&Preprocess::Caffe, pixel), [-13.939, -86.779, 76.32]));
        assert!(close(applied(&Preprocess::Torch, pixel), [1.307_046_8, -1.510_504_2, -0.235_816_91]));
    }

    #[test]
    fn affine_takes_one_value_or_one_a_channel() {
        let mode = Preprocess::Affine { scale: vec![2.0], offset: vec![1.0, 2.0, 3.0] };
        assert_eq!(applied(&mode, [1.0, 1.0, 1.0]), [3.0, 4.0, 5.0]);
        assert!(mode.check_channels(3).is_ok());
        assert!(mode.check_channels(1).is_err());
        assert!(Preprocess::Affine { scale: vec![], offset: vec![0.0] }.check_channels(3).is_err());
    }

    #[test]
    fn the_affine_form_is_the_same() {
        let pixel = [200.0, 30.0, 90.0];
        let all = [Preprocess::Tf, Preprocess::Caffe, Preprocess::Torch, Preprocess::Unit, Preprocess::None];
        for mode in all {
            let AffinePixels { reverse_channels, scale, offset } = mode.as_affine();
            let mut found = pixel;
            if reverse_channels {
                found.reverse();
            }
            Preprocess::Affine { scale, offset }.apply(&mut found, 3);
            assert!(close(found, applied(&mode, pixel)), "{mode}: {found:?}");
        }
    }

    #[test]
    fn names_and_json_are_read_back() {
        for name in ["tf", "caffe", "torch", "unit", "none"] {
            let mode: Preprocess = name.parse().unwrap();
            assert_eq!(mode.to_string(), name);
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Preprocess>(&format!("\"{name}\"")).unwrap(), mode);
        }
        assert!("imagenet".parse::<Preprocess>().unwrap_err().to_string().contains("help:"));
    }

    #[test]
    fn ranges_are_those_of_the_ends() {
        assert_eq!(Preprocess::Tf.range(), Some(ValueRange { min: -1.0, max: 1.0 }));
        assert_eq!(Preprocess::None.range(), None);
    }
}
