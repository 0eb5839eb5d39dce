//! The arguments of `serve`.

use super::predict::predict_options;
use super::values::{count, limit, size, threshold};
use super::{Images, ModelFile, Storage, ViewsAtPredict};
use clap::Args;
use frostline::predict::PredictOptions;
use std::net::SocketAddr;
use std::time::Duration;

const EXAMPLES: &str = "Examples:
  frostline serve run
  curl -F image=@photo.jpg http://127.0.0.1:8000/predict
  FROSTLINE_TOKEN=secret frostline serve run --addr 0.0.0.0:8000 --name flowers";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// Where to listen; with port 0 the system chooses one, which is printed.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(crate) addr: SocketAddr,
    /// What the model is called in addresses and answers [default: its file or folder].
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// What requests must bring as `Authorization: Bearer TOKEN`; better given in the environment variable FROSTLINE_TOKEN, since
    /// other users of the machine see arguments [default: none].
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// A class whose score is below T is told as none; where an image may have several labels, it has those above T, instead of
    /// 0.5. Raw outputs are as they are.
    #[arg(long, value_name = "T", value_parser = threshold)]
    pub(crate) threshold: Option<f32>,
    #[command(flatten)]
    pub(crate) views: ViewsAtPredict,
    #[command(flatten, next_help_heading = "Limits")]
    pub(crate) limits: LimitFlags,
    #[command(flatten, next_help_heading = "Images")]
    pub(crate) images: Images,
    #[command(flatten, next_help_heading = "Images")]
    pub(crate) storage: Storage,
}

/// What a client may ask for.
#[derive(Args, Clone, Copy)]
pub(crate) struct LimitFlags {
    /// The largest body of a request.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size)]
    pub(crate) max_body: u64,
    /// The most pixels of an image, and the most values of a row of an array.
    #[arg(long, value_name = "N", default_value_t = 50_000_000)]
    pub(crate) max_pixels: u64,
    /// The most images that are predicted together, and that a request may hold.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = count)]
    pub(crate) max_batch: usize,
    /// So long a request may take to arrive, and so long its answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = limit)]
    pub(crate) timeout: Duration,
    /// The most connections at a time.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = count)]
    pub(crate) connections: usize,
}

impl Serve {
    /// The same as the library has it.
    ///
    /// Error: a precision that is for training alone.
    pub(crate) fn options(&self) -> frostline::Result<PredictOptions> {
        predict_options(&self.model, &self.views, &self.storage, &self.images)
    }
}
