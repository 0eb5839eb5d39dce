//! What a solved head needs before it can be solved: the backbone, the places that it may read, its views and its features.

use super::cuts::{JOINED, LOOKED_AT};
use super::features::{HeadFeatures, Maker};
use super::head::Work;
use super::pass::takes_any_size;
use super::recipe::SolveRecipe;
use crate::data::{DataError, Dataset, Example, Pipeline, View};
use crate::fit::{ClassWeights, Setting, Task};
use crate::graph::{Cut, Model, cuts, named_cuts};
use crate::{Error, Numbers, Result, Shape};

/// A backbone whose head is to be solved.
#[derive(Debug)]
pub(crate) struct Solving {
    /// The kept layers, without a head.
    pub(super) backbone: Model,
    /// The places that the head may read, from the lowest to the highest, which is the backbone's output.
    pub(super) cuts: Vec<Cut>,
    /// The backbone with the outputs of all cuts, pooled, as its only output.
    pub(super) wide: Model,
    pub(super) views: Vec<View>,
    pub(super) recipe: SolveRecipe,
    pub(super) features: Option<HeadFeatures>,
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
        let mut wide = backbone.clone();
        let paths: Vec<String> = found.iter().map(|cut| cut.path.clone()).collect();
        wide.join(&paths, input)?;
        Ok(Self { backbone, cuts: found, wide, views: vec![View::Squash], recipe, features: None })
    }

    /// The kept layers, without a head.
    pub(crate) fn backbone(&self) -> &Model {
        &self.backbone
    }

    /// The layers that a head usually reads, the highest first.
    pub(crate) fn usual(&self) -> Vec<String> {
        self.cuts.iter().rev().take(JOINED).map(|cut| cut.path.clone()).collect()
    }

    /// Decides in which views images are taken: two sizes of each where the model can take them, unless `trains_on`, that is,
    /// stages follow, which train on the model's own view.
    ///
    /// Errors: views that were asked for and that the model cannot take.
    pub(crate) fn choose_views(
        &mut self,
        pipeline: &Pipeline,
        numbers: &Numbers,
        trains_on: bool,
    ) -> Result<()> {
        // bytes stand for the ranges of the model's own size
        let is_exact = !matches!(numbers, Numbers::Int8(_));
        let takes_any = || is_exact && takes_any_size(&self.wide, pipeline);
        self.views = match &self.recipe.views {
            Some(views) if views.iter().all(|view| view.is_own()) || takes_any() => views.clone(),
            Some(_) => {
                return Err(Error::Setting(
                    "this model takes images of its own size alone\nhelp: leave the views out, or give `squash`".to_owned(),
                ));
            }
            None if !trains_on && takes_any() => View::USUAL.to_vec(),
            None => vec![View::Squash],
        };
        if self.views.iter().any(|view| !view.is_own()) {
            self.wide.open_input();
        }
        Ok(())
    }

    fn maker<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        setting: &'a Setting,
        boundary: &'a [String],
    ) -> Maker<'a> {
        let Self { wide, views, .. } = self;
        Maker { model: wide, numbers: &setting.numbers, pipeline, views, caching: &setting.caching, boundary }
    }

    fn boundary(&self) -> Vec<String> {
        self.cuts.iter().map(|cut| cut.path.clone()).collect()
    }

    /// Of how many of these examples the cache holds the features, of which an image has `width` in a view.
    pub(super) fn cached(
        &self,
        width: usize,
        dataset: &Dataset,
        pipeline: &Pipeline,
        setting: &Setting,
        examples: &[&Example],
    ) -> Result<usize> {
        self.maker(pipeline, setting, &self.boundary()).cached(width, dataset, examples)
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
        let boundary = self.boundary();
        let maker = self.maker(pipeline, setting, &boundary);
        let (features, errors) = HeadFeatures::new(&maker, dataset, examples, told)?;
        self.features = Some(features);
        Ok(errors)
    }

    /// What heads are solved by, once features were gathered.
    pub(super) fn work<'a>(
        &'a self,
        dataset: &'a Dataset,
        task: &'a Task,
        class_weights: Option<&'a ClassWeights>,
    ) -> Option<Work<'a>> {
        let Self { cuts, recipe, .. } = self;
        Some(Work { features: self.features.as_ref()?, cuts, dataset, task, class_weights, recipe })
    }

    /// The positions of cuts by their paths.
    pub(super) fn indices(&self, paths: &[String]) -> Vec<usize> {
        paths.iter().filter_map(|path| self.cuts.iter().position(|cut| cut.path == *path)).collect()
    }

    /// Whether the features of all these examples are there.
    pub(super) fn has(&self, dataset: &Dataset, examples: &[&Example]) -> bool {
        let known = |features: &HeadFeatures| {
            examples
                .iter()
                .all(|example| dataset.content(example).is_some_and(|content| features.has(&content)))
        };
        self.features.as_ref().is_some_and(known)
    }
}
