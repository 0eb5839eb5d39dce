//! From a decoder to the upright picture.

use crate::DataError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageResult, Limits};

/// The largest picture that is decoded, in pixels; Pillow's limit. A small file can claim to be larger than memory.
pub const MAX_PIXELS: u64 = 178_956_970;

const MAX_ALLOCATION: u64 = 1 << 30;
/// What a file may hold besides its pixels, in bytes: profiles of colours and text, which a small file can claim to be larger than memory.
const BESIDES: u64 = 32 << 20;
/// Bytes of a pixel at most: four channels of 16 bits, as they are and as they are handed out.
const PIXEL_BYTES: u64 = 16;

pub(super) const HELP_DAMAGED: &str = "replace the file or remove it";

pub(super) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOCATION);
    limits
}

/// Those of a PNG: what its pixels take, and little besides.
pub(super) fn limits_of_png(bytes: &[u8]) -> Limits {
    // behind the signature the first chunk: length, `IHDR`, width, height
    let side = |at| bytes.get(at..at + 4).and_then(|side| side.try_into().ok()).map_or(0, u32::from_be_bytes);
    let pixels = u64::from(side(16)) * u64::from(side(20));
    let mut limits = limits();
    limits.max_alloc = Some(pixels.saturating_mul(PIXEL_BYTES).saturating_add(BESIDES).min(MAX_ALLOCATION));
    limits
}

pub(super) fn damaged(name: &str, error: &dyn std::fmt::Display) -> DataError {
    DataError::image(name, format!("is damaged: {error}"), HELP_DAMAGED)
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
            None => pixels_of(decoder).map_err(|error| damaged(name, &error))?,
        };
        picture.apply_orientation(orientation);
        Ok(picture)
    }
}

pub(super) fn pixels_of<D: ImageDecoder>(mut decoder: D) -> ImageResult<DynamicImage> {
    decoder.set_limits(limits())?;
    DynamicImage::from_decoder(decoder)
}
