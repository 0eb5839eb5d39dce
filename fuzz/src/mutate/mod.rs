//! Changes to files that know how they are built: what lies behind a checksum, a length or a header is reached by them, and not by
//! bytes that change anywhere.

mod bytes;
mod hdf5;
mod image;
mod json;
mod npy;
mod onnx;
mod parquet;
mod request;
mod safetensors;
mod tar;
mod text;
mod zip;

use fastrand::Rng;

/// Changes `bytes`. `others` are the other seeds, which parts may be taken from.
pub type Mutate = fn(rng: &mut Rng, bytes: &[u8], others: &[Vec<u8>]) -> Vec<u8>;

pub use bytes::bytes;
pub use hdf5::h5;
pub use image::image;
pub use json::json;
pub use npy::npy;
pub use onnx::onnx;
pub use parquet::parquet;
pub use request::request;
pub use safetensors::safetensors;
pub use tar::tar;
pub use text::text;
pub use zip::{keras, npz};

/// A file of a run: its first line is its name.
pub fn run_files(rng: &mut Rng, bytes: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let (name, content) = split_name(bytes);
    let content = match name.ends_with(b".json") {
        true => json(rng, content, others),
        false => text(rng, content, others),
    };
    [name, b"\n", &content].concat()
}

/// A shard of the feature cache: its first line says what it holds.
pub fn cache(rng: &mut Rng, bytes: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let (about, shard) = split_name(bytes);
    let others: Vec<Vec<u8>> = others.iter().map(|other| split_name(other).1.to_vec()).collect();
    match chance(rng, 25) {
        true => {
            let mut about = json(rng, about, &[]);
            about.retain(|byte| *byte != b'\n');
            [&about, b"\n".as_slice(), shard].concat()
        }
        false => [about, b"\n", &safetensors(rng, shard, &others)].concat(),
    }
}

/// The first line, and what follows it.
pub fn split_name(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// One of these.
fn one_of<'a, T>(rng: &mut Rng, from: &'a [T]) -> Option<&'a T> {
    (!from.is_empty()).then(|| &from[rng.usize(..from.len())])
}

/// A share of `percent` of all calls.
fn chance(rng: &mut Rng, percent: u8) -> bool {
    rng.u8(..100) < percent
}

/// Whole numbers at which code is often wrong.
const NUMBERS: [i64; 24] = [
    0,
    1,
    -1,
    2,
    3,
    -2,
    7,
    16,
    127,
    128,
    255,
    256,
    1000,
    4096,
    65535,
    65536,
    1 << 24,
    i32::MAX as i64,
    i32::MIN as i64,
    1 << 32,
    1 << 40,
    i64::MAX,
    i64::MIN,
    i64::MAX / 4,
];

fn number(rng: &mut Rng) -> i64 {
    match chance(rng, 40) {
        true => rng.i64(-4..12),
        false => NUMBERS[rng.usize(..NUMBERS.len())],
    }
}
