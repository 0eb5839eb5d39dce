//! Small pictures of examples, for people to look at: what is decoded here is what a model sees, upright.

use std::io::Cursor;

use image::{ExtendedColorType, ImageEncoder};

use super::decode::read;
use super::held::Held;
use super::image::{Image, Pixels};
use super::{DataError, Dataset, Example, Input, Resize, ScaledDecode, ValueRange, decode_for, path_text};

/// Pictures up to this size are kept as they are, to the pixel.
const SMALL: usize = 64;
/// Of JPEGs, from 1 to 100.
#[cfg(feature = "jpeg")]
const QUALITY: u8 = 78;
/// A large JPEG is decoded at this many times the size that it is made into.
const TIMES: u8 = 2;

/// A small picture, as the content of a file that browsers show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `image/jpeg` or `image/png`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Dataset {
    /// A small picture of an example, whose longer side has at most `side` pixels. None where the example is a row of numbers that
    /// make no picture.
    ///
    /// Errors: a file that cannot be read or decoded.
    pub fn thumbnail(&self, example: &Example, side: usize) -> Result<Option<Thumbnail>, DataError> {
        let image = match &example.input {
            Input::File(path) => {
                let scaled = ScaledDecode::try_from(TIMES)?;
                decode_for(&read(path)?, &path_text(path), scaled, [side, side])?
            }
            Input::Row { split, row } => match self.array(*split) {
                Some(array) if *row < array.rows() => match array.row_shape() {
                    [_, _] | [_, _, 1..=4] => as_bytes(array.image(*row), self.value_range()),
                    _ => return Ok(None),
                },
                _ => return Err(self.foreign(example)),
            },
            Input::Packed(picture) => {
                let scaled = ScaledDecode::try_from(TIMES)?;
                decode_for(&picture.read(&example.name)?, &example.name, scaled, [side, side])?
            }
            Input::Picture(picture) => match picture.held() {
                Held::Encoded(bytes) => {
                    let scaled = ScaledDecode::try_from(TIMES)?;
                    decode_for((**bytes).as_ref(), &example.name, scaled, [side, side])?
                }
                Held::Decoded(image) => image.clone(),
            },
        };
        Thumbnail::of(image, side, &example.name).map(Some)
    }
}

impl Thumbnail {
    /// Of a picture of 0 to 255.
    ///
    /// Errors: a number of channels that no picture has.
    pub fn of(image: Image, side: usize, name: &str) -> Result<Self, DataError> {
        let channels = if image.channels <= 2 { 1 } else { 3 };
        let image = image.with_channels(channels, name)?;
        let longer = image.height.max(image.width);
        let scaled = |extent: usize| match longer > side {
            true => ((extent * side) as f64 / longer as f64).round().max(1.0) as usize,
            false => extent,
        };
        let (height, width) = (scaled(image.height), scaled(image.width));
        let mut values = vec![0.0; height * width * channels];
        Resize::PilBilinear.apply(&image, height, width, &mut values)?;
        let pixels: Vec<u8> = values.iter().map(|value| value.round().clamp(0.0, 255.0) as u8).collect();
        let colour = if channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
        let mut bytes = Cursor::new(Vec::new());
        let (columns, rows) = (width as u32, height as u32);
        let (media_type, written) = match height.max(width) > SMALL {
            #[cfg(feature = "jpeg")]
            true => {
                let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, QUALITY);
                ("image/jpeg", encoder.write_image(&pixels, columns, rows, colour))
            }
            _ => {
                let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
                ("image/png", encoder.write_image(&pixels, columns, rows, colour))
            }
        };
        written.map_err(|error| {
            DataError::image(
                name,
                format!("cannot be made into a small picture: {error}"),
                "look at the image: its size may be odd",
            )
        })?;
        Ok(Self { width, height, media_type, bytes: bytes.into_inner() })
    }
}

