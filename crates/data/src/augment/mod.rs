//! Random views of an image: flips, crop, rotation, zoom, brightness, contrast.
//!
//! A view is drawn from a seed, the image's name and the view's number, so that it is the same whatever the order of
//! the images, the number of threads or the batch. Flips move pixels and change none; the others are one affine map
//! with bilinear sampling and a reflected border, as Keras's `Random…` layers fill.

mod affine;

use std::fmt;
use std::str::FromStr;

use super::random::Random;
use super::{DataError, ValueRange};
use affine::Affine;
use frostline_graph::Spec;

/// Which random changes a view may have. The default changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augment {
    /// Mirrored left to right, half of the time.
    pub flip_horizontal: bool,
    /// Mirrored top to bottom, half of the time.
    pub flip_vertical: bool,
    /// The smallest side of a random crop as a share of the picture's, in (0, 1]; 0 for none. The crop is scaled back
    /// up.
    pub crop: f32,
    /// Rotated by up to this many degrees either way.
    pub rotation: f32,
    /// Scaled by a factor in `1 ± zoom` about the centre.
    pub zoom: f32,
    /// Shifted by up to this share of the value range.
    pub brightness: f32,
    /// Contrast about the picture's mean, by a factor in `1 ± contrast`.
    pub contrast: f32,
}

/// Which view is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViewSeed {
    /// The run's seed.
    pub seed: u64,
    /// The view's number, from 0.
    pub view: u64,
}

impl Augment {
    /// True where every view is the picture itself.
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// Changes a picture in place. `pixels`: `[height, width, channels]` with values in `range`.
    pub fn apply(
        &self,
        pixels: &mut Vec<f32>,
        [height, width, channels]: [usize; 3],
        range: ValueRange,
        name: &str,
        view: ViewSeed,
    ) {
        if self.is_identity() {
            return;
        }
        let digest = blake3::hash(name.as_bytes());
        let mut key = [0; 8];
        key.copy_from_slice(&digest.as_bytes()[..8]);
        let mut random = Random::new("augment", [view.seed, u64::from_le_bytes(key), view.view]);
        // Every draw is made whatever the setting, so that adding one kind of change leaves the others as they were.
        let (left_right, top_bottom) = (random.coin(), random.coin());
        let turn = random.uniform(-1.0, 1.0);
        let scale = random.uniform(-1.0, 1.0);
        let (side, at_x, at_y) =
            (random.uniform(0.0, 1.0), random.uniform(-1.0, 1.0), random.uniform(-1.0, 1.0));
        let (light, spread) = (random.uniform(-1.0, 1.0), random.uniform(-1.0, 1.0));
        if self.rotation > 0.0 || self.zoom > 0.0 || self.crop > 0.0 {
            let mut map = Affine::rotation(turn * self.rotation.to_radians()).scaled(1.0 + scale * self.zoom);
            if self.crop > 0.0 {
                let side = self.crop + side * (1.0 - self.crop);
                map = map.cropped(side, at_x, at_y, height, width);
            }
            *pixels = map.sample(pixels, [height, width, channels]);
        }
        if self.flip_horizontal && left_right {
            for row in pixels.chunks_exact_mut(width * channels) {
                for x in 0..width / 2 {
                    for c in 0..channels {
                        row.swap(x * channels + c, (width - 1 - x) * channels + c);
                    }
                }
            }
        }
        if self.flip_vertical && top_bottom {
            let row = width * channels;
            for y in 0..height / 2 {
                let (top, bottom) = pixels.split_at_mut((height - 1 - y) * row);
                top[y * row..(y + 1) * row].swap_with_slice(&mut bottom[..row]);
            }
        }
        let mut change = |f: &dyn Fn(f32) -> f32| pixels.iter_mut().for_each(|v| *v = f(*v));
        if self.brightness > 0.0 {
            let shift = light * self.brightness * (range.max - range.min);
            change(&|v| (v + shift).clamp(range.min, range.max));
        }
        if self.contrast > 0.0 {
            let mean = pixels.iter().sum::<f32>() / pixels.len().max(1) as f32;
            let factor = 1.0 + spread * self.contrast;
            pixels.iter_mut().for_each(|v| *v = (mean + (*v - mean) * factor).clamp(range.min, range.max));
        }
    }
}

const HELP: &str = "write e.g. `flip rotate(15) zoom(0.1) crop(0.9) brightness(0.1) contrast(0.1)`; \
                    `vflip` mirrors top to bottom";

impl FromStr for Augment {
    type Err = DataError;

