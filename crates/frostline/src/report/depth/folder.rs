//! What a search leaves in a run's folder.

use super::DepthReport;
use crate::depth::shared::outcomes_of_shards;
use crate::depth::{Outcome, SearchKey, SearchLog};
use crate::fit::{Prepared, Trained};
use crate::report::files::{IMAGES, LEFT_OUT, METRICS, MODEL, NOVELTY, PAGE, RECORD, SHARDS};
use crate::report::{Provenance, RunFolder, RunRecord};
use frostline_graph::Result;
use std::path::Path;

/// Outcomes, a line each; the images that splits hold out; what was found.
const SEARCH: &str = "search.jsonl";
const SPLITS: &str = "splits.json";
const FOUND: &str = "depth.json";

impl RunFolder {
    /// The same for a search, which goes on where it was killed, or ended early.
    pub fn check_search(path: &Path, data: &Path) -> Result<()> {
        let found: Option<serde_json::Value> =
            std::fs::read(path.join(FOUND)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if path.join(RECORD).exists() && found.is_none_or(|found| found["ended_early"] != true) {
            return Self::check(path, data);
        }
        Self::check_place(
            path,
            data,
            &[METRICS, MODEL, IMAGES, LEFT_OUT, NOVELTY, RECORD, FOUND, PAGE, SPLITS, SEARCH, SHARDS],
        )
    }

    /// The same with [`RunFolder::check_search`], with the outcomes of the same search so far.
    pub fn create_search(
        path: &Path,
        data: &Path,
        key: &SearchKey,
    ) -> Result<(Self, SearchLog, Vec<Outcome>)> {
        Self::check_search(path, data)?;
        let folder = Self::open(path)?;
        let (log, mut known) = SearchLog::open(&path.join(SEARCH), key, SearchKey::difference)?;
        // what processes found that share the search becomes a part of it
        for outcome in outcomes_of_shards(path, key)? {
            let is_same = |other: &Outcome| {
                (&other.arm, other.repeat, other.share) == (&outcome.arm, outcome.repeat, outcome.share)
            };
            if !known.iter().any(is_same) {
                log.append(&outcome)?;
                known.push(outcome);
            }
        }
        Ok((folder, log, known))
    }

    /// Writes the names of the images that each split of a search holds out, as `splits.json`.
    pub fn splits(&self, held_out: &[Vec<String>]) -> Result<()> {
        self.json(SPLITS, &held_out)
    }

    /// Writes what a search has found, as `depth.json`, and the model that it recommends as [`RunFolder::finish`] does; the page is that
    /// of the search.
    pub fn finish_search(
        self,
        report: &DepthReport,
        prepared: &Prepared,
        trained: &Trained,
        source: Provenance,
        seconds: f64,
    ) -> Result<RunRecord> {
        self.json(FOUND, &report.document())?;
        let record = self.without_record(prepared, trained, source, seconds)?;
        #[cfg(feature = "report")]
        let record = self.with_page(prepared, trained, record, |training| report.page(training));
        self.seal(&record)?;
        Ok(record)
    }
}
