//! The inverse discrete cosine transform of libjpeg's `jidctint.c` (Loeffler, Ligtenberg and Moschytz 1989),
//! in whole numbers with 13 binary places.

use super::frame::Component;

const PLACES: i32 = 13;
/// Binary places that are kept between columns and rows.
const BETWEEN: i32 = 2;

const FIX_0_298631336: i32 = 2446;
const FIX_0_390180644: i32 = 3196;
const FIX_0_541196100: i32 = 4433;
const FIX_0_765366865: i32 = 6270;
const FIX_0_899976223: i32 = 7373;
const FIX_1_175875602: i32 = 9633;
const FIX_1_501321110: i32 = 12299;
const FIX_1_847759065: i32 = 15137;
const FIX_1_961570560: i32 = 16069;
const FIX_2_053119869: i32 = 16819;
const FIX_2_562915447: i32 = 20995;
const FIX_3_072711026: i32 = 25172;

/// The samples of a component: `[8 * blocks_down, 8 * blocks_across]`.
pub(super) fn samples(component: &Component) -> Vec<u8> {
    let stride = 8 * component.blocks_across;
    let mut samples = vec![0; stride * 8 * component.blocks_down];
    let quantization = component.quantization.unwrap_or([1; 64]);
    for (index, block) in component.coefficients.chunks_exact(64).enumerate() {
        let (row, column) = (index / component.blocks_across, index % component.blocks_across);
        let out = &mut samples[8 * row * stride + 8 * column..];
        if block[1..].iter().all(|value| *value == 0) {
            // as the whole transform gives
            let level = i32::from(block[0]).wrapping_mul(i32::from(quantization[0])) << BETWEEN;
            let level = sample(level, BETWEEN + 3);
            (0..8).for_each(|y| out[y * stride..][..8].fill(level));
        } else {
            inverse(block, &quantization, out, stride);
        }
    }
    samples
}

/// Rounds the last `places` off, and lifts to 0 to 255.
fn sample(value: i32, places: i32) -> u8 {
    (rounded(value, places) + 128).clamp(0, 255) as u8
}

fn rounded(value: i32, places: i32) -> i32 {
    value.wrapping_add(1 << (places - 1)) >> places
}

fn inverse(block: &[i16], quantization: &[u16; 64], out: &mut [u8], stride: usize) {
    let mut half = [0; 64];
    for column in 0..8 {
        let at = |row: usize| {
            i32::from(block[8 * row + column]).wrapping_mul(i32::from(quantization[8 * row + column]))
        };
        let values = one_dimension(std::array::from_fn(at));
        for (row, value) in values.into_iter().enumerate() {
            half[8 * row + column] = rounded(value, PLACES - BETWEEN);
        }
    }
    for (row, half) in half.chunks_exact(8).enumerate() {
        let values = one_dimension(std::array::from_fn(|column| half[column]));
        for (out, value) in out[row * stride..].iter_mut().zip(values) {
            *out = sample(value, PLACES + BETWEEN + 3);
        }
    }
}

/// Eight values, scaled by `√8 · 2^PLACES`.
fn one_dimension(x: [i32; 8]) -> [i32; 8] {
    let times = i32::wrapping_mul;
    let sum = |a: i32, b: i32| a.wrapping_add(b);
    let difference = |a: i32, b: i32| a.wrapping_sub(b);
    // even part
    let z1 = times(sum(x[2], x[6]), FIX_0_541196100);
    let tmp2 = sum(z1, times(x[6], -FIX_1_847759065));
    let tmp3 = sum(z1, times(x[2], FIX_0_765366865));
    let tmp0 = times(sum(x[0], x[4]), 1 << PLACES);
    let tmp1 = times(difference(x[0], x[4]), 1 << PLACES);
    let (tmp10, tmp13) = (sum(tmp0, tmp3), difference(tmp0, tmp3));
    let (tmp11, tmp12) = (sum(tmp1, tmp2), difference(tmp1, tmp2));
    // odd part
    let [tmp0, tmp1, tmp2, tmp3] = [x[7], x[5], x[3], x[1]];
    let (z1, z2, z3, z4) = (sum(tmp0, tmp3), sum(tmp1, tmp2), sum(tmp0, tmp2), sum(tmp1, tmp3));
    let z5 = times(sum(z3, z4), FIX_1_175875602);
    let (tmp0, tmp1) = (times(tmp0, FIX_0_298631336), times(tmp1, FIX_2_053119869));
    let (tmp2, tmp3) = (times(tmp2, FIX_3_072711026), times(tmp3, FIX_1_501321110));
    let (z1, z2) = (times(z1, -FIX_0_899976223), times(z2, -FIX_2_562915447));
    let z3 = sum(times(z3, -FIX_1_961570560), z5);
    let z4 = sum(times(z4, -FIX_0_390180644), z5);
    let tmp0 = sum(tmp0, sum(z1, z3));
    let tmp1 = sum(tmp1, sum(z2, z4));
    let tmp2 = sum(tmp2, sum(z2, z3));
    let tmp3 = sum(tmp3, sum(z1, z4));
    [
        sum(tmp10, tmp3),
        sum(tmp11, tmp2),
        sum(tmp12, tmp1),
        sum(tmp13, tmp0),
        difference(tmp13, tmp0),
        difference(tmp12, tmp1),
        difference(tmp11, tmp2),
        difference(tmp10, tmp3),
    ]
}
