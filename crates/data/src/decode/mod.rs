//! JPEG, PNG, WebP, BMP, GIF (the first picture) and TIFF (the first page) to u8 pixels.
//!
//! What comes out is what Keras's own loaders give (`tf.io.decode_image`, `keras.utils.load_img`), with one
//! difference: the EXIF orientation is applied. Keras ignores it, so that a phone's portrait photo lies on its side;
//! a model trained on upright photos then sees another world than its user does.
//!
//! * The format is told by the content, not by the name.
//! * Alpha is dropped, never blended. Palettes are expanded. 16 bits keep the high byte.
//! * ICC profiles and gamma chunks are ignored.
//! * CMYK and YCCK JPEGs become RGB, as Adobe stores them (inverted).
//! * JPEG pixels are those of libjpeg, bit for bit; all of them, unless a [`ScaledDecode`] says that fewer are enough.
//!   `tf.io.decode_image` takes libjpeg's faster, less accurate transform: it differs from Pillow by up to about 7 levels
//!   of 255.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{
    bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder,
};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat};

mod contained;
#[cfg(feature = "jpeg")]
mod jpeg;
#[cfg_attr(feature = "jpeg", path = "jpeg_file.rs")]
#[cfg_attr(not(feature = "jpeg"), path = "jpeg_missing.rs")]
mod jpeg_file;
#[cfg(feature = "jpeg")]
mod libjpeg;
pub(crate) mod odd;
mod scaled;
mod tiff;
mod upright;
mod webp;

pub use contained::panic_is_contained;
pub use scaled::ScaledDecode;
pub use upright::MAX_PIXELS;

use crate::DataError;
use crate::image::{Image, Pixels};
pub(crate) use contained::contained;
use jpeg_file::Wanted;
use upright::{HELP_DAMAGED, HOLLOW, is_hollow_png, limits_of_png, refused, upright};

/// What decodes images, as a part of cache keys: pixels may change when it does.
pub const DECODER_VERSION: &str = "image 0.25.10, mozjpeg 0.10.13, mozjpeg-sys 2.2.3, png 0.18.1, gif 0.14.2, image-webp 0.2.4, tiff 0.11.3; frostline decode 2";
/// What a TIFF is whose directory says that it has more values than there are bytes.
const TOO_FEW: &str = "is damaged: its directory counts more values than the file has bytes";

/// What a WebP is in which a picture says another size than the file does.
const LARGER: &str = "is damaged: a picture in it is larger than it says it is";

/// What a WebP is whose parts go on behind its end.
const CUT_OFF: &str = "is damaged: a part of it says that it is longer than the file";

/// Decodes a file; see [`decode`].
pub fn decode_file(path: &Path) -> Result<Image, DataError> {
    decode(&read(path)?, &super::path_text(path))
}

/// Decodes a file for a `[height, width]` that it will be resized to; see [`decode_for`].
pub fn decode_file_for(path: &Path, scaled: ScaledDecode, target: [usize; 2]) -> Result<Image, DataError> {
    decode_for(&read(path)?, &super::path_text(path), scaled, target)
}

/// The error of an image file that is damaged. `name` is for messages. A JPEG is decoded by the stricter decoder alone.
pub(super) fn check(bytes: &[u8], name: &str) -> Result<(), DataError> {
    picture(bytes, name, &Wanted::Soundness).map(drop)
}

/// Whether a file that is read is a JPEG whose scan header is off.
pub(super) fn is_odd(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8]) && jpeg_file::is_off(bytes)
}

/// `[height, width]` of the upright picture in a file, from its header alone.
///
/// Errors: a file that cannot be read, or is no picture of a kind that is. Whether the rest of it is sound is not looked at.
pub fn picture_size(path: &Path) -> Result<[usize; 2], DataError> {
    picture_size_of(&read(path)?, &super::path_text(path))
}

/// [`picture_size`] of a file that is in memory. `name` is for messages.
pub fn picture_size_of(bytes: &[u8], name: &str) -> Result<[usize; 2], DataError> {
    if let Some(why) = claims_too_much(bytes) {
        return Err(DataError::image(name, why, HELP_DAMAGED));
    }
    let found = || match (image::guess_format(bytes), Cursor::new(bytes)) {
        (Ok(ImageFormat::Png), file) => PngDecoder::with_limits(file, limits_of_png(bytes)).map(header),
        (Ok(ImageFormat::Bmp), file) => BmpDecoder::new(file).map(header),
        (Ok(ImageFormat::Gif), file) => GifDecoder::new(file).map(header),
        (Ok(ImageFormat::Tiff), file) => TiffDecoder::new(file).map(header),
        (Ok(ImageFormat::WebP), file) => WebPDecoder::new(file).map(header),
        _ => jpeg_file::header(bytes),
    };
    let ((width, height), orientation) = contained(name, || found().map_err(|error| refused(name, &error)))?;
    let size = [height as usize, width as usize];
    Ok(if lies_on_its_side(orientation) { [size[1], size[0]] } else { size })
}

