//! `tests/keras/make_score_goldens.py` made the expected values.

use super::*;
use serde::Deserialize;

/// All are computed in f64, by other ways of decomposing the same matrices.
const TOLERANCE: f64 = 1e-8;

#[derive(Deserialize)]
struct Golden {
    classes: usize,
    source_classes: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    width: usize,
    features: Vec<f32>,
    labels: Vec<usize>,
    predictions: Vec<f32>,
    logme: f64,
    h_score: f64,
    leep: f64,
    nce: f64,
    probe: Probe,
}

#[derive(Deserialize)]
struct Probe {
    strength: f64,
    error: f64,
    accuracy: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../../../tests/golden/scores.json")).expect("golden values")
}

fn assert_near(what: &str, found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
        "{what}: {found} for {expected}"
    );
}

#[test]
fn scores_have_the_values_of_their_papers_code() {
    let Golden { classes, source_classes, cases } = golden();
    for Case { name, width, features, labels, predictions, logme, h_score, leep, nce, .. } in cases {
        let features = Features { values: &features, width };
        assert_near(&format!("LogME, {name}"), super::logme(features, &labels, classes), logme);
        assert_near(&format!("H-score, {name}"), super::h_score(features, &labels, classes), h_score);
        let of_head = super::leep(&predictions, source_classes, &labels, classes);
        assert_near(&format!("LEEP, {name}"), of_head, leep);
        assert_near(&format!("NCE, {name}"), super::nce(&predictions, source_classes, &labels, classes), nce);
    }
}

#[test]
fn the_probe_leaves_out_each_image_as_if_it_were_fitted_again() {
    let Golden { classes, cases, .. } = golden();
    for Case { name, width, features, labels, probe, .. } in cases {
        let found = Ridge::fit(Features { values: &features, width }, &labels, classes).probe;
        assert_near(&format!("strength, {name}"), found.strength, probe.strength);
        assert_near(&format!("error, {name}"), found.error(), probe.error);
        assert_near(&format!("accuracy, {name}"), found.accuracy(), probe.accuracy);
    }
}

#[test]
fn ridge_regression_with_a_kernel_is_that_on_its_features() {
    let Golden { classes, cases, .. } = golden();
    for Case { name, width, features, labels, probe, .. } in cases {
        let (x, _, _) = standardised(Features { values: &features, width });
        let found = kernel_ridge((&x * x.transpose()).as_ref(), &labels, classes);
        assert_near(&format!("error, {name}"), found.error(), probe.error);
        assert_near(&format!("accuracy, {name}"), found.accuracy(), probe.accuracy);
    }
}

#[test]
fn the_probe_predicts_what_it_was_fitted_to() {
    let Golden { classes, cases, .. } = golden();
    let Case { width, features, labels, .. } = &cases[0];
    let features = Features { values: features, width: *width };
    let predicted = Ridge::fit(features, labels, classes).predict(features);
    let right = predicted.iter().zip(labels).filter(|(found, label)| found == label).count();
    assert!(right * 10 >= labels.len() * 9, "{right} of {}", labels.len());
}

/// Features that are equal for all images say nothing, and are no reason to fail.
#[test]
fn constant_features_score_as_badly_as_chance() {
    let (values, labels) = ([1.0; 24], [0, 1, 2, 0, 1, 2]);
    let features = Features { values: &values, width: 4 };
    assert!(h_score(features, &labels, 3).abs() < TOLERANCE);
    assert!(logme(features, &labels, 3).is_finite());
    let Ridge { probe, .. } = Ridge::fit(features, &labels, 3);
    assert!(probe.accuracy() <= 1.0 / 3.0);
}
