//! Samples of components to pixels: subsampled colours are smoothed by libjpeg's triangle filter
//! (`jdsample.c`), then become RGB (`jdcolor.c`).

use super::Decoded;
use super::frame::{Colors, Component, Frame};
use super::transform::samples;

/// A component's samples, of which `width` in a row and `height` rows count.
struct Plane {
    samples: Vec<u8>,
    stride: usize,
    width: usize,
    height: usize,
}

impl Plane {
    fn row(&self, row: usize) -> &[u8] {
        &self.samples[row * self.stride..][..self.width]
    }
}

/// The pixels of a frame.
pub(super) fn pixels(frame: &Frame) -> Decoded {
    let planes: Vec<Plane> = frame.components.iter().map(|component| full_size(component, frame)).collect();
    let (height, width, channels) = (frame.height, frame.width, planes.len());
    let mut pixels = Vec::with_capacity(height * width * channels);
    for row in 0..height {
        match planes.as_slice() {
            [a, b, c] => {
                let (a, b, c) = (&a.row(row)[..width], &b.row(row)[..width], &c.row(row)[..width]);
                for ((a, b), c) in a.iter().zip(b).zip(c) {
                    let rgb = if frame.colors == Colors::YCbCr { rgb(*a, *b, *c) } else { [*a, *b, *c] };
                    pixels.extend_from_slice(&rgb);
                }
            }
            planes => planes.iter().for_each(|plane| pixels.extend_from_slice(&plane.row(row)[..width])),
        }
    }
    Decoded { height, width, channels, pixels }
}

fn rgb(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    const fn fix(value: f64) -> i32 {
        (value * 65536.0 + 0.5) as i32
    }
    const HALF: i32 = 1 << 15;
    let (luma, blue, red) = (i32::from(luma), i32::from(blue) - 128, i32::from(red) - 128);
    let r = luma + ((fix(1.40200) * red + HALF) >> 16);
    let g = luma + ((-fix(0.34414) * blue - fix(0.71414) * red + HALF) >> 16);
    let b = luma + ((fix(1.77200) * blue + HALF) >> 16);
    [r, g, b].map(|value| value.clamp(0, 255) as u8)
}

/// A component in the picture's own extents.
fn full_size(component: &Component, frame: &Frame) -> Plane {
    let plane = Plane {
        samples: samples(component),
        stride: 8 * component.blocks_across,
        width: component.width,
        height: component.height,
    };
    let (across, down) = (frame.most_across / component.across, frame.most_down / component.down);
    // libjpeg smooths across only where there are three samples
    let smooths = plane.width > 2;
    match (across, down) {
        (1, 1) => plane,
        (2, 1) if smooths => smooth_across(&plane),
        (2, 2) if smooths => smooth_both(&plane),
        (1, 2) => smooth_down(&plane),
        _ => repeated(&plane, across, down),
    }
}

fn from_rows(rows: impl Iterator<Item = Vec<u8>>, width: usize, height: usize) -> Plane {
    let mut samples = Vec::with_capacity(width * height);
    rows.for_each(|row| samples.extend(row));
    Plane { samples, stride: width, width, height }
}

fn repeated(plane: &Plane, across: usize, down: usize) -> Plane {
    let row = |row: usize| {
        plane
            .row(row / down)
            .iter()
            .flat_map(|value| std::iter::repeat_n(*value, across))
            .collect::<Vec<u8>>()
    };
    from_rows((0..plane.height * down).map(row), plane.width * across, plane.height * down)
}

/// Three quarters of the nearer sample and one of the farther; halves are rounded down and up by turns.
fn smooth_across(plane: &Plane) -> Plane {
    let row = |row: usize| {
        let values: Vec<u32> = plane.row(row).iter().map(|value| u32::from(*value)).collect();
        let last = values.len() - 1;
        let mut out = Vec::with_capacity(2 * values.len());
        for (index, value) in values.iter().enumerate() {
            let left = if index == 0 { *value } else { (3 * value + values[index - 1] + 1) >> 2 };
            let right = if index == last { *value } else { (3 * value + values[index + 1] + 2) >> 2 };
            out.extend([left as u8, right as u8]);
        }
        out
    };
    from_rows((0..plane.height).map(row), 2 * plane.width, plane.height)
}

/// For an output row the nearer input row and the farther one, the first and last rows repeated at the edges.
fn near_and_far(plane: &Plane, row: usize) -> (&[u8], &[u8]) {
    let near = row / 2;
    let far = if row.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(plane.height - 1) };
    (plane.row(near), plane.row(far))
}

fn smooth_down(plane: &Plane) -> Plane {
    let row = |row: usize| {
        let (near, far) = near_and_far(plane, row);
        let bias = if row.is_multiple_of(2) { 1 } else { 2 };
        let mixed = |(near, far): (&u8, &u8)| ((3 * u32::from(*near) + u32::from(*far) + bias) >> 2) as u8;
        near.iter().zip(far).map(mixed).collect()
    };
    from_rows((0..2 * plane.height).map(row), plane.width, 2 * plane.height)
}

fn smooth_both(plane: &Plane) -> Plane {
    let row = |row: usize| {
        let (near, far) = near_and_far(plane, row);
        let sums: Vec<u32> =
            near.iter().zip(far).map(|(near, far)| 3 * u32::from(*near) + u32::from(*far)).collect();
        let last = sums.len() - 1;
        let mut out = Vec::with_capacity(2 * sums.len());
        for (index, sum) in sums.iter().enumerate() {
            let left = if index == 0 { 4 * sum + 8 } else { 3 * sum + sums[index - 1] + 8 };
            let right = if index == last { 4 * sum + 7 } else { 3 * sum + sums[index + 1] + 7 };
            out.extend([(left >> 4) as u8, (right >> 4) as u8]);
        }
        out
    };
    from_rows((0..2 * plane.height).map(row), 2 * plane.width, 2 * plane.height)
}
