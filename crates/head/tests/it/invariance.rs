use crate::{classes, problem};
use frostline_head::{InMemory, Method, Targets, solve};

#[test]
fn the_scale_of_a_block_changes_nothing() {
    let (values, labels) = classes(60, 3, 20);
    let scaled: Vec<f32> = values
        .iter()
        .enumerate()
        .map(|(at, value)| if at % 20 < 8 { value * 1024.0 } else { *value })
        .collect();
    let solved = |values: &[f32]| {
        let table = InMemory { values, width: 20 };
        solve(&problem(&table, &[8, 12], Targets::Classes { labels: &labels, classes: 3 }), Method::Mean)
            .unwrap()
    };
    let (one, other) = (solved(&values), solved(&scaled));
    for (one, other) in one.out_of_sample.iter().zip(&other.out_of_sample) {
        assert!((one - other).abs() < 1e-9, "{one} {other}");
    }
}

#[test]
fn a_constant_column_or_block_changes_nothing() {
    let (values, labels) = classes(40, 3, 9);
    let wider: Vec<f32> =
        values.chunks_exact(9).flat_map(|row| row.iter().copied().chain([7.0, 7.0])).collect();
    let targets = Targets::Classes { labels: &labels, classes: 3 };
    let narrow =
        solve(&problem(&InMemory { values: &values, width: 9 }, &[9], targets), Method::Mean).unwrap();
    let wide =
        solve(&problem(&InMemory { values: &wider, width: 11 }, &[9, 2], targets), Method::Mean).unwrap();
    for (one, other) in narrow.out_of_sample.iter().zip(&wide.out_of_sample) {
        assert!((one - other).abs() < 1e-6, "{one} {other}");
    }
    assert!(wide.kernel[9 * 3..].iter().all(|value| *value == 0.0));
}

#[test]
fn probabilities_are_calibrated_and_the_mean_is_no_worse_than_both() {
    let (values, labels) = classes(200, 5, 300);
    let table = InMemory { values: &values, width: 300 };
    let solved =
        solve(&problem(&table, &[300], Targets::Classes { labels: &labels, classes: 5 }), Method::Auto)
            .unwrap();
    let error =
        frostline_head::interval::expected_calibration_error(&solved.probabilities(), &labels, 5).unwrap();
    assert!(error < 0.12, "{error}");
    let worst = solved.tried[..2].iter().map(|tried| tried.log_loss).fold(0.0, f64::max);
    assert!(solved.tried[2].log_loss <= worst + 1e-9);
}
