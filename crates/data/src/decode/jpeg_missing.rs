//! A build without the feature `jpeg`: each JPEG is refused by name.

use super::scaled::Enough;
use crate::DataError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageResult};

/// How many of a JPEG's pixels are wanted.
pub(super) enum Wanted<'a> {
    /// As many as this says for a picture that will be turned so; `None`: all.
    #[allow(dead_code, reason = "no JPEG is decoded here")]
    Pixels(&'a dyn Fn(Orientation) -> Option<Enough>),
    /// None.
    Soundness,
}

/// Refuses the file.
pub(super) fn picture(_: &[u8], name: &str, _: &Wanted<'_>) -> ImageResult<Result<DynamicImage, DataError>> {
    let help = "convert it to PNG, or build frostline with its feature `jpeg`";
    Ok(Err(DataError::image(name, "is a JPEG, which this build does not read", help)))
}

/// No scan header is looked at.
pub(super) fn is_off(_: &[u8]) -> bool {
    false
}

/// The header is not read.
pub(super) fn header(_: &[u8]) -> ImageResult<((u32, u32), Orientation)> {
    let jpeg = image::error::ImageFormatHint::Exact(image::ImageFormat::Jpeg);
    Err(image::ImageError::Unsupported(jpeg.into()))
}
