//! Pictures: whole, scaled down while they are decoded, looked through, and their size alone.

use super::scratch::file;
use frostline_data::{
    Example, Input, ScaledDecode, Target, check_example, decode, decode_for, picture_size_of,
};
use frostline_graph::Model;

/// The extents that a picture is wanted at.
const TARGET: [usize; 2] = [16, 16];

pub(crate) fn images(bytes: &[u8]) -> Option<Model> {
    drop(picture_size_of(bytes, "picture"));
    drop(decode(bytes, "picture"));
    if let Ok(scaled) = ScaledDecode::try_from(2) {
        drop(decode_for(bytes, "picture", scaled, TARGET));
    }
    let input = Input::File(file("picture", bytes));
    drop(check_example(&Example { input, target: Target::Class(0), name: "picture".to_owned() }));
    None
}

/// How many pixels a file says it has, where so many are read.
pub(crate) fn pixels_of(bytes: &[u8]) -> usize {
    let size = picture_size_of(bytes, "picture").unwrap_or_default();
    let pixels = size[0].saturating_mul(size[1]);
    if pixels as u64 <= frostline_data::MAX_PIXELS { pixels } else { 0 }
}
