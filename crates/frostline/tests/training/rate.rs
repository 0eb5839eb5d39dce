//! `lr = "auto"`: the range test finds a rate, and leaves nothing else behind.

use crate::task::{Run, backbone, recipe, run_with, stage};
use frostline::fit::{
    Caching, GradualConfig, LearningRates, RateSearch, SolveConfig, TrainConfig, Validation,
};
use frostline::graph::Unfreeze;

fn train(recipe: TrainConfig) -> Run {
    let run = run_with(&backbone(), recipe, &Validation::Fraction(0.25), 3, Caching::default());
    run.trained();
    run
}

fn searched() -> TrainConfig {
    let stages = vec![stage(Unfreeze::Nothing, 3, 0.002), stage(Unfreeze::Highest(3), 2, 0.0005)];
    let head = "dropout(0.3) dense(4,relu)".parse().expect("a head");
    TrainConfig { learning_rates: LearningRates::Auto, head, ..recipe(stages) }
}

fn search(run: &Run) -> &RateSearch {
    run.trained().rate_search.as_ref().expect("a search")
}

#[test]
fn a_rate_that_was_found_trains_as_one_that_was_given_to_the_last_bit() {
    for gradual in [None, Some(GradualConfig { epochs: 1, learning_rate: 0.0002, backbone_lr_factor: 1.0 })] {
        let asked = TrainConfig { gradual: gradual.clone(), ..searched() };
        let found = train(asked.clone());
        let chosen = search(&found).chosen;
        let mut given = TrainConfig { learning_rates: LearningRates::Given, ..asked };
        let factor = chosen / given.stage[0].learning_rate;
        given.stage[0].learning_rate = chosen;
        given.stage[1].learning_rate *= factor;
        given.gradual =
            gradual.map(|gradual| GradualConfig { learning_rate: gradual.learning_rate * factor, ..gradual });
        let given = train(given);
        assert!(given.trained().rate_search.is_none());
        assert!(found.weights() == given.weights(), "the test has left something behind");
        assert_eq!(found.epochs, given.epochs);
        assert_eq!(found.trained().certificate, given.trained().certificate);
    }
}

#[test]
fn the_curve_is_kept_and_is_the_same_each_time() {
    let run = train(searched());
    let RateSearch { rates, losses, chosen, .. } = search(&run);
    assert_eq!(rates.len(), losses.len());
    assert!(rates.windows(2).all(|pair| pair[0] < pair[1]) && rates.contains(chosen));
    assert_eq!(search(&train(searched())), search(&run));
    let uncached = run_with(&backbone(), searched(), &Validation::Fraction(0.25), 3, Caching::Nothing);
    assert_eq!(search(&uncached), search(&run));
}

#[test]
fn a_solved_head_has_no_rate_to_look_for() {
    for config in [
        TrainConfig { solve: Some(SolveConfig::default()), ..searched() },
        TrainConfig { stage: Vec::new(), ..searched() },
    ] {
        let error = config.check().expect_err("no rate").to_string();
        assert!(
            error.contains("has no learning rate") && error.contains("help: train the head in a stage"),
            "{error}"
        );
    }
}

#[test]
fn a_recipe_asks_for_it_above_its_stages() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recipe.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).expect("written");
        TrainConfig::read(&path)
    };
    let config = read("lr = \"auto\"\n[[stage]]\nepochs = 3").expect("a recipe");
    assert_eq!(config.learning_rates, LearningRates::Auto);
    let json = serde_json::to_value(&config).expect("written");
    assert_eq!(json["lr"], "auto");
    assert_eq!(serde_json::from_value::<TrainConfig>(json).expect("read back"), config);
    let error = read("lr = \"fast\"\n[[stage]]").expect_err("no such rate").to_string();
    assert!(
        error.contains("`fast` is no `lr` of all stages: write `auto`, or a number in a [[stage]]"),
        "{error}"
    );
}
