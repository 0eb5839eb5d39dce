//! `frostline demo`: the textbook's experiment. Model A tells 8 classes of Fashion-MNIST apart; task B is Sandal or
//! Shirt with 200 images. From scratch, with A's layers frozen, then unfrozen at a lower rate.

use crate::Failure;
use crate::args::Demo;
use crate::console::{Console, table};
use frostline::fit::{
    Caching, Check, Metric, PretrainedWeights, StageConfig, TrainConfig, Validation, prepare, silent,
};
use frostline::graph::Unfreeze;
use frostline::{data, formats};
use serde_json::json;
use std::time::Instant;

const MODEL_A: &[u8] = include_bytes!("../assets/demo/my_model_A.h5");
const SUBSET: &[u8] = include_bytes!("../assets/demo/fashion_subset.npz");

/// One way to train, and its test accuracy by seed.
struct Arm {
    name: &'static str,
    recipe: TrainConfig,
    accuracy: Vec<f64>,
}

pub(crate) fn run(command: &Demo, seed: u64, console: &Console) -> Result<(), Failure> {
    let start = Instant::now();
    let folder = tempfile::tempdir()?;
    let (model_path, data_path) =
        (folder.path().join("my_model_A.h5"), folder.path().join("fashion_subset.npz"));
    std::fs::write(&model_path, MODEL_A)?;
    std::fs::write(&data_path, SUBSET)?;
    let model = formats::load(&model_path)?.model;
    let dataset = data::open(&data_path)?;
    let images = [dataset.train.len(), dataset.split(data::Split::Test).len()];
    let mut arms = arms();
    let runs = arms.len() * command.seeds as usize;
    for (index, seed) in (seed..seed + command.seeds).enumerate() {
        let count = arms.len();
        for (position, arm) in arms.iter_mut().enumerate() {
            let mut prepared = prepare(
                Check::Decode,
                model.clone(),
                dataset.clone(),
                arm.recipe.clone(),
                &Validation::Auto,
                seed,
                Caching::default(),
                &silent,
            )?;
            let trained = prepared.train(&silent)?;
            let accuracy = trained.test.and_then(|test| test.scores.get(Metric::Accuracy));
            arm.accuracy.push(accuracy.unwrap_or(f64::NAN));
            console.count("trainings", index * count + position + 1, runs);
        }
    }
    console.clear();
    let seconds = start.elapsed().as_secs_f64();
    if command.json {
        let entry = |arm: &Arm| {
            let (mean, sd) = mean_and_sd(&arm.accuracy);
            json!({ "name": arm.name, "accuracy": arm.accuracy, "mean": mean, "sd": sd })
        };
        let entries: Vec<_> = arms.iter().map(entry).collect();
        return console.print(json!({
            "seeds": command.seeds, "train_images": images[0], "test_images": images[1], "arms": entries,
            "seconds": seconds,
        }));
    }
    console.print(format_args!(
        "Model A: a small network that real Keras trained on 8 classes of Fashion-MNIST.\n\
         Task B: sandal or shirt, from {} images ({} held out to choose the epoch), tested on {}.\n",
        images[0],
        images[0] / 5,
        images[1]
    ))?;
    let mut rows = vec![["", "test accuracy", "by seed"].map(str::to_owned).to_vec()];
    rows.extend(arms.iter().map(|arm| {
        let (mean, sd) = mean_and_sd(&arm.accuracy);
        let each: Vec<String> =
            arm.accuracy.iter().map(|accuracy| format!("{:.2}", 100.0 * accuracy)).collect();
        vec![arm.name.to_owned(), format!("{:.2} ± {:.2} %", 100.0 * mean, 100.0 * sd), each.join("  ")]
    }));
    console.print(table(&rows, &[false, true, false]))?;
    console.print(format_args!("\n{}", verdict(&arms)))?;
    console.print(format_args!("{} trainings in {seconds:.1} s", runs))
}

fn arms() -> Vec<Arm> {
    let stage =
        |name: &str, unfreeze: Unfreeze, epochs: usize, learning_rate: f32, factor: f32| StageConfig {
            name: name.to_owned(),
            unfreeze,
            freeze: None,
            epochs,
            learning_rate,
            backbone_lr_factor: factor,
            warm_up: false,
        };
    let head = stage("head", Unfreeze::Nothing, 20, 1e-3, 1.0);
    let unfrozen = StageConfig { warm_up: true, ..stage("unfrozen", Unfreeze::All, 20, 1e-4, 1.0) };
    let recipe = |weights, stage| TrainConfig { weights, stage, batch: 16, ..TrainConfig::default() };
    let arm = |name, recipe| Arm { name, recipe, accuracy: Vec::new() };
    vec![
        arm(
            "from scratch, 40 epochs",
            recipe(PretrainedWeights::Reinit, vec![stage("from scratch", Unfreeze::All, 40, 1e-3, 1.0)]),
        ),
        arm("A's layers frozen, new head, 20 epochs", recipe(PretrainedWeights::Copy, vec![head.clone()])),
        arm(
            "then unfrozen at a tenth of the rate, 20 more",
            recipe(PretrainedWeights::Copy, vec![head, unfrozen]),
        ),
    ]
}

/// The mean and the standard deviation of a sample.
fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, (squares / (count - 1.0)).sqrt())
}

/// What the paired differences between the last arm and the first say.
fn verdict(arms: &[Arm]) -> String {
    let [scratch, .., reused] = arms else { return String::new() };
    let differences: Vec<f64> =
        reused.accuracy.iter().zip(&scratch.accuracy).map(|(a, b)| 100.0 * (a - b)).collect();
    let (mean, sd) = mean_and_sd(&differences);
    let error = sd / (differences.len() as f64).sqrt();
    let word = match (mean > 2.0 * error, mean < -2.0 * error) {
        (true, _) => "more than two standard errors: reuse helps here",
        (_, true) => "more than two standard errors: reuse hurts here",
        _ => "within two standard errors: no clear difference here",
    };
    format!(
        "Reused against from scratch on the same splits: {mean:+.2} points, standard error {error:.2}; {word}."
    )
}
