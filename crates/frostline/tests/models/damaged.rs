//! Damaged files are errors: never a panic, never a walk without an end, never memory that only the damage asked for.

use crate::archive::{pack, unpack, with_config};
use crate::golden;
use frostline::PrefixDType;
use frostline::compile::compile_inference;
use frostline::formats;
use frostline::graph::Model;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// A file of 20 KB is read in a millisecond; one case may be this slow on a machine that does much else.
const LONGEST: Duration = Duration::from_secs(10);

/// xorshift64
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    /// Up to eight bytes changed: to anything, to an extreme, or by one bit.
    pub(crate) fn mutate(&mut self, bytes: &mut [u8]) {
        for _ in 0..=self.below(8) {
            let (at, what) = (self.below(bytes.len()), self.below(4));
            bytes[at] = match what {
                0 => self.below(256) as u8,
                1 => 0xff,
                2 => 0,
                _ => bytes[at] ^ 1 << self.below(8),
            };
        }
    }
}

/// A model that was loaded has every weight, and runs where it is small.
pub(crate) fn assert_whole(model: &Model) {
    let shapes = model.graph.stand_in_shapes();
    for wanted in model.graph.weight_specs(&shapes).expect("weights that are known") {
        let found = model.weights.get(&wanted.path).expect("a weight that is there");
        assert_eq!(found.with(|tensor| tensor.shape.clone()), wanted.spec.shape);
    }
    // a size that was changed may be valid and yet far too large to be run here
    let small = |shapes: Vec<Vec<Vec<usize>>>| {
        shapes.iter().flatten().all(|shape| shape.iter().product::<usize>() < 1 << 16)
    };
    if model.graph.infer_shapes(&shapes).is_ok_and(small)
        && let Ok(mut plan) = compile_inference(&PrefixDType::F32, model, &shapes)
    {
        let input = vec![0.5; plan.prefix().input_len()];
        plan.predict(&input, 1);
    }
}

/// Loads the bytes as a file: an error that names the file, or a model that is whole. Returns whether it loaded.
fn is_an_error_or_a_model(folder: &Path, bytes: &[u8], case: &str) -> bool {
    let path = folder.join("damaged");
    std::fs::write(&path, bytes).expect("written");
    let start = Instant::now();
    let done = catch_unwind(AssertUnwindSafe(|| match formats::load(&path) {
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("damaged") && !text.trim().is_empty(), "{text}");
            false
        }
        Ok(loaded) => {
            assert_whole(&loaded.model);
            true
        }
    }));
    assert!(done.is_ok(), "{case}: a panic");
    assert!(start.elapsed() < LONGEST, "{case}: {:?}", start.elapsed());
    done.unwrap_or(false)
}

const FILES: [&str; 6] = [
    "keras/dense.keras",
    "keras/nested_in_sequential.keras",
    "keras/batch_norm.h5",
    "keras/nested_in_sequential.h5",
    "bad/lambda.keras",
    "bad/lambda.h5",
];

/// Some golden files, and one of them as a `.safetensors` file.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let read = |name: &'static str| (name, std::fs::read(golden::path(name)).expect("a golden"));
    let saved = tempfile::tempdir().expect("a folder");
    let path = saved.path().join("model.safetensors");
    formats::save(&golden::load("keras/nested_in_sequential.keras"), &path).expect("saved");
    let saved = ("nested_in_sequential.safetensors", std::fs::read(path).expect("the file"));
    FILES.into_iter().map(read).chain([saved]).collect()
}

#[test]
fn a_file_that_is_cut_off_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files() {
        for cut in (0..bytes.len()).step_by(bytes.len() / 60 + 1) {
            let case = format!("{name} cut at {cut}");
            let loaded = is_an_error_or_a_model(folder.path(), &bytes[..cut], &case);
            // what is missing at the end of an HDF5 file may be padding, but not half of it
            assert!(!loaded || (name.ends_with(".h5") && cut > bytes.len() / 2), "{case} loads");
        }
    }
}

#[test]
fn random_changes_of_a_file_give_an_error_or_a_model() {
    let folder = tempfile::tempdir().expect("a folder");
    for (index, (name, bytes)) in files().into_iter().enumerate() {
        for seed in 0..250u64 {
            let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ (seed + 1) << 8 ^ index as u64);
            let mut changed = bytes.clone();
            random.mutate(&mut changed);
            is_an_error_or_a_model(folder.path(), &changed, &format!("{name}, seed {seed}"));
        }
    }
}

