//! What a search has found, in words.

use super::{Arm, Estimate, Found, Training};

/// A gain that nobody would reuse a network for.
const NOTHING: f64 = 0.01;

/// The verdict.
#[derive(Clone, Debug, PartialEq)]
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
        let points = |value: f64| format!("{:+.1} points", 100.0 * value);
        let interval = |gain: Estimate| match gain.interval() {
            Some([low, high]) => {
                format!("{}, 95 % CI [{:+.1}, {:+.1}]", points(gain.mean), 100.0 * low, 100.0 * high)
            }
            None => format!("{}, from one split alone", points(gain.mean)),
        };
        let how = match arm.training {
            Training::Gradual => "unfrozen block by block".to_owned(),
            _ => format!("{} of them frozen", arm.frozen_layers),
        };
        let what = format!("reuse {} of {layers} layers, up to `{}`, {how}", arm.kept_layers, arm.kept);
        let mut text = match over_scratch {
            None if found.of(arm).is_empty() => format!(
                "too few trainings to say whether reuse helps; by the scores of the features alone: {what}"
            ),
            None => format!(
                "too few trainings to say whether reuse helps, none of them from scratch; best so far: {what}"
            ),
            Some(gain) if gain.interval().is_none() => format!(
                "too few trainings to say whether reuse helps; best so far: {what}: over training from scratch {}",
                interval(gain)
            ),
            Some(gain) if reuse_helps => format!("{what}: over training from scratch {}", interval(gain)),
            Some(gain) if gain.ci[1] < 0.0 => format!(
                "reuse does not help here: the best way to do it ({what}) is worse than training from scratch: {}",
                interval(gain)
            ),
            Some(gain) if gain.ci[1] <= NOTHING => format!(
                "reuse does not help here: the best way to do it ({what}) gains at most a point over training from scratch: {}",
                interval(gain)
            ),
            Some(gain) => format!(
                "no gain from reuse is shown here: over training from scratch the best way to do it ({what}) has {}",
                interval(gain)
            ),
        };
        let probe = &found.controls.probe;
        if arm != probe
            && let Some(gain) = found.gain(probe, &found.controls.scratch)
        {
            text += &format!("; a head on the whole backbone alone has {}", points(gain.mean));
        }
        if found.is_cut_short {
            let trainings: usize = found.arms.iter().map(|(_, outcomes)| outcomes.len()).sum();
            text += &format!("; the search was ended early, after {trainings} trainings");
        }
        Self { text, reuse_helps, recommended: arm.clone(), over_scratch }
    }
}
