//! Behaviour of the crate as a caller sees it.

mod bad_input;
mod bits;
mod goldens;
mod invariance;
mod left_out;
mod neighbours;
mod novelty;
mod suspects;

use frostline_head::{InMemory, Problem, Targets};

/// Numbers without chance, between -1 and 1.
pub(crate) fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0) as f32
    };
    (0..count).map(next).collect()
}

/// Noise with a shift for each class.
pub(crate) fn classes(rows: usize, count: usize, width: usize) -> (Vec<f32>, Vec<usize>) {
    let labels: Vec<usize> = (0..rows).map(|row| (row * 7 + row / 5) % count).collect();
    let mut values = noise(rows * width, 3);
    (0..rows).for_each(|row| values[row * width + labels[row] % width] += 1.0);
    (values, labels)
}

pub(crate) fn problem<'a>(
    features: &'a InMemory<'a>,
    blocks: &'a [usize],
    targets: Targets<'a>,
) -> Problem<'a> {
    Problem { features, blocks, targets, weights: None, groups: None }
}
