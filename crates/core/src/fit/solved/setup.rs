//! What a solved head needs before it can be solved: the backbone, the places that it may read, its views and its features.

use super::cuts::{JOINED, LOOKED_AT, Reading};
use super::features::{HeadFeatures, IN_MEMORY, Maker};
use super::head::Work;
use super::outcome::SolvedHead;
use super::pass::takes_any_size;
use super::recipe::SolveRecipe;
use crate::data::{DataError, Dataset, Example, Pipeline, View};
use crate::fit::{ClassWeights, Setting, Task};
use crate::graph::{Cut, Model, Pooling, cuts, named_cuts};
use crate::{Error, Numbers, Result, Shape};

/// Features in cells are not made where all images together have more numbers than this: solving would take minutes.
const MOST_IN_CELLS: usize = 1 << 24;

/// A backbone whose head is to be solved.
#[derive(Debug)]
pub(crate) struct Solving {
    /// The kept layers, without a head.
    pub(super) backbone: Model,
    /// The places that the head may read, from the lowest to the highest, which is the backbone's output.
    pub(super) cuts: Vec<Cut>,
    /// The backbone with the outputs of all cuts, pooled, as its only output.
    pub(super) wide: Model,
    /// How each of them is pooled there: all in one way, then all in the next.
    pub(super) poolings: Vec<Pooling>,
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
        let poolings = vec![Pooling::Mean];
        let wide = joined(&backbone, &found, &poolings, input)?;
        Ok(Self { backbone, cuts: found, wide, poolings, views: vec![View::Squash], recipe, features: None })
    }

    /// The kept layers, without a head.
    pub(crate) fn backbone(&self) -> &Model {
        &self.backbone
    }

    /// The outputs that a head usually reads, the highest first.
    pub(crate) fn usual(&self) -> Vec<(&str, Pooling)> {
        self.cuts.iter().rev().take(JOINED).map(|cut| (cut.path.as_str(), Pooling::Mean)).collect()
    }

    /// Decides what is known of each of `images`: two sizes of it where the model can take them, unless `trains_on`, that is,
    /// stages follow, which train on the model's own view. A small network, which takes one size alone, may be read in cells.
    ///
    /// Errors: views that were asked for and that the model cannot take; cells in images of several sizes.
    pub(crate) fn choose_inputs(
        &mut self,
        pipeline: &Pipeline,
        numbers: &Numbers,
        trains_on: bool,
        images: usize,
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
            None if self.recipe.pooling != Some(Pooling::Cells) && !trains_on && takes_any() => {
                View::USUAL.to_vec()
            }
            None => vec![View::Squash],
        };
        let is_own = self.views.iter().all(|view| view.is_own());
        let is_wanted = match self.recipe.pooling {
            Some(Pooling::Cells) if !is_own => {
                return Err(Error::Setting(
                    "`4x4` pools images of one size, and these views have several\nhelp: leave the views out, or give `squash`".to_owned(),
                ));
            }
            Some(pooling) => pooling == Pooling::Cells,
            None => {
                let has_pixels = self.cuts.iter().any(|cut| cut.shape.len() == 3);
                let width: usize = self.cuts.iter().map(|cut| Pooling::Cells.width(&cut.shape)).sum();
                has_pixels && width * images <= MOST_IN_CELLS && is_own && !takes_any()
            }
        };
        if is_wanted {
            self.poolings = vec![Pooling::Mean, Pooling::Cells];
            self.wide = joined(&self.backbone, &self.cuts, &self.poolings, &pipeline.input().to_vec())?;
        }
        if self.views.iter().any(|view| !view.is_own()) {
            self.wide.open_input();
        }
        Ok(())
    }

    pub(super) fn maker<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        setting: &'a Setting,
        boundary: &'a [String],
    ) -> Maker<'a> {
        let Self { wide, views, .. } = self;
        Maker {
            model: wide,
            numbers: &setting.numbers,
            pipeline,
            views,
            caching: &setting.caching,
            boundary,
            most_held: IN_MEMORY,
        }
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
        let Self { cuts, poolings, recipe, .. } = self;
        Some(Work { features: self.features.as_ref()?, cuts, poolings, dataset, task, class_weights, recipe })
    }

    /// What a solved head reads.
    pub(super) fn reading(&self, head: &SolvedHead) -> Reading {
        let index = |path: &String| self.cuts.iter().position(|cut| cut.path == *path);
        let cuts = head.cuts.iter().filter_map(index).collect();
        Reading { cuts, pooling: head.pooling, views: head.views.clone() }
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

/// A model whose only output is that of all cuts, pooled in each way.
fn joined(backbone: &Model, cuts: &[Cut], poolings: &[Pooling], input: &Shape) -> Result<Model> {
    let of = |pooling: &Pooling| cuts.iter().map(|cut| (cut.path.as_str(), *pooling)).collect::<Vec<_>>();
    let mut model = backbone.clone();
    model.join(&poolings.iter().flat_map(of).collect::<Vec<_>>(), input)?;
    Ok(model)
}
