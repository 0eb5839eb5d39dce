//! What is kept is the best, and what went wrong is said.

use crate::task::{backbone, recipe, run, run_with, stage};
use frostline::PrefixDType;
use frostline::fit::{Caching, Event, ReusedStatistics, TrainConfig, Validation, evaluate};
use frostline::graph::Unfreeze;

/// Far too high: the first steps help, the later ones do not.
const WILD: f32 = 0.3;

#[test]
fn the_weights_of_the_best_epoch_are_restored() {
    let batch_norm = Some(ReusedStatistics::Train);
    let run = run(TrainConfig { batch_norm, ..recipe(vec![stage(Unfreeze::All, 8, WILD)]) });
    let report = &run.trained().stages[0];
    let score = |epoch: usize| run.epochs.iter().find(|(_, other, _)| *other == epoch).expect("the epoch").2;
    assert!(report.best_epoch < report.epochs, "the last epoch is the best: nothing is shown");
    assert_eq!(score(report.best_epoch), report.val.as_ref().map(|val| val.loss));
    assert_ne!(report.val, report.last_val);
    // the model that is handed back scores what its record says
    let prepared = &run.prepared;
    let val = prepared.dataset.val.as_deref().expect("validation");
    let silent = |_: &Event<'_>| {};
    let (loss, metrics) = (&prepared.setting.loss, [prepared.setting.metric]);
    let found =
        evaluate(&PrefixDType::F32, &prepared.model, prepared.source(), val, "val", loss, &metrics, &silent)
            .expect("scores");
    let recorded = report.val.as_ref().expect("scores");
    // a prediction folds BatchNormalization into the convolution below it: equal but for rounding
    assert!((found.scores.loss - recorded.loss).abs() < 1e-4 * recorded.loss.abs(), "{found:?} {recorded:?}");
    assert_eq!(found.scores.get(prepared.setting.metric), recorded.get(prepared.setting.metric));
}

#[test]
fn both_scores_are_reported_and_the_best_counts_by_the_chosen_metric() {
    let metric = Some("mse".parse().expect("a metric"));
    let run = run(TrainConfig { metric, ..recipe(vec![stage(Unfreeze::Nothing, 6, 0.05)]) });
    let report = &run.trained().stages[0];
    let mse =
        |scores: &frostline::fit::Scores| scores.get("mse".parse().expect("a metric")).expect("an error");
    let (best, last) =
        (report.val.as_ref().map(mse).expect("best"), report.last_val.as_ref().map(mse).expect("last"));
    assert!(best <= last);
}

#[test]
fn training_stops_when_nothing_has_improved_for_the_patience() {
    let run = run(TrainConfig { patience: Some(2), ..recipe(vec![stage(Unfreeze::All, 60, WILD)]) });
    let report = &run.trained().stages[0];
    assert!(report.epochs < 60, "no early stop");
    assert_eq!(report.epochs, report.best_epoch + 2);
}

#[test]
fn a_loss_that_is_no_number_is_reported_and_the_weights_before_it_are_kept() {
    // the first epoch is sound; then the rate is without bounds
    let lost = |validation: &Validation, stages| {
        let optimizer = "sgd".parse().expect("an optimizer");
        run_with(&backbone(), TrainConfig { optimizer, ..recipe(stages) }, validation, 0, Caching::default())
    };
    for lr in [1e20, 1e38] {
        // a stage that begins so has nothing to go back to
        let run = lost(&Validation::Auto, vec![stage(Unfreeze::All, 3, lr)]);
        let error = run.trained.as_ref().expect_err("an error").to_string();
        assert!(
            error.contains("no finite number in epoch 1")
                && error.contains("help: lower the rate with the setting `lr`"),
            "{error}"
        );
        let run = lost(&Validation::Fraction(0.0), vec![stage(Unfreeze::All, 3, lr)]);
        let error = run.trained.as_ref().expect_err("an error").to_string();
        assert!(
            error.contains("no finite number") && error.contains("the setting `clip-norm = 1`"),
            "{error}"
        );
        // a later stage is stepped back, whether anything is held out or not
        for validation in [Validation::Auto, Validation::Fraction(0.0)] {
            let both = vec![stage(Unfreeze::Nothing, 2, 0.05), stage(Unfreeze::All, 3, lr)];
            let run = lost(&validation, both);
            assert!(
                run.notes.iter().any(|note| note.contains("no finite number in epoch 1")),
                "{:?}",
                run.notes
            );
            assert_eq!(run.trained().stages[1].best_epoch, 0);
            let alone = lost(&validation, vec![stage(Unfreeze::Nothing, 2, 0.05)]);
            alone.trained();
            assert_eq!(run.weights(), alone.weights());
        }
    }
}

#[test]
fn without_validation_the_last_weights_are_kept() {
    let epochs = |epochs| {
        let recipe = recipe(vec![stage(Unfreeze::Nothing, epochs, 0.01)]);
        run_with(&backbone(), recipe, &Validation::Fraction(0.0), 0, Caching::default())
    };
    let run = epochs(3);
    assert_eq!((run.trained().stages[0].best_epoch, run.trained().val.clone()), (3, None));
    assert_ne!(run.weights(), epochs(2).weights());
    assert!(run.epochs.iter().all(|(_, _, val)| val.is_none()));
}
