//! One picture in memory, and the change of its number of channels.

use super::DataError;

/// The values of a picture or of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Pixels {
    /// 0 to 255.
    U8(Vec<u8>),
    /// Any scale.
    F32(Vec<f32>),
}

/// A picture: `[height, width, channels]`, row-major, no extent zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 is grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; others have no meaning here.
    pub channels: usize,
    /// `height * width * channels` values.
    pub pixels: Pixels,
}

impl Image {
    /// The picture with another number of channels, as Pillow's `convert("L")` and `convert("RGB")` do it.
    ///
    /// Grey becomes RGB by repetition. RGB becomes grey by the ITU-R 601 luma, `0.299 R + 0.587 G + 0.114 B`, in
    /// Pillow's fixed point for u8. Alpha is dropped, never blended. Other changes are errors.
    pub fn with_channels(self, channels: usize, name: &str) -> Result<Self, DataError> {
        let from = self.channels;
        if from == channels {
            return Ok(self);
        }
        if !matches!((from, channels), (1 | 2, 1 | 3) | (3 | 4, 1 | 3)) {
            return Err(DataError::image(
                name,
                format!("has {from} channels where the model takes {channels}"),
                "1 (grey) and 3 (RGB) are converted into each other; give data with the model's channels",
            ));
        }
        let pixels = match self.pixels {
            Pixels::U8(v) => Pixels::U8(convert(&v, from, channels, luma_u8)),
            Pixels::F32(v) => Pixels::F32(convert(&v, from, channels, luma_f32)),
        };
        Ok(Self { channels, pixels, ..self })
    }
}

fn convert<T: Copy>(values: &[T], from: usize, to: usize, luma: fn(T, T, T) -> T) -> Vec<T> {
    let mut out = Vec::with_capacity(values.len() / from * to);
    for pixel in values.chunks_exact(from) {
        match (from, to) {
            (1 | 2, 1) => out.push(pixel[0]),
            (1 | 2, _) => out.extend([pixel[0]; 3]),
            (_, 1) => out.push(luma(pixel[0], pixel[1], pixel[2])),
            _ => out.extend_from_slice(&pixel[..3]),
        }
    }
    out
}

fn luma_u8(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

fn luma_f32(r: f32, g: f32, b: f32) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u8_image(channels: usize, pixels: &[u8]) -> Image {
        Image { height: 1, width: pixels.len() / channels, channels, pixels: Pixels::U8(pixels.to_vec()) }
    }

    #[test]
    fn grey_and_colour_become_each_other() {
        let rgb = u8_image(1, &[7, 9]).with_channels(3, "a").unwrap();
        assert_eq!(rgb.pixels, Pixels::U8(vec![7, 7, 7, 9, 9, 9]));
        // PIL.Image.new("RGB", (1, 1), (200, 30, 90)).convert("L") is 88.
        assert_eq!(u8_image(3, &[200, 30, 90]).with_channels(1, "a").unwrap().pixels, Pixels::U8(vec![88]));
    }

    #[test]
    fn alpha_is_dropped() {
        assert_eq!(
            u8_image(4, &[1, 2, 3, 0]).with_channels(3, "a").unwrap().pixels,
            Pixels::U8(vec![1, 2, 3])
        );
        assert_eq!(u8_image(2, &[5, 0]).with_channels(1, "a").unwrap().pixels, Pixels::U8(vec![5]));
    }

    #[test]
    fn channels_without_a_meaning_are_an_error() {
        let error = u8_image(5, &[1, 2, 3, 4, 5]).with_channels(3, "x_train[4]").unwrap_err().to_string();
        assert!(error.contains("`x_train[4]`") && error.contains("has 5 channels"), "{error}");
    }
}
