//! JPEG pixels as libjpeg gives them, bit for bit, which Pillow and so Keras's `load_img` read with: its accurate inverse
//! transform and its smooth upsampling of colours, where other decoders differ by up to 5 levels of 255. Five levels move a
//! classifier's scores by a percent.
//!
//! A picture of which fewer pixels are enough comes out scaled down, as Pillow's `Image.draft` gives it.
//!
//! libjpeg goes on where data are damaged, and warns. [`pixels`] hears its warnings.

use image::{DynamicImage, GrayImage, RgbImage};
use mozjpeg::Decompress;
use mozjpeg_sys::{jpeg_common_struct, jpeg_error_mgr, msg_parm_union};
use std::cell::Cell;
use std::ffi::c_int;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::null;

use super::scaled::Enough;

/// What came out of a file.
pub(super) struct Decoded {
    /// Nothing for four components.
    pub(super) pixels: Option<DynamicImage>,
    /// Whether the library has warned of anything, which may be damage or a mere oddity.
    pub(super) warned: bool,
}

thread_local! {
    static WARNED: Cell<bool> = const { Cell::new(false) };
}

/// The pixels of a grey or coloured file: all, or the fewest that are `enough`.
pub(super) fn pixels(bytes: &[u8], enough: Option<Enough>) -> Result<Decoded, String> {
    WARNED.set(false);
    // the library tells of what it cannot decode by unwinding, without a word on standard error
    match catch_unwind(AssertUnwindSafe(|| decode(bytes, enough))) {
        Ok(Ok(pixels)) => Ok(Decoded { pixels, warned: WARNED.get() }),
        Ok(Err(error)) => Err(error.to_string()),
        Err(payload) => Err(payload.downcast_ref::<String>().cloned().unwrap_or_default()),
    }
}

extern "C-unwind" fn give_up(_: &mut jpeg_common_struct) {
    resume_unwind(Box::new("libjpeg cannot decode it".to_owned()));
}

/// Warnings are of level -1, what is of no matter is above.
extern "C-unwind" fn hear(_: &mut jpeg_common_struct, level: c_int) {
    if level < 0 {
        WARNED.set(true);
    }
}

extern "C-unwind" fn nothing(_: &mut jpeg_common_struct) {}

/// Messages are not put into words: that there was one is enough.
fn listener() -> jpeg_error_mgr {
    jpeg_error_mgr {
        error_exit: Some(give_up),
        emit_message: Some(hear),
        output_message: Some(nothing),
        format_message: None,
        reset_error_mgr: Some(nothing),
        msg_code: 0,
        msg_parm: msg_parm_union { _bindgen_data_: [0; 20] },
        trace_level: 0,
        num_warnings: 0,
        jpeg_message_table: null(),
        last_jpeg_message: 0,
        addon_message_table: null(),
        first_addon_message: 0,
        last_addon_message: 0,
    }
}

fn decode(bytes: &[u8], enough: Option<Enough>) -> io::Result<Option<DynamicImage>> {
    let mut file = Decompress::with_err(listener()).from_mem(bytes)?;
    let channels = file.components().len();
    if let Some(enough) = enough {
        file.scale(enough.eighths(file.height(), file.width()));
    }
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
