//! JPEG files, with libjpeg's pixels.

use super::jpeg::{self, MOST_SCANS, Refused};
use super::libjpeg::{self, Decoded};
use super::scaled::Enough;
use super::upright::{HELP_DAMAGED, HOLLOW, pixels_of, upright};
use crate::DataError;
use image::codecs::jpeg::JpegDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageResult};
use std::borrow::Cow;
use std::io::Cursor;

/// How many of a JPEG's pixels are wanted.
pub(super) enum Wanted<'a> {
    /// As many as this says for a picture that will be turned so; `None`: all.
    Pixels(&'a dyn Fn(Orientation) -> Option<Enough>),
    /// None: it is only to be seen whether the file is sound. The stricter decoder decides alone.
    Soundness,
}

/// The upright picture.
pub(super) fn picture(
    bytes: &[u8],
    name: &str,
    wanted: &Wanted<'_>,
) -> ImageResult<Result<DynamicImage, DataError>> {
    let walked = match jpeg::check(bytes) {
        Ok(walked) => walked,
        Err(Refused::Truncated) => {
            return Ok(Err(DataError::image(name, "is cut off before its end", HELP_DAMAGED)));
        }
        Err(Refused::Hollow) => {
            return Ok(Err(DataError::image(name, HOLLOW, HELP_DAMAGED)));
        }
        Err(Refused::ManyScans) => {
            return Ok(Err(DataError::image(
                name,
                format!("has more than {MOST_SCANS} scans, each of which goes over the whole picture"),
                "save it again with another program, or remove it",
            )));
        }
        Err(Refused::UnmarkedCmyk) => {
            return Ok(Err(DataError::image(
                name,
                "is a CMYK JPEG without an Adobe marker, so its colours are ambiguous",
                "convert it to RGB",
            )));
        }
    };
    let bytes = &*walked.mended(bytes);
    let own = |orientation| match wanted {
        Wanted::Pixels(enough) => pixels(bytes, enough(orientation)),
        Wanted::Soundness => Ok(None),
    };
    JpegDecoder::new(Cursor::new(bytes)).map(upright(name, own))
}

/// libjpeg's pixels. Where it warns or gives up, a stricter decoder says whether the file is damaged.
fn pixels(bytes: &[u8], enough: Option<Enough>) -> Result<Option<DynamicImage>, String> {
    let found = libjpeg::pixels(bytes, enough);
    if let Ok(Decoded { pixels, warned: false }) = found {
        return Ok(pixels);
    }
    JpegDecoder::new(Cursor::new(bytes)).and_then(pixels_of).map_err(|error| error.to_string())?;
    found.map(|decoded| decoded.pixels)
}

/// Whether a scan header is off, which is no harm to the pixels.
pub(super) fn is_off(bytes: &[u8]) -> bool {
    jpeg::check(bytes).is_ok_and(|walked| walked.is_off())
}

/// `(width, height)` and how the picture lies, from the header alone.
pub(super) fn header(bytes: &[u8]) -> ImageResult<((u32, u32), Orientation)> {
    let mended = |error| match jpeg::check(bytes) {
        Ok(walked) if walked.is_off() => Ok(walked.mended(bytes)),
        _ => Err(error),
    };
    let mended = JpegDecoder::new(Cursor::new(bytes)).map(|_| Cow::Borrowed(bytes)).or_else(mended)?;
    let mut decoder = JpegDecoder::new(Cursor::new(&*mended))?;
    Ok((decoder.dimensions(), decoder.orientation().unwrap_or(Orientation::NoTransforms)))
}
