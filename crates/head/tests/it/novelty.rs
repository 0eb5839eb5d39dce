use crate::classes;
use frostline_head::InMemory;
use frostline_head::novelty::{Novelty, threshold};

#[test]
fn about_the_share_of_new_rows_is_refused_and_strangers_more() {
    for (rows, width) in [(200, 30), (150, 260)] {
        let (mut all, labels) = classes(2 * rows + 600, 4, width);
        for (row, label) in all.chunks_exact_mut(width).zip(&labels) {
            row.iter_mut().skip(*label).step_by(4).for_each(|value| *value += 1.0);
        }
        // the last class is left out: its rows are strangers
        let (known, strange): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(|row| labels[*row] < 3);
        let values = |chosen: &[usize]| -> Vec<f32> {
            chosen.iter().flat_map(|row| all[row * width..(row + 1) * width].to_vec()).collect()
        };
        let (seen, new) = known.split_at(rows);
        let (seen_values, new, strange) = (values(seen), values(new), values(&strange));
        let own: Vec<usize> = seen.iter().map(|row| labels[*row]).collect();
        let table = InMemory { values: &seen_values, width };
        let found = Novelty::fit(&table, &[width], &own, 3, None, 0.1).unwrap();
        let refused = |values: &[f32]| {
            let scores = found.scores(&InMemory { values, width }).unwrap();
            scores.iter().filter(|score| **score > found.threshold.value).count() as f64 / scores.len() as f64
        };
        let (share, strangers) = (refused(&new), refused(&strange));
        assert!((0.03..0.2).contains(&share), "{share}");
        assert!(strangers > 2.0 * share, "{strangers} {share}");
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
}

#[test]
fn a_row_and_its_copies_have_no_say_in_their_own_score() {
    let (values, labels) = classes(40, 2, 10);
    // each row twice
    let twice: Vec<f32> = values.chunks_exact(10).flat_map(|row| [row, row].concat()).collect();
    let labels_twice: Vec<usize> = labels.iter().flat_map(|label| [*label; 2]).collect();
    let groups: Vec<usize> = (0..80).map(|row| row / 2).collect();
    let fit = |values: &[f32], labels: &[usize], groups: Option<&[usize]>| {
        Novelty::fit(&InMemory { values, width: 10 }, &[10], labels, 2, groups, 0.25).unwrap().threshold.value
    };
    let once = fit(&values, &labels, None);
    let known = fit(&twice, &labels_twice, Some(&groups));
    let unknown = fit(&twice, &labels_twice, None);
    assert!((once - known).abs() < 0.05 && unknown < known, "{once} {known} {unknown}");
}
