//! JPEG pixels as libjpeg gives them, bit for bit, which Pillow and so Keras's `load_img` read with: its accurate inverse
//! transform and its smooth upsampling of colours, where other decoders differ by up to 5 levels of 255. Five levels move a
//! classifier's scores by a percent.
//!
//! libjpeg goes on where data are damaged, with a warning that nobody sees; [`super::check_all`] finds such files.

use image::{DynamicImage, GrayImage, RgbImage};
use mozjpeg::Decompress;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The pixels of a grey or coloured file; nothing for four components.
pub(super) fn pixels(bytes: &[u8]) -> Result<Option<DynamicImage>, String> {
    // the library tells of what it cannot decode by unwinding, without a word on standard error
    match catch_unwind(AssertUnwindSafe(|| decode(bytes))) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(payload) => Err(payload.downcast_ref::<String>().cloned().unwrap_or_default()),
    }
}

fn decode(bytes: &[u8]) -> io::Result<Option<DynamicImage>> {
    let file = Decompress::new_mem(bytes)?;
    let channels = file.components().len();
    let mut decoder = match channels {
        1 => file.grayscale()?,
        3 => file.rgb()?,
        _ => return Ok(None),
    };
    let (width, height) = (decoder.width() as u32, decoder.height() as u32);
    let pixels: Vec<u8> = decoder.read_scanlines()?;
    decoder.finish()?;
    let picture = match channels {
        1 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
    };
    picture.map(Some).ok_or_else(|| io::Error::other("fewer pixels than its size says"))
}
