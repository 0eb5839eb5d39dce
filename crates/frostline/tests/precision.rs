//! The frozen prefix in bf16 beside the one in f32, on every golden model of real Keras.

use frostline::compile::compile_inference;
use frostline::graph::Model;
use frostline::verify::read_reference;
use frostline::{PrefixDType, Shape, Tensor, formats};
use std::path::{Path, PathBuf};

/// The largest difference as a share of the largest output. A bf16 number is within 2⁻⁹ of what it stands for. Inputs,
/// weights and results of every op are rounded, so that an op adds up to 3 · 2⁻⁹ of its largest value; the goldens have up
/// to ten ops behind each other, and their errors add up like random numbers.
const BF16: f32 = 3.0 / 512.0 * 3.2;
/// Likewise: a byte is within 1/254 of the largest number of its channel, where that is signed.
const INT8: f32 = 3.0 / 254.0 * 3.2;

/// The golden models and their inputs, `[images, all inputs of an image]`.
fn goldens() -> Vec<(PathBuf, Vec<Shape>, Vec<f32>, usize)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/keras");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("the goldens").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    files.retain(|path| path.extension().is_some_and(|e| e == "keras"));
    let read = |path: PathBuf| {
        let stem = path.file_name()?.to_str()?.split('.').next()?;
        let (reference, _) = read_reference(&folder.join(format!("{stem}.npz"))).ok()?;
        let inputs: Vec<&Tensor> =
            (0..).map_while(|index| reference.get(&format!("input_{index}"))).collect();
        let images = inputs.first()?.shape[0];
        let row = |image: usize| {
            inputs.iter().flat_map(move |input| {
                let len = input.data.len() / images;
                input.data[image * len..][..len].iter().copied()
            })
        };
        let shapes = inputs.iter().map(|input| input.shape[1..].to_vec()).collect();
        let rows = (0..images).flat_map(row).collect();
        Some((path, shapes, rows, images))
    };
    files.into_iter().filter_map(read).collect()
}

/// The golden models whose output in another precision is further from that in f32 than `bound` of its largest number.
fn differences(
    bound: f32,
    predict: impl Fn(&Model, &[Shape], &[f32], usize) -> Vec<Vec<f32>>,
) -> Vec<String> {
    let goldens = goldens();
    assert!(goldens.len() > 40, "only {} goldens were found", goldens.len());
    let mut wrong = Vec::new();
    for (path, shapes, rows, images) in goldens {
        let model = formats::load(&path).expect("a model").model;
        let exact =
            compile_inference(&PrefixDType::F32, &model, &shapes).expect("a plan").predict(&rows, images);
        let rounded = predict(&model, &shapes, &rows, images);
        for (exact, rounded) in exact.iter().zip(&rounded) {
            let largest = exact.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
            let worst = exact.iter().zip(rounded).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
            if worst.is_nan() || worst > bound * largest {
                wrong.push(format!("{}: {:.1e}", path.display(), worst / largest));
            }
        }
    }
    wrong
}

#[test]
fn bf16_is_within_its_rounding_of_f32_on_every_golden_model() {
    let wrong = differences(BF16, |model, shapes, rows, images| {
        compile_inference(&PrefixDType::Bf16, model, shapes).expect("a plan").predict(rows, images)
    });
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// But for `relu_settings`, whose activations jump at a threshold: a byte may lie on its other side.
#[test]
fn int8_is_within_its_rounding_of_f32_on_every_golden_model() {
    let mut wrong = differences(INT8, |model, shapes, rows, images| {
        let numbers = PrefixDType::Int8(rows.into());
        compile_inference(&numbers, model, shapes).expect("a plan").predict(rows, images)
    });
    wrong.retain(|line| !line.contains("relu_settings"));
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn fewer_bits_are_the_same_on_any_number_of_threads_and_beside_any_image() {
    let (path, shapes, rows, images) = goldens()
        .into_iter()
        .max_by_key(|(path, ..)| std::fs::metadata(path).map(|file| file.len()).unwrap_or_default())
        .expect("a golden");
    let model = formats::load(&path).expect("a model").model;
    let many: Vec<f32> = rows.iter().copied().cycle().take(7 * rows.len()).collect();
    let on = |numbers: &PrefixDType, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let plan = compile_inference(numbers, &model, &shapes).expect("a plan");
            let mut outputs = vec![0.0; 7 * images * plan.prefix().feature_len()];
            plan.prefix().run(&many, &mut outputs);
            outputs
        })
    };
    for numbers in [PrefixDType::Bf16, PrefixDType::Int8(rows.as_slice().into())] {
        let one = on(&numbers, 1);
        assert_eq!(one, on(&numbers, 3));
        let len = one.len() / 7;
        assert!(one.chunks(len).all(|part| part == &one[..len]));
    }
}
