//! The arm that a search recommends.

use super::compare::selection;
use super::{Arm, Baselines, Design, Estimate, Outcome};

/// Of the arms with the most repeats the cheapest one that scores as well as the best one on the selection images: within the
/// standard error of the best one's score, and within that of their difference on equal splits. What is cheapest has the
/// fewest layers to keep; arms that keep the same cost the same to use, and the better one counts. Training from scratch reuses
/// nothing and is no choice. What `train` does by itself, the solved head, is chosen unless another arm is better by more than
/// the standard error of the difference. Before anything is trained it is the first, by the scores of the features. `images`: how many
/// there are to train and select on.
pub(super) fn choose(
    arms: &[(Arm, Vec<Outcome>)],
    baselines: &Baselines,
    overlap: f64,
    images: usize,
) -> usize {
    let is_candidate = |index: &usize| arms[*index].0 != baselines.scratch;
    let most = (0..arms.len()).filter(is_candidate).map(|index| arms[index].1.len()).max().unwrap_or(0);
    let whole: Vec<usize> =
        (0..arms.len()).filter(is_candidate).filter(|index| arms[*index].1.len() == most).collect();
    let Some(best) =
        whole.iter().copied().max_by(|a, b| selection(&arms[*a].1).total_cmp(&selection(&arms[*b].1)))
    else {
        return 0;
    };
    if most == 0 {
        return 0;
    }
    let share = selection(&arms[best].1);
    let folds = |index: usize| arms[index].1.iter().map(|outcome| outcome.validation_accuracy);
    let error_of = |values: Vec<f64>, sampling: f64| {
        let design = Design { overlap, sampling: sampling / images.max(1) as f64, images };
        Estimate::of(&values, design).map_or(f64::INFINITY, |estimate| estimate.error)
    };
    let sampling = share * (1.0 - share);
    let own = match error_of(folds(best).collect(), sampling) {
        error if error.is_finite() => error,
        // a single split has no spread
        _ => (sampling / images.max(1) as f64).sqrt(),
    };
    let is_as_good = |index: &usize| {
        let less = share - selection(&arms[*index].1);
        let differences = folds(best).zip(folds(*index)).map(|(best, other)| best - other).collect();
        // images on which they differ are one in `less` at least
        less <= own.min(error_of(differences, less))
    };
    let cheapest = |a: &usize, b: &usize| {
        let (one, other) = (&arms[*a], &arms[*b]);
        one.0.kept_layers.cmp(&other.0.kept_layers).then(selection(&other.1).total_cmp(&selection(&one.1)))
    };
    // what `train` does by itself is the answer, unless something is better by more than the standard error of the difference
    if let Some(solved) = whole.iter().copied().find(|index| arms[*index].0 == baselines.solved) {
        let more = share - selection(&arms[solved].1);
        let differences = folds(best).zip(folds(solved)).map(|(best, other)| best - other).collect();
        let error = error_of(differences, more.abs());
        if more <= if error.is_finite() { error } else { own } {
            return solved;
        }
    }
    whole.into_iter().filter(is_as_good).min_by(cheapest).unwrap_or(best)
}

