//! What a solved head needs before it can be solved: the backbone, the places that it may read, its views and its features.

use super::cuts::{JOINED, LOOKED_AT, Reading};
use super::head::Work;
use super::outcome::SolvedHead;
use super::pass::{Examples, Pictures, takes_any_size};
use super::recipe::SolveRecipe;
use super::wide::Wide;
use crate::data::{DataError, Dataset, Example, Pipeline, View};
use crate::fit::{ClassWeights, Setting, Task};
use crate::graph::{Cut, Model, Pooling, cuts, named_cuts};
use crate::{Error, Numbers, Result, Shape};
use rayon::prelude::*;

/// Features in cells are not made where all images together have more numbers than this: solving would take minutes.
const MOST_IN_CELLS: usize = 1 << 24;
/// Cells of a network for small images, which takes images of one size alone, and of one that takes any size.
const CELLS_OF_SMALL: usize = 4;
const CELLS: usize = 2;

/// A backbone whose head is to be solved.
#[derive(Debug)]
pub(crate) struct Solving {
    /// The kept layers, without a head.
    pub(super) backbone: Model,
    /// The places that the head may read, from the lowest to the highest, which is the backbone's output.
    pub(super) cuts: Vec<Cut>,
    /// What features are made by, for each way to pool them.
    pub(super) wides: Vec<Wide>,
    /// What the head reads unless images out of sample say that something else is clearly better.
    pub(super) usual: Reading,
    pub(super) recipe: SolveRecipe,
}

impl Solving {
    /// Errors: a cut that is not there; views that the model cannot take.
    pub(crate) fn new(backbone: Model, input: &Shape, recipe: SolveRecipe) -> Result<Self> {
        let found = match &recipe.cuts {
            Some(names) => named_cuts(&backbone, input, names)?,
            None => {
                let mut found = cuts(&backbone, input, None, usize::MAX)?;
                let top = found.len().saturating_sub(1);
                let mut index = 0;
                found.retain(|cut| {
                    index += 1;
                    index - 1 == top || [1, 3].contains(&cut.shape.len())
                });
                found.drain(..found.len().saturating_sub(LOOKED_AT));
                found
            }
        };
        let joined = if recipe.cuts.is_some() { found.len() } else { JOINED };
        let usual = Reading {
            cuts: (0..found.len()).rev().take(joined).collect(),
            pooling: recipe.pooling.unwrap_or_default(),
            views: vec![View::Squash],
        };
        Ok(Self { backbone, cuts: found, wides: Vec::new(), usual, recipe })
    }

    /// The kept layers, without a head.
    pub(crate) fn backbone(&self) -> &Model {
        &self.backbone
    }

    /// The outputs that a head usually reads, the highest first.
    pub(crate) fn usual(&self) -> Vec<(&str, Pooling)> {
        self.usual.cuts.iter().map(|cut| (self.cuts[*cut].path.as_str(), Pooling::Mean)).collect()
    }

