//! A map, and how it lies over a picture.

use frostline_data::{DataError, Fit, Image, Pixels};
use frostline_graph::{Error, Result};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

/// What of a class a map explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explained {
    /// Its logit: what goes into the last softmax or sigmoid, or what a model without one puts out.
    Logit,
    /// Its output, of a model whose last softmax or sigmoid is not its last operation.
    Output,
}

impl Explained {
    /// `logit` or `output`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logit => "logit",
            Self::Output => "output",
        }
    }
}

/// Where in an image a class is seen.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// `[height, width]`, from 0 to 1; all 0 where nothing speaks for the class.
    pub values: Vec<f32>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The path of the layer whose places they are.
    pub layer: String,
    /// The class; of a model that predicts numbers, the output.
    pub class: usize,
    /// What the model predicts for it.
    pub score: f32,
    /// What was explained.
    pub of: Explained,
    /// `[height, width]` of the model's input that it spans.
    pub(super) input: [usize; 2],
    /// How the picture became that.
    pub(super) fit: Fit,
}

impl HeatMap {
    /// Whether nothing at this layer speaks for the class.
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(|value| *value == 0.0)
    }

    /// The map's value at each pixel of a picture of `[height, width]`; none where the model did not see it, as its fit cut that
    /// off. Between places it is linear.
    pub fn over(&self, picture: [usize; 2]) -> Vec<Option<f32>> {
        let place = self.fit.place(picture, self.input);
        let axis = |axis: usize, places: usize| -> Vec<Option<(usize, usize, f32)>> {
            let seen = |pixel: usize| {
                let scale = place.resized[axis] as f64 / picture[axis].max(1) as f64;
                let at = (pixel as f64 + 0.5) * scale + place.offset[axis] as f64;
                let share = at / self.input[axis].max(1) as f64;
                (0.0..=1.0).contains(&share).then(|| between(share, places))
            };
            (0..picture[axis]).map(seen).collect()
        };
        let (rows, columns) = (axis(0, self.height), axis(1, self.width));
        let value = |row: &Option<(usize, usize, f32)>, column: &Option<(usize, usize, f32)>| {
            Some(bilinear(&self.values, self.width, (*row)?, (*column)?))
        };
        rows.iter().flat_map(|row| columns.iter().map(move |column| value(row, column))).collect()
    }

    /// The picture, in RGB at its own size, with the map over it in colours from dark blue to yellow (viridis). `opacity`, from
    /// 0 to 1: how much of the picture the colours hide. Where the model did not see the picture it is grey.
    ///
    /// # Errors
    ///
    /// A picture of channels that have no colour.
    pub fn overlay(&self, picture: &Image, opacity: f32) -> Result<Image, DataError> {
        let picture = picture.clone().with_channels(3, "the picture")?;
        let mut bytes: Vec<u8> = match picture.pixels {
            Pixels::U8(bytes) => bytes,
            Pixels::F32(values) => values.into_iter().map(byte).collect(),
        };
        let opacity = opacity.clamp(0.0, 1.0);
        let over = self.over([picture.height, picture.width]);
        for (pixel, value) in bytes.chunks_exact_mut(3).zip(over) {
            match value {
                Some(value) => {
                    let colour = colorous::VIRIDIS.eval_continuous(f64::from(value.clamp(0.0, 1.0)));
                    for (own, over) in pixel.iter_mut().zip(colour.as_array()) {
                        *own = byte(f32::from(*own) * (1.0 - opacity) + f32::from(over) * opacity);
                    }
                }
                None => {
                    let sum: u32 = pixel.iter().map(|value| u32::from(*value)).sum();
                    pixel.fill((sum / 3) as u8);
                }
            }
        }
        Ok(Image { pixels: Pixels::U8(bytes), ..picture })
    }

    /// [`HeatMap::overlay`] as the bytes of a PNG file.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn overlay_png(&self, picture: &Image, opacity: f32) -> Result<Vec<u8>> {
        png(&self.overlay(picture, opacity)?)
    }
}

/// An RGB picture as the bytes of a PNG file.
fn png(picture: &Image) -> Result<Vec<u8>> {
    let Pixels::U8(pixels) = &picture.pixels else {
        return Err(Error::data("a picture of other values than bytes is no PNG"));
    };
    let mut bytes = Vec::new();
    let (width, height) = (picture.width as u32, picture.height as u32);
    let done = PngEncoder::new(&mut bytes).write_image(pixels, width, height, ExtendedColorType::Rgb8);
    done.map_err(|error| Error::data(format!("the picture cannot be written as a PNG: {error}")))?;
    Ok(bytes)
}

fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// The two of `places` that a share of their extent lies between, and the weight of the second.
fn between(share: f64, places: usize) -> (usize, usize, f32) {
    let at = (share * places as f64 - 0.5).clamp(0.0, (places.max(1) - 1) as f64);
    let first = at.floor() as usize;
    (first, (first + 1).min(places.max(1) - 1), (at - first as f64) as f32)
}

fn bilinear(values: &[f32], width: usize, row: (usize, usize, f32), column: (usize, usize, f32)) -> f32 {
    let line = |row: usize| {
        let (first, second) = (values[row * width + column.0], values[row * width + column.1]);
        first + (second - first) * column.2
    };
    let (first, second) = (line(row.0), line(row.1));
    first + (second - first) * row.2
}

/// A map of extents `from`, resampled to others.
pub(super) fn stretched(values: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    let axis = |axis: usize| -> Vec<(usize, usize, f32)> {
        (0..to[axis]).map(|at| between((at as f64 + 0.5) / to[axis] as f64, from[axis])).collect()
    };
    let (rows, columns) = (axis(0), axis(1));
    rows.iter()
        .flat_map(|row| columns.iter().map(move |column| bilinear(values, from[1], *row, *column)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(values: &[f32], [height, width]: [usize; 2], input: [usize; 2], fit: Fit) -> HeatMap {
        let (values, layer) = (values.to_vec(), "layer".to_owned());
        HeatMap { values, height, width, layer, class: 0, score: 1.0, of: Explained::Logit, input, fit }
    }

    #[test]
    fn a_map_lies_where_the_model_looked() {
        // the left half of the input
        let left = |fit| map(&[1.0, 0.0], [1, 2], [100, 100], fit);
        // a picture of 100 x 300, of which the model sees the middle: columns 100 to 199
        let over = left(Fit::Crop).over([100, 300]);
        let row = &over[..300];
        assert!(row[..100].iter().chain(&row[200..]).all(Option::is_none));
        assert_eq!((row[100], row[199]), (Some(1.0), Some(0.0)));
        // all of it is seen, in rows 33 to 66 of the input
        let over = left(Fit::Pad).over([100, 300]);
        assert_eq!((over[0], over[299]), (Some(1.0), Some(0.0)));
        assert!(over.iter().all(Option::is_some));
        // a map whose upper half is hot: padding above and below the picture is hot, too, and not shown
        let upper = map(&[1.0, 0.0], [2, 1], [100, 100], Fit::Pad).over([100, 300]);
        assert!(
            upper[0].is_some_and(|value| value < 0.9) && upper[99 * 300].is_some_and(|value| value > 0.1)
        );
        let squashed = map(&[1.0, 0.0], [2, 1], [100, 100], Fit::Squash).over([100, 300]);
        assert_eq!((squashed[0], squashed[99 * 300]), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn a_picture_keeps_its_size_and_shows_through() -> Result<()> {
        let picture = Image { height: 2, width: 5, channels: 1, pixels: Pixels::U8(vec![100; 10]) };
        let map = map(&[1.0, 0.0], [1, 2], [8, 8], Fit::Squash);
        let shown = map.overlay(&picture, 0.0)?;
        assert_eq!(shown.pixels, Pixels::U8(vec![100; 30]));
        let Pixels::U8(hidden) = map.overlay(&picture, 1.0)?.pixels else { panic!("bytes") };
        // viridis goes from (68, 1, 84) to (253, 231, 37)
        assert_eq!((&hidden[..3], &hidden[12..15]), (&[253, 231, 37][..], &[68, 1, 84][..]));
        let png = map.overlay_png(&picture, 0.5)?;
        let back = frostline_data::decode(&png, "a map")?;
        assert_eq!((back.height, back.width, back.channels), (2, 5, 3));
        Ok(())
    }

    #[test]
    fn a_map_is_resampled_between_its_places() {
        assert_eq!(stretched(&[0.0, 1.0], [1, 2], [1, 4]), [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(stretched(&[3.0], [1, 1], [2, 2]), [3.0; 4]);
    }
}
