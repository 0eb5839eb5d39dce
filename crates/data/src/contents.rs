//! What examples hold, whatever they are called: equal contents are one photo.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::split::holdout_by;
use super::{DataError, Dataset, Example, Input};

/// The hashes of contents that were read already, by where these lie. A copy is cheap.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents(Arc<HashMap<Input, blake3::Hash>>);

impl Dataset {
    /// Takes over the hashes of contents that somebody has read; see [`Dataset::content_hash`].
    pub fn note_contents(&mut self, hashes: impl IntoIterator<Item = (Input, blake3::Hash)>) {
        Arc::make_mut(&mut self.contents.0).extend(hashes);
    }

    /// Hashes the contents of all examples, so that [`Dataset::content`] knows them. What is known is not read again.
    ///
    /// Errors: a file that cannot be read.
    pub fn know_contents(&mut self) -> Result<(), DataError> {
        let unknown: Vec<&Example> =
            self.examples().map(|(_, example)| example).filter(|one| self.content(one).is_none()).collect();
        let hashes = unknown
            .par_iter()
            .map(|example| Ok((example.input.clone(), self.content_hash(example)?)))
            .collect::<Result<Vec<_>, DataError>>()?;
        self.note_contents(hashes);
        Ok(())
    }

    /// The hash of an example's content, where it is known: see [`Dataset::know_contents`].
    pub fn content(&self, example: &Example) -> Option<blake3::Hash> {
        self.contents.0.get(&example.input).copied()
    }

    /// The hash of an example's content, read where it is not known.
    ///
    /// Errors: a file that cannot be read.
    pub fn content_of(&self, example: &Example) -> Result<blake3::Hash, DataError> {
        self.content(example).map_or_else(|| self.content_hash(example), Ok)
    }

    /// Splits examples as [`holdout`](super::holdout) does; those of one content, where contents are known, stay on one
    /// side.
    pub fn holdout(
        &self,
        examples: &[Example],
        fraction: f64,
        seed: u64,
    ) -> Result<(Vec<usize>, Vec<usize>), DataError> {
        holdout_by(examples, fraction, seed, &|example| self.content(example))
    }
}