/// What is wrong with a file that says it holds more than it can, where a decoder allocates that as soon as it is opened.
fn claims_too_much(bytes: &[u8]) -> Option<&'static str> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::WebP) => webp::is_cut_off(bytes).then_some(CUT_OFF),
        Ok(ImageFormat::Tiff) => tiff::is_hollow(bytes).then_some(TOO_FEW),
        _ => None,
    }
}

fn header(mut decoder: impl ImageDecoder) -> ((u32, u32), Orientation) {
    (decoder.dimensions(), decoder.orientation().unwrap_or(Orientation::NoTransforms))
}

/// Whether a picture's height and width change places when it is turned upright.
fn lies_on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    frostline_files::regular::read(path).map_err(|e| DataError::io(path, e))
}

/// Decodes a picture, upright, as 1 channel where the file is grey and 3 (RGB) else. `name` is for messages.
///
/// Errors: an empty file, another format, a damaged or cut-off file, more than [`MAX_PIXELS`](crate::MAX_PIXELS).
pub fn decode(bytes: &[u8], name: &str) -> Result<Image, DataError> {
    picture(bytes, name, &Wanted::Pixels(&|_| None)).map(to_u8)
}

/// Decodes as [`decode`] does, but a grey or coloured JPEG at the fewest pixels that `scaled` allows for a
/// `[height, width]`, which is that of the upright picture. The same files are damaged.
pub fn decode_for(
    bytes: &[u8],
    name: &str,
    scaled: ScaledDecode,
    target: [usize; 2],
) -> Result<Image, DataError> {
    let enough = |orientation| scaled.enough(target).map(|enough| enough.before(orientation));
    picture(bytes, name, &Wanted::Pixels(&enough)).map(to_u8)
}

/// The upright picture; of a JPEG, as much as is wanted.
fn picture(bytes: &[u8], name: &str, wanted: &Wanted<'_>) -> Result<DynamicImage, DataError> {
    if bytes.is_empty() {
        return Err(DataError::image(name, "is empty", HELP_DAMAGED));
    }
    contained(name, || decoded(bytes, name, wanted))
}

fn decoded(bytes: &[u8], name: &str, wanted: &Wanted<'_>) -> Result<DynamicImage, DataError> {
    if let Some(why) = claims_too_much(bytes) {
        return Err(DataError::image(name, why, HELP_DAMAGED));
    }
    let picture = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg_file::picture(bytes, name, wanted),
        Ok(ImageFormat::Png) if is_hollow_png(bytes) => {
            return Err(DataError::image(name, HOLLOW, HELP_DAMAGED));
        }
        Ok(ImageFormat::WebP) if webp::is_hollow(bytes) => {
            return Err(DataError::image(name, LARGER, HELP_DAMAGED));
        }
        Ok(ImageFormat::Png) => {
            PngDecoder::with_limits(Cursor::new(bytes), limits_of_png(bytes)).map(upright(name, |_| Ok(None)))
        }
        Ok(ImageFormat::Bmp) => BmpDecoder::new(Cursor::new(bytes)).map(upright(name, |_| Ok(None))),
        Ok(ImageFormat::Gif) => GifDecoder::new(Cursor::new(bytes)).map(upright(name, |_| Ok(None))),
        Ok(ImageFormat::Tiff) => TiffDecoder::new(Cursor::new(bytes)).map(upright(name, |_| Ok(None))),
        Ok(ImageFormat::WebP) => WebPDecoder::new(Cursor::new(bytes)).map(upright(name, |_| Ok(None))),
        found => {
            let kind =
                found.ok().map(|kind| format!("{kind:?}").to_uppercase()).or_else(|| kind_of_phone(bytes));
            return Err(match kind {
                Some(kind) => DataError::Kind { name: name.to_owned(), kind },
                None => DataError::image(name, "is no picture", HELP_DAMAGED),
            });
        }
    };
    picture.map_err(|error| refused(name, &error))?
}

/// The kind of photos that phones keep in ISO's container, by its brand.
fn kind_of_phone(bytes: &[u8]) -> Option<String> {
    let brand = bytes.get(4..12)?.strip_prefix(b"ftyp")?;
    match brand {
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
            Some("HEIC".to_owned())
        }
        b"avif" | b"avis" => Some("AVIF".to_owned()),
        _ => None,
    }
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
        let refusal = |bytes: &[u8]| decode(bytes, "a.png").unwrap_err().to_string();
        for (brand, kind) in [(b"heic", "HEIC"), (b"mif1", "HEIC"), (b"avif", "AVIF")] {
            let error = refusal(&[b"\0\0\0\x18ftyp".as_slice(), brand, &[0; 16]].concat());
            assert!(
                error.contains(&format!("`a.png`: is a {kind} file")) && error.contains("help: convert"),
                "{error}"
            );
        }
        assert!(refusal(b"GIF89a\x01\x00\x01\x00").contains("is damaged"));
        assert!(refusal(b"a letter").contains("is no picture"));
    }
}
