//! What a training leaves behind: the run directory.
//!
//! `metrics.jsonl` grows while the training runs, a line an epoch; `model.keras` is written when it is done,
//! `images.csv` and, with the feature `report`, `report.html` with it, and `run.json` last of all. Until then `checkpoint/` holds what
//! a training goes on from. A search writes `splits.json` and `depth.json` besides. A directory without `run.json` is no finished run,
//! and nothing here reads it as one.

#[cfg(feature = "report")]
mod charts;
#[cfg(feature = "depth")]
pub mod depth;
mod files;
mod images;
mod interval;
mod next_step;
#[cfg(feature = "report")]
mod page;
mod run;
mod table_cell;
#[cfg(feature = "report")]
mod themed;

pub(crate) use files::LEFT_OUT as LEFT_OUT_FILE;
pub use files::RECORD as RECORD_FILE;
#[cfg(feature = "depth")]
pub(crate) use files::SHARDS;
pub use images::RunImages;
pub use next_step::NextStep;
#[cfg(feature = "report")]
pub use page::{EvaluationPage, Shown, SimilarPage};
pub use run::{Provenance, RunFolder, RunRecord, TestRecord, read_novelty};
pub use table_cell::spreadsheet_safe;
