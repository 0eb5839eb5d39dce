//! The kernels of `tf.image.resize` with `antialias=False`: half-pixel centres, f32 arithmetic, no rounding.

use super::part::{Axis, Part};

/// A value that a picture holds.
pub(super) trait Sample: Copy {
    fn value(self) -> f32;
}

impl Sample for u8 {
    fn value(self) -> f32 {
        f32::from(self)
    }
}

impl Sample for f32 {
    fn value(self) -> f32 {
        self
    }
}

/// `values`: `[height, width, channels]`.
pub(super) struct Source<'a, T> {
    pub(super) values: &'a [T],
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
}

impl<T: Sample> Source<'_, T> {
    pub(super) fn pixel(&self, y: usize, x: usize) -> &[T] {
        &self.values[(y * self.width + x) * self.channels..][..self.channels]
    }
}

/// Linear interpolation between `low` and `high`: `low + (high − low) * weight`.
struct Tap {
    low: usize,
    high: usize,
    weight: f32,
}

fn linear_taps(input: usize, axis: &Axis) -> Vec<Tap> {
    let scale = input as f32 / axis.extent as f32;
    let tap = |i: usize| {
        let at = (i as f32 + 0.5) * scale - 0.5;
        let floor = at.floor();
        let low = floor.max(0.0) as usize;
        let high = (at.ceil().max(0.0) as usize).min(input - 1);
        Tap { low: low.min(input - 1), high, weight: at - floor }
    };
    axis.wanted().map(tap).collect()
}

/// `out`: `[rows of the part, columns of the part, channels]`, here and below.
pub(super) fn bilinear<T: Sample>(from: &Source<'_, T>, part: &Part, out: &mut [f32]) {
    let columns = linear_taps(from.width, &part.columns);
    let rows = linear_taps(from.height, &part.rows);
    for (row, out) in rows.iter().zip(out.chunks_exact_mut(columns.len() * from.channels)) {
        for (column, out) in columns.iter().zip(out.chunks_exact_mut(from.channels)) {
            let corner = |y, x| from.pixel(y, x);
            let (top_left, top_right) = (corner(row.low, column.low), corner(row.low, column.high));
            let (bottom_left, bottom_right) = (corner(row.high, column.low), corner(row.high, column.high));
            for (c, out) in out.iter_mut().enumerate() {
                let lerp = |a: f32, b: f32, weight: f32| a + (b - a) * weight;
                let top = lerp(top_left[c].value(), top_right[c].value(), column.weight);
                let bottom = lerp(bottom_left[c].value(), bottom_right[c].value(), column.weight);
                *out = lerp(top, bottom, row.weight);
            }
        }
    }
}

pub(super) fn nearest<T: Sample>(from: &Source<'_, T>, part: &Part, out: &mut [f32]) {
    let indices = |input: usize, axis: &Axis| -> Vec<usize> {
        let scale = input as f32 / axis.extent as f32;
        let index = |i: usize| (((i as f32 + 0.5) * scale).floor() as usize).min(input - 1);
        axis.wanted().map(index).collect()
    };
    pick(from, &indices(from.height, &part.rows), &indices(from.width, &part.columns), out);
}

/// Each output pixel is the input pixel at the row and the column that are listed for it.
pub(super) fn pick<T: Sample>(from: &Source<'_, T>, rows: &[usize], columns: &[usize], out: &mut [f32]) {
    let pixels = rows.iter().flat_map(|row| columns.iter().map(move |column| (*row, *column)));
    for ((row, column), out) in pixels.zip(out.chunks_exact_mut(from.channels)) {
        out.iter_mut().zip(from.pixel(row, column)).for_each(|(o, v)| *o = v.value());
    }
}

/// A weighted sum of input pixels along one axis.
type Weights = Vec<(usize, f32)>;

/// Keys' cubic kernel with a = −1/2, at multiples of 1/1024 as TensorFlow tabulates it; taps outside of the picture
/// are left out and the others scaled to a sum of 1.
fn cubic_weights(input: usize, axis: &Axis) -> Vec<Weights> {
    const A: f32 = -0.5;
    const STEPS: f32 = 1024.0;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let scale = input as f32 / axis.extent as f32;
    let weights = |i: usize| {
        let at = (i as f32 + 0.5) * scale - 0.5;
        let floor = at.floor();
        let delta = ((at - floor) * STEPS).round_ties_even() / STEPS;
        let taps = [far(delta + 1.0), near(delta), near(1.0 - delta), far(2.0 - delta)];
        let inside = |k: usize| {
            let index = floor as isize - 1 + k as isize;
            (index >= 0 && (index as usize) < input).then_some((index as usize, taps[k]))
        };
        let mut weights: Weights = (0..4).filter_map(inside).collect();
        let sum: f32 = weights.iter().map(|w| w.1).sum();
        weights.iter_mut().for_each(|w| w.1 /= sum);
        weights
    };
    axis.wanted().map(weights).collect()
}

/// The mean over the stretch of the input that an output pixel covers, its ends weighted by their parts.
fn area_weights(input: usize, axis: &Axis) -> Vec<Weights> {
    let scale = input as f32 / axis.extent as f32;
    let weights = |i: usize| {
        let (start, end) = (i as f32 * scale, ((i + 1) as f32 * scale).min(input as f32));
        let (first, last) = (start.floor() as usize, (end.ceil() as usize).min(input));
        let part = |j: usize| {
            let covered = end.min((j + 1) as f32) - start.max(j as f32);
            (j, covered / scale)
        };
        (first..last).map(part).filter(|w| w.1 > 0.0).collect()
    };
    axis.wanted().map(weights).collect()
}

pub(super) fn bicubic<T: Sample>(from: &Source<'_, T>, part: &Part, out: &mut [f32]) {
    separable(from, &cubic_weights(from.height, &part.rows), &cubic_weights(from.width, &part.columns), out);
}

pub(super) fn area<T: Sample>(from: &Source<'_, T>, part: &Part, out: &mut [f32]) {
    separable(from, &area_weights(from.height, &part.rows), &area_weights(from.width, &part.columns), out);
}

fn separable<T: Sample>(from: &Source<'_, T>, rows: &[Weights], columns: &[Weights], out: &mut [f32]) {
    let channels = from.channels;
    // [from.height, columns, channels]
    let mut narrow = vec![0.0; from.height * columns.len() * channels];
    for (y, line) in narrow.chunks_exact_mut(columns.len() * channels).enumerate() {
        for (weights, out) in columns.iter().zip(line.chunks_exact_mut(channels)) {
            for &(x, weight) in weights {
                out.iter_mut().zip(from.pixel(y, x)).for_each(|(o, v)| *o += weight * v.value());
            }
        }
    }
    let length = columns.len() * channels;
    for (weights, out) in rows.iter().zip(out.chunks_exact_mut(length)) {
        out.fill(0.0);
        for &(y, weight) in weights {
            let line = &narrow[y * length..][..length];
            out.iter_mut().zip(line).for_each(|(o, v)| *o += weight * v);
        }
    }
}