/// Of a search that was ended in the middle of a round: what the arms `left` scored on the repeats that all of them have, or else on
/// the first one. Which of them have one more says nothing of how good they are. Arms that train the whole network come last in a
/// round: where they have fewer repeats, they do not count.
pub(super) fn on_equal_repeats(
    arms: &[(Arm, Vec<Outcome>)],
    left: &[&Arm],
    scratch: &Arm,
) -> Vec<(Arm, Vec<Outcome>)> {
    let is_left = |(arm, _): &&(Arm, Vec<Outcome>)| left.contains(&arm) && arm != scratch;
    let fewest = |of_whole: bool| {
        let counted = arms.iter().filter(is_left).filter(|(arm, _)| arm.trains_all() == of_whole);
        counted.map(|(_, outcomes)| outcomes.len()).min()
    };
    let fewest = fewest(false).or(fewest(true)).unwrap_or(0).max(1);
    let first = |outcomes: &[Outcome]| outcomes.iter().filter(|one| one.repeat < fewest).cloned().collect();
    arms.iter().map(|(arm, outcomes)| (arm.clone(), first(outcomes))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Cut, Training};
    use super::*;

    fn arms(kept: [usize; 3]) -> (Vec<Arm>, Baselines) {
        let cut = |layers: usize| Cut { path: format!("layer_{layers}"), layers, shape: vec![1] };
        let paths: Vec<String> = (1..=4).map(|layer| format!("layer_{layer}")).collect();
        let head = |layers| Arm::new(&cut(layers), &paths, Training::Head);
        (kept.map(head).to_vec(), Baselines::of(&cut(4), &paths))
    }

    fn chosen(folds: [&[f64]; 3]) -> usize {
        chosen_of([1, 2, 3], folds)
    }

    fn chosen_of(kept: [usize; 3], folds: [&[f64]; 3]) -> usize {
        let (arms, baselines) = arms(kept);
        choose(&scored(arms, folds), &baselines, 1.0 / 3.0, 100)
    }

    fn scored(arms: Vec<Arm>, folds: [&[f64]; 3]) -> Vec<(Arm, Vec<Outcome>)> {
        let scored = arms.into_iter().zip(folds).map(|(arm, folds)| {
            let outcome = |(repeat, fold): (usize, &f64)| Outcome {
                arm: arm.name.clone(),
                repeat,
                share: 1.0,
                validation_accuracy: *fold,
                correct: vec![true],
                seconds: 1.0,
            };
            let outcomes = folds.iter().enumerate().map(outcome).collect();
            (arm, outcomes)
        });
        scored.collect()
    }

    #[test]
    fn arms_of_a_round_that_was_ended_are_compared_where_all_were_trained() {
        let (arms, baselines) = arms([1, 2, 3]);
        let left: Vec<&Arm> = arms.iter().collect();
        let chosen = |left: &[&Arm], folds| {
            let equal = on_equal_repeats(&scored(arms.clone(), folds), left, &baselines.scratch);
            choose(&equal, &baselines, 1.0 / 3.0, 100)
        };
        // the first has a second split already
        assert_eq!(chosen(&left, [&[0.5, 0.5], &[0.9], &[0.7]]), 1);
        // it was ruled out before: the others have gone on
        assert_eq!(chosen(&left[1..], [&[0.9], &[0.5, 0.5], &[0.7, 0.9]]), 2);
        // the first split was not finished, and what was trained before has no say on the second
        assert_eq!(chosen(&left, [&[0.5, 0.5], &[0.9], &[]]), 1);
    }

    #[test]
    fn the_cheapest_arm_within_a_standard_error_is_chosen() {
        assert_eq!(chosen([&[0.70, 0.74, 0.72], &[0.79, 0.85, 0.80], &[0.80, 0.84, 0.82]]), 1);
        // worse on every split by more than an image
        assert_eq!(chosen([&[0.70, 0.74, 0.72], &[0.77, 0.81, 0.79], &[0.80, 0.84, 0.82]]), 2);
        // equally cheap, and as good within an error: the better one
        let equals: [&[f64]; 3] = [&[0.70, 0.74, 0.72], &[0.79, 0.85, 0.80], &[0.80, 0.84, 0.82]];
        assert_eq!(chosen_of([1, 3, 3], equals), 2);
        // a large spread of its own excuses no arm
        assert_eq!(chosen([&[0.50, 1.00], &[0.99, 0.80], &[1.00, 1.00]]), 2);
        // one split alone: what images of that number say
        assert_eq!(chosen([&[0.60], &[0.78], &[0.80]]), 1);
        assert_eq!(chosen([&[], &[], &[]]), 0);
    }
}
