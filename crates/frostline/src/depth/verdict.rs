//! What a search has found, in words.

use super::{Arm, Estimate, Found, Training};

/// A gain that nobody would reuse a network for.
pub(super) const NOTHING: f64 = 0.01;

/// The verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// In words.
    pub text: String,
    /// Whether the 95 % interval of the gain over training from scratch lies above 0; none where too little was trained to say.
    pub reuse_helps: Option<bool>,
    /// The arm to use.
    pub recommended: Arm,
    /// Its gain over training from scratch, on equal splits.
    pub over_scratch: Option<Estimate>,
}

impl Verdict {
    /// Of a model with so many layers.
    pub fn of(found: &Found, layers: usize) -> Self {
        let arm = &found.arms[found.recommended].0;
        let over_scratch = found.gain(arm, &found.baselines.scratch);
        let reuse_helps = over_scratch.and_then(|gain| gain.interval()).map(|[low, _]| low > 0.0);
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
        let gained = over_scratch.map(interval).unwrap_or_default();
        let unknown = "too few trainings to say whether reuse helps";
        let no_help = "reuse does not help here: the best way to do it";
        let mut text = match over_scratch {
            None if found.of(arm).is_empty() => {
                format!("{unknown}; by the scores of the features alone: {what}")
            }
            None => format!("{unknown}, none of them from scratch; best so far: {what}"),
            Some(gain) if gain.interval().is_none() => {
                format!("{unknown}; best so far: {what}: over training from scratch {gained}")
            }
            Some(_) if reuse_helps == Some(true) => format!("{what}: over training from scratch {gained}"),
            Some(gain) if gain.ci[1] < 0.0 => {
                format!("{no_help} ({what}) is worse than training from scratch: {gained}")
            }
            Some(gain) if gain.ci[1] <= NOTHING => {
                format!("{no_help} ({what}) gains at most a point over training from scratch: {gained}")
            }
            Some(_) => format!(
                "no gain from reuse is shown here: over training from scratch the best way to do it ({what}) has {gained}"
            ),
        };
        let probe = &found.baselines.probe;
        if arm != probe
            && let Some(gain) = found.gain(probe, &found.baselines.scratch)
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

#[cfg(test)]
mod tests {
    use super::super::{Baselines, Cut, Outcome};
    use super::*;

    /// Two splits of a head and of training from scratch, with so many of `images` correct.
    fn text(head: usize, scratch: usize, images: usize) -> String {
        let paths: Vec<String> = (1..=4).map(|layer| format!("layer_{layer}")).collect();
        let baselines = Baselines::of(&Cut { path: "layer_4".to_owned(), layers: 4, shape: vec![1] }, &paths);
        let outcomes = |arm: &Arm, correct: usize| -> Vec<Outcome> {
            let outcome = |repeat| Outcome {
                arm: arm.name.clone(),
                repeat,
                share: 1.0,
                validation_accuracy: 0.5,
                correct: (0..images).map(|image| image < correct).collect(),
                seconds: 1.0,
            };
            (0..2).map(outcome).collect()
        };
        let arms = [(&baselines.probe, head), (&baselines.scratch, scratch)];
        let arms = arms.map(|(arm, correct)| (arm.clone(), outcomes(arm, correct))).to_vec();
        let costs = Default::default();
        Verdict::of(&Found { arms, baselines, recommended: 0, costs, overlap: 0.3, is_cut_short: false }, 5)
            .text
    }

    #[test]
    fn a_gain_a_loss_as_good_and_unknown_are_told_apart() {
        assert!(
            text(90, 30, 100).starts_with("reuse 4 of 5 layers, up to `layer_4`, 4 of them frozen: over")
        );
        assert!(text(30, 90, 100).contains("is worse than training from scratch: -60.0 points"));
        assert!(text(390, 390, 400).contains("gains at most a point over training from scratch: +0.0"));
        assert!(text(9, 9, 10).starts_with("no gain from reuse is shown here"));
    }
}
