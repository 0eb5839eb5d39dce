//! Photos on pages: small, and part of the page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use frostline_data::{Image, Pixels};
use frostline_graph::{Error, Result};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage, imageops};

/// A picture as a `data:` URL of a PNG, no side longer than `side` pixels.
pub(in crate::report) fn data_url(picture: &Image, side: usize) -> Result<String> {
    let failed =
        |why: &dyn std::fmt::Display| Error::data(format!("a photo cannot be shown on a page: {why}"));
    let picture = picture.clone().with_channels(3, "a photo")?;
    let bytes = match picture.pixels {
        Pixels::U8(bytes) => bytes,
        Pixels::F32(values) => {
            values.into_iter().map(|value| value.round().clamp(0.0, 255.0) as u8).collect()
        }
    };
    let [height, width] = [picture.height, picture.width];
    let whole = RgbImage::from_raw(width as u32, height as u32, bytes);
    let whole = whole.ok_or_else(|| failed(&"it has other values than its size says"))?;
    let longest = height.max(width).max(1);
    let small = match longest > side {
        true => {
            let extent = |extent: usize| ((extent * side).div_ceil(longest)).max(1) as u32;
            imageops::thumbnail(&whole, extent(width), extent(height))
        }
        false => whole,
    };
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&small, small.width(), small.height(), ExtendedColorType::Rgb8)
        .map_err(|error| failed(&error))?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(png)))
}
