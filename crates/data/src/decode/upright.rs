//! From a decoder to the upright picture.

use crate::DataError;
use image::error::ImageFormatHint;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageResult, Limits};

/// The largest picture that is decoded, in pixels; Pillow's limit. A small file can claim to be larger than memory.
pub const MAX_PIXELS: u64 = 178_956_970;

const MAX_ALLOCATION: u64 = 1 << 30;
/// What a file may hold besides its pixels, in bytes: profiles of colours and text, which a small file can claim to be larger than memory.
const BESIDES: u64 = 32 << 20;
/// Bytes of a pixel at most: four channels of 16 bits, as they are and as they are handed out.
const PIXEL_BYTES: u64 = 16;

pub(super) const HELP_DAMAGED: &str = "replace the file or remove it";
/// What a picture is that says it has more pixels than its bytes can hold: they are not believed before memory is taken for them.
pub(super) const HOLLOW: &str = "is damaged: it has too few bytes for as many pixels as it says it has";
/// Deflate makes at most so many bytes of one.
const DEFLATE: u64 = 1032;

/// What so many pixels take, and little besides.
fn limits(pixels: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(pixels.saturating_mul(PIXEL_BYTES).saturating_add(BESIDES).min(MAX_ALLOCATION));
    limits
}

/// Those of a PNG, by its header.
pub(super) fn limits_of_png(bytes: &[u8]) -> Limits {
    // behind the signature the first chunk: length, `IHDR`, width, height
    let side = |at| bytes.get(at..at + 4).and_then(|side| side.try_into().ok()).map_or(0, u32::from_be_bytes);
    limits(u64::from(side(16)) * u64::from(side(20)))
}

/// Whether a PNG says it has more pixels than its data can be unpacked to.
pub(super) fn is_hollow_png(bytes: &[u8]) -> bool {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    // behind the signature the first chunk: length, `IHDR`, width, height, bits of a channel, kind of colours
    let (Some(width), Some(height), Some(&[bits, colours])) =
        (number(16), number(20), bytes.get(24..26).and_then(<[u8]>::first_chunk))
    else {
        return false;
    };
    let channels = match colours {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    let wanted = (u64::from(width) * u64::from(bits) * channels / 8).saturating_mul(u64::from(height));
    let (mut at, mut packed) = (8usize, 0u64);
    while let Some(length) = number(at) {
        if bytes.get(at + 4..at + 8) == Some(b"IDAT") {
            packed += u64::from(length).min((bytes.len() - at) as u64);
        }
        at = at.saturating_add(12).saturating_add(length as usize);
    }
    wanted > packed.saturating_mul(DEFLATE)
}

pub(super) fn damaged(name: &str, error: &dyn std::fmt::Display) -> DataError {
    DataError::image(name, format!("is damaged: {error}"), HELP_DAMAGED)
}

/// A picture that a decoder does not give: of a kind that it does not read, which other programs may, or damaged.
pub(super) fn refused(name: &str, error: &ImageError) -> DataError {
    match error {
        ImageError::Unsupported(error) => {
            let format = match error.format_hint() {
                ImageFormatHint::Exact(format) => format!("{format:?}").to_uppercase(),
                _ => "picture".to_owned(),
            };
            DataError::Kind { name: name.to_owned(), kind: format!("{format} ({error})") }
        }
        other => damaged(name, other),
    }
}

/// Decodes, and turns the picture the right way up. `own` may decode in `decoder`'s stead.
pub(super) fn upright<D: ImageDecoder>(
    name: &str,
    own: impl FnOnce(Orientation) -> Result<Option<DynamicImage>, String>,
) -> impl FnOnce(D) -> Result<DynamicImage, DataError> {
    move |mut decoder| {
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
        let mut picture = match own(orientation).map_err(|error| damaged(name, &error))? {
            Some(picture) => picture,
            None => pixels_of(decoder).map_err(|error| refused(name, &error))?,
        };
        picture.apply_orientation(orientation);
        Ok(picture)
    }
}

pub(super) fn pixels_of<D: ImageDecoder>(mut decoder: D) -> ImageResult<DynamicImage> {
    let (width, height) = decoder.dimensions();
    decoder.set_limits(limits(u64::from(width) * u64::from(height)))?;
    DynamicImage::from_decoder(decoder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    use image::{ExtendedColorType, ImageEncoder};

    #[test]
    fn a_png_of_one_colour_is_not_hollow_and_one_of_fewer_bytes_is() {
        let (width, height) = (3000, 2000);
        let mut file = Vec::new();
        let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Best, FilterType::NoFilter);
        encoder
            .write_image(&vec![7; width * height], width as u32, height as u32, ExtendedColorType::L8)
            .expect("a picture");
        assert!(!is_hollow_png(&file), "{} bytes", file.len());
        // ten times as high
        file[20..24].copy_from_slice(&(10 * height as u32).to_be_bytes());
        assert!(is_hollow_png(&file));
        assert!(!is_hollow_png(&file[..20]) && !is_hollow_png(b""));
    }
}
