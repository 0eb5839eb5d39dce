//! The boundaries of all stages of a recipe: what their feature vectors cost, and which are worth storing.

use crate::fit::Prepared;
use crate::fit::features::ahead::{Ahead, UNLIKELY, candidates, first_stage};
use crate::fit::features::cache::PrefixKey;
use crate::fit::features::choice::{Candidate, Choice, Costs, Need, Prices, choose};
use crate::fit::features::feature_store::{Begin, FeatureStore};
use crate::fit::features::feature_table::Part;
use crate::fit::features::pass::feature_dtype;
use crate::fit::features::passes::{Features, Views};
use crate::fit::forecast::probe;
use crate::fit::prepare::first_pass::may_store;
use frostline_engine::compile::{Frozen, Prefixes};
use frostline_graph::Result;
use serde::Serialize;
use std::sync::Arc;

/// A pass over images, or over feature vectors that are stored.
pub(in crate::fit) struct StagePass<'a> {
    /// The boundaries whose feature vectors it makes.
    pub(in crate::fit) targets: Vec<&'a Frozen>,
    /// The boundary that it starts from; none for the images.
    pub(in crate::fit) start: Option<&'a Frozen>,
    /// How many feature vectors it makes.
    pub(in crate::fit) images: usize,
}

/// Where nothing is left to decide.
const UNKNOWN: Costs = Costs { decode: 1.0, multiply_adds: 1.0, write: 1.0, read: 1.0 };

/// What becomes of the feature vectors at a boundary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoundaryPlan {
    /// The layers whose outputs its feature vectors hold.
    pub boundary: Vec<String>,
    /// The stages that train above it.
    pub stages: Vec<String>,
    /// Feature vectors of all images and views.
    #[serde(rename = "rows")]
    pub vectors: usize,
    /// Feature vectors of these that are stored already.
    #[serde(rename = "cached_rows")]
    pub cached_vectors: usize,
    /// Bytes of all feature vectors.
    pub bytes: u64,
    /// Whether its feature vectors are stored, on disk or in memory; else they are computed in every epoch.
    pub stored: bool,
    /// The boundary that they are computed from; none for the images.
    pub from: Option<Vec<String>>,
    /// The stage whose pass makes them; none where nothing is missing or nothing is stored.
    pub made_in: Option<String>,
    /// Seconds to make the missing feature vectors by themselves. A pass that makes several boundaries' feature vectors takes about as long as
    /// the dearest of them.
    pub seconds: f64,
}

/// All boundaries of a recipe, with the choice.
pub(in crate::fit) struct Boundaries {
    ahead: Vec<Ahead>,
    needs: Vec<Need>,
    /// None where it is released.
    frozen: Vec<Option<Arc<Frozen>>>,
    /// Of each boundary: the layers whose outputs leave it.
    layers: Vec<Vec<String>>,
    candidates: Vec<Candidate>,
    in_memory: Vec<bool>,
    /// Of each boundary: feature vectors of test images that are not stored.
    test_missing: Vec<usize>,
    choice: Choice,
}

