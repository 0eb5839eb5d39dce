//! What a solved head needs before it can be solved: the backbone, the places that it may read, its views and its features.

use super::cuts::{JOINED, LOOKED_AT, Reading};
use super::features::HeadFeatures;
use super::pass::{Examples, Pictures, is_for_small_images, takes_any_size};
use super::wide::Wide;
use crate::fit::SolveConfig;
use crate::fit::solved::head::Work;
use crate::fit::solved::outcome::SolvedHead;
use crate::fit::{ClassWeights, Setting, Task};
use frostline_data::{DataError, Dataset, Example, Pipeline, View};
use frostline_graph::{Cut, Error, Model, Pooling, PrefixDType, Result, Shape, cuts, named_cuts};
use rayon::prelude::*;

/// Features in cells are not made where all images to train on have more numbers than this: solving would take minutes.
const MOST_IN_CELLS: usize = 1 << 24;
/// Images whose sides have so nearly the ratio of the model's input have its shape.
const SAME_SHAPE: f64 = 0.05;
/// Cells of a network for small images, and of others.
const CELLS_OF_SMALL: usize = 4;
const CELLS: usize = 2;

/// A backbone whose head is to be solved.
#[derive(Debug)]
pub(crate) struct Solving {
    /// The kept layers, without a head.
    pub(in crate::fit::solved) backbone: Model,
    /// The places that the head may read, from the lowest to the highest, which is the backbone's output.
    pub(in crate::fit::solved) cuts: Vec<Cut>,
    /// What features are made by, for each way to pool them.
    pub(in crate::fit::solved) wides: Vec<Wide>,
    /// What the head reads unless images out of sample say that something else is clearly better.
    pub(in crate::fit::solved) usual: Reading,
    pub(in crate::fit::solved) recipe: SolveConfig,
}

impl Solving {
    /// Errors: a cut that is not there.
    pub(crate) fn new(backbone: Model, input: &Shape, recipe: SolveConfig) -> Result<Self> {
        let found = match &recipe.cuts {
            Some(names) => named_cuts(&backbone, input, names)?,
            None => {
                let mut found = cuts(&backbone, input, None, usize::MAX)?;
                let top = found.len().saturating_sub(1);
                let mut index = 0;
                found.retain(|cut| {
                    index += 1;
                    index - 1 == top || (1..=3).contains(&cut.shape.len())
                });
                found.drain(..found.len().saturating_sub(LOOKED_AT));
                found
            }
        };
        let joined = if recipe.cuts.is_some() { found.len() } else { JOINED };
        let usual = Reading {
            cuts: (0..found.len()).rev().take(joined).collect(),
            pooling: recipe.pooling.unwrap_or_default(),
            views: vec![View::Own],
        };
        Ok(Self { backbone, cuts: found, wides: Vec::new(), usual, recipe })
    }

    /// The kept layers, without a head.
    pub(crate) fn backbone(&self) -> &Model {
        &self.backbone
    }

    /// The outputs that a head usually reads, the highest first.
    pub(crate) fn usual(&self) -> Vec<(&str, Pooling)> {
        self.usual.cuts.iter().map(|cut| (self.cuts[*cut].path.as_str(), self.usual.pooling)).collect()
    }

