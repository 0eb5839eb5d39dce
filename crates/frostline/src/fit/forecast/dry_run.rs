//! What a training does to memory, done on a few images: the training's own calls in its order, with the blocks of feature vectors
//! that it would have.

use crate::fit::features::boundaries::{Boundaries, StagePass};
use crate::fit::features::feature_store::FeatureStore;
use crate::fit::features::pass::Pass;
use crate::fit::features::passes::images_at_once;
use crate::fit::train::evaluate::CHUNK;
use crate::fit::{Caching, Prepared, silent};
use frostline_data::{DataError, Example};
use frostline_engine::Pool;
use frostline_graph::{Freeze, Result};

/// Images for each thread.
const IMAGES: usize = 2;

impl Prepared {
    /// The passes that the stages of the recipe begin with, and that over the test images.
    pub(in crate::fit) fn rehearse_passes(&self, stages: usize, boundaries: &Boundaries) -> Result<()> {
        let of_stages = (0..stages).filter_map(|stage| boundaries.pass(stage, self));
        let of_test = stages.checked_sub(1).and_then(|last| boundaries.test_pass(last, self));
        of_stages.chain(of_test).try_for_each(|pass| self.rehearse_pass(&pass))
    }

    fn rehearse_pass(&self, pass: &StagePass<'_>) -> Result<()> {
        let StagePass { targets, start, images } = pass;
        let width: usize = targets.iter().map(|target| target.feature_len()).sum();
        let few: Vec<&Example> =
            self.dataset.train.iter().take((IMAGES * rayon::current_num_threads()).min(*images)).collect();
        let bound = Pass::new(targets, *start, self.setting.config.features);
        let pixels = Pool::default();
        // memory counts when it is written to
        let mut block = vec![1.0; images_at_once(width).min(*images).max(few.len()) * width];
        let vectors = &mut block[..few.len() * width];
        match start {
            None => {
                let loaded = bound.run_images(self.source(), &few, None, &pixels, vectors, &|| {});
                loaded.into_iter().collect::<std::result::Result<(), DataError>>()?;
            }
            Some(start) => drop(bound.run_vectors(start.feature_len(), |_, _| true, &pixels, vectors)),
        }
        std::hint::black_box(&block);
        Ok(())
    }

    /// The scores of the test images, after the last stage.
    pub(in crate::fit) fn rehearse_test(&self, freeze: &Freeze, is_stored: bool) -> Result<()> {
        let test = self.dataset.test.as_deref().unwrap_or_default();
        let few = &test[..test.len().min(CHUNK)];
        let mut store = match is_stored {
            true => FeatureStore::blank(self.setting.config.features),
            false => FeatureStore::new(&Caching::Nothing, self.setting.config.features),
        };
        self.score_test(few, freeze, &mut store, &silent)?;
        self.score_test_in_f32(few, &silent)?;
        Ok(())
    }
}