impl Boundaries {
    pub(in crate::fit) fn of(prepared: &Prepared) -> Result<Self> {
        let Prepared { model, setting, dataset, .. } = prepared;
        let source = prepared.source();
        let ahead = prepared.planned().ahead()?;
        let shape = source.pipeline.input().to_vec();
        let mut boundaries: Vec<(PrefixKey, usize, Arc<Frozen>)> = Vec::new();
        let mut needs = Vec::new();
        for (index, stage) in ahead.iter().enumerate().take_while(|(_, stage)| stage.chance >= UNLIKELY) {
            let inputs = std::slice::from_ref(&shape);
            let frozen = prepared.known.compile_frozen(&setting.dtype, model, &stage.freeze, inputs)?;
            let (key, from) = (
                PrefixKey::new(&frozen, feature_dtype(&frozen, setting.config.features), source.pipeline),
                first_stage(&frozen, &ahead, index),
            );
            // what trains before it is needed changes its feature vectors: it is another boundary than one before that
            let known = boundaries.iter().position(|(other, ..)| *other == key).filter(|_| from == 0);
            let boundary = known.unwrap_or(boundaries.len());
            needs.push(Need { boundary, epochs: stage.epochs as f64, chance: stage.chance });
            if known.is_none() {
                boundaries.push((key, from, frozen));
            }
        }
        let mut store = FeatureStore::new(&setting.caching, setting.config.features);
        let parts = prepared.parts(&mut store)?;
        let begin = Begin { model, numbers: &setting.dtype, source, parts: &parts, ahead: &[] };
        let vectors = parts.iter().map(Part::vectors).sum();
        let of: Vec<&Frozen> = boundaries.iter().map(|(.., frozen)| &**frozen).collect();
        let mut candidates = candidates(&of, vectors, setting.config.features);
        let (mut in_memory, mut test_missing) = (Vec::new(), Vec::new());
        let test = dataset.test.as_deref().unwrap_or_default();
        let test = [Features::new(source, test, "test", None, store.is_on_disk()).part(&mut store)?];
        let begin_test = Begin { parts: &test, ..begin };
        for (candidate, (_, from, frozen)) in candidates.iter_mut().zip(&boundaries) {
            candidate.from = *from;
            let (missing, is_in_memory) = store.survey(frozen.clone(), &begin)?;
            if *from == 0 {
                candidate.missing = missing as f64;
            }
            in_memory.push(is_in_memory);
            test_missing.push(store.survey(frozen.clone(), &begin_test)?.0);
        }
        let frozen: Vec<Arc<Frozen>> = boundaries.into_iter().map(|(.., frozen)| frozen).collect();
        let is_there = |candidate: &Candidate| candidate.missing == 0.0;
        let choice = match frozen.as_slice() {
            [] => Choice::default(),
            // a training measures nothing either
            [_] if candidates.iter().all(is_there) => choose(&needs, &candidates, UNKNOWN, f64::INFINITY),
            [first, ..] => {
                let tell = probe::costs(first, source, &setting.caching)?;
                let decide = Costs::typical(source.dataset, &setting.caching);
                choose(&needs, &candidates, Prices { decide, tell }, store.limit() as f64)
            }
        };
        let layers = frozen.iter().map(|frozen| frozen.boundary().to_vec()).collect();
        let frozen = frozen.into_iter().map(Some).collect();
        Ok(Self { ahead, needs, frozen, layers, candidates, in_memory, test_missing, choice })
    }

    /// Seconds of a stage before its epochs, and of an epoch that takes `epoch` by itself.
    pub(in crate::fit) fn seconds(&self, stage: usize, epochs: usize, epoch: f64) -> (f64, f64) {
        let (Some(need), Some(seconds)) = (self.needs.get(stage), self.choice.seconds.get(stage)) else {
            return (0.0, epoch);
        };
        match self.is_kept(need.boundary) {
            true => (*seconds, epoch),
            false => (0.0, epoch + seconds / epochs.max(1) as f64),
        }
    }

    fn is_kept(&self, boundary: usize) -> bool {
        self.choice.stored[boundary]
    }

    /// Whether the feature vectors of a stage of the recipe are stored.
    pub(in crate::fit) fn is_stored(&self, stage: usize) -> bool {
        self.needs.get(stage).is_some_and(|need| self.is_kept(need.boundary))
    }