    /// Decides what is known of each image of a dataset: two sizes of it where the model can take them, unless it `reads_own`, that
    /// is, stages follow, which train on the model's own view, or a setting says what becomes of the images' shape. Where all images have the shape of the model's input, and in networks
    /// for small images, outputs are pooled in cells too.
    ///
    /// Errors: views that were asked for and that the model cannot take; cells in images of several sizes, or where no output
    /// is an image.
    pub(crate) fn choose_inputs(
        &mut self,
        dataset: &Dataset,
        pipeline: &Pipeline,
        numbers: &PrefixDType,
        reads_own: bool,
    ) -> Result<()> {
        let refused = |why: &str, help: &str| Err(Error::setting(format!("{why}\nhelp: {help}")));
        let (input, own) = (pipeline.input().to_vec(), vec![View::Own]);
        let wide = |poolings, views: &[View]| {
            Wide::new(&self.backbone, &self.cuts, poolings, views.to_vec(), &input)
        };
        // bytes stand for the ranges of the model's own size
        let is_exact = !matches!(numbers, PrefixDType::Int8(_));
        let takes_any = is_exact && takes_any_size(&wide(vec![Pooling::Mean], &own)?.model, pipeline);
        let has_pixels = self.cuts.iter().any(|cut| cut.shape.len() == 3);
        let in_cells = matches!(self.recipe.pooling, Some(Pooling::Cells(_)));
        if in_cells && !has_pixels {
            return refused(
                "none of the layers that the head may read puts out an image with cells",
                "leave the pooling out",
            );
        }
        // the head of a model whose images may have any size has no cells to read
        let has_a_size = self.backbone.graph.input_shapes().iter().flatten().all(Option::is_some);
        if in_cells && !has_a_size {
            return refused(
                "cells pool images of one size, and this model takes images of any",
                "leave the pooling out, or give the model's input a size",
            );
        }
        let views = match &self.recipe.views {
            Some(views) if views.iter().all(|view| view.is_own()) => own.clone(),
            Some(_) if in_cells => {
                return refused(
                    "cells pool images of one size, and these views have several",
                    "leave the views out, or give `own`",
                );
            }
            Some(views) if takes_any => views.clone(),
            Some(_) => {
                return refused(
                    "this model takes images of its own size alone",
                    "leave the views out, or give `own`",
                );
            }
            None if !in_cells && !reads_own && takes_any => View::USUAL.to_vec(),
            None => own.clone(),
        };
        self.usual.views.clone_from(&views);
        let is_small = is_for_small_images(pipeline);
        let cells = Pooling::Cells(if is_small { CELLS_OF_SMALL } else { CELLS });
        let width: usize = self.cuts.iter().map(|cut| cells.width(&cut.shape)).sum();
        let is_open = self.recipe.pooling.is_none() && (self.recipe.views.is_none() || views == own);
        let reads_cells = is_open
            && has_a_size
            && has_pixels
            && width * dataset.train.len() <= MOST_IN_CELLS
            && (is_small || have_the_shape(dataset, pipeline));
        self.wides = match (reads_cells, views == own) {
            (false, _) => vec![wide(vec![self.usual.pooling], &views)?],
            (true, true) => vec![wide(vec![Pooling::Mean, cells], &own)?],
            (true, false) => vec![wide(vec![Pooling::Mean], &views)?, wide(vec![cells], &own)?],
        };
        if reads_cells && is_small {
            // where in a small image something is, lower outputs say better
            let cuts = (0..self.cuts.len()).rev().collect();
            self.usual = Reading { cuts, pooling: cells, views: own };
        }
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
            let (features, own) = HeadFeatures::new(&wide.maker(pipeline, setting), dataset, examples, told)?;
            wide.features = Some(features);
            if errors.is_empty() {
                errors = own;
            }
        }
        Ok(errors)
    }

    /// What heads are solved by, once features were gathered.
    pub(in crate::fit::solved) fn work<'a>(
        &'a self,
        dataset: &'a Dataset,
        task: &'a Task,
        class_weights: Option<&'a ClassWeights>,
    ) -> Option<Work<'a>> {
        let Self { cuts, wides, usual, recipe, .. } = self;
        let are_there = wides.iter().all(|wide| wide.features.is_some());
        are_there.then_some(Work { wides, usual, cuts: cuts.len(), dataset, task, class_weights, recipe })
    }

    /// Stores the features that a head reads where its model looks for them: `embed` and `similar` then have nothing to compute
    /// for these images, nor has a run with one class more or less.
    pub(in crate::fit::solved) fn store_read(
        &self,
        reading: &Reading,
        dataset: &Dataset,
        pipeline: &Pipeline,
        setting: &Setting,
    ) -> Result<()> {
        let mut cuts: Vec<Cut> = reading.cuts.iter().map(|cut| self.cuts[*cut].clone()).collect();
        cuts.reverse();
        let (poolings, views) = (vec![reading.pooling], reading.views.clone());
        let narrow = Wide::new(&self.backbone, &cuts, poolings, views, &pipeline.input().to_vec())?;
        let of = |wide: &Wide| wide.columns(&reading.cuts, reading.pooling);
        match self.wides.iter().find_map(|wide| Some((wide.features.as_ref()?, of(wide)?))) {
            Some((features, columns)) => {
                let contents = dataset.examples().filter_map(|(_, example)| dataset.content(example));
                features.store_part(&narrow.maker(pipeline, setting), &columns, contents.collect())
            }
            None => Ok(()),
        }
    }

    /// What a solved head reads.
    pub(in crate::fit::solved) fn reading(&self, head: &SolvedHead) -> Reading {
        let index = |path: &String| self.cuts.iter().position(|cut| cut.path == *path);
        let cuts = head.cuts.iter().filter_map(index).collect();
        Reading { cuts, pooling: head.pooling, views: head.views.clone() }
    }

    /// Whether the features of all these examples are there.
    pub(in crate::fit::solved) fn has(&self, dataset: &Dataset, examples: &[&Example]) -> bool {
        self.wides.iter().all(|wide| wide.has(dataset, examples))
    }
}

/// Whether all pictures of a dataset have the shape of the model's input. What cannot be read is not counted.
fn have_the_shape(dataset: &Dataset, pipeline: &Pipeline) -> bool {
    let examples: Vec<&Example> = dataset.examples().map(|(_, example)| example).collect();
    let pictures = Examples { dataset, examples: &examples };
    pipeline.own_size().is_some_and(|own| {
        let ratio = |[height, width]: [usize; 2]| width as f64 / height.max(1) as f64;
        let fits = |index| {
            let of_picture = |size| (ratio(size) / ratio(own) - 1.0).abs() < SAME_SHAPE;
            pictures.size(index).is_none_or(of_picture)
        };
        (0..examples.len()).into_par_iter().all(fits)
    })
}
