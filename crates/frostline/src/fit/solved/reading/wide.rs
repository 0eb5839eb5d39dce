//! The kept layers with the outputs of all cuts, pooled, as their only output.

use super::features::{HeadFeatures, IN_MEMORY, Maker};
use crate::fit::Setting;
use frostline_data::{Dataset, Example, Pipeline, View};
use frostline_graph::{Cut, Model, Pooling, Result, Shape};
use std::ops::Range;

/// What features are made by, and those that were made.
#[derive(Debug)]
pub(in crate::fit::solved) struct Wide {
    pub(in crate::fit::solved) model: Model,
    /// How they are pooled: all in one way, then all in the next.
    pub(in crate::fit::solved) poolings: Vec<Pooling>,
    pub(in crate::fit::solved) views: Vec<View>,
    boundary: Vec<String>,
    /// Where the features of each cut lie in those of an image, by pooling: the highest cut comes first there, as in the model
    /// that a head is put on.
    columns: Vec<Vec<Range<usize>>>,
    pub(in crate::fit::solved) features: Option<HeadFeatures>,
}

impl Wide {
    pub(in crate::fit::solved) fn new(
        backbone: &Model,
        cuts: &[Cut],
        poolings: Vec<Pooling>,
        views: Vec<View>,
        input: &Shape,
    ) -> Result<Self> {
        let joined_by = |pooling: &Pooling| {
            let pooling = *pooling;
            cuts.iter().rev().map(move |cut| (cut.path.as_str(), pooling))
        };
        let mut model = backbone.clone();
        model.join(&poolings.iter().flat_map(joined_by).collect::<Vec<_>>(), input)?;
        if views.iter().any(|view| !view.is_own()) {
            model.open_input();
        }
        let mut start = 0;
        let mut ranges = |pooling: &Pooling| {
            let range = |cut: &Cut| {
                let width = pooling.width(&cut.shape);
                start += width;
                start - width..start
            };
            let mut columns: Vec<Range<usize>> = cuts.iter().rev().map(range).collect();
            columns.reverse();
            columns
        };
        let columns = poolings.iter().map(&mut ranges).collect();
        let boundary = cuts.iter().map(|cut| cut.path.clone()).collect();
        Ok(Self { model, poolings, views, boundary, columns, features: None })
    }

    /// The numbers of an image in a view.
    pub(in crate::fit::solved) fn width(&self) -> usize {
        self.columns.iter().flatten().map(|columns| columns.end).max().unwrap_or(0)
    }

    /// Where the features of these cuts lie, pooled so; none where they are not.
    pub(in crate::fit::solved) fn columns(
        &self,
        cuts: &[usize],
        pooling: Pooling,
    ) -> Option<Vec<Range<usize>>> {
        let index = self.poolings.iter().position(|own| *own == pooling)?;
        Some(cuts.iter().map(|cut| self.columns[index][*cut].clone()).collect())
    }

    /// Whether the features of all these examples are there.
    pub(in crate::fit::solved) fn has(&self, dataset: &Dataset, examples: &[&Example]) -> bool {
        let known = |features: &HeadFeatures| {
            let has =
                |example: &&Example| dataset.content(example).is_some_and(|content| features.has(&content));
            examples.iter().all(has)
        };
        self.features.as_ref().is_some_and(known)
    }

    pub(in crate::fit::solved) fn maker<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        setting: &'a Setting,
    ) -> Maker<'a> {
        Maker {
            model: &self.model,
            numbers: &setting.dtype,
            pipeline,
            views: &self.views,
            caching: &setting.caching,
            boundary: &self.boundary,
            most_held: IN_MEMORY,
        }
    }
}
