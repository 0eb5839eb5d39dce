//! How far a stage is: all that its next steps depend on besides its weights and the optimizer's moments.

use crate::fit::checkpoint::journal::{Named, misfit};
use crate::fit::checkpoint::state::{StageState, Within};
use crate::fit::train::stage_run::StageRun;
use crate::fit::{Journal, StageReport, Watch};
use frostline_engine::{Plan, Suffix};
use frostline_graph::Result;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Weights by their paths.
pub(in crate::fit) type Snapshot = Vec<(String, Vec<f32>)>;

const WEIGHTS: &str = "weights/";
const BEST: &str = "best/";
const MEAN: &str = "mean/";
const MOMENTS: &str = "moments/";

/// How far a stage is.
pub(in crate::fit) struct Standing {
    pub(in crate::fit) watch: Watch,
    /// So far; its epochs are those that are done.
    pub(in crate::fit) report: StageReport,
    /// The weights after the best epoch, where epochs are compared.
    pub(in crate::fit) best: Option<Snapshot>,
    pub(in crate::fit) average: Average,
    /// Whether no epoch comes any more.
    pub(in crate::fit) is_over: bool,
    /// The epoch that is under way.
    pub(in crate::fit) within: Option<Within>,
}

impl Standing {
    /// At the beginning of a stage.
    pub(in crate::fit) fn new(watch: Watch, report: StageReport) -> Self {
        Self { watch, report, best: None, average: Average::default(), is_over: false, within: None }
    }

    /// For a checkpoint.
    pub(in crate::fit) fn draft<'a>(
        &'a self,
        unit: &str,
        run: &'a StageRun<'_>,
        suffix: &'a Suffix,
        vectors: [Vec<usize>; 2],
    ) -> (StageState, Named<'a>) {
        let now: Vec<(&str, &[f32])> = suffix.weights().collect();
        let best = self.best.as_deref().unwrap_or_default();
        let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        let best_is_now =
            self.best.is_some() && best.iter().zip(&now).all(|((_, best), (_, now))| same(best, now));
        let named =
            |kind: &str, path: &str, values: &'a [f32]| (format!("{kind}{path}"), Cow::Borrowed(values));
        let mut tensors: Named<'a> = now.iter().map(|(path, values)| named(WEIGHTS, path, values)).collect();
        if !best_is_now {
            tensors.extend(best.iter().map(|(path, values)| named(BEST, path, values)));
        }
        tensors.extend(self.average.weights.iter().flatten().map(|(path, values)| named(MEAN, path, values)));
        let (steps, moments) = run.optimizer.state();
        tensors.extend(moments.enumerate().map(|(index, values)| named(MOMENTS, &index.to_string(), values)));
        let state = StageState {
            unit: unit.to_owned(),
            watch: self.watch.clone(),
            report: (&self.report).into(),
            is_over: self.is_over,
            within: self.within.clone(),
            has_best: self.best.is_some(),
            best_is_now,
            averaged: self.average.epochs,
            lost: run.lost,
            steps,
            vectors,
        };
        (state, tensors)
    }

    /// Where a stage that was stopped goes on: its weights and moments are put back. None where it begins.
    ///
    /// Errors: a checkpoint whose tensors are not those of the model.
    pub(in crate::fit) fn resume(
        unit: &str,
        journal: &Journal,
        run: &mut StageRun<'_>,
        plan: &mut Plan,
    ) -> Result<Option<Self>> {
        let Some((state, checkpoint)) = journal.take(unit) else { return Ok(None) };
        let mut now = snapshot(plan);
        let fill = |of: &mut Snapshot, kind: &str| {
            let from = checkpoint.tensors(kind)?;
            of.iter_mut().try_for_each(|(path, own)| match from.get(path.as_str()) {
                Some(values) if values.len() == own.len() => {
                    own.copy_from_slice(values);
                    Ok(())
                }
                _ => Err(misfit(path)),
            })
        };
        fill(&mut now, WEIGHTS)?;
        now.iter().for_each(|(path, value)| plan.suffix().set_weight(path, value));
        plan.suffix().reload();
        let filled = |kind: &str| {
            let mut copy = now.clone();
            fill(&mut copy, kind).map(|()| copy)
        };
        let best = match (state.has_best, state.best_is_now) {
            (false, _) => None,
            (true, true) => Some(now.clone()),
            (true, false) => Some(filled(BEST)?),
        };
        let average = Average {
            epochs: state.averaged,
            weights: (state.averaged > 0).then(|| filled(MEAN)).transpose()?,
        };
        let moments = checkpoint.tensors(MOMENTS)?;
        let moments: BTreeMap<usize, &[f32]> = moments
            .iter()
            .filter_map(|(index, values)| Some((index.parse().ok()?, values.as_slice())))
            .collect();
        if !run.optimizer.restore(state.steps, moments.into_values()) {
            return Err(misfit(MOMENTS));
        }
        run.lost = state.lost;
        run.kept_before = state.vectors;
        Ok(Some(Self {
            watch: state.watch,
            report: state.report.read(),
            best,
            average,
            is_over: state.is_over,
            within: state.within,
        }))
    }
}

/// The mean of the weights above the boundary after several epochs.
#[derive(Default)]
pub(in crate::fit) struct Average {
    epochs: usize,
    pub(in crate::fit) weights: Option<Snapshot>,
}

impl Average {
    pub(in crate::fit) fn add(&mut self, plan: &mut Plan) {
        self.epochs += 1;
        let Some(weights) = &mut self.weights else {
            self.weights = Some(snapshot(plan));
            return;
        };
        let epochs = self.epochs as f32;
        for ((_, mean), (_, value)) in weights.iter_mut().zip(plan.suffix().weights()) {
            mean.iter_mut().zip(value).for_each(|(mean, value)| *mean += (value - *mean) / epochs);
        }
    }
}

/// Every weight above the boundary, statistics included.
pub(in crate::fit) fn snapshot(plan: &mut Plan) -> Snapshot {
    plan.suffix().weights().map(|(path, value)| (path.to_owned(), value.to_vec())).collect()
}
