//! Every golden model of real Keras: loads with nothing left over, and computes what Keras computed.
//! The files in `keras` are written by `tests/keras/make_goldens.py`, those in `old` by real old versions, from 1.2.2 on, with
//! `tests/keras/make_old_goldens.py`.

use frostline::formats;
use frostline::verify::{read_reference, verify};
use std::path::{Path, PathBuf};

/// Forward: the largest difference as a share of the largest output.
const FORWARD: f64 = 1e-4;
/// Gradients: the norm of the difference as a share of the norm.
const GRADIENT: f64 = 1e-3;

#[test]
fn every_golden_model_computes_what_keras_computed() {
    assert_all("keras", 75);
}

#[test]
fn every_model_of_an_old_keras_computes_what_that_computed() {
    assert_all("old", 19);
}

fn assert_all(folder: &str, fewest: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("the goldens").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    let (mut models, mut wrong) = (0, Vec::new());
    for path in files {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.ends_with(".npz") || name.ends_with(".weights.h5") {
            continue;
        }
        models += 1;
        let stem = name.trim_end_matches(".keras").trim_end_matches(".h5");
        let (reference, setting) = read_reference(&folder.join(format!("{stem}.npz"))).expect("a reference");
        let differences = formats::load(&path).and_then(|loaded| {
            assert_eq!(loaded.report.unused, [] as [String; 0], "{name}");
            assert_eq!(loaded.report.tensors, loaded.report.loaded, "{name}");
            verify(&loaded.model, &reference, setting)
        });
        match differences {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(differences) => {
                for difference in differences {
                    let limit = if difference.name.starts_with("output") { FORWARD } else { GRADIENT };
                    if difference.relative.is_nan() || difference.relative > limit {
                        wrong.push(format!(
                            "{name}: {} differs by {:.1e}",
                            difference.name, difference.relative
                        ));
                    }
                }
            }
        }
    }
    assert!(models >= fewest, "only {models} goldens were found");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
