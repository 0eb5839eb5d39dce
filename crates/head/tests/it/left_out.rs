use crate::noise;
use frostline_head::{InMemory, Method, Problem, Targets, solve};

/// Rounding of small systems.
const EXACT: f64 = 1e-9;

/// Softly standardised features of one block, from the definition.
fn standardised(values: &[f32], width: usize, weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    let rows = weights.len();
    let x = |row: usize, column: usize| f64::from(values[row * width + column]);
    let mean = |column: usize| (0..rows).map(|row| weights[row] * x(row, column)).sum::<f64>() / total;
    let means: Vec<f64> = (0..width).map(mean).collect();
    let deviation = |k: usize| {
        ((0..rows).map(|row| weights[row] * (x(row, k) - means[k]).powi(2)).sum::<f64>() / total).sqrt()
    };
    let s: Vec<f64> = (0..width).map(deviation).collect();
    let half = 0.5 * s.iter().sum::<f64>() / width as f64;
    let q = s.iter().map(|s| (s / (s + half)).powi(2)).sum::<f64>().sqrt();
    let z = |place: usize| {
        let (row, k) = (place / width, place % width);
        (x(row, k) - means[k]) / (s[k] + half) / q
    };
    (0..rows * width).map(z).collect()
}

/// Solves `system x = right` by elimination.
fn eliminate(mut system: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for at in 0..size {
        let pivot = (at..size).max_by(|a, b| system[*a][at].abs().total_cmp(&system[*b][at].abs())).unwrap();
        system.swap(at, pivot);
        right.swap(at, pivot);
        for row in at + 1..size {
            let factor = system[row][at] / system[at][at];
            for column in at..size {
                system[row][column] -= factor * system[at][column];
            }
            right[row] -= factor * right[at];
        }
    }
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|column| system[at][column] * right[column]).sum();
        right[at] = (right[at] - known) / system[at][at];
    }
    right
}

/// The prediction of `row` by a ridge regression of the rows that are `taken`.
fn refit(
    z: &[f64],
    width: usize,
    y: &[f64],
    weights: &[f64],
    lambda: f64,
    taken: &dyn Fn(usize) -> bool,
    row: usize,
) -> f64 {
    let value = |row: usize, k: usize| if k == width { 1.0 } else { z[row * width + k] };
    let rows: Vec<usize> = (0..y.len()).filter(|row| taken(*row)).collect();
    let entry = |a: usize, b: usize| {
        let sum: f64 = rows.iter().map(|row| weights[*row] * value(*row, a) * value(*row, b)).sum();
        sum + if a == b && a < width { lambda } else { 0.0 }
    };
    let system = (0..=width).map(|a| (0..=width).map(|b| entry(a, b)).collect()).collect();
    let right =
        (0..=width).map(|a| rows.iter().map(|row| weights[*row] * value(*row, a) * y[*row]).sum()).collect();
    let solution = eliminate(system, right);
    (0..=width).map(|k| solution[k] * value(row, k)).sum()
}

#[test]
fn closed_forms_are_refits_without_the_row_and_its_group() {
    for (rows, width) in [(16, 5), (12, 20)] {
        let values = noise(rows * width, 1);
        let targets: Vec<f32> =
            (0..rows).map(|row| values[row * width] + 0.5 * noise(rows, 2)[row]).collect();
        let y: Vec<f64> = targets.iter().map(|value| f64::from(*value)).collect();
        let groups: Vec<usize> =
            (0..rows).map(|row| [0, 1, 1, 2, 3, 4, 1, 5][row % 8] + row / 8 * 6).collect();
        // one row counts nothing
        let weights: Vec<f64> = (0..rows).map(|row| [1.0, 0.3, 2.0, 0.0, 1.5][row % 5]).collect();
        for weights in [None, Some(&weights)] {
            for groups in [None, Some(&groups)] {
                let problem = Problem {
                    features: &InMemory { values: &values, width },
                    blocks: &[width],
                    targets: Targets::Numbers { values: &targets, width: 1 },
                    weights: weights.map(Vec::as_slice),
                    groups: groups.map(Vec::as_slice),
                };
                let solved = solve(&problem, Method::Ridge).unwrap();
                let ones = vec![1.0; rows];
                let weights = weights.unwrap_or(&ones);
                let mean = weights.iter().sum::<f64>() / rows as f64;
                let weights: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
                let z = standardised(&values, width, &weights);
                // the mean squared norm is 1
                let lambda = solved.ridge_penalty.unwrap();
                for row in 0..rows {
                    let taken = |other: usize| match groups {
                        Some(groups) => groups[other] != groups[row],
                        None => other != row,
                    };
                    let exact = refit(&z, width, &y, &weights, lambda, &taken, row);
                    assert!(
                        (exact - solved.out_of_sample[row]).abs() < EXACT,
                        "{exact} {}",
                        solved.out_of_sample[row]
                    );
                }
                // the layer on raw features is the regression on standardised ones
                let predicted = solved.predict(problem.features).unwrap();
                for row in 0..rows {
                    let exact = refit(&z, width, &y, &weights, lambda, &|_| true, row);
                    assert!((exact - predicted[row]).abs() < 1e-5, "{exact} {}", predicted[row]);
                }
            }
        }
    }
}

#[test]
fn noise_is_not_learned() {
    let values = noise(80 * 300, 5);
    let labels: Vec<usize> = (0..80).map(|row| row % 4).collect();
    let table = InMemory { values: &values, width: 300 };
    let problem = crate::problem(&table, &[300], Targets::Classes { labels: &labels, classes: 4 });
    let solved = solve(&problem, Method::Auto).unwrap();
    assert!(solved.accuracy.unwrap() < 0.45, "{:?}", solved.accuracy);
    assert!(solved.log_loss.unwrap() < 1.6 && solved.log_loss.unwrap() > 1.2, "{:?}", solved.log_loss);
}
