//! How pretrained weights were shown their images. `pretrained.tsv` is written by `tests/keras/make_torch_tables.py` from
//! torchvision's and timm's own settings.

use super::row::Library;
use frostline_graph::ModelInfo;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// ImageNet's mean and standard deviation.
const IMAGENET: [[f64; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
const HALF: [[f64; 3]; 2] = [[0.5; 3], [0.5; 3]];
const UNIT: [[f64; 3]; 2] = [[0.0; 3], [1.0; 3]];
/// As large as most were.
const IMAGE_SIZE: [usize; 2] = [224, 224];

/// What one set of weights was trained on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pretrained {
    library: &'static str,
    name: &'static str,
    pub(super) tag: &'static str,
    pub(super) image_size: [usize; 2],
    /// Pillow's filter.
    filter: &'static str,
    mean: [f64; 3],
    deviation: [f64; 3],
}

static ALL: LazyLock<Vec<Pretrained>> = LazyLock::new(|| {
    let lines = include_str!("pretrained.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(Pretrained::from_line).collect()
});

impl Pretrained {
    /// `library name tag size filter mean deviation`
    fn from_line(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        let (library, name, tag) = (next()?, next()?, next()?);
        let (height, width) = next()?.split_once('x')?;
        let image_size = [height.parse().ok()?, width.parse().ok()?];
        let filter = next()?;
        let three = |text: &str| -> Option<[f64; 3]> {
            let numbers: Option<Vec<f64>> = text.split(',').map(|number| number.parse().ok()).collect();
            numbers?.try_into().ok()
        };
        let [mean, deviation] = match next()? {
            "imagenet" => IMAGENET,
            "half" => HALF,
            "unit" => UNIT,
            other => {
                let (mean, deviation) = other.split_once('/')?;
                [three(mean)?, three(deviation)?]
            }
        };
        Some(Self { library, name, tag, image_size, filter, mean, deviation })
    }

    /// The default weights of a library, which stand first.
    pub(super) fn of(name: &str, library: Library) -> Self {
        let (word, filter) = match library {
            Library::Torchvision => ("torchvision", "bilinear"),
            Library::Timm => ("timm", "bicubic"),
        };
        let known = ALL.iter().find(|known| known.library == word && known.name == name);
        let [mean, deviation] = IMAGENET;
        known.cloned().unwrap_or(Self {
            library: word,
            name: "",
            tag: "",
            image_size: IMAGE_SIZE,
            filter,
            mean,
            deviation,
        })
    }

    /// The weights of a name and a tag.
    pub(super) fn tagged(name: &str, tag: &str) -> Option<&'static Self> {
        ALL.iter().find(|known| known.name == name && known.tag == tag)
    }

    /// The tags of a name.
    pub(super) fn tags(name: &str) -> Vec<&'static str> {
        let own = ALL.iter().filter(|known| known.name == name && !known.tag.is_empty());
        own.map(|known| known.tag).collect()
    }

    /// timm's `pretrained_cfg`.
    pub(super) fn from_config(config: &Value) -> Option<Self> {
        let three = |key: &str| -> Option<[f64; 3]> { serde_json::from_value(config.get(key)?.clone()).ok() };
        let [_, height, width]: [usize; 3] =
            serde_json::from_value(config.get("input_size")?.clone()).ok()?;
        let filter = match config.get("interpolation")?.as_str()? {
            "bicubic" => "bicubic",
            "bilinear" => "bilinear",
            "nearest" => "nearest",
            "lanczos" => "lanczos",
            "box" => "box",
            _ => return None,
        };
        Some(Self {
            library: "timm",
            name: "",
            tag: "",
            image_size: [height, width],
            filter,
            mean: three("mean")?,
            deviation: three("std")?,
        })
    }

    /// Whether they are weights of timm's.
    pub(super) fn is_timms(&self) -> bool {
        self.library == "timm"
    }

    /// Whether it is ImageNet's mean and deviation.
    pub(super) fn is_imagenets(&self) -> bool {
        [self.mean, self.deviation] == IMAGENET
    }

    pub(super) fn info(&self) -> ModelInfo {
        let preprocess = match [self.mean, self.deviation] {
            IMAGENET => json!("torch"),
            HALF => json!("tf"),
            UNIT => json!("unit"),
            [mean, deviation] => {
                let scale = deviation.map(|deviation| (1.0 / (255.0 * deviation)) as f32);
                let offset: [f32; 3] = std::array::from_fn(|at| (-mean[at] / deviation[at]) as f32);
                json!({"affine": {"scale": scale, "offset": offset}})
            }
        };
        ModelInfo {
            preprocess: Some(preprocess),
            image_size: Some(self.image_size),
            resize: Some(format!("pil-{}", self.filter)),
            ..ModelInfo::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::safetensors::torch::registry::find;

    #[test]
    fn every_line_is_read_and_is_of_a_known_architecture() {
        let lines = include_str!("pretrained.tsv").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(ALL.len(), lines);
        for known in ALL.iter() {
            assert!(find(known.name).is_some(), "{}", known.name);
            assert!(known.deviation.iter().all(|deviation| *deviation > 0.0), "{known:?}");
        }
    }

    #[test]
    fn a_config_of_timm_is_read() {
        let config = json!({"input_size": [3, 240, 240], "interpolation": "bicubic", "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5]});
        let info = Pretrained::from_config(&config).expect("a config").info();
        assert_eq!((info.image_size, info.preprocess), (Some([240, 240]), Some(json!("tf"))));
        assert!(Pretrained::from_config(&json!({"mean": [0.5]})).is_none());
    }
}
