//! The kernels of Pillow's `Image.resize`: antialiased convolutions, and `NEAREST`, bit for bit.
//!
//! Pixels of 8 bits are convolved in whole numbers with weights of 22 binary places, and rounded to 8 bits
//! after each of two passes; floats in double precision. Source: `src/libImaging/Resample.c` of Pillow 13.
//! Before that version the rows always came first, which for pictures that mostly lose height differs by a
//! level of 255.

use super::part::{Axis, Part};
use super::tf::{Sample, Source, pick};
use crate::image::{Image, Pixels};
use std::f64::consts::PI;

/// Binary places of the weights for 8 bits.
const PRECISION: u32 = 32 - 8 - 2;

/// What is convolved with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Box,
    Bilinear,
    Hamming,
    Bicubic,
    Lanczos,
}

impl Filter {
    /// How far the filter reaches, in pixels of the smaller picture.
    fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
        match (self, x.abs()) {
            (Self::Box, _) => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            (Self::Bilinear, x) if x < 1.0 => 1.0 - x,
            (Self::Hamming, x) if x < 1.0 => {
                // Pillow writes both as floats
                sinc(x) * (f64::from(0.54_f32) + f64::from(0.46_f32) * (x * PI).cos())
            }
            (Self::Bicubic, x) if x < 1.0 => ((-0.5 + 2.0) * x - (-0.5 + 3.0)) * x * x + 1.0,
            (Self::Bicubic, x) if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            (Self::Lanczos, _) if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

/// The input pixels that one output pixel is made of, from `first` on.
struct Window {
    first: usize,
    weights: Vec<f64>,
}

impl Window {
    fn weights_of<T: Convolved>(&self) -> Vec<T::Weight> {
        self.weights.iter().map(|weight| T::weight(*weight)).collect()
    }
}

fn windows(filter: Filter, input: usize, axis: &Axis) -> Vec<Window> {
    let scale = input as f64 / axis.extent as f64;
    // a picture that shrinks is averaged over; one that grows is interpolated
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    let window = |index: usize| {
        let center = (index as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(input);
        let weight_at = |x: usize| filter.at((x as f64 - center + 0.5) * (1.0 / stretch));
        let mut weights: Vec<f64> = (first..end).map(weight_at).collect();
        let sum: f64 = weights.iter().sum();
        if sum != 0.0 {
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
        Window { first, weights }
    };
    axis.wanted().map(window).collect()
}

/// How values of one type are summed up.
trait Convolved: Sample {
    type Weight: Copy;
    type Sum: Copy;
    const START: Self::Sum;
    fn weight(weight: f64) -> Self::Weight;
    fn add(sum: &mut Self::Sum, value: Self, weight: Self::Weight);
    fn end(sum: Self::Sum) -> Self;
}

impl Convolved for u8 {
    type Weight = i32;
    type Sum = i32;
    const START: i32 = 1 << (PRECISION - 1);

    fn weight(weight: f64) -> i32 {
        let scaled = weight * f64::from(1 << PRECISION);
        (scaled + if weight < 0.0 { -0.5 } else { 0.5 }) as i32
    }

    fn add(sum: &mut i32, value: u8, weight: i32) {
        *sum = sum.wrapping_add(i32::from(value).wrapping_mul(weight));
    }

    fn end(sum: i32) -> u8 {
        (sum >> PRECISION).clamp(0, 255) as u8
    }
}

impl Convolved for f32 {
    type Weight = f64;
    type Sum = f64;
    const START: f64 = 0.0;

    fn weight(weight: f64) -> f64 {
        weight
    }

    fn add(sum: &mut f64, value: f32, weight: f64) {
        *sum += f64::from(value) * weight;
    }

    fn end(sum: f64) -> f32 {
        sum as f32
    }
}

/// Convolves with `filter`; a pass that changes no extent only takes the part. `out`: `[rows of the part, columns of the part,
/// image.channels]`. Channels are independent of each other: alpha is a channel.
pub(super) fn convolve(filter: Filter, image: &Image, part: &Part, out: &mut [f32]) {
    match &image.pixels {
        Pixels::U8(values) => both_passes(filter, values, image, part, out),
        Pixels::F32(values) => both_passes(filter, values, image, part, out),
    }
}

fn both_passes<T: Convolved>(filter: Filter, values: &[T], image: &Image, part: &Part, out: &mut [f32]) {
    let channels = image.channels;
    let across = |values: &[T]| match part.columns.extent == image.width {
        true => columns_of(values, image.width, channels, &part.columns),
        false => across(&windows(filter, image.width, &part.columns), values, image.width, channels),
    };
    let down = |values: &[T], width: usize| match part.rows.extent == image.height {
        true => columns_of(values, image.height, width * channels, &part.rows),
        false => down(&windows(filter, image.height, &part.rows), values, width * channels),
    };
    // by the extents of the whole, as Pillow decides before anything is cut off
    let lost_height = image.height as i64 - part.rows.extent as i64;
    let lost_width = image.width as i64 - part.columns.extent as i64;
    let resized = match lost_height > 0 && lost_height > 2 * lost_width {
        true => across(&down(values, image.width)),
        false => down(&across(values), part.columns.len),
    };
    out.iter_mut().zip(resized).for_each(|(out, value)| *out = value.value());
}

/// What is wanted of an axis of `extent` steps of `step` values each, which is not resized.
fn columns_of<T: Copy>(values: &[T], extent: usize, step: usize, axis: &Axis) -> Vec<T> {
    let lines = values.chunks_exact(extent * step);
    lines.flat_map(|line| &line[axis.start * step..][..axis.len * step]).copied().collect()
}

/// The horizontal pass.
fn across<T: Convolved>(windows: &[Window], values: &[T], width: usize, channels: usize) -> Vec<T> {
    let weights: Vec<Vec<T::Weight>> = windows.iter().map(Window::weights_of::<T>).collect();
    let mut out = Vec::with_capacity(values.len() / width * windows.len());
    let mut sums = vec![T::START; channels];
    for row in values.chunks_exact(width * channels) {
        for (window, weights) in windows.iter().zip(&weights) {
            sums.fill(T::START);
            let pixels = row[window.first * channels..].chunks_exact(channels);
            for (pixel, weight) in pixels.zip(weights) {
                sums.iter_mut().zip(pixel).for_each(|(sum, value)| T::add(sum, *value, *weight));
            }
            out.extend(sums.iter().map(|sum| T::end(*sum)));
        }
    }
    out
}

/// The vertical pass over rows of `row` values.
fn down<T: Convolved>(windows: &[Window], values: &[T], row: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(windows.len() * row);
    let mut sums = vec![T::START; row];
    for window in windows {
        sums.fill(T::START);
        let lines = values[window.first * row..].chunks_exact(row);
        for (line, weight) in lines.zip(window.weights_of::<T>()) {
            sums.iter_mut().zip(line).for_each(|(sum, value)| T::add(sum, *value, weight));
        }
        out.extend(sums.iter().map(|sum| T::end(*sum)));
    }
    out
}

/// Pillow's `NEAREST`: the pixel under the output pixel's centre. Centres are found one from the other, so
/// that their rounding adds up as it does there.
pub(super) fn nearest<T: Sample>(from: &Source<'_, T>, part: &Part, out: &mut [f32]) {
    let centres = |input: usize, axis: &Axis| {
        let scale = input as f64 / axis.extent as f64;
        let mut centre = 0.5 * scale;
        let mut next = || {
            let index = (centre as usize).min(input - 1);
            centre += scale;
            index
        };
        let all = (0..axis.wanted().end).map(|_| next());
        all.skip(axis.start).collect::<Vec<usize>>()
    };
    pick(from, &centres(from.height, &part.rows), &centres(from.width, &part.columns), out);
}
