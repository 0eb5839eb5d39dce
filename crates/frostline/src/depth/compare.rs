//! What outcomes say of an arm's score on the test images, and of one arm beside another.

use super::{Design, Estimate, Outcome, sampling_variance};
use std::collections::BTreeMap;

/// What an arm scores. `overlap`: how the repeats depend on one another.
pub(super) fn score(outcomes: &[Outcome], overlap: f64) -> Option<Estimate> {
    let outcomes: Vec<&Outcome> = outcomes.iter().collect();
    estimate(&outcomes, overlap, 0.0, |outcome, image| share(outcome.correct[image]))
}

/// By how much one arm scores more than another, over the repeats that both have.
pub(super) fn gain(one: &[Outcome], other: &[Outcome], overlap: f64) -> Option<Estimate> {
    let others: BTreeMap<usize, &Outcome> = other.iter().map(|outcome| (outcome.repeat, outcome)).collect();
    let both: Vec<&Outcome> = one.iter().filter(|outcome| others.contains_key(&outcome.repeat)).collect();
    estimate(&both, overlap, -1.0, |outcome, image| {
        share(outcome.correct[image]) - share(others[&outcome.repeat].correct[image])
    })
}

/// Of a value, at least `least` and at most 1, that each test image has in each repeat.
fn estimate(
    repeats: &[&Outcome],
    overlap: f64,
    least: f64,
    value: impl Fn(&Outcome, usize) -> f64,
) -> Option<Estimate> {
    let images = repeats.first()?.correct.len();
    let mean = |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
    let of_repeat = |repeat: &&Outcome| mean(&mut (0..images).map(|image| value(repeat, image)), images);
    let of_image = |image: usize| mean(&mut repeats.iter().map(|repeat| value(repeat, image)), repeats.len());
    let by_repeat: Vec<f64> = repeats.iter().map(of_repeat).collect();
    let by_image: Vec<f64> = (0..images).map(of_image).collect();
    let sampling = sampling_variance(&by_image);
    let estimate = Estimate::of(&by_repeat, Design { overlap, sampling, images })?;
    Some(Estimate { ci: estimate.ci.map(|bound| bound.clamp(least, 1.0)), ..estimate })
}

/// 1 for an image whose class is found.
fn share(correct: bool) -> f64 {
    f64::from(u8::from(correct))
}

/// What an arm scores on the selection images; without outcomes less than any other.
pub(crate) fn selection(outcomes: &[Outcome]) -> f64 {
    let sum: f64 = outcomes.iter().map(|outcome| outcome.validation_accuracy).sum();
    if outcomes.is_empty() { f64::NEG_INFINITY } else { sum / outcomes.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(repeat: usize, correct: [bool; 4]) -> Outcome {
        Outcome {
            arm: String::new(),
            repeat,
            share: 1.0,
            validation_accuracy: 0.0,
            correct: correct.to_vec(),
            seconds: 1.0,
        }
    }

    #[test]
    fn arms_are_compared_where_both_were_trained() {
        let (all, none) = ([true; 4], [false; 4]);
        let one = [outcome(0, all), outcome(1, [true, true, true, false]), outcome(2, none)];
        let other = [outcome(1, none), outcome(0, none)];
        let found = gain(&one, &other, 0.0).expect("two repeats");
        assert_eq!(found.mean, 0.875);
        // and no interval goes beyond what a share can be
        assert_eq!(found.ci[1], 1.0);
        assert!(gain(&one[..1], &other[..1], 0.0).is_none());
        assert_eq!(score(&one, 0.0).map(|score| score.mean), Some(1.75 / 3.0));
    }
}
