//! What is known before anything is trained.

use super::kept::cuts_of;
use super::{
    Cut, CutScore, FreezeScore, HeadScore, recommended, recommended_freeze, score_cuts, score_freezes,
};
use crate::fit::{Observer, TrainConfig, pipeline_for};
use frostline_data::Dataset;
use frostline_graph::{Error, Model, Result};

/// The scores of a model's layers on images.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Of each cut, from the lowest to the highest.
    pub cuts: Vec<CutScore>,
    /// Of the model's own head, where it has one.
    pub head: Option<HeadScore>,
    /// Of each depth below the cut that is recommended, from the head alone down.
    pub freezes: Vec<FreezeScore>,
    /// The whole backbone, on which baselines stand whatever is named.
    pub top: Cut,
}

impl Scores {
    /// Scores a model on the images to train on. `named`: the layers to cut behind, if not all.
    pub fn new(
        model: &Model,
        dataset: &Dataset,
        recipe: &TrainConfig,
        named: &[String],
        seed: u64,
        observe: Observer<'_>,
    ) -> Result<Self> {
        let (cuts, head) = score_cuts(model, dataset, recipe, named, observe)?;
        let Some(kept) = recommended(&cuts) else {
            return Err(Error::setting(format!(
                "no image of `{}` could be loaded\nhelp: `frostline train` names the damaged ones",
                dataset.source.display()
            )));
        };
        let freezes = score_freezes(model, dataset, recipe, &kept.cut.path, named, seed, observe)?;
        let all = cuts_of(model, &pipeline_for(model, recipe, dataset)?, &[]).unwrap_or_default();
        let of_scores = cuts.iter().map(|score| score.cut.clone());
        let top = of_scores.chain(all).max_by_key(|cut| cut.layers).unwrap_or_else(|| kept.cut.clone());
        Ok(Self { cuts, head, freezes, top })
    }

    /// The layer that is recommended to cut behind.
    pub fn keep(&self) -> Option<&str> {
        recommended(&self.cuts).map(|best| best.cut.path.as_str())
    }

    /// The lowest layer that is recommended to train; none for the head alone.
    pub fn unfreeze(&self) -> Option<&str> {
        recommended_freeze(&self.freezes)?.from.as_deref()
    }
}
