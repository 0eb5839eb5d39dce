//! The arguments of `predict`.

use super::values::{count, threshold};
use super::{Arrays, Excluded, Images, ModelFile, Storage, ViewsAtPredict};
use clap::Args;
use frostline::predict::PredictOptions;
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:
  frostline predict run photo.jpg
  frostline predict run photos/ more/*.jpg -o scores.csv
  find . -name '*.jpg' | frostline predict run - --threshold 0.6 -o scores.jsonl";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Predict {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// Images, folders of images, patterns as 'photos/**/*.jpg', or - for a list on standard input, one path a line; or one .npy or
    /// .npz batch in the model's own input layout. An .npy of float32 is read as memory, and must not be written to meanwhile.
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// One JSON object a line, an image each.
    #[arg(long)]
    pub(crate) json: bool,
    /// How many classes a line shows, the likeliest first; with --json, `top` names them [default: 3].
    #[arg(long, value_name = "K", value_parser = count)]
    pub(crate) top: Option<usize>,
    /// A class whose score is below T is told as none; where an image may have several labels, it has those above T, instead of
    /// 0.5.
    #[arg(long, value_name = "T", value_parser = threshold)]
    pub(crate) threshold: Option<f32>,
    #[command(flatten)]
    pub(crate) views: ViewsAtPredict,
    /// Write a table (.csv: image, class, score, a column a class), the lines of --json (.jsonl), or the raw outputs (.npz:
    /// output_0, …). In a table, names that a spreadsheet would take for a formula begin with '.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) excluded: Excluded,
    #[command(flatten)]
    pub(crate) arrays: Arrays,
    #[command(flatten)]
    pub(crate) images: Images,
    #[command(flatten)]
    pub(crate) storage: Storage,
}

impl Predict {
    /// The same as the library has it.
    ///
    /// Error: a precision that is for training alone.
    pub(crate) fn options(&self) -> frostline::Result<PredictOptions> {
        predict_options(&self.model, &self.views, &self.storage, &self.images)
    }
}

/// How a model is opened that predicts.
///
/// Error: a precision that is for training alone.
pub(super) fn predict_options(
    model: &ModelFile,
    views: &ViewsAtPredict,
    storage: &Storage,
    images: &Images,
) -> frostline::Result<PredictOptions> {
    Ok(PredictOptions {
        load: model.options(),
        views: views.views_at_predict,
        precision: storage.precision.unwrap_or_default().try_into()?,
        pictures: images.settings(),
    })
}
