//! The JSON of a search.

use super::DepthReport;
use crate::depth::{Arm, CutScore, Estimate, FreezeScore, LearningCurve, Outcome, Scores, more_data};
use serde_json::{Value, json};

/// What `depth --json` prints where nothing is trained.
pub fn scores_document(scores: &Scores) -> Value {
    json!({
        "recommended": scores.keep(), "unfreeze": scores.unfreeze(), "scores": cuts(scores),
        "freezes": freezes(scores), "head": scores.head,
    })
}

fn cuts(scores: &Scores) -> Vec<Value> {
    let kept = scores.keep();
    let score = |score: &CutScore| {
        json!({
            "cut": score.cut.path, "kept": score.cut.layers, "shape": score.cut.shape,
            "probe": score.probe.accuracy(), "probe_error": score.probe.error(),
            "logme": score.logme, "hscore": score.h_score,
            "recommended": kept == Some(score.cut.path.as_str()),
        })
    };
    scores.cuts.iter().map(score).collect()
}

fn freezes(scores: &Scores) -> Vec<Value> {
    let lowest = scores.unfreeze();
    let score = |score: &FreezeScore| {
        json!({
            "from": score.from, "frozen": score.frozen_layers, "probe": score.probe.accuracy(),
            "probe_error": score.probe.error(),
            "recommended": lowest == score.from.as_deref(),
        })
    };
    scores.freezes.iter().map(score).collect()
}

impl DepthReport {
    /// What `depth --json` prints of a search.
    pub fn document(&self) -> Value {
        let Self { images, scores, found, learning, verdict, .. } = self;
        let scratch = &found.baselines.scratch;
        let arm = |arm: &Arm| {
            let (score, outcomes) = (found.score(arm), found.of(arm));
            let seconds = outcomes.iter().map(|outcome| outcome.seconds).reduce(|sum, more| sum + more);
            json!({
                "name": arm.name, "kept": arm.kept, "kept_layers": arm.kept_layers, "frozen": arm.frozen_layers,
                "training": arm.training,
                "selection": outcomes.iter().map(|outcome| outcome.validation_accuracy).collect::<Vec<f64>>(),
                "scores": outcomes.iter().map(Outcome::test_accuracy).collect::<Vec<f64>>(),
                "mean": score.map(|score| score.mean), "sd": score.map(|score| score.sd),
                "ci": score.and_then(|score| score.interval()),
                "over_scratch": found.gain(arm, scratch).filter(|_| arm != scratch).map(gain),
                "cost": {
                    "inference": found.costs.get(&arm.kept), "seconds": seconds.map(|sum| sum / outcomes.len() as f64),
                },
            })
        };
        let baselines = &found.baselines;
        json!({
            "verdict": {
                "text": verdict.text, "reuse_helps": verdict.reuse_helps,
                "recommended": arm(&verdict.recommended), "over_scratch": verdict.over_scratch.map(gain),
            },
            "ended_early": found.is_cut_short,
            "images": { "selection": images[0], "quoted": images[1] },
            "overlap": found.overlap,
            "arms": found.arms.iter().map(|(one, _)| arm(one)).collect::<Vec<Value>>(),
            "scores": cuts(scores),
            "freezes": freezes(scores),
            "head": scores.head,
            "controls": {
                "solved": arm(&baselines.solved), "scratch": arm(&baselines.scratch), "probe": arm(&baselines.probe),
                "full": arm(&baselines.full), "gradual": arm(&baselines.gradual),
            },
            "learning": { "text": more_data(learning), "curves": learning.iter().map(curve).collect::<Vec<Value>>() },
        })
    }
}

/// A difference. What one split alone does not say is null.
fn gain(estimate: Estimate) -> Value {
    let interval = estimate.interval();
    json!({
        "mean": estimate.mean, "sd": estimate.sd, "ci": interval,
        "error": interval.map(|_| estimate.error), "p": interval.map(|_| estimate.p),
    })
}

fn curve(curve: &LearningCurve) -> Value {
    let points = curve.points.iter().map(|point| {
        let score = point.score;
        json!({
            "share": point.share, "images": point.images,
            "mean": score.mean, "sd": score.sd, "ci": score.interval(),
        })
    });
    json!({ "arm": curve.arm, "points": points.collect::<Vec<Value>>() })
}
