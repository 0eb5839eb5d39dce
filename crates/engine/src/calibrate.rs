//! The ranges of a program's values, measured on images, and the bytes that cover them.

use super::section::Bound;
use super::{Constants, len};
use frostline_graph::ops::{Floats, Program, ValueId};
use frostline_kernels::Quantization;
use rayon::prelude::*;
use std::sync::Arc;

/// The least range of a channel, as a share of the widest channel's: what was quiet in the images at hand need not be so
/// in others, and weights are rounded after the ranges of their channels have gone into them.
const FLOOR: f32 = 1.0 / 64.0;

/// The least and the largest number of each channel of each value.
#[derive(Clone)]
struct Ranges(Vec<[Vec<f32>; 2]>);

impl Ranges {
    fn none(program: &Program) -> Self {
        let channels = |shape: &Vec<usize>| vec![0.0; shape.last().copied().unwrap_or(1)];
        Self(program.values.iter().map(|shape| [channels(shape), channels(shape)]).collect())
    }

    fn widen(&mut self, value: ValueId, numbers: &[f32]) {
        let [low, high] = &mut self.0[value.0];
        for pixel in numbers.chunks_exact(low.len().max(1)) {
            for ((low, high), number) in low.iter_mut().zip(high.iter_mut()).zip(pixel) {
                *low = low.min(*number);
                *high = high.max(*number);
            }
        }
    }

    fn join(mut self, other: Self) -> Self {
        for ([low, high], [other_low, other_high]) in self.0.iter_mut().zip(other.0) {
            low.iter_mut().zip(other_low).for_each(|(a, b)| *a = a.min(b));
            high.iter_mut().zip(other_high).for_each(|(a, b)| *a = a.max(b));
        }
        self
    }
}

/// The quantisation of every value of a program, from its values in f32 on `images`, `[images, all inputs]`.
pub(crate) fn calibrate(program: &Program, constants: &Arc<Constants>, images: &[f32]) -> Vec<Quantization> {
    let section = Bound::without_bands(Floats, program.clone(), constants);
    let total = |values: &[ValueId]| values.iter().map(|value| len(program.shape(*value))).sum::<usize>();
    let (input_len, output_len) = (total(&program.inputs), total(&program.outputs));
    let of_image = |image: &[f32]| {
        let (mut ranges, mut rest) = (Ranges::none(program), image);
        for value in &program.inputs {
            let (one, others) = rest.split_at(len(program.shape(*value)));
            ranges.widen(*value, one);
            rest = others;
        }
        section.run_watched(image, &mut vec![0.0; output_len], |value, numbers| ranges.widen(value, numbers));
        ranges
    };
    let ranges = images
        .par_chunks_exact(input_len.max(1))
        .map(of_image)
        .reduce(|| Ranges::none(program), Ranges::join);
    let mut found: Vec<Quantization> =
        ranges.0.iter().map(|[low, high]| Quantization::of_ranges(low, high, FLOOR)).collect();
    for node in &program.nodes {
        let inputs: Vec<&Quantization> = node.inputs.iter().map(|value| &found[value.0]).collect();
        if let Some(kept) = node.op.kind().keeps_bytes(&program.input_shapes(node), &inputs) {
            found[node.output.0] = kept;
        }
    }
    found
}
