//! The kernels of Pillow's `Image.resize`: antialiased convolutions with results rounded to u8, and `NEAREST`.
//!
//! `fast_image_resize` computes the convolutions as Pillow does, with other fixed-point weights: within one level.

pub(super) use fast_image_resize::FilterType;
use fast_image_resize::images::{Image as Buffer, ImageRef, TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32;
use fast_image_resize::{PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::tf::{Sample, Source, pick};
use crate::data::image::{Image, Pixels};

/// Pillow's `NEAREST`: the pixel under the output pixel's centre.
pub(super) fn nearest<T: Sample>(from: &Source<'_, T>, height: usize, width: usize, out: &mut [f32]) {
    let index = |i: usize, input: usize, output: usize| {
        let scale = input as f64 / output as f64;
        (((i as f64 + 0.5) * scale) as usize).min(input - 1)
    };
    pick(from, height, width, out, |y| index(y, from.height, height), |x| index(x, from.width, width));
}

/// Convolves with `filter`, widened by the scale where the picture shrinks. u8 pictures give whole numbers.
/// `out`: `[height, width, image.channels]`. Channels are independent of each other: alpha is a channel.
pub(super) fn convolve(
    filter: FilterType,
    image: &Image,
    height: usize,
    width: usize,
    out: &mut [f32],
) -> Result<(), String> {
    let extent = |n: usize| u32::try_from(n).map_err(|e| e.to_string());
    let from = [extent(image.width)?, extent(image.height)?];
    let to = [extent(width)?, extent(height)?];
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    let channels = image.channels;
    match &image.pixels {
        Pixels::U8(values) => {
            if let Some(kind) = whole_pixels(channels) {
                let resized = resize_u8(values, from, to, kind, &options)?;
                out.iter_mut().zip(resized).for_each(|(o, v)| *o = f32::from(v));
                return Ok(());
            }
            for c in 0..channels {
                let plane: Vec<u8> = values.iter().skip(c).step_by(channels).copied().collect();
                let resized = resize_u8(&plane, from, to, PixelType::U8, &options)?;
                out.iter_mut().skip(c).step_by(channels).zip(resized).for_each(|(o, v)| *o = f32::from(v));
            }
        }
        Pixels::F32(values) => {
            for c in 0..channels {
                let plane: Vec<F32> = values.iter().skip(c).step_by(channels).map(|&v| F32::new(v)).collect();
                let plane = TypedImageRef::new(from[0], from[1], &plane).map_err(|e| e.to_string())?;
                let mut resized = TypedImage::<F32>::new(to[0], to[1]);
                Resizer::new().resize_typed(&plane, &mut resized, &options).map_err(|e| e.to_string())?;
                out.iter_mut().skip(c).step_by(channels).zip(resized.pixels()).for_each(|(o, v)| *o = v.0);
            }
        }
    }
    Ok(())
}

/// The pixel type that holds all channels at once, where there is one.
fn whole_pixels(channels: usize) -> Option<PixelType> {
    match channels {
        1 => Some(PixelType::U8),
        2 => Some(PixelType::U8x2),
        3 => Some(PixelType::U8x3),
        4 => Some(PixelType::U8x4),
        _ => None,
    }
}

fn resize_u8(
    values: &[u8],
    from: [u32; 2],
    to: [u32; 2],
    kind: PixelType,
    options: &ResizeOptions,
) -> Result<Vec<u8>, String> {
    let source = ImageRef::new(from[0], from[1], values, kind).map_err(|e| e.to_string())?;
    let mut resized = Buffer::new(to[0], to[1], kind);
    Resizer::new().resize(&source, &mut resized, options).map_err(|e| e.to_string())?;
    Ok(resized.into_vec())
}