    /// The pass that a stage of the recipe begins with, if feature vectors are missing.
    pub(in crate::fit) fn pass(&self, stage: usize, prepared: &Prepared) -> Option<StagePass<'_>> {
        let takes_all = stage == 0 && may_store(prepared.source(), &prepared.setting);
        let missing = |index: &usize| match takes_all {
            true => self.candidates[*index].missing as usize + self.test_missing[*index],
            // one part after the other, of which that to train on is the largest
            false => prepared.dataset.train.len(),
        };
        let is_made = |index: &usize| {
            let lacks_test = takes_all && self.is_kept(*index) && self.test_missing[*index] > 0;
            self.frozen[*index].as_ref().is_some_and(|frozen| !frozen.is_identity())
                && (self.choice.made[*index] == Some(stage) || lacks_test)
        };
        let targets: Vec<usize> = (0..self.frozen.len()).filter(is_made).collect();
        let start = self.choice.start[*targets.first()?];
        Some(StagePass {
            targets: targets.iter().filter_map(|index| self.frozen[*index].as_deref()).collect(),
            start: start.and_then(|start| self.frozen[start].as_deref()),
            images: targets.iter().map(missing).max()?,
        })
    }

    /// The pass that the test images' feature vectors at the boundary of the last stage take after the training.
    pub(in crate::fit) fn test_pass(&self, stage: usize, prepared: &Prepared) -> Option<StagePass<'_>> {
        let boundary = self.needs.get(stage)?.boundary;
        let is_due = !may_store(prepared.source(), &prepared.setting) && self.test_missing[boundary] > 0;
        let frozen = self.frozen[boundary].as_deref().filter(|frozen| is_due && !frozen.is_identity());
        frozen.map(|one| StagePass { targets: vec![one], start: None, images: self.test_missing[boundary] })
    }

    fn bytes(&self, boundary: usize) -> u64 {
        (self.candidates[boundary].vectors * self.candidates[boundary].vector_bytes) as u64
    }

    /// Bytes of feature vectors that lie in memory during a stage.
    pub(in crate::fit) fn resident(&self, stage: usize) -> u64 {
        let is_held = |boundary: &usize| {
            let made = self.choice.made[*boundary].is_some_and(|made| made <= stage);
            let later = self.needs.iter().skip(stage).any(|need| need.boundary == *boundary);
            self.in_memory[*boundary] && made && later
        };
        (0..self.layers.len()).filter(is_held).map(|boundary| self.bytes(boundary)).sum()
    }

    /// The frozen layers of the first stage.
    pub(in crate::fit) fn first(&self) -> Option<Arc<Frozen>> {
        self.frozen[self.needs.first()?.boundary].clone()
    }

    /// The frozen layers that are there.
    pub(in crate::fit) fn prefixes(&self) -> Prefixes {
        self.frozen.iter().flatten().cloned().collect()
    }

    /// Gives up the frozen layers that a training does not hold while the epochs of a stage run: all but those below what
    /// later stages read.
    pub(in crate::fit) fn release(&mut self, stage: usize) {
        for (index, frozen) in self.frozen.iter_mut().enumerate() {
            let is_read = self.needs.iter().skip(stage + 1).any(|need| need.boundary == index);
            if !(is_read && self.choice.stored[index]) {
                *frozen = None;
            }
        }
    }

    /// For people.
    pub(in crate::fit) fn plans(&self) -> Vec<BoundaryPlan> {
        let plan = |index: usize| {
            let candidate = &self.candidates[index];
            let above = self.needs.iter().zip(&self.ahead).filter(|(need, _)| need.boundary == index);
            BoundaryPlan {
                boundary: self.layers[index].clone(),
                stages: above.map(|(_, stage)| stage.name.clone()).collect(),
                vectors: candidate.vectors as usize,
                cached_vectors: (candidate.vectors - candidate.missing) as usize,
                bytes: self.bytes(index),
                stored: self.is_kept(index),
                from: self.choice.start[index].map(|start| self.layers[start].clone()),
                made_in: self.choice.made[index].map(|stage| self.ahead[stage].name.clone()),
                seconds: self.choice.alone[index],
            }
        };
        (0..self.layers.len()).map(plan).collect()
    }
}

impl Prepared {
    /// What a store has to know of the images.
    fn parts(&self, store: &mut FeatureStore) -> Result<Vec<Part<'_>>> {
        let (dataset, by_content) = (&self.dataset, store.is_on_disk());
        let val = dataset.val.as_deref().unwrap_or_default();
        let mut parts = Vec::new();
        for (name, examples, views) in
            [("val", val, None), ("train", &dataset.train, Views::of(self.source(), &self.setting))]
        {
            parts.push(Features::new(self.source(), examples, name, views, by_content).part(store)?);
        }
        Ok(parts)
    }
}
