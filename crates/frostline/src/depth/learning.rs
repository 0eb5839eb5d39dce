//! How much data: what arms score with a part of the images, which tells what more images might bring.

use super::compare::{score, selection};
use super::{Arm, Estimate, Found, Outcome, Trial};
use frostline_graph::Result;

/// Shares of the images that arms are trained on, besides all.
const SHARES: [f64; 2] = [0.25, 0.5];
/// Repeats that are trained on each share, if the arm has as many on all images.
const REPEATS: usize = 3;

/// The scores of an arm by the share of the images that it was trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct LearningCurve {
    /// The arm.
    pub arm: String,
    /// From the fewest images to all.
    pub points: Vec<LearningPoint>,
}

/// A point of a learning curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningPoint {
    /// The share of the images that are trained on.
    pub share: f64,
    /// How many images that is.
    pub images: usize,
    /// The score on the test images, over the first repeats.
    pub score: Estimate,
}

/// The arms whose learning is looked at: the one that is chosen, and the best of those that train more layers.
fn learners(found: &Found) -> impl Iterator<Item = &Arm> {
    [Some(&found.arms[found.recommended].0), deeper(found)].into_iter().flatten()
}

/// How many repeats of an arm are trained on parts of the images.
fn repeats(found: &Found, arm: &Arm) -> usize {
    REPEATS.min(found.of(arm).len())
}

fn trials_of(found: &Found, arm: &Arm, share: f64) -> impl Iterator<Item = Trial> {
    (0..repeats(found, arm)).map(move |repeat| Trial { arm: arm.clone(), repeat, share })
}

/// What is trained on parts of the images.
pub(super) fn learning_trials(found: &Found) -> Vec<Trial> {
    let of_arm = |arm| SHARES.into_iter().flat_map(move |share| trials_of(found, arm, share));
    learners(found).flat_map(of_arm).collect()
}

/// The curves, by the outcomes that are known. `images`: how many are trained on, by their share.
pub(super) fn curves<'o>(
    found: &Found,
    outcome: impl Fn(&Trial) -> Option<&'o Outcome>,
    images: impl Fn(f64) -> Result<usize>,
) -> Vec<LearningCurve> {
    let of_arm = |arm: &Arm| {
        let count = repeats(found, arm);
        let parts = SHARES.map(|share| {
            let known = trials_of(found, arm, share).filter_map(|trial| outcome(&trial).cloned());
            (share, known.collect::<Vec<Outcome>>())
        });
        let whole = (1.0, found.of(arm).iter().take(count).cloned().collect());
        // only points of as many repeats can be compared
        let point = |(share, outcomes): (f64, Vec<Outcome>)| {
            let score = score(&outcomes, found.overlap).filter(|_| outcomes.len() == count)?;
            Some(LearningPoint { share, images: images(share).ok()?, score })
        };
        let points = parts.into_iter().chain([whole]).filter_map(point).collect();
        LearningCurve { arm: arm.name.clone(), points }
    };
    learners(found).map(of_arm).collect()
}

/// Of the arms that keep as much as the one that is chosen, or more, and train more layers, the best.
fn deeper(found: &Found) -> Option<&Arm> {
    let chosen = &found.arms[found.recommended].0;
    let trained = |arm: &Arm| arm.kept_layers - arm.frozen_layers;
    let is_deeper = |arm: &Arm| trained(arm) > trained(chosen) && *arm != found.baselines.scratch;
    let arms = found.arms.iter().filter(|(arm, outcomes)| is_deeper(arm) && !outcomes.is_empty());
    arms.max_by(|(_, a), (_, b)| selection(a).total_cmp(&selection(b))).map(|(arm, _)| arm)
}

/// What the curves say of more images, in words.
pub fn more_data(curves: &[LearningCurve]) -> Option<String> {
    let [chosen, others @ ..] = curves else { return None };
    let [first, .., half, all] = chosen.points.as_slice() else { return None };
    let points = |value: f64| format!("{:+.1}", 100.0 * value);
    let mut text = format!(
        "more data: the chosen arm gained {} points from {} to {} images",
        points(all.score.mean - half.score.mean),
        half.images,
        all.images
    );
    if let Some(other) = others.first()
        && let [lowest, .., highest] = other.points.as_slice()
        && (lowest.share, highest.share) == (first.share, all.share)
    {
        let (before, now) = (lowest.score.mean - first.score.mean, highest.score.mean - all.score.mean);
        text += &format!(
            "; training more layers (`{}`) stood at {} points from it with {} images and stands at {} with {}: ",
            other.arm,
            points(before),
            first.images,
            points(now),
            all.images
        );
        // by more than what the three repeats leave open
        let error = all.score.error.hypot(highest.score.error);
        text += match (now > 0.0, now - before > error) {
            (_, true) => "with more images more layers may be worth training",
            (true, false) => "it is ahead already, within what the repeats leave open",
            (false, false) => "nothing says that more images would let more layers be trained",
        };
    }
    Some(text)
}
