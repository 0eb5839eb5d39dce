//! Every golden model of real Keras: loads with nothing left over, and computes what Keras computed.
//! The files are written by `tests/keras/make_goldens.py`.

use frostline::compile::Statistics;
use frostline::verify::{GradientSetting, Reference, verify};
use frostline::{Tensor, formats};
use std::path::{Path, PathBuf};

/// Forward: the largest difference as a share of the largest output.
const FORWARD: f64 = 1e-4;
/// Gradients: the norm of the difference as a share of the norm.
const GRADIENT: f64 = 1e-3;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keras")
}

fn reference(path: &Path) -> (Reference, GradientSetting) {
    let mut archive = npyz::npz::NpzArchive::open(path).expect("an npz");
    let names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    let mut reference = Reference::new();
    let mut setting = GradientSetting { loss: None, statistics: Statistics::Moving };
    for name in names {
        let array = archive.by_name(&name).expect("readable").expect("there");
        let shape: Vec<usize> = array.shape().iter().map(|extent| *extent as usize).collect();
        match name.as_str() {
            "loss_name" => {
                let text: Vec<String> = array.into_vec().expect("text");
                setting.loss = Some(text[0].parse().expect("a loss"));
            }
            "training" => {
                let flag: Vec<i64> = array.into_vec().expect("a number");
                setting.statistics = if flag[0] == 1 { Statistics::Batch } else { Statistics::Moving };
            }
            _ => {
                let data = match array.dtype().descr().as_str() {
                    text if text.contains("f4") => array.into_vec::<f32>().expect("f32"),
                    text if text.contains("f8") => {
                        array.into_vec::<f64>().expect("f64").into_iter().map(|v| v as f32).collect()
                    }
                    _ => array.into_vec::<i64>().expect("i64").into_iter().map(|v| v as f32).collect(),
                };
                reference.insert(name, Tensor { shape, data });
            }
        }
    }
    (reference, setting)
}

#[test]
fn every_golden_model_computes_what_keras_computed() {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder()).expect("the goldens").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    let (mut models, mut wrong) = (0, Vec::new());
    for path in files {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.ends_with(".npz") || name.ends_with(".weights.h5") {
            continue;
        }
        models += 1;
        let stem = name.split('.').next().expect("a stem");
        let (reference, setting) = reference(&folder().join(format!("{stem}.npz")));
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
    assert!(models > 60, "only {models} goldens were found");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
