//! Solving the head on features, and putting it on the model.

use super::reading::cuts::{self, Reading};
use super::reading::features::Chosen;
use super::reading::wide::Wide;
use crate::fit::{ClassWeights, Task};
use crate::fit::{HeadMethod, SolveConfig};
use frostline_data::{Dataset, Example, Target, spread};
use frostline_graph::{Error, Result};
use frostline_head::novelty::Novelty;
use frostline_head::{FeatureTable, HeadError, Method, Problem, Solved, Targets, log_sum_exp, solve};
use std::collections::HashMap;
use std::ops::Range;

/// So many images say which cuts and views are best.
const ENOUGH: usize = 400;
/// And so many of each class at least: one to be left out, and one to learn from.
const FEWEST: usize = 2;
/// Another choice than the usual one must be better by so many standard errors of the difference.
const CLEARLY: f64 = 2.0;

/// The head's solution, and what it reads.
pub(super) struct Found {
    pub(super) reading: Reading,
    pub(super) solved: Solved,
}

/// What is solved.
pub(super) struct Work<'a> {
    pub(super) wides: &'a [Wide],
    pub(super) usual: &'a Reading,
    /// How many places there are that a head may read.
    pub(super) cuts: usize,
    pub(super) dataset: &'a Dataset,
    pub(super) task: &'a Task,
    pub(super) class_weights: Option<&'a ClassWeights>,
    pub(super) recipe: &'a SolveConfig,
}

impl FeatureTable for Chosen<'_> {
    fn rows(&self) -> usize {
        Chosen::rows(self)
    }

    fn width(&self) -> usize {
        Chosen::width(self)
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), HeadError> {
        Chosen::read(self, rows, out).map_err(|error| HeadError::Read(error.to_string()))
    }
}

/// What a solver says, as an error of a setting.
pub(super) fn refused(error: HeadError) -> Error {
    Error::setting(error.to_string())
}

impl<'a> Work<'a> {
    /// Chooses what the head reads by what it says of images out of sample, and solves the head on all examples.
    pub(super) fn run(&self, examples: &[&Example]) -> Result<Found> {
        let enough: Vec<&Example> =
            spread(examples, ENOUGH, FEWEST).into_iter().map(|index| examples[index]).collect();
        let reading = self.choose(&enough)?;
        let method = match self.recipe.method {
            // by out-of-sample loss logistic regression looks better than it is on new images: its penalty was chosen by that
            HeadMethod::Auto if matches!(self.task, Task::Numbers(_)) => Method::Ridge,
            HeadMethod::Auto if matches!(self.task, Task::Labels(_)) => Method::Logistic,
            HeadMethod::Auto => Method::Mean,
            HeadMethod::Ridge => Method::Ridge,
            HeadMethod::Logistic => Method::Logistic,
            HeadMethod::Mean => Method::Mean,
        };
        let solved = self.solve(examples, &reading, method)?;
        Ok(Found { reading, solved })
    }

    /// The head that reads this.
    pub(super) fn solve(&self, examples: &[&Example], reading: &Reading, method: Method) -> Result<Solved> {
        let table = self.table(examples, reading)?;
        let blocks = table.blocks();
        let targets = OwnTargets::of(examples, self.task);
        let weights = self.row_weights(examples)?;
        let groups = groups_of(self.dataset, examples)?;
        let problem = Problem {
            features: &table,
            blocks: &blocks,
            targets: targets.all(),
            weights: weights.as_deref(),
            groups: Some(&groups),
        };
        solve(&problem, method).map_err(refused)
    }

    /// What tells images that are none of the classes, if the recipe asks for it.
    pub(super) fn novelty(&self, examples: &[&Example], found: &Found) -> Result<Option<Novelty>> {
        let (Some(share), OwnTargets::Classes { labels, classes }) =
            (self.recipe.reject, OwnTargets::of(examples, self.task))
        else {
            return Ok(None);
        };
        let table = self.table(examples, &found.reading)?;
        let (blocks, groups) = (table.blocks(), groups_of(self.dataset, examples)?);
        Ok(Some(Novelty::fit(&table, &blocks, &labels, classes, Some(&groups), share).map_err(refused)?))
    }

