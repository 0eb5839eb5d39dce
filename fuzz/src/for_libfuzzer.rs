//! What the targets in `fuzz_targets/` are made of.

use crate::{format, whole};
use fastrand::Rng;
use std::sync::LazyLock;

pub use libfuzzer_sys;

/// The seeds of all formats are far away there: parts of others come from libFuzzer's own crossing over.
static NO_OTHERS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(Vec::new);

/// Reads the bytes, and looks at the model that they may be.
pub fn read(name: &str, bytes: &[u8]) {
    let format = format(name).unwrap_or_else(|| panic!("there is no format `{name}`"));
    if let Some(model) = (format.read)(bytes) {
        whole::check(&model);
    }
}

/// Changes the first `size` bytes as the format is built, or as libFuzzer does it. Returns how many there are then.
pub fn change(name: &str, data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut rng = Rng::with_seed(u64::from(seed));
    let changed = match format(name) {
        // what it has learned to be worth changing is not thrown away
        Some(format) if rng.u8(..3) > 0 => (format.mutate)(&mut rng, &data[..size], &NO_OTHERS),
        _ => return libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    };
    let len = changed.len().min(max_size).min(data.len());
    data[..len].copy_from_slice(&changed[..len]);
    len
}

/// A target of libFuzzer that reads a format.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        use $crate::for_libfuzzer::libfuzzer_sys;
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::for_libfuzzer::read($name, bytes));
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            $crate::for_libfuzzer::change($name, data, size, max_size, seed)
        });
    };
}
