//! The names of the files in a run's folder.

/// What a training goes on from that was stopped; removed when the run is finished.
pub(in crate::report) const CHECKPOINT: &str = "checkpoint";
/// A line `part,label,hash,name` for each image.
pub(in crate::report) const IMAGES: &str = "images.csv";
/// Each training image as a head predicts it that has not seen it.
pub(crate) const LEFT_OUT: &str = "left-out.csv";
/// A line an epoch.
pub(in crate::report) const METRICS: &str = "metrics.jsonl";
/// The trained model.
pub(in crate::report) const MODEL: &str = "model.keras";
/// What tells images that are none of the classes.
pub(in crate::report) const NOVELTY: &str = "none-of-these.json";
/// What was done and what came out, as a page.
pub(in crate::report) const PAGE: &str = "report.html";
/// The name of the file in a run's folder that says what was done and what came out; written last.
pub const RECORD: &str = "run.json";
/// What processes leave that share a search.
pub(crate) const SHARDS: &str = "shards";
