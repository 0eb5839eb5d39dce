//! What a search has found, in words.

use super::{Arm, Estimate, Found};
use serde::Serialize;

/// The verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// In words.
    pub text: String,
    /// Whether the 95 % interval of the gain over training from scratch lies above 0.
    pub reuse_helps: bool,
    /// The arm to use.
    pub recommended: Arm,
    /// Its gain over training from scratch, on equal splits.
    pub over_scratch: Option<Estimate>,
}

impl Verdict {
    /// Of a model with so many layers.
    pub fn of(found: &Found, layers: usize) -> Self {
        let arm = &found.arms[found.recommended].0;
        let over_scratch = found.gain(arm, &found.controls.scratch);
        let reuse_helps = over_scratch.is_some_and(|gain| gain.ci[0] > 0.0);
        let points = |value: f64| format!("{:+.1}", 100.0 * value);
        let interval = |gain: &Estimate| match gain.interval() {
            Some([low, high]) => {
                format!("{} points, 95 % CI [{}, {}]", points(gain.mean), points(low), points(high))
            }
            None => format!("{} points, from one repeat alone", points(gain.mean)),
        };
        let scratch = over_scratch.as_ref().map_or("not compared".to_owned(), interval);
        let what = format!(
            "reuse {} of {layers} layers, up to `{}`, {} of them frozen",
            arm.kept_layers, arm.kept, arm.frozen_layers
        );
        let is_known = over_scratch.is_some_and(|gain| gain.error.is_finite());
        let mut text = match (reuse_helps, is_known) {
            (true, _) => format!("{what}: over training from scratch {scratch}"),
            (false, false) => format!(
                "too few trainings to say whether reuse helps; best so far: {what}: over training from scratch {scratch}"
            ),
            (false, true) if over_scratch.is_some_and(|gain| gain.ci[1] < 0.0) => format!(
                "reuse does not help here: the best way to do it ({what}) is worse than training from scratch: {scratch}"
            ),
            (false, true) => format!(
                "reuse does not help here: the best way to do it ({what}) gains over training from scratch {scratch}, which may be none"
            ),
        };
        let probe = &found.controls.probe;
        if arm != probe
            && let Some(gain) = found.gain(probe, &found.controls.scratch)
        {
            text += &format!("; a head on the whole backbone alone gives {}", points(gain.mean));
        }
        if found.is_cut_short {
            text += "; the search was ended early";
        }
        Self { text, reuse_helps, recommended: arm.clone(), over_scratch }
    }
}