    /// Words with at most one number: `flip`, `vflip`, `crop(SIDE)`, `rotate(DEGREES)`, `zoom(Z)`, `brightness(B)`,
    /// `contrast(C)`; or `none`.
    fn from_str(spec: &str) -> Result<Self, DataError> {
        let mut augment = Augment::default();
        let refuse = |message: String| DataError::setting(message, HELP);
        let words = Spec::parse_all(spec, &[' ', ',']).map_err(|what| refuse(format!("`{spec}`: {what}")))?;
        for Spec { text: word, name, arguments } in words.into_iter().filter(|word| word.text != "none") {
            let unusable = || refuse(format!("`{word}` has no number that can be used"));
            let number = |text: &str| text.parse().ok().filter(|v: &f32| v.is_finite() && *v >= 0.0);
            let value = match arguments.as_slice() {
                [] if !word.contains('(') => None,
                [text] => Some(number(text).ok_or_else(unusable)?),
                _ => return Err(unusable()),
            };
            let bounded = |default: f32, most: f32| match value.unwrap_or(default) {
                v if v <= most => Ok(v),
                v => Err(refuse(format!("`{name}({v})`: at most {most} makes sense"))),
            };
            match name {
                "flip" | "hflip" if value.is_none() => augment.flip_horizontal = true,
                "vflip" if value.is_none() => augment.flip_vertical = true,
                "crop" => augment.crop = bounded(0.9, 1.0)?,
                "rotate" | "rotation" => augment.rotation = bounded(10.0, 180.0)?,
                "zoom" => augment.zoom = bounded(0.1, 0.9)?,
                "brightness" => augment.brightness = bounded(0.1, 1.0)?,
                "contrast" => augment.contrast = bounded(0.1, 1.0)?,
                _ => return Err(refuse(format!("there is no augmentation `{word}`"))),
            }
        }
        Ok(augment)
    }
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if self.flip_horizontal {
            words.push("flip".to_owned());
        }
        if self.flip_vertical {
            words.push("vflip".to_owned());
        }
        let numbers = [
            ("crop", self.crop),
            ("rotate", self.rotation),
            ("zoom", self.zoom),
            ("brightness", self.brightness),
            ("contrast", self.contrast),
        ];
        words.extend(numbers.iter().filter(|(_, v)| *v > 0.0).map(|(name, v)| format!("{name}({v})")));
        f.write_str(if words.is_empty() { "none" } else { "" })?;
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [6, 8, 3];

    fn picture() -> Vec<f32> {
        (0..6 * 8 * 3).map(|i| (i * 37 % 256) as f32).collect()
    }

    fn view(spec: &str, view: u64) -> Vec<f32> {
        let mut pixels = picture();
        let seed = ViewSeed { seed: 1, view };
        spec.parse::<Augment>().unwrap().apply(&mut pixels, SHAPE, ValueRange::BYTES, "a", seed);
        pixels
    }

    #[test]
    fn flips_mirror_and_change_no_pixel() {
        let mirrored: Vec<f32> = picture()
            .chunks(24)
            .flat_map(|row| row.chunks(3).rev().flatten().copied().collect::<Vec<_>>())
            .collect();
        let views: Vec<_> = (0..16).map(|v| view("flip", v)).collect();
        assert!(views.iter().all(|v| *v == picture() || *v == mirrored));
        assert!(views.contains(&picture()) && views.contains(&mirrored));
    }

    #[test]
    fn a_view_is_decided_by_its_seed_and_changes_with_it() {
        let all = "flip vflip crop(0.7) rotate(20) zoom(0.2) brightness(0.2) contrast(0.3)";
        assert_eq!(view(all, 3), view(all, 3));
        assert_ne!(view(all, 3), view(all, 4));
        assert!(view(all, 5).iter().all(|v| (0.0..=255.0).contains(v)));
    }

    #[test]
    fn geometry_keeps_a_constant_picture() {
        let mut pixels = vec![40.0; 144];
        let augment: Augment = "crop(0.5) rotate(90) zoom(0.5)".parse().unwrap();
        augment.apply(&mut pixels, SHAPE, ValueRange::BYTES, "a", ViewSeed { seed: 0, view: 0 });
        assert!(pixels.iter().all(|v| (v - 40.0).abs() < 1e-3));
    }

    #[test]
    fn specs_are_read_back_and_mistakes_are_named() {
        let augment: Augment = "flip, rotate(15) contrast".parse().unwrap();
        assert_eq!(augment.to_string().parse::<Augment>().unwrap(), augment);
        assert!("none".parse::<Augment>().unwrap().is_identity());
        for wrong in ["spin", "rotate(x)", "rotate(400)", "flip(2)", "zoom(-1)"] {
            let error = wrong.parse::<Augment>().unwrap_err().to_string();
            assert!(error.contains("help:"), "{error}");
        }
    }
}
