use frostline_head::{InMemory, Kind, Problem, Targets, fit_logistic, probabilities};
use serde_json::Value;

/// In nats; the kernel is rounded to f32.
const LOSS: f64 = 1e-5;
const PROBABILITY: f64 = 2e-5;

fn goldens() -> Value {
    serde_json::from_str(include_str!("../goldens.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn predict(problem: &Problem<'_>, values: &[f32], c: f64) -> Vec<f64> {
    let layer = fit_logistic(problem, c).unwrap();
    let outputs = layer.bias.len();
    let width: usize = problem.blocks.iter().sum();
    let logit = |row: &[f32], output: usize| {
        let sum: f64 =
            (0..width).map(|k| f64::from(row[k]) * f64::from(layer.kernel[k * outputs + output])).sum();
        sum + f64::from(layer.bias[output])
    };
    values.chunks_exact(width).flat_map(|row| (0..outputs).map(move |output| logit(row, output))).collect()
}

#[test]
fn the_optimum_is_that_of_scikit_learn() {
    for case in goldens()["classes"].as_array().unwrap() {
        let values: Vec<f32> = numbers(&case["x"]).into_iter().map(|value| value as f32).collect();
        let blocks: Vec<usize> = numbers(&case["blocks"]).into_iter().map(|value| value as usize).collect();
        let labels: Vec<usize> = numbers(&case["y"]).into_iter().map(|value| value as usize).collect();
        let weights = case["weights"].as_array().map(|_| numbers(&case["weights"]));
        let classes = case["classes"].as_u64().unwrap() as usize;
        let c = case["c"].as_f64().unwrap();
        let problem = Problem {
            features: &InMemory { values: &values, width: blocks.iter().sum() },
            blocks: &blocks,
            targets: Targets::Classes { labels: &labels, classes },
            weights: weights.as_deref(),
            groups: None,
        };
        let found = probabilities(Kind::Classes, &predict(&problem, &values, c), classes);
        for (ours, theirs) in found.iter().zip(numbers(&case["p"])) {
            assert!((ours - theirs).abs() < PROBABILITY, "{ours} {theirs}");
        }
        // both penalties are of the same kernel up to the differences above, so compare the losses of the rows
        let total: f64 = weights.as_ref().map_or(labels.len() as f64, |weights| weights.iter().sum());
        let loss = |p: &[f64]| -> f64 {
            let row = |(row, label): (usize, &usize)| {
                -weights.as_ref().map_or(1.0, |weights| weights[row]) * p[row * classes + label].ln()
            };
            labels.iter().enumerate().map(row).sum::<f64>() / total
        };
        assert!((loss(&found) - loss(&numbers(&case["p"]))).abs() < LOSS);
    }
}

#[test]
fn labels_are_binary_regressions_of_scikit_learn() {
    let case = &goldens()["labels"];
    let values: Vec<f32> = numbers(&case["x"]).into_iter().map(|value| value as f32).collect();
    let labels: Vec<f32> = numbers(&case["y"]).into_iter().map(|value| value as f32).collect();
    let problem = Problem {
        features: &InMemory { values: &values, width: 6 },
        blocks: &[6],
        targets: Targets::Labels { values: &labels, width: 3 },
        weights: None,
        groups: None,
    };
    let found = probabilities(Kind::Labels, &predict(&problem, &values, case["c"].as_f64().unwrap()), 3);
    for (ours, theirs) in found.iter().zip(numbers(&case["p"])) {
        assert!((ours - theirs).abs() < PROBABILITY, "{ours} {theirs}");
    }
}