    pub(super) fn table(&self, examples: &[&Example], reading: &Reading) -> Result<Chosen<'a>> {
        let of =
            |wide: &'a Wide| Some((wide.features.as_ref()?, wide.columns(&reading.cuts, reading.pooling)?));
        let Some((features, columns)) = self.wides.iter().find_map(of) else {
            return Err(Error::setting(format!("no features were pooled by `{}`", reading.pooling)));
        };
        features.of(self.dataset, examples, &columns, &reading.views)
    }

    /// The highest output alone.
    pub(super) fn highest(&self) -> Reading {
        let wide = &self.wides[0];
        Reading { cuts: vec![self.cuts - 1], pooling: wide.poolings[0], views: wide.views.clone() }
    }

    /// What is usual, or what is clearly better.
    fn choose(&self, examples: &[&Example]) -> Result<Reading> {
        let sets: Vec<Vec<usize>> = match &self.recipe.cuts {
            // they are the only ones that there are
            Some(_) => vec![self.usual.cuts.clone()],
            None => cuts::candidates(self.cuts),
        };
        let mut candidates = Vec::new();
        for wide in self.wides {
            for pooling in &wide.poolings {
                let reading = |cuts: &Vec<usize>| Reading {
                    cuts: cuts.clone(),
                    pooling: *pooling,
                    views: wide.views.clone(),
                };
                candidates.extend(sets.iter().map(reading));
            }
        }
        candidates.retain(|other| other != self.usual);
        candidates.insert(0, self.usual.clone());
        if self.recipe.views.is_none() && self.usual.views.len() > 1 {
            // one that costs less in each prediction
            let views = self.usual.views[..1].to_vec();
            candidates.push(Reading { views, ..self.usual.clone() });
        }
        if candidates.len() == 1 {
            return Ok(candidates.swap_remove(0));
        }
        let method = match self.task {
            Task::Labels(_) => Method::Logistic,
            _ => Method::Ridge,
        };
        let all_losses = candidates
            .iter()
            .map(|reading| Ok(self.losses(&self.solve(examples, reading, method)?, examples)))
            .collect::<Result<Vec<_>>>()?;
        let gains = |losses: &[f64]| -> Vec<f64> {
            losses.iter().zip(&all_losses[0]).map(|(other, usual)| usual - other).collect()
        };
        let mut best = (0, 0.0);
        for (index, own) in all_losses.iter().enumerate().skip(1) {
            let (mean, error) = mean_and_error(&gains(own));
            if mean > CLEARLY * error && mean > best.1 {
                best = (index, mean);
            }
        }
        Ok(candidates.swap_remove(best.0))
    }

    /// The loss of each example out of sample.
    fn losses(&self, solved: &Solved, examples: &[&Example]) -> Vec<f64> {
        let width = solved.bias.len().max(1);
        let rows = solved.out_of_sample.chunks_exact(width);
        let loss = |(row, example): (&[f64], &&Example)| match &example.target {
            Target::Class(class) => log_sum_exp(row) - row[*class],
            Target::Labels(labels) => {
                // −ln of a sigmoid, or of what it leaves
                let loss = |(label, logit): (usize, &f64)| {
                    let towards = if labels.contains(&label) { *logit } else { -*logit };
                    (-towards).max(0.0) + (-towards.abs()).exp().ln_1p()
                };
                row.iter().enumerate().map(loss).sum::<f64>()
            }
            Target::Value(values) => {
                values.iter().zip(row).map(|(value, found)| (f64::from(*value) - found).powi(2)).sum::<f64>()
            }
        };
        rows.zip(examples).map(loss).collect()
    }

    fn row_weights(&self, examples: &[&Example]) -> Result<Option<Vec<f64>>> {
        let Some(class_weights) = self.class_weights else { return Ok(None) };
        let mut counts = vec![0; self.dataset.classes.len()];
        examples.iter().for_each(|example| counts[class_of(example)] += 1);
        let weights = class_weights.weights(&self.dataset.classes, &counts)?;
        Ok(Some(examples.iter().map(|example| f64::from(weights[class_of(example)])).collect()))
    }
}

/// Copies of one image have one number.
pub(super) fn groups_of(dataset: &Dataset, examples: &[&Example]) -> Result<Vec<usize>> {
    let mut numbers = HashMap::new();
    let mut group = |example: &&Example| {
        let next = numbers.len();
        Ok(*numbers.entry(dataset.content_of(example)?).or_insert(next))
    };
    examples.iter().map(&mut group).collect()
}

/// The class of an example; 0 where it has numbers or may have several labels.
pub(super) fn class_of(example: &Example) -> usize {
    match example.target {
        Target::Class(class) => class,
        Target::Labels(_) | Target::Value(_) => 0,
    }
}

/// The mean of values, and its standard error.
pub(super) fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (mean, (variance / count).sqrt())
}

/// The targets of examples.
pub(super) enum OwnTargets {
    Classes { labels: Vec<usize>, classes: usize },
    Labels { values: Vec<f32>, width: usize },
    Numbers { values: Vec<f32>, width: usize },
}

impl OwnTargets {
    pub(super) fn of(examples: &[&Example], task: &Task) -> Self {
        match task {
            Task::Numbers(width) => {
                let values = |example: &&Example| match &example.target {
                    Target::Value(values) => values.clone(),
                    Target::Class(class) => vec![*class as f32],
                    Target::Labels(_) => Vec::new(),
                };
                Self::Numbers { values: examples.iter().flat_map(values).collect(), width: *width }
            }
            Task::Labels(width) => {
                let mut values = vec![0.0; examples.len() * width];
                for (example, row) in examples.iter().zip(values.chunks_exact_mut((*width).max(1))) {
                    if let Target::Labels(labels) = &example.target {
                        labels.iter().for_each(|label| row[*label] = 1.0);
                    }
                }
                Self::Labels { values, width: *width }
            }
            Task::Binary => Self::classes(examples, 2),
            Task::Classes(classes) => Self::classes(examples, *classes),
        }
    }

    fn classes(examples: &[&Example], classes: usize) -> Self {
        Self::Classes { labels: examples.iter().map(|example| class_of(example)).collect(), classes }
    }

    pub(super) fn all(&self) -> Targets<'_> {
        match self {
            Self::Classes { labels, classes } => Targets::Classes { labels, classes: *classes },
            Self::Labels { values, width } => Targets::Labels { values, width: *width },
            Self::Numbers { values, width } => Targets::Numbers { values, width: *width },
        }
    }
}
