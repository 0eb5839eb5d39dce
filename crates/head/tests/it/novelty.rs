use crate::{classes, noise};
use frostline_head::InMemory;
use frostline_head::novelty::{Novelty, energies, threshold};

#[test]
fn about_the_share_of_new_rows_is_refused_and_strangers_more() {
    for (rows, width) in [(200, 30), (150, 260)] {
        let (all, labels) = classes(rows + 500, 3, width);
        let table = InMemory { values: &all[..rows * width], width };
        let new = InMemory { values: &all[rows * width..], width };
        let found = Novelty::fit(&table, &[width], &labels[..rows], 3, None, 0.1).unwrap();
        let refused = |table: &InMemory<'_>| {
            let distances = found.distances(table).unwrap();
            distances.iter().filter(|distance| **distance > found.threshold.value).count() as f64
                / distances.len() as f64
        };
        let share = refused(&new);
        assert!((0.03..0.2).contains(&share), "{share}");
        let strange: Vec<f32> = noise(500 * width, 11).into_iter().map(|value| 3.0 * value - 1.0).collect();
        assert!(refused(&InMemory { values: &strange, width }) > 0.95);
        assert!(found.threshold.refused.low < 0.1 && found.threshold.refused.high > 0.05);
    }
}

#[test]
fn thresholds_keep_their_promise() {
    let scores: Vec<f64> = (1..=99).map(f64::from).collect();
    let found = threshold(&scores, 0.1).unwrap();
    assert_eq!(found.value, 90.0);
    assert!((found.refused.value - 9.0 / 99.0).abs() < 1e-12);
    assert!(
        threshold(&[], 0.1).is_err()
            && threshold(&[1.0], 1.0).is_err()
            && threshold(&[f64::NAN], 0.1).is_err()
    );
    assert!((energies(&[0.0, 0.0], 2)[0] + 2.0_f64.ln()).abs() < 1e-12);
}