    /// Decides what is known of each image of a dataset: two sizes of it where the model can take them, unless `trains_on`, that
    /// is, stages follow, which train on the model's own view. Where all images have the shape of the model's input, its outputs
    /// are pooled in cells too.
    ///
    /// Errors: views that were asked for and that the model cannot take; cells in images of several sizes.
    pub(crate) fn choose_inputs(
        &mut self,
        dataset: &Dataset,
        pipeline: &Pipeline,
        numbers: &Numbers,
        trains_on: bool,
    ) -> Result<()> {
        let input = pipeline.input().to_vec();
        let means = Wide::new(&self.backbone, &self.cuts, Pooling::Mean, vec![View::Squash], &input)?;
        // bytes stand for the ranges of the model's own size
        let takes_any = !matches!(numbers, Numbers::Int8(_)) && takes_any_size(&means.model, pipeline);
        let in_cells = matches!(self.recipe.pooling, Some(Pooling::Cells(_)));
        let views = match &self.recipe.views {
            Some(views) if views.iter().all(|view| view.is_own()) => views.clone(),
            Some(_) if in_cells => {
                return Err(Error::Setting(
                    "cells pool images of one size, and these views have several\nhelp: leave the views out, or give `squash`".to_owned(),
                ));
            }
            Some(views) if takes_any => views.clone(),
            Some(_) => {
                return Err(Error::Setting(
                    "this model takes images of its own size alone\nhelp: leave the views out, or give `squash`".to_owned(),
                ));
            }
            None if !in_cells && !trains_on && takes_any => View::USUAL.to_vec(),
            None => vec![View::Squash],
        };
        let wide =
            |pooling, views: &[View]| Wide::new(&self.backbone, &self.cuts, pooling, views.to_vec(), &input);
        self.usual.views.clone_from(&views);
        self.wides = vec![wide(self.usual.pooling, &views)?];
        if self.recipe.pooling.is_some() || !self.cuts.iter().any(|cut| cut.shape.len() == 3) {
            return Ok(());
        }
        let cells = Pooling::Cells(if takes_any { CELLS } else { CELLS_OF_SMALL });
        let own = [View::Squash];
        let more = wide(cells, &own)?;
        if more.width() * dataset.examples().count() > MOST_IN_CELLS
            || takes_any && !have_the_shape(dataset, pipeline)
        {
            return Ok(());
        }
        if !takes_any {
            // where in a small image something is, lower outputs say better
            let cuts = (0..self.cuts.len()).rev().collect();
            self.usual = Reading { cuts, pooling: cells, views: own.to_vec() };
        }
        self.wides.push(more);
        Ok(())
    }

    /// Computes the features of examples, or reads them where they are stored. Returns the error of each example that is damaged.
    pub(crate) fn gather(
        &mut self,
        dataset: &Dataset,
        pipeline: &Pipeline,
        setting: &Setting,
        examples: &[&Example],
        told: &(dyn Fn() + Sync),
    ) -> Result<Vec<Option<DataError>>> {
        let mut errors = Vec::new();
        for (index, wide) in self.wides.iter_mut().enumerate() {
            // each image is told once
            let quiet = || {};
            let told: &(dyn Fn() + Sync) = if index == 0 { told } else { &quiet };
            let own = wide.gather(dataset, pipeline, setting, examples, told)?;
            if errors.is_empty() {
                errors = own;
            }
        }
        Ok(errors)
    }

    /// What heads are solved by, once features were gathered.
    pub(super) fn work<'a>(
        &'a self,
        dataset: &'a Dataset,
        task: &'a Task,
        class_weights: Option<&'a ClassWeights>,
    ) -> Option<Work<'a>> {
        let Self { cuts, wides, usual, recipe, .. } = self;
        let are_there = wides.iter().all(|wide| wide.features.is_some());
        are_there.then_some(Work { wides, usual, cuts: cuts.len(), dataset, task, class_weights, recipe })
    }

    /// What a solved head reads.
    pub(super) fn reading(&self, head: &SolvedHead) -> Reading {
        let index = |path: &String| self.cuts.iter().position(|cut| cut.path == *path);
        let cuts = head.cuts.iter().filter_map(index).collect();
        Reading { cuts, pooling: head.pooling, views: head.views.clone() }
    }

    /// Whether the features of all these examples are there.
    pub(super) fn has(&self, dataset: &Dataset, examples: &[&Example]) -> bool {
        self.wides.iter().all(|wide| wide.has(dataset, examples))
    }
}

/// Whether all pictures of a dataset have the shape of the model's input.
fn have_the_shape(dataset: &Dataset, pipeline: &Pipeline) -> bool {
    let examples: Vec<&Example> = dataset.examples().map(|(_, example)| example).collect();
    let pictures = Examples { dataset, examples: &examples };
    pipeline.own_size().is_some_and(|own| {
        let fits = |index| pictures.size(index).is_some_and(|size| View::Shape(1.0).size(size, own) == own);
        (0..examples.len()).into_par_iter().all(fits)
    })
}
