//! The tables of a search: the same on a terminal and on a page.

use crate::depth::{
    Arm, CutScore, Estimate, Found, FreezeScore, LearningCurve, LearningPoint, Outcome, Scores, Training,
    recommended_freeze,
};
use frostline_graph::as_flag;
use std::cmp::Reverse;

/// A table of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// What the columns are, and whether they are numbers.
    pub titles: Vec<(&'static str, bool)>,
    /// The cells.
    pub rows: Vec<Vec<String>>,
    /// What the columns mean.
    pub note: String,
}

const NONE: &str = "-";

fn percent(value: f64) -> String {
    format!("{:.1}", 100.0 * value)
}

fn interval(estimate: Option<Estimate>) -> String {
    match estimate.and_then(|estimate| estimate.interval()) {
        Some([low, high]) => format!("{} to {}", percent(low), percent(high)),
        None => NONE.to_owned(),
    }
}

/// The marked row, or nothing.
fn mark(is_marked: bool, text: &str) -> String {
    if is_marked { format!("<- {text}") } else { String::new() }
}

/// The scores of cuts.
pub fn cuts(scores: &Scores) -> Table {
    let kept = scores.keep();
    let row = |score: &CutScore| {
        let extents: Vec<String> = score.cut.shape.iter().map(usize::to_string).collect();
        vec![
            as_flag(&score.cut.path).into_owned(),
            score.cut.layers.to_string(),
            extents.join("x"),
            percent(score.probe.accuracy()),
            format!("{:.4}", score.probe.error()),
            format!("{:.3}", score.logme),
            format!("{:.2}", score.h_score),
            mark(kept == Some(score.cut.path.as_str()), "keep"),
        ]
    };
    let images = scores.cuts.first().map_or(0, |score| score.probe.errors.len());
    let mut note = format!(
        "probe: % of {images} images whose class a linear probe on the features finds when it was fitted to the others; error: its mean squared error, by which cuts are chosen: the lowest that is as good as the best within a standard error; LogME, H-score: higher is better"
    );
    if let Some(head) = scores.head {
        note += &format!(
            "; the model's own classes predict the labels with LEEP {:.3} and NCE {:.3} (mean log likelihoods)",
            head.leep, head.nce
        );
    }
    Table {
        titles: vec![
            ("cut", false),
            ("layers", true),
            ("output", false),
            ("probe", true),
            ("error", true),
            ("LogME", true),
            ("H-score", true),
            ("", false),
        ],
        rows: scores.cuts.iter().map(row).collect(),
        note,
    }
}

/// The scores of how far down to train.
pub fn freezes(scores: &Scores) -> Table {
    let best = recommended_freeze(&scores.freezes).map(|best| best.frozen_layers);
    let row = |score: &FreezeScore| {
        vec![
            score
                .from
                .as_deref()
                .map_or_else(|| "the head alone".to_owned(), |from| as_flag(from).into_owned()),
            score.frozen_layers.to_string(),
            percent(score.probe.accuracy()),
            format!("{:.4}", score.probe.error()),
            mark(best == Some(score.frozen_layers), "train"),
        ]
    };
    Table {
        titles: vec![("train from", false), ("frozen", true), ("kernel", true), ("error", true), ("", false)],
        rows: scores.freezes.iter().map(row).collect(),
        note: format!(
            "with all up to `{}` kept; kernel: % of {} images whose class ridge regression on the tangent kernel of the layers that train finds when it was fitted to the others; error: its mean squared error, by which the fewest layers are chosen that are as good as the best within a standard error",
            scores.keep().unwrap_or(NONE),
            scores.freezes.first().map_or(0, |score| score.probe.errors.len())
        ),
    }
}

/// The arms. `images`: how many there are to train and select on, and how many are held out.
pub fn arms(found: &Found, images: [usize; 2]) -> Table {
    let scratch = &found.baselines.scratch;
    let chosen = &found.arms[found.recommended].0;
    let is_worse =
        found.gain(chosen, scratch).and_then(|gain| gain.interval()).is_some_and(|[_, high]| high < 0.0);
    let row = |(arm, outcomes): &(Arm, Vec<Outcome>)| {
        let count = outcomes.len() as f64;
        let mean = |of: fn(&Outcome) -> f64| match outcomes.is_empty() {
            true => NONE.to_owned(),
            false => format!("{:.1}", outcomes.iter().map(of).sum::<f64>() / count),
        };
        let score = found.score(arm);
        let gain = found.gain(arm, scratch).filter(|_| arm != scratch);
        let cost = found.costs.get(&arm.kept);
        vec![
            arm.name.clone(),
            arm.kept_layers.to_string(),
            match arm.training {
                Training::Gradual => NONE.to_owned(),
                _ => arm.frozen_layers.to_string(),
            },
            outcomes.len().to_string(),
            mean(|outcome| 100.0 * outcome.validation_accuracy),
            score.map_or(NONE.to_owned(), |score| match score.error.is_finite() {
                true => format!("{} ± {}", percent(score.mean), percent(score.sd)),
                false => percent(score.mean),
            }),
            interval(score),
            gain.map_or(NONE.to_owned(), |gain| format!("{:+.1}", 100.0 * gain.mean)),
            cost.map_or(NONE.to_owned(), |cost| cost.parameters.to_string()),
            cost.map_or(NONE.to_owned(), |cost| format!("{:.1}", cost.multiply_adds as f64 / 1e6)),
            cost.map_or(NONE.to_owned(), |cost| format!("{:.2}", cost.milliseconds)),
            mean(|outcome| outcome.seconds),
            mark(arm == chosen, if is_worse { "best reuse" } else { "use" }),
        ]
    };
    let mut rows: Vec<&(Arm, Vec<Outcome>)> = found.arms.iter().collect();
    rows.sort_by_key(|(arm, _)| (arm == scratch, arm.kept_layers, Reverse(arm.frozen_layers)));
    Table {
        titles: vec![
            ("arm", false),
            ("kept", true),
            ("frozen", true),
            ("splits", true),
            ("selection", true),
            ("test", true),
            ("95 % interval", true),
            ("over scratch", true),
            ("parameters", true),
            ("M madds", true),
            ("ms", true),
            ("s", true),
            ("", false),
        ],
        rows: rows.into_iter().map(row).collect(),
        note: format!(
            "{} images to train and select on: selection is the mean accuracy in % on what each split holds out of them; test: mean ± standard deviation over the splits on {} others, by which no arm is selected; over scratch: the mean difference in points on the splits that both have; frozen: - where it differs from split to split; M madds, ms: millions of multiply-adds and measured milliseconds of an image through the whole model; s: a training",
            images[0], images[1]
        ),
    }
}

/// What arms score with a part of the images.
pub fn learning(curves: &[LearningCurve]) -> Table {
    let row = |curve: &LearningCurve, point: &LearningPoint| {
        vec![
            curve.arm.clone(),
            point.images.to_string(),
            format!("{:.0}", 100.0 * point.share),
            percent(point.score.mean),
            interval(Some(point.score)),
        ]
    };
    let rows = curves.iter().flat_map(|curve| curve.points.iter().map(move |point| row(curve, point)));
    Table {
        titles: vec![("arm", false), ("images", true), ("%", true), ("test", true), ("95 % interval", true)],
        rows: rows.collect(),
        note: "accuracies in % after training on a part of the images of the first splits".to_owned(),
    }
}
