//! What a training leaves behind: the run directory.
//!
//! `metrics.jsonl` grows while the training runs, a line an epoch; `model.keras` is written when it is done,
//! `images.csv` with it, and `run.json` last of all. Until then `checkpoint/` holds what a training goes on from. A search writes `splits.json`, `depth.json` and `report.html` besides. A directory without
//! `run.json` is no finished run, and nothing here reads it as one.

#[cfg(feature = "report")]
mod charts;
#[cfg(feature = "depth")]
pub mod depth;
mod files;
mod images;
mod run;

pub use images::RunImages;
pub use run::{Provenance, RunFolder, RunRecord, TestRecord, read_novelty};
