use super::*;
use crate::{FeatureTable, InMemory, Method, Problem, solve::solve_within};

/// Differences of the loss over a step of 1e-5 have rounding errors of about 1e-11.
const DIFFERENCE: f64 = 1e-8;

/// Numbers without chance, between -1 and 1.
pub(crate) fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0) as f32
    };
    (0..count).map(next).collect()
}

fn classes(rows: usize, count: usize, width: usize) -> (Vec<f32>, Vec<usize>) {
    let labels: Vec<usize> = (0..rows).map(|row| (row * 7 + row / 5) % count).collect();
    let mut values = noise(rows * width, 3);
    (0..rows).for_each(|row| values[row * width + labels[row] % width] += 0.8);
    (values, labels)
}

fn design(table: &InMemory<'_>, held: usize) -> Design<'static> {
    let values: &'static [f32] = Vec::leak(table.values.to_vec());
    let table: &'static dyn FeatureTable = Box::leak(Box::new(InMemory { values, width: table.width }));
    Design::of(table, &[table.width()], None, held).unwrap()
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    for (rows, width, held) in [(12, 20, usize::MAX), (30, 6, usize::MAX), (30, 6, 0)] {
        let (values, labels) = classes(rows, 3, width);
        let ones: Vec<f32> =
            labels.iter().flat_map(|label| [(label % 2) as f32, (label / 2) as f32]).collect();
        let design = design(&InMemory { values: &values, width }, held);
        let all =
            [Targets::Classes { labels: &labels, classes: 3 }, Targets::Labels { values: &ones, width: 2 }];
        for targets in all {
            let objective = Objective::new(&design, targets);
            let mut task = task(&targets, None, rows, |row| row % 4 != 0);
            task.penalty = 0.05;
            let point: Vec<f64> =
                noise(targets.outputs() * (design.rank() + 1), 9).into_iter().map(f64::from).collect();
            let value_at = |point: &[f64]| objective.evaluate(&[(&task, point)]).unwrap().remove(0);
            let gradient = value_at(&point).gradient;
            for place in 0..point.len() {
                let moved = |step: f64| {
                    let mut point = point.clone();
                    point[place] += step;
                    value_at(&point).loss
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!(
                    (difference - gradient[place]).abs() < DIFFERENCE,
                    "{difference} {}",
                    gradient[place]
                );
            }
        }
    }
}

#[test]
fn folds_predict_as_regressions_that_never_had_the_rows() {
    let (values, labels) = classes(36, 3, 50);
    let table = InMemory { values: &values, width: 50 };
    let design = design(&table, usize::MAX);
    let targets = Targets::Classes { labels: &labels, classes: 3 };
    let groups: Vec<usize> = (0..36).map(|row| row / 2).collect();
    let found = solve(&design, targets, None, Some(&groups), Some(1e-3)).unwrap();
    let (fold_of, count) = folds(&targets, Some(&groups), 36);
    assert_eq!(count, 10);
    let objective = Objective::new(&design, targets);
    for fold in 0..count {
        let mut task = task(&targets, None, 36, |row| fold_of[row] != fold);
        task.penalty = 1e-3;
        let from = start(&targets, &task, design.rank());
        let point = minimise(&objective, &[task], vec![from], Until::Gradient(1e-10)).unwrap().remove(0);
        let logits = objective.predict(&[&point], &[0; 36]).unwrap();
        for row in (0..36).filter(|row| fold_of[*row] == fold) {
            assert!(groups.iter().zip(&fold_of).all(|(group, own)| *group != groups[row] || *own == fold));
            for class in 0..3 {
                let difference = logits[row * 3 + class] - found.out_of_sample[row * 3 + class];
                assert!(difference.abs() < 0.01, "{difference}");
            }
        }
    }
}

#[test]
fn rows_that_do_not_fit_in_memory_give_the_same_layer() {
    let (values, labels) = classes(700, 4, 30);
    let weights: Vec<f64> = (0..700).map(|row| 0.5 + (row % 3) as f64).collect();
    let groups: Vec<usize> = (0..700).map(|row| row % 500).collect();
    let problem = Problem {
        features: &InMemory { values: &values, width: 30 },
        blocks: &[10, 20],
        targets: Targets::Classes { labels: &labels, classes: 4 },
        weights: Some(&weights),
        groups: Some(&groups),
    };
    let held = solve_within(&problem, Method::Mean, usize::MAX).unwrap();
    let read = solve_within(&problem, Method::Mean, 0).unwrap();
    assert_eq!((held.ridge_penalty, held.logistic_penalty), (read.ridge_penalty, read.logistic_penalty));
    for (held, read) in held.out_of_sample.iter().zip(&read.out_of_sample) {
        assert!((held - read).abs() < 0.02, "{held} {read}");
    }
    for (held, read) in held.kernel.iter().zip(&read.kernel) {
        assert!((held - read).abs() < 1e-4, "{held} {read}");
    }
}
