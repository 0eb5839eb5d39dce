//! What a search asks for.

use super::{Arm, Outcome};
use frostline_graph::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// One arm on one split. Its outcome follows from the model, the images, the settings and these three alone, so that any process
/// on any machine of the same kind may train it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What is trained.
    pub arm: Arm,
    /// Which split and which seed.
    pub repeat: usize,
    /// The share of the repeat's images that it is trained on.
    pub share: f64,
}

/// Names a trial among those of a search.
pub(super) type TrialKey = (String, usize, u64);

impl Trial {
    /// On all images of a repeat.
    pub(super) fn whole(arm: &Arm, repeat: usize) -> Self {
        Self { arm: arm.clone(), repeat, share: 1.0 }
    }

    pub(super) fn key(&self) -> TrialKey {
        (self.arm.name.clone(), self.repeat, self.share.to_bits())
    }
}

fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::setting(format!("`{text}` is no {what}: {error}")))
}

impl FromStr for Trial {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read(text, "trial")
    }
}

impl FromStr for Outcome {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read(text, "line of `search.jsonl`")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Baselines, Cut};
    use super::*;

    #[test]
    fn a_trial_is_the_same_after_it_was_sent() {
        let paths: Vec<String> = (1..=4).map(|layer| format!("block/layer_{layer}")).collect();
        let cut = Cut { path: "block/layer_4".to_owned(), layers: 4, shape: vec![1] };
        for arm in Baselines::of(&cut, &paths).all() {
            let trial = Trial { arm: arm.clone(), repeat: 3, share: 0.25 };
            let text = serde_json::to_string(&trial).expect("text");
            assert_eq!(text.parse::<Trial>().expect("a trial"), trial, "{text}");
        }
    }
}
