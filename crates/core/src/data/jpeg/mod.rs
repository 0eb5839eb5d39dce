//! JPEGs to the pixels that libjpeg gives, bit for bit: what Pillow, and with it `keras.utils.load_img`, sees.
//!
//! Two decoders may differ by several levels of 255 in how they round the inverse transform and in how they smooth
//! subsampled colours, which moves a network's scores by a percent. Here both are libjpeg's: its accurate integer
//! transform, and its triangle filter for colours. Baseline and progressive files of 8 bits, Huffman coded, grey or of
//! three components are decoded; `None` is returned for others, which are left to the crate `image`.

mod bits;
mod check;
mod color;
mod frame;
mod scan;
mod transform;

pub(super) use check::{Refused, check};

/// Why a file cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged(pub(super) &'static str);

/// Pixels `[height, width, channels]`, one channel for grey and three (RGB) for colour.
pub(super) struct Decoded {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) pixels: Vec<u8>,
}

/// Decodes a whole file. `None` for kinds of JPEG that are not decoded here.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<Decoded>, Damaged> {
    let Some(frame) = frame::read(bytes)? else { return Ok(None) };
    Ok(Some(color::pixels(&frame)))
}
