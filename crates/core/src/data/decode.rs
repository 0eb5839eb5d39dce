//! JPEG and PNG to u8 pixels.
//!
//! What comes out is what Keras's own loaders give (`tf.io.decode_image`, `keras.utils.load_img`), with one
//! difference: the EXIF orientation is applied. Keras ignores it, so that a phone's portrait photo lies on its side;
//! a model trained on upright photos then sees another world than its user does.
//!
//! * The format is told by the content, not by the name.
//! * Alpha is dropped, never blended. Palettes are expanded. 16 bits keep the high byte.
//! * ICC profiles and gamma chunks are ignored.
//! * CMYK and YCCK JPEGs become RGB, as Adobe stores them (inverted).
//! * JPEG pixels are those of libjpeg, which Pillow reads with, bit for bit, for grey and three-component files
//!   that are Huffman coded. `tf.io.decode_image` takes libjpeg's faster, less accurate transform: it differs from
//!   Pillow by up to about 7 levels of 255.

use std::io::Cursor;
use std::path::Path;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageResult, Limits, RgbImage};

use super::DataError;
use super::image::{Image, Pixels};
use super::jpeg::{self, Refused};

/// What decodes images, as a part of cache keys: pixels may change when it does.
pub const DECODER_VERSION: &str = "image 0.25.10, zune-jpeg 0.5.15, png 0.18.1; frostline decode 2";

/// The largest picture that is decoded, in pixels; Pillow's limit. A small file can claim to be larger than memory.
pub const MAX_PIXELS: u64 = 178_956_970;

const MAX_ALLOCATION: u64 = 1 << 30;

const HELP_DAMAGED: &str = "replace the file or remove it";

/// Decodes a file; see [`decode`].
pub fn decode_file(path: &Path) -> Result<Image, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, e))?;
    decode(&bytes, &path.display().to_string())
}

/// Decodes a JPEG or PNG, upright, as 1 channel where the file is grey and 3 (RGB) else. `name` is for messages.
///
/// Errors: an empty file, another format, a damaged or cut-off file, more than [`MAX_PIXELS`].
pub fn decode(bytes: &[u8], name: &str) -> Result<Image, DataError> {
    if bytes.is_empty() {
        return Err(DataError::image(name, "is empty", HELP_DAMAGED));
    }
    let picture = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => {
            jpeg::check(bytes).map_err(|refused| match refused {
                Refused::Truncated => DataError::image(name, "is cut off before its end", HELP_DAMAGED),
                Refused::UnmarkedCmyk => DataError::image(
                    name,
                    "is a CMYK JPEG without an Adobe marker, so its colours are ambiguous",
                    "convert it to RGB",
                ),
            })?;
            let own = || jpeg_pixels(bytes, name);
            JpegDecoder::new(Cursor::new(bytes)).map(|decoder| upright(decoder, name, own))
        }
        Ok(ImageFormat::Png) => PngDecoder::with_limits(Cursor::new(bytes), limits())
            .map(|decoder| upright(decoder, name, || Ok(None))),
        Ok(other) => {
            let kind = format!("{other:?}").to_uppercase();
            return Err(DataError::image(name, format!("is a {kind} file"), "convert it to JPEG or PNG"));
        }
        Err(_) => return Err(DataError::image(name, "is no JPEG or PNG", HELP_DAMAGED)),
    };
    let picture = match picture {
        Ok(Ok(picture)) => picture,
        Ok(Err(error)) => return Err(error),
        Err(error) => return Err(damaged(name, &error)),
    };
    Ok(to_u8(picture))
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOCATION);
    limits
}

fn damaged(name: &str, error: &image::ImageError) -> DataError {
    DataError::image(name, format!("is damaged: {error}"), HELP_DAMAGED)
}

/// The picture the right way up. `own` decodes what `image` is not to; where it gives nothing, `decoder` does.
fn upright<D: ImageDecoder>(
    mut decoder: D,
    name: &str,
    own: impl FnOnce() -> Result<Option<DynamicImage>, DataError>,
) -> Result<DynamicImage, DataError> {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_PIXELS {
        return Err(DataError::image(
            name,
            format!("claims {width} x {height} pixels, of which at most {MAX_PIXELS} are read"),
            "scale it down or remove it",
        ));
    }
    // A damaged EXIF block is no reason to lose the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = match own()? {
        Some(picture) => picture,
        None => pixels_of(decoder).map_err(|e| damaged(name, &e))?,
    };
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// A JPEG's pixels as libjpeg gives them; nothing for the kinds that are left to `image`.
fn jpeg_pixels(bytes: &[u8], name: &str) -> Result<Option<DynamicImage>, DataError> {
    let decoded = jpeg::decode(bytes)
        .map_err(|jpeg::Damaged(what)| DataError::image(name, format!("is damaged: {what}"), HELP_DAMAGED))?;
    Ok(decoded.and_then(|decoded| {
        let (width, height) = (decoded.width as u32, decoded.height as u32);
        match decoded.channels {
            1 => GrayImage::from_raw(width, height, decoded.pixels).map(DynamicImage::ImageLuma8),
            _ => RgbImage::from_raw(width, height, decoded.pixels).map(DynamicImage::ImageRgb8),
        }
    }))
}

fn pixels_of<D: ImageDecoder>(mut decoder: D) -> ImageResult<DynamicImage> {
    decoder.set_limits(limits())?;
    DynamicImage::from_decoder(decoder)
}

fn to_u8(picture: DynamicImage) -> Image {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let high = |v: u16| (v >> 8) as u8;
    let (channels, values) = match picture {
        DynamicImage::ImageLuma8(p) => (1, p.into_raw()),
        DynamicImage::ImageLumaA8(p) => (1, p.pixels().map(|p| p.0[0]).collect()),
        DynamicImage::ImageLuma16(p) => (1, p.pixels().map(|p| high(p.0[0])).collect()),
        DynamicImage::ImageLumaA16(p) => (1, p.pixels().map(|p| high(p.0[0])).collect()),
        DynamicImage::ImageRgb8(p) => (3, p.into_raw()),
        DynamicImage::ImageRgb16(p) => (3, p.pixels().flat_map(|p| p.0.map(high)).collect()),
        DynamicImage::ImageRgba16(p) => {
            (3, p.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]].map(high)).collect())
        }
        other => (3, other.into_rgba8().pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]).collect()),
    };
    Image { height, width, channels, pixels: Pixels::U8(values) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_the_decoders_that_are_built_in() {
        let lock = include_str!("../../../../Cargo.lock");
        for part in DECODER_VERSION.split(';').next().unwrap_or_default().split(", ") {
            let (name, version) = part.split_once(' ').unwrap();
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"");
            assert!(lock.contains(&entry), "`{part}` is not in Cargo.lock: update DECODER_VERSION");
        }
    }

    #[test]
    fn other_formats_are_named() {
        let error = decode(b"GIF89a\x01\x00\x01\x00", "a.png").unwrap_err().to_string();
        assert!(error.contains("`a.png`: is a GIF file") && error.contains("help: convert"), "{error}");
    }
}