/// The checksums of an archive hide what is in it from random changes: here they are made before it is packed.
#[test]
fn random_changes_of_an_entry_give_an_error_or_a_model() {
    let folder = tempfile::tempdir().expect("a folder");
    for (index, name) in FILES.iter().enumerate().filter(|(_, name)| name.ends_with(".keras")) {
        let entries = unpack(&std::fs::read(golden::path(name)).expect("a golden"));
        for seed in 0..400u64 {
            let mut random = Random(0x1234_5678_9ABC_DEF1 ^ (seed + 1) << 8 ^ index as u64);
            let mut changed = entries.clone();
            let which = random.below(changed.len());
            random.mutate(&mut changed[which].1);
            let case = format!("{name}, entry `{}`, seed {seed}", changed[which].0);
            is_an_error_or_a_model(folder.path(), &pack(&changed), &case);
        }
    }
}

/// Digits are what matters in a config: sizes that nobody would ask for.
#[test]
fn absurd_numbers_in_a_config_give_an_error_or_a_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = [
        "unet",
        "conv_uneven",
        "depthwise_5x5",
        "zero_padding",
        "cropping",
        "max_pool_same",
        "reshape",
        "resizing_bilinear",
        "dense",
        "two_in_two_out",
    ];
    for name in names {
        let bytes = std::fs::read(golden::path(&format!("keras/{name}.keras"))).expect("a golden");
        let entries = unpack(&bytes);
        let config = entries.iter().find(|(name, _)| name == "config.json").expect("a config").1.clone();
        let is_number = |at: &usize| {
            config[*at].is_ascii_digit()
                && !b"0123456789.\"_abcdefghijklmnopqrstuvwxyz".contains(&config[at - 1])
        };
        let places: Vec<usize> = (1..config.len()).filter(is_number).collect();
        for at in places.iter().step_by(places.len() / 20 + 1) {
            for number in ["0", "-1", "4294967295", "16777215", "18446744073709551615", "1e300", "null"] {
                let end = (*at..config.len()).find(|at| !config[*at].is_ascii_digit()).expect("an end");
                let changed = [&config[..*at], number.as_bytes(), &config[end..]].concat();
                let replace = |(name, bytes): &(String, Vec<u8>)| {
                    (name.clone(), if name == "config.json" { changed.clone() } else { bytes.clone() })
                };
                let archive = pack(&entries.iter().map(replace).collect::<Vec<_>>());
                is_an_error_or_a_model(folder.path(), &archive, &format!("{name}: {number} at {at}"));
            }
        }
    }
}

fn error_of(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.keras");
    std::fs::write(&path, bytes).expect("written");
    let error = formats::load(&path).expect_err("an error").to_string();
    assert!(error.contains(&*path.to_string_lossy()), "the file is not named: {error}");
    assert!(error.contains("\nhelp: "), "no help: {error}");
    error
}

#[test]
fn an_archive_with_a_path_out_of_it_is_refused() {
    let good = unpack(&std::fs::read(golden::path("keras/dense.keras")).expect("a golden"));
    for name in ["../evil.py", "a/../../evil.py", "/etc/evil", "..\\evil.py"] {
        let mut entries = good.clone();
        entries.push((name.to_owned(), b"evil".to_vec()));
        let error = error_of(&pack(&entries));
        assert!(error.contains(&format!("`{name}`")) && error.contains("outside"), "{error}");
    }
}

#[test]
fn a_weight_that_is_missing_is_named() {
    let bytes = std::fs::read(golden::path("keras/batch_norm_bare.keras")).expect("a golden");
    let error = error_of(&with_config(&bytes, r#""scale": false"#, r#""scale": true"#));
    assert!(error.contains("batch_normalization/gamma") || error.contains("moving_variance"), "{error}");
}

#[test]
fn a_shape_that_does_not_fit_is_named_with_both_shapes() {
    let bytes = std::fs::read(golden::path("keras/dense.keras")).expect("a golden");
    let error = error_of(&with_config(&bytes, r#""units": 7"#, r#""units": 8"#));
    assert!(error.contains("`dense/kernel` wants shape [11, 8]") && error.contains("[11, 7]"), "{error}");
}

#[test]
fn an_archive_without_its_parts_names_the_part() {
    let good = unpack(&std::fs::read(golden::path("keras/dense.keras")).expect("a golden"));
    for part in ["config.json", "model.weights.h5"] {
        let entries: Vec<_> = good.iter().filter(|(name, _)| name != part).cloned().collect();
        assert!(error_of(&pack(&entries)).contains(&format!("`{part}`")));
    }
    assert!(error_of(b"").contains("no model file"));
    assert!(error_of(b"GIF89a").contains("no model file"));
}

#[test]
fn weights_of_another_model_change_nothing() {
    let model = golden::load("keras/dense.h5");
    let before = golden::weight_bits(&model);
    for other in ["keras/batch_norm.weights.h5", "keras/unet.h5", "keras/batch_norm.h5"] {
        let error = formats::load_weights(&golden::path(other), &model).expect_err("an error").to_string();
        assert!(error.contains("dense/kernel") && error.contains("help:"), "{error}");
        assert!(before == golden::weight_bits(&model));
    }
}
