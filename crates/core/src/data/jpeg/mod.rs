//! JPEGs to the pixels that libjpeg gives, bit for bit: what Pillow, and with it `keras.utils.load_img`,
//! sees.
//!
//! Two decoders may differ by several levels of 255 in how they round the inverse transform and in how they
//! smooth subsampled colours, which moves a network's scores by a percent. Here both are libjpeg's: its
//! accurate integer transform, and its triangle filter for colours. Baseline and progressive files of 8 bits,
//! Huffman coded, grey or of three components are decoded; `None` is returned for others, which are left to
//! the crate `image`.

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

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;

    fn encoded(width: u32, height: u32) -> Vec<u8> {
        let pixels: Vec<u8> = (0..width * height * 3).map(|index| (index * index / 7) as u8).collect();
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
        encoder.encode(&pixels, width, height, image::ExtendedColorType::Rgb8).expect("encoded");
        bytes
    }

    #[test]
    fn a_picture_has_its_extents() {
        let decoded = decode(&encoded(19, 10)).expect("whole").expect("baseline");
        assert_eq!((decoded.height, decoded.width, decoded.channels), (10, 19, 3));
        assert_eq!(decoded.pixels.len(), 19 * 10 * 3);
    }

    #[test]
    fn damage_anywhere_is_an_error_or_another_picture_but_no_panic() {
        let whole = encoded(19, 10);
        for index in 2..whole.len() {
            for value in [0x00, 0x11, 0x7F, 0xC2, 0xDA, 0xFF] {
                let mut bytes = whole.clone();
                bytes[index] = value;
                drop(decode(&bytes));
            }
            drop(decode(&whole[..index]));
        }
    }
}
