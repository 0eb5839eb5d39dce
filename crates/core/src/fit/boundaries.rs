//! The boundaries of all stages of a recipe: what their rows cost, and which are worth storing.

use super::ahead::{Ahead, UNLIKELY, candidates, first_stage};
use super::bank::{Bank, Begin};
use super::choice::{Candidate, Choice, Need, choose};
use super::features::{Features, Views};
use super::pass::element;
use super::shelf::Part;
use super::{Prepared, probe};
use crate::Result;
use crate::cache::PrefixKey;
use crate::compile::{Frozen, compile_frozen};
use serde::Serialize;

/// What becomes of the rows at a boundary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoundaryPlan {
    /// The layers whose outputs its rows hold.
    pub boundary: Vec<String>,
    /// The stages that train above it.
    pub stages: Vec<String>,
    /// Rows of all images and views.
    pub rows: usize,
    /// Rows of these that are stored already.
    pub cached_rows: usize,
    /// Bytes of all rows.
    pub bytes: u64,
    /// Whether its rows are stored, on disk or in memory; else they are computed in every epoch.
    pub stored: bool,
    /// The boundary that they are computed from; none for the images.
    pub from: Option<Vec<String>>,
    /// The stage whose pass makes them; none where nothing is missing or nothing is stored.
    pub made_in: Option<String>,
    /// Seconds to make the missing rows by themselves. A pass that makes several boundaries' rows takes about as long as
    /// the dearest of them.
    pub seconds: f64,
}

/// All boundaries of a recipe, with the choice.
pub(super) struct Boundaries {
    ahead: Vec<Ahead>,
    needs: Vec<Need>,
    frozen: Vec<Frozen>,
    candidates: Vec<Candidate>,
    in_memory: Vec<bool>,
    choice: Choice,
}

impl Boundaries {
    pub(super) fn of(prepared: &Prepared) -> Result<Self> {
        let Prepared { model, setting, .. } = prepared;
        let source = prepared.source();
        let ahead = prepared.ahead()?;
        let shape = source.pipeline.input().to_vec();
        let mut boundaries: Vec<(PrefixKey, usize, Frozen)> = Vec::new();
        let mut needs = Vec::new();
        for (index, stage) in ahead.iter().enumerate().take_while(|(_, stage)| stage.chance >= UNLIKELY) {
            let frozen =
                compile_frozen(&setting.numbers, model, &stage.freeze, std::slice::from_ref(&shape))?;
            let (key, from) = (
                PrefixKey::new(&frozen, element(&frozen, setting.features), source.pipeline),
                first_stage(&frozen, &ahead, index),
            );
            // what trains before it is needed changes its rows: it is another boundary than one before that
            let known = boundaries.iter().position(|(other, ..)| *other == key).filter(|_| from == 0);
            let boundary = known.unwrap_or(boundaries.len());
            needs.push(Need { boundary, epochs: stage.epochs as f64, chance: stage.chance });
            if known.is_none() {
                boundaries.push((key, from, frozen));
            }
        }
        let mut bank = Bank::new(&setting.caching, setting.features);
        let parts = prepared.parts(&mut bank)?;
        let begin = Begin { model, numbers: &setting.numbers, source, parts: &parts, ahead: &[] };
        let rows = parts.iter().map(Part::rows).sum();
        let of: Vec<&Frozen> = boundaries.iter().map(|(.., frozen)| frozen).collect();
        let mut candidates = candidates(&of, rows, setting.features);
        let mut in_memory = Vec::new();
        for (candidate, (_, from, frozen)) in candidates.iter_mut().zip(&boundaries) {
            candidate.from = *from;
            let (missing, is_in_memory) = bank.survey(frozen.clone(), &begin)?;
            if *from == 0 {
                candidate.missing = missing as f64;
            }
            in_memory.push(is_in_memory);
        }
        let frozen: Vec<Frozen> = boundaries.into_iter().map(|(.., frozen)| frozen).collect();
        let choice = match frozen.first() {
            Some(first) => {
                let costs = probe::costs(first, source, &setting.caching)?;
                choose(&needs, &candidates, costs, bank.limit() as f64)
            }
            None => Choice::default(),
        };
        Ok(Self { ahead, needs, frozen, candidates, in_memory, choice })
    }

    /// Seconds of a stage before its epochs, and of an epoch that takes `epoch` by itself.
    pub(super) fn seconds(&self, stage: usize, epochs: usize, epoch: f64) -> (f64, f64) {
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

    fn bytes(&self, boundary: usize) -> u64 {
        (self.candidates[boundary].rows * self.candidates[boundary].row) as u64
    }

    /// Bytes of rows that lie in memory during a stage.
    pub(super) fn resident(&self, stage: usize) -> u64 {
        let is_held = |boundary: &usize| {
            let made = self.choice.made[*boundary].is_some_and(|made| made <= stage);
            let later = self.needs.iter().skip(stage).any(|need| need.boundary == *boundary);
            self.in_memory[*boundary] && made && later
        };
        (0..self.frozen.len()).filter(is_held).map(|boundary| self.bytes(boundary)).sum()
    }

    /// For people.
    pub(super) fn plans(&self) -> Vec<BoundaryPlan> {
        let plan = |index: usize| {
            let candidate = &self.candidates[index];
            let above = self.needs.iter().zip(&self.ahead).filter(|(need, _)| need.boundary == index);
            BoundaryPlan {
                boundary: self.frozen[index].boundary().to_vec(),
                stages: above.map(|(_, stage)| stage.name.clone()).collect(),
                rows: candidate.rows as usize,
                cached_rows: (candidate.rows - candidate.missing) as usize,
                bytes: self.bytes(index),
                stored: self.is_kept(index),
                from: self.choice.start[index].map(|start| self.frozen[start].boundary().to_vec()),
                made_in: self.choice.made[index].map(|stage| self.ahead[stage].name.clone()),
                seconds: self.choice.alone[index],
            }
        };
        (0..self.frozen.len()).map(plan).collect()
    }
}

impl Prepared {
    /// What a bank has to know of the images.
    fn parts(&self, bank: &mut Bank) -> Result<Vec<Part<'_>>> {
        let (dataset, by_content) = (&self.dataset, bank.is_on_disk());
        let val = dataset.val.as_deref().unwrap_or_default();
        let mut parts = Vec::new();
        for (name, examples, views) in
            [("val", val, None), ("train", &dataset.train, Views::of(self.source(), &self.setting))]
        {
            parts.push(Features::new(self.source(), examples, name, views, by_content).part(bank)?);
        }
        Ok(parts)
    }
}
