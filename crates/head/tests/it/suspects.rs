use frostline_head::interval::{accuracy, expected_calibration_error, mean_squared_error, wilson};
use frostline_head::mislabelled::{find, thresholds};

#[test]
fn thresholds_are_mean_self_confidences_and_suspects_exceed_them() {
    // the third row says 0 and looks like 1; the last says 1, looks like 0, and falls short of the threshold of 0
    let p = [0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.55, 0.45];
    let labels = [0, 0, 0, 1, 1, 1];
    let found = thresholds(&p, &labels, 2).unwrap();
    assert!((found[0] - 0.6).abs() < 1e-12 && (found[1] - 0.65).abs() < 1e-12);
    let found = find(&p, &labels, 2).unwrap();
    assert_eq!(
        found.iter().map(|suspect| (suspect.row, suspect.label, suspect.likelier)).collect::<Vec<_>>(),
        [(2, 0, 1)]
    );
}

#[test]
fn bad_sizes_are_errors() {
    assert!(find(&[0.5; 3], &[0, 1], 2).is_err());
    assert!(find(&[0.5; 4], &[0, 2], 2).is_err());
    assert!(find(&[], &[], 0).unwrap().is_empty());
}

#[test]
fn intervals_are_those_of_the_books() {
    // statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson")
    let found = wilson(8.0, 10.0, 0.95).unwrap();
    assert!((found.low - 0.490_162_5).abs() < 1e-6 && (found.high - 0.943_317_8).abs() < 1e-6, "{found:?}");
    assert_eq!(wilson(0.0, 10.0, 0.95).unwrap().low, 0.0);
    assert!(
        wilson(1.0, 0.0, 0.95).is_err()
            && wilson(1.0, 2.0, 1.0).is_err()
            && wilson(f64::NAN, 2.0, 0.9).is_err()
    );
    // the mean 2.5, the deviation √(5/3), t(3, .975) = 3.182446
    let found = mean_squared_error(&[1.0, 2.0, 3.0, 4.0], 0.95).unwrap();
    assert!((found.high - (2.5 + 3.182_446 * (5.0_f64 / 12.0).sqrt())).abs() < 1e-5, "{found:?}");
    // each row twice: as wide as with half of the rows
    let right: Vec<bool> = (0..20).map(|row| row / 2 % 5 != 0).collect();
    let groups: Vec<usize> = (0..20).map(|row| row / 2).collect();
    let half: Vec<bool> = (0..10).map(|row| row % 5 != 0).collect();
    let (twice, once) =
        (accuracy(&right, Some(&groups), 0.95).unwrap(), accuracy(&half, None, 0.95).unwrap());
    assert!((twice.low - once.low).abs() < 1e-9);
}

#[test]
fn calibration_compares_confidence_with_accuracy() {
    let p = [0.75, 0.25, 0.75, 0.25, 0.75, 0.25, 0.75, 0.25];
    assert!(expected_calibration_error(&p, &[0, 0, 0, 1], 2).unwrap().abs() < 1e-12);
    assert!((expected_calibration_error(&p, &[1, 1, 1, 1], 2).unwrap() - 0.75).abs() < 1e-12);
}

#[test]
fn cleanlab_finds_the_same_rows() {
    let cases: serde_json::Value = serde_json::from_str(include_str!("../suspects.json")).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    for case in cases.as_array().unwrap() {
        let whole =
            |name: &str| numbers(&case[name]).into_iter().map(|value| value as usize).collect::<Vec<_>>();
        let (p, labels, classes) =
            (numbers(&case["p"]), whole("labels"), case["classes"].as_u64().unwrap() as usize);
        for (ours, theirs) in
            thresholds(&p, &labels, classes).unwrap().iter().zip(numbers(&case["thresholds"]))
        {
            assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
        }
        let mut found: Vec<usize> =
            find(&p, &labels, classes).unwrap().iter().map(|suspect| suspect.row).collect();
        found.sort_unstable();
        assert_eq!(found, whole("found"));
    }
}
