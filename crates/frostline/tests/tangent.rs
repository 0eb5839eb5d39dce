//! The tangent kernel is that of TensorFlow's gradients. `tests/keras/make_tangent_goldens.py` made the expected values.

use faer::Mat;
use frostline::data::{self, Example};
use frostline::depth::{Tangents, named_cuts};
use frostline::fit::{Source, TrainConfig, pipeline_for, silent};
use frostline::{Result, formats};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Gradients in f32.
const EXACT: f64 = 1e-4;
/// Layers with more weights than a sketch has numbers.
const SKETCHED: [&str; 1] = ["wide"];
/// What a sketch of 2048 numbers may be off, of the kernel's norm: about 1 in √2048, and a margin of four.
const SKETCH: f64 = 0.09;

#[derive(Deserialize)]
struct Golden {
    cut: String,
    directions: Vec<Vec<f32>>,
    kernels: BTreeMap<String, Vec<f64>>,
}

#[test]
fn kernels_of_layers_are_the_products_of_tensorflows_gradients() -> Result<()> {
    let golden: Golden =
        serde_json::from_str(include_str!("../../../tests/golden/tangent.json")).expect("golden values");
    let folder = Path::new("../../tests/golden");
    let model = formats::load(&folder.join("tangent.keras"))?.model;
    let dataset = data::open(&folder.join("tangent_data.npz"))?;
    let pipeline = pipeline_for(&model, &TrainConfig::default(), &dataset)?;
    let cut = &named_cuts(&model, &pipeline.input().to_vec(), std::slice::from_ref(&golden.cut))?[0];
    let examples: Vec<&Example> = dataset.train.iter().collect();
    let source = Source { dataset: &dataset, pipeline: &pipeline };
    let found = Tangents::new(&model, cut, source, &examples, &golden.directions, &silent)?;
    let paths: Vec<&str> = found.layers.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["stem", "stem_bn", "depthwise", "depthwise_bn", "project", "wide", "block_out"]);
    for (path, kernel) in &found.layers {
        let n = examples.len();
        let expected = Mat::from_fn(n, n, |i, j| golden.kernels[path][i * n + j]);
        let off = (kernel - &expected).norm_l2() / expected.norm_l2();
        let tolerance = if SKETCHED.contains(&path.as_str()) { SKETCH } else { EXACT };
        assert!(off < tolerance, "{path}: off by {off}");
        assert!(!SKETCHED.contains(&path.as_str()) || off > 0.0);
    }
    Ok(())
}
