//! Positions of patches that were learned for images of one size, for images of another: interpolated as timm does it
//! (`resample_abs_pos_embed`), by antialiased bicubic resizing. Source: PyTorch's `interpolate(mode="bicubic", antialias=True)`.

use crate::safetensors::file::Tensors;
use frostline_graph::{Error, Result, Tensor};

/// The parameter of the cubic, as PyTorch and Pillow have it where they antialias.
const CUBIC: f64 = -0.5;
/// How far the cubic reaches, in pixels.
const REACH: f64 = 2.0;

/// How positions lie: for squares of so many pixels, behind those of so many other tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) patch: usize,
    pub(super) before: usize,
}

/// Brings the positions `[1, tokens, channels]` to images of this height and width. Says what was done; nothing where they have that
/// size, or are those of no square image.
///
/// Errors: a size that is no whole number of patches.
pub(super) fn take_to(
    tensors: &mut Tensors<'_>,
    name: &str,
    grid: Grid,
    size: [usize; 2],
) -> Result<Option<String>> {
    let Grid { patch, before } = grid;
    let Some(&[1, tokens, channels]) = tensors.shape(name) else { return Ok(None) };
    let side = tokens.saturating_sub(before).isqrt();
    if side * side + before != tokens || side == 0 {
        return Ok(None);
    }
    if size.iter().any(|extent| extent % patch != 0) {
        return Err(Error::setting(format!(
            "images of {}x{} are no whole number of patches of {patch} pixels\nhelp: give multiples of {patch}, such as the setting `image-size = {}`",
            size[0],
            size[1],
            (size[0] / patch).max(1) * patch
        )));
    }
    let wanted = size.map(|extent| extent / patch);
    if wanted == [side; 2] {
        return Ok(None);
    }
    let positions = tensors.read(name)?;
    let (own, of_patches) = positions.data.split_at(before * channels);
    let mut data = own.to_vec();
    data.extend(resized(of_patches, [side; 2], wanted, channels));
    tensors.replace(name, Tensor { shape: vec![1, before + wanted[0] * wanted[1], channels], data });
    Ok(Some(format!(
        "the positions of {side}x{side} patches were interpolated to {}x{}, for images of {}x{}",
        wanted[0], wanted[1], size[0], size[1]
    )))
}

/// An image `[height, width, channels]` of another size.
fn resized(image: &[f32], from: [usize; 2], to: [usize; 2], channels: usize) -> Vec<f32> {
    let rows = weights(from[0], to[0]);
    let columns = weights(from[1], to[1]);
    let pixel = |row: usize, column: usize| &image[(row * from[1] + column) * channels..][..channels];
    let mut made = Vec::with_capacity(to[0] * to[1] * channels);
    for row in &rows {
        for column in &columns {
            let mut sum = vec![0.0f64; channels];
            for (y, down) in row {
                for (x, across) in column {
                    let share = down * across;
                    sum.iter_mut()
                        .zip(pixel(*y, *x))
                        .for_each(|(sum, value)| *sum += share * f64::from(*value));
                }
            }
            made.extend(sum.into_iter().map(|value| value as f32));
        }
    }
    made
}

/// For each place of an axis of `to` places: what shares of those of an axis of `from` places it has.
fn weights(from: usize, to: usize) -> Vec<Vec<(usize, f64)>> {
    let step = from as f64 / to as f64;
    let wide = step.max(1.0);
    let of = |place: usize| {
        let centre = step * (place as f64 + 0.5);
        let first = (centre - REACH * wide + 0.5).max(0.0) as usize;
        let last = ((centre + REACH * wide + 0.5) as usize).min(from);
        let shares: Vec<f64> = (first..last).map(|at| cubic((at as f64 - centre + 0.5) / wide)).collect();
        let all: f64 = shares.iter().sum();
        (first..last).zip(shares.into_iter().map(|share| share / all)).collect()
    };
    (0..to).map(of).collect()
}

/// Keys's cubic convolution (1981).
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((CUBIC + 2.0) * x - (CUBIC + 3.0)) * x * x + 1.0
    } else if x < REACH {
        CUBIC * (((x - 5.0) * x + 8.0) * x - 4.0)
    } else {
        0.0
    }
}
