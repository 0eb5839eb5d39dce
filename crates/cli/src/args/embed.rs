//! The arguments of `embed` and `similar`.

use super::caching::cache_place;
use super::values::{count, size};
use super::{CachePlace, Images, Labels, ModelFile, Photos, Storage};
use clap::Args;
use frostline::Shard;
use frostline::data::View;
use frostline::embed::Distance;
use std::path::PathBuf;
use std::sync::Arc;

/// Which features are made, of what.
#[derive(Args)]
pub(crate) struct Features {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// As for `train`; or a folder of photos without class folders.
    pub(crate) data: PathBuf,
    /// The layer whose output is taken [default: the features that the classifier stands on].
    #[arg(long, value_name = "LAYER", help_heading = "Features")]
    pub(crate) cut: Option<String>,
    /// The views of an image whose features are averaged: `own`, or factors of the model's own size as `1,1.4`, which keep the
    /// photo's shape [default: those that were saved with the model, else own].
    #[arg(long, value_name = "VIEWS", value_delimiter = ',', help_heading = "Features")]
    pub(crate) views: Option<Vec<View>>,
    /// Where features are kept that were computed once [default: in the user's cache folder].
    #[arg(long, value_name = "DIR", value_parser = cache_place(), help_heading = "Features")]
    pub(crate) cache: Option<CachePlace>,
    /// How large the cache may grow; what was not used for the longest time goes first.
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = size, help_heading = "Features")]
    pub(crate) cache_limit: u64,
    /// Read nothing from the cache and keep nothing there.
    #[arg(long, help_heading = "Features")]
    pub(crate) no_cache: bool,
    #[command(flatten)]
    pub(crate) labels: Labels,
    #[command(flatten)]
    pub(crate) images: Images,
    #[command(flatten)]
    pub(crate) storage: Storage,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  frostline embed model.keras photos/ -o features.npz
  frostline embed run photos/ -o features.npz --cut block_13_project_BN
  frostline embed run unlabelled/ -o features.parquet --views 1,1.4
  frostline embed run photos/ -o features.parquet --shard 3/64

An .npz holds `features` [images, width] (f32), `labels` (the class's number, -1 where there is none; of several labels zeros and \
ones; else numbers), `paths`, `part` (train, val, test), `classes` and `layer`. In Python:
  data = numpy.load(\"features.npz\"); x, y = data[\"features\"], data[\"labels\"]

A .parquet is a table: `path`, `part`, `label` (the class's name; `labels` where there may be several, `values` of numbers) and \
`features`, a list of f32. The layer, the shape and the classes are in its metadata.

Memory is bounded, whatever the number of images. A pass that was interrupted goes on where it was: what was computed is in the \
cache.")]
pub(crate) struct Embed {
    #[command(flatten)]
    pub(crate) features: Features,
    /// The file to write.
    #[arg(short, long, value_name = "F.npz|F.parquet")]
    pub(crate) output: PathBuf,
    /// What becomes of an output with pixels or tokens: `mean` over them, or `none`, which keeps its shape.
    #[arg(long, value_name = "mean|none", default_value = "mean", value_parser = ["mean", "none"])]
    pub(crate) pooling: String,
    /// Be the process I of N, counted from 0, that share the images: its part goes into a file beside F, and `frostline merge F` makes
    /// F of them.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Where those of this process come from, if they lie in a store.
    #[arg(skip)]
    pub(crate) photos: Option<Arc<dyn Photos>>,
    /// One JSON document instead of a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  frostline similar run photos/ photo.jpg
  frostline similar run photos/ photo.jpg --top 30 -o similar.html

Every photo of DATA is compared; the features of those that were seen before come from the cache. A photo that is itself in DATA \
comes first, at distance 0.")]
pub(crate) struct Similar {
    #[command(flatten)]
    pub(crate) features: Features,
    /// The photo that others are compared with.
    pub(crate) image: PathBuf,
    /// How many of the nearest are told.
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = count)]
    pub(crate) top: usize,
    /// How distance is measured: `cosine` (1 less the cosine, from 0 to 2) or `l2`.
    #[arg(long, value_name = "cosine|l2", default_value = "cosine")]
    pub(crate) metric: Distance,
    /// Write a page with the photos, too: one file that loads nothing.
    #[arg(short, long, value_name = "PAGE.html")]
    pub(crate) output: Option<PathBuf>,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}