/// Values of a range as 0 to 255.
fn as_bytes(image: Image, range: ValueRange) -> Image {
    let Pixels::F32(values) = image.pixels else { return image };
    let span = (range.max - range.min).max(f32::MIN_POSITIVE);
    let byte = |value: &f32| (255.0 * (value - range.min) / span).round().clamp(0.0, 255.0) as u8;
    Image { pixels: Pixels::U8(values.iter().map(byte).collect()), ..image }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Split, Target, decode};

    fn thumbnail(channels: usize, height: usize, width: usize) -> Thumbnail {
        let values = (0..height * width * channels).map(|index| (index % 251) as u8).collect();
        Thumbnail::of(Image { height, width, channels, pixels: Pixels::U8(values) }, 100, "a").unwrap()
    }

    #[test]
    fn a_large_picture_is_made_small_and_a_small_one_stays_as_it_is() {
        let large = thumbnail(3, 300, 600);
        assert_eq!((large.height, large.width), (50, 100));
        let back = decode(&large.bytes, "a").unwrap();
        assert_eq!((back.height, back.width, back.channels), (50, 100, 3));
        let small = thumbnail(2, 4, 5);
        let back = decode(&small.bytes, "a").unwrap();
        assert_eq!((small.media_type, back.height, back.width, back.channels), ("image/png", 4, 5, 1));
        // alpha is dropped, each other value is as it was
        assert_eq!(back.pixels, Pixels::U8((0..20).map(|pixel| 2 * pixel).collect()));
        assert_eq!(thumbnail(1, 1, 5000).height, 1);
    }

    #[test]
    fn a_photo_that_lies_on_its_side_is_turned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tif");
        // a picture of 2 x 1 pixels, black and white, whose orientation is 6: its right side is up
        let entries: [(u16, u16, u32); 10] = [
            (256, 3, 2),
            (257, 3, 1),
            (258, 3, 8),
            (259, 3, 1),
            (262, 3, 1),
            (273, 4, 134),
            (274, 3, 6),
            (277, 3, 1),
            (278, 3, 1),
            (279, 4, 2),
        ];
        let mut bytes = b"II*\0\x08\0\0\0\x0a\0".to_vec();
        for (tag, kind, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend([0; 4]);
        assert_eq!(bytes.len(), 134);
        bytes.extend([0, 255]);
        std::fs::write(&path, &bytes).unwrap();
        let dataset = Dataset::default();
        let example = Example { name: "a".into(), input: Input::File(path), target: Target::Class(0) };
        let found = dataset.thumbnail(&example, 100).unwrap().unwrap();
        assert_eq!((found.height, found.width), (2, 1));
        assert_eq!(decode(&found.bytes, "a").unwrap().pixels, Pixels::U8(vec![0, 255]));
    }

    #[test]
    fn rows_of_any_range_are_pictures_where_their_shape_is_one() {
        let of = |shape: &[usize], values: Vec<f32>| {
            let array = crate::Array::new(shape.to_vec(), Pixels::F32(values), true);
            let arrays = [Some(std::sync::Arc::new(array)), None, None];
            let dataset = Dataset { arrays, ..Dataset::default() };
            let input = Input::Row { split: Split::Train, row: 0 };
            let example = Example { name: "x_train[0]".into(), input, target: Target::Class(0) };
            dataset.thumbnail(&example, 100).unwrap()
        };
        let found = of(&[1, 1, 3], vec![-2.0, 0.0, 2.0]).unwrap();
        assert_eq!(decode(&found.bytes, "a").unwrap().pixels, Pixels::U8(vec![0, 128, 255]));
        let found = of(&[1, 1, 2], vec![0.0, 1.0]).unwrap();
        assert_eq!(decode(&found.bytes, "a").unwrap().pixels, Pixels::U8(vec![0, 255]));
        assert_eq!(of(&[1, 3], vec![0.0, 1.0, 2.0]), None);
        assert_eq!(of(&[1, 1, 1, 7], vec![0.0; 7]), None);
    }
}
