//! What solving a head will cost, before it is done.

use super::reading::pass::{Examples, ViewPass};
use super::reading::setup::Solving;
use crate::fit::Prepared;
use frostline_data::{Example, View};
use frostline_graph::Result;
use serde::Serialize;
use std::time::Instant;

/// So many images say how long the others will take.
const PROBED: usize = 8;

/// What solving a head will take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SolvePlan {
    /// The layers whose outputs the head may read, the highest first.
    pub cuts: Vec<String>,
    /// The views that each image is taken in.
    pub views: Vec<View>,
    /// Images of all parts.
    pub images: usize,
    /// Images of these whose features the cache holds already.
    pub cached_images: usize,
    /// Bytes of all features.
    pub feature_bytes: u64,
    /// Time for the features that are missing, by a probe on a few images.
    pub seconds: f64,
}

impl Prepared {
    /// What solving the head will take, if it is to be solved.
    pub(in crate::fit) fn plan_solving(&self) -> Result<Option<SolvePlan>> {
        let Some(solving) = &self.solving else { return Ok(None) };
        let Solving { wides, cuts, .. } = solving;
        let all: Vec<&Example> = self.dataset.examples().map(|(_, example)| example).collect();
        let probed: Vec<&Example> = self.dataset.train.iter().take(PROBED).collect();
        let pictures = Examples { dataset: &self.dataset, examples: &probed };
        let (mut bytes, mut cached_images, mut seconds) = (0, all.len(), 0.0);
        for wide in wides {
            let views = &wide.views;
            let mut pass = ViewPass::new(&wide.model, &self.setting.dtype, &self.pipeline, views)?;
            let maker = wide.maker(&self.pipeline, &self.setting);
            let numbers = views.len() * wide.width();
            bytes += (size_of::<f32>() * numbers * all.len()) as u64;
            let cached = maker.cached(wide.width(), &self.dataset, &all)?;
            cached_images = cached_images.min(cached);
            if cached == all.len() {
                continue;
            }
            let mut rows = vec![0.0; probed.len() * numbers];
            // programs are made for sizes that come again
            pass.run(&pictures, &mut rows, &|| {})?;
            let clock = Instant::now();
            pass.run(&pictures, &mut rows, &|| {})?;
            let each = clock.elapsed().as_secs_f64() / probed.len().max(1) as f64;
            seconds += each * (all.len() - cached) as f64;
        }
        Ok(Some(SolvePlan {
            cuts: cuts.iter().rev().map(|cut| cut.path.clone()).collect(),
            views: wides.first().map(|wide| wide.views.clone()).unwrap_or_default(),
            images: all.len(),
            cached_images,
            feature_bytes: bytes,
            seconds,
        }))
    }
}
