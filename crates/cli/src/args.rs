//! The commands, and their arguments.

mod about;
mod caching;
mod classes;
mod data;
mod embed;
mod examples;
mod explain;
mod grouped;
mod merge;
mod photos;
mod predict;
#[cfg(feature = "pull")]
mod pull;
#[cfg(feature = "serve")]
mod serve;
mod training;
mod values;

pub(crate) use about::{Completions, Doctor, Man, Models};
pub(crate) use caching::{CacheFolder, CachePlace};
pub(crate) use classes::{AddClass, RemoveClass, Rewritten};
pub(crate) use data::{Arrays, Excluded, Labels};
pub(crate) use embed::{Embed, Features, Similar};
pub(crate) use explain::Explain;
pub(crate) use grouped::command;
pub(crate) use merge::{Merge, Sharing};
pub(crate) use photos::Photos;
pub(crate) use predict::Predict;
#[cfg(feature = "pull")]
pub(crate) use pull::Pull;
#[cfg(feature = "serve")]
pub(crate) use serve::{LimitFlags, Serve};
pub(crate) use training::{Auto, Images, Storage, Training};
pub(crate) use values::{Budget, is_address};

use clap::{Args, Parser, Subcommand};
use frostline::fit::{Every, ImageSize, Loss};
use frostline::formats::{Architecture, Custom, LoadOptions, Loaded, MatchBy};
use frostline::graph::Model;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use values::{budget, count, every, match_by};

/// Reuse the lower layers of a pretrained network for a new task.
///
/// Results go to standard output, progress and warnings to standard error. Exit status: 0 done, 1 it failed, 2 the
/// arguments are wrong.
#[derive(Parser)]
#[command(name = "frostline", version, max_term_width = grouped::COLUMNS)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// No progress; warnings and errors alone.
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// Threads that work [default: all cores].
    #[arg(long, global = true, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Decides split, order, dropout, views and new weights.
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The layers of a model, where it can be cut, and what became of every tensor in its file.
    Inspect(Inspect),
    /// What a training will do and cost, from a dry run on a few images.
    Plan(Box<Plan>),
    /// Reuse a model's lower layers for new data, and write a run directory.
    Train(Box<Train>),
    /// How many layers to reuse: scores of every cut, then a search over what is kept, frozen and trained.
    Depth(Depth),
    /// Loss, accuracy, scores by class and the confusion matrix of a model on data.
    Evaluate(Evaluate),
    /// The class and scores of images.
    Predict(Predict),
    /// A page to drop an image on, and predictions over HTTP: plain, TensorFlow Serving's protocol, the Open Inference Protocol.
    #[cfg(feature = "serve")]
    Serve(Box<Serve>),
    /// What a layer of a model makes of images: features with labels and paths, as arrays of NumPy.
    Embed(Embed),
    /// The photos that are most like one, by the features of a model.
    Similar(Similar),
    /// Make one result of what processes have computed that shared `embed` or `depth` with --shard.
    Merge(Merge),
    /// Where in images a model sees their class: a heat map over each (Grad-CAM).
    Explain(Explain),
    /// What is wrong with photos: damaged ones, copies, classes with few; with a model those that look mislabelled, too.
    Check(Check),
    /// A run with one class more, from a folder of its photos: the head alone is solved anew.
    AddClass(AddClass),
    /// A run with one class less: the head alone is solved anew.
    RemoveClass(RemoveClass),
    /// The photos without labels that are worth labelling next.
    Suggest(Suggest),
    /// Write a model in another format, by the ending: .keras, .h5, .weights.h5, .safetensors, .onnx.
    Convert(Convert),
    /// Compare a model's outputs and gradients with what another framework computed.
    Verify(Verify),
    /// What is known to work: architectures, with size and published accuracy, and how to get them.
    Models(Models),
    /// Download a pretrained model from the hub, with checksum and licence.
    #[cfg(feature = "pull")]
    Pull(Pull),
    /// What this machine has, and whether frostline can work on it: processor, memory, cache, versions.
    Doctor(Doctor),
    /// The features of frozen layers that are kept on disk: list, verify, clear.
    Cache(Cache),
    /// What completes commands and flags in a shell: bash, zsh, fish, powershell, elvish.
    Completions(Completions),
    /// The pages of the manual, for man.
    Man(Man),
    /// The textbook experiment on data that is built in: from scratch, reused and frozen, then unfrozen.
    Demo(Demo),
}

impl Command {
    /// The model that it works on.
    pub(crate) fn model(&self) -> Option<&Path> {
        match self {
            Self::Inspect(command) => Some(&command.model.path),
            Self::Plan(command) => Some(&command.model.path),
            Self::Train(command) => Some(&command.model.path),
            Self::Depth(command) => Some(&command.model.path),
            Self::Evaluate(command) => Some(&command.model.path),
            Self::Predict(command) => Some(&command.model.path),
            #[cfg(feature = "serve")]
            Self::Serve(command) => Some(&command.model.path),
            Self::Explain(command) => Some(&command.model.path),
            Self::Embed(command) => Some(&command.features.model.path),
            Self::Similar(command) => Some(&command.features.model.path),
            Self::Convert(command) => Some(&command.model.path),
            Self::Verify(command) => Some(&command.model.path),
            Self::Check(command) => command.model.as_deref(),
            Self::Suggest(command) => Some(&command.model.path),
            Self::AddClass(command) => Some(&command.run),
            Self::RemoveClass(command) => Some(&command.run),
            #[cfg(feature = "pull")]
            Self::Pull(_) => None,
            Self::Cache(_) | Self::Demo(_) | Self::Models(_) | Self::Doctor(_) | Self::Merge(_) => None,
            Self::Completions(_) | Self::Man(_) => None,
        }
    }
}

impl Command {
    /// How it takes images in.
    pub(crate) fn images(&self) -> Option<&Images> {
        match self {
            Self::Plan(command) => Some(&command.training.images),
            Self::Train(command) => Some(&command.training.images),
            Self::Depth(command) => Some(&command.images),
            Self::Evaluate(command) => Some(&command.images),
            Self::Predict(command) => Some(&command.images),
            #[cfg(feature = "serve")]
            Self::Serve(command) => Some(&command.images),
            Self::Explain(command) => Some(&command.images),
            Self::Embed(command) => Some(&command.features.images),
            Self::Similar(command) => Some(&command.features.images),
            Self::Check(command) => Some(&command.images),
            Self::Suggest(command) => Some(&command.images),
            Self::AddClass(_) | Self::RemoveClass(_) => None,
            Self::Inspect(_) | Self::Convert(_) | Self::Verify(_) | Self::Cache(_) | Self::Demo(_) => None,
            #[cfg(feature = "pull")]
            Self::Pull(_) => None,
            Self::Models(_) | Self::Doctor(_) | Self::Completions(_) | Self::Man(_) | Self::Merge(_) => None,
        }
    }
}

/// The model that a command works on.
#[derive(Args)]
pub(crate) struct ModelFile {
    /// A .keras, .h5, .onnx or .safetensors file, or a run directory.
    #[arg(value_name = "MODEL")]
    pub(crate) path: PathBuf,
    /// What a .safetensors file of torchvision or timm holds the weights of, by its name there: resnet50, convnext_tiny,
    /// vit_base_patch16_224.augreg2_in21k_ft_in1k. docs/pytorch-names.md lists all.
    #[arg(long, value_name = "NAME")]
    pub(crate) arch: Option<Architecture>,
    /// What a layer of your own class or a Lambda is, by its class or its name: `Swish=silu`, `L2=normalize(axis=-1)`,
    /// `Augment=identity`, or another operation of keras.ops. May be given several times.
    #[arg(long, value_name = "NAME=WHAT")]
    pub(crate) custom: Vec<Custom>,
    /// The model itself, where it is in memory: `path` is then what it is called.
    #[arg(skip)]
    pub(crate) held: Option<Arc<Loaded>>,
}

impl ModelFile {
    pub(crate) fn options(&self) -> LoadOptions {
        LoadOptions { architecture: self.arch, custom: self.custom.clone(), ..LoadOptions::default() }
    }
}

/// How many views of an image a prediction is taken from.
#[derive(Args)]
pub(crate) struct ViewsAtPredict {
    /// Average at most so many views of an image: fewer are faster, and a little less often right [default: those that were
    /// saved with the model].
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) views_at_predict: Option<usize>,
}

impl ViewsAtPredict {
    /// Leaves a model with so many views.
    pub(crate) fn onto(&self, model: &mut Model) {
        model.info.views.truncate(self.views_at_predict.unwrap_or(usize::MAX));
    }
}

#[derive(Args)]
#[command(after_help = examples::INSPECT)]
pub(crate) struct Inspect {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = examples::TRAIN)]
pub(crate) struct Train {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// A folder with one folder a class (or train/, val/, test/ above those), a CSV `path,label[,split]`, an .npz
    /// with `x_train, y_train[, x_test, y_test]`, or .tar or .parquet files (one, a folder of them, 'shard-{000..012}.tar');
    /// here, or at s3://, gs://, az:// or https://.
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) labels: Labels,
    /// The run directory to write.
    #[arg(short, long, value_name = "RUN")]
    pub(crate) output: PathBuf,
    /// Go on with the training in RUN that was stopped or killed; the result is the same bit for bit. Give the flags that it was
    /// begun with.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Within an epoch, leave a checkpoint at most so often: after a time (30s, 5m), or after so many steps (100). There is one after
    /// each epoch, too.
    #[arg(long, value_name = "T", default_value = "30s", value_parser = every)]
    pub(crate) checkpoint_every: Every,
    /// Print run.json.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) training: Training,
}

#[derive(Args)]
#[command(after_help = examples::PLAN)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// As for `train`.
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) labels: Labels,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) training: Training,
}

#[derive(Args)]
#[command(after_help = examples::DEPTH)]
pub(crate) struct Depth {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// As for `train`. A test part is held out to score arms, and nothing is selected by it; without one, a quarter of the images is held out.
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) labels: Labels,
    /// The run directory to write; a search that was ended goes on in it. Without it, cuts are scored and nothing is trained.
    #[arg(short, long, value_name = "RUN")]
    pub(crate) output: Option<PathBuf>,
    /// The layers to cut behind, separated by commas; the baselines always use the whole backbone [default: the ends
    /// of blocks, up to the output layer].
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    pub(crate) cuts: Vec<String>,
    /// Begin no training after so long (90s, 10m, 2h), or after so many of them (40) [default: no limit].
    #[arg(long, value_name = "LIMIT", allow_hyphen_values = true, value_parser = budget, requires = "output")]
    pub(crate) budget: Option<Budget>,
    /// Splits, each with a seed of its own, that the arms of the last round are trained on.
    #[arg(long, value_name = "R", default_value_t = 10, value_parser = count, requires = "output")]
    pub(crate) repeats: usize,
    /// Train the arms around every cut on every split, instead of ruling out the worse half on the way: takes about ten times
    /// as long.
    #[arg(long, requires = "output")]
    pub(crate) exhaustive: bool,
    #[command(flatten)]
    pub(crate) sharing: Sharing,
    #[command(flatten)]
    pub(crate) cache: CacheFolder,
    /// One JSON document instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) images: Images,
}

#[derive(Args)]
#[command(after_help = examples::EVALUATE)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// As for `train`; the test part where there is one, else all.
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) labels: Labels,
    /// Write the scores as a page too, with the confusion matrix and the worst mistakes as pictures: a file that ends in .html, or a
    /// folder, which gets a report.html.
    #[arg(short, long, value_name = "PAGE")]
    pub(crate) output: Option<PathBuf>,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) views: ViewsAtPredict,
    /// train, val or test.
    #[arg(long, value_name = "NAME", value_parser = ["train", "val", "test"])]
    pub(crate) split: Option<String>,
    /// A loss by its Keras name [default: from the labels].
    #[arg(long, value_name = "NAME")]
    pub(crate) loss: Option<Loss>,
    #[command(flatten)]
    pub(crate) images: Images,
    #[command(flatten)]
    pub(crate) storage: Storage,
}

#[derive(Args)]
#[command(after_help = examples::CHECK)]
pub(crate) struct Check {
    /// As for `train`.
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) labels: Labels,
    /// A model whose features tell more: photos that look mislabelled, near duplicates, photos far from all others.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// What a .safetensors file holds the weights of, as for `train`.
    #[arg(long, value_name = "NAME", requires = "model")]
    pub(crate) arch: Option<Architecture>,
    /// One JSON document instead of lists.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) cache: CacheFolder,
    #[command(flatten)]
    pub(crate) images: Images,
}

#[derive(Args)]
#[command(after_help = examples::SUGGEST)]
pub(crate) struct Suggest {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// A folder of photos without labels.
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) excluded: Excluded,
    /// How many to suggest.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = count)]
    pub(crate) count: usize,
    /// One JSON object a line, an image each.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) images: Images,
    #[command(flatten)]
    pub(crate) storage: Storage,
}

#[derive(Args)]
#[command(after_help = examples::CONVERT)]
pub(crate) struct Convert {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// The file to write.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Load these weights (.weights.h5, the .weights.json of sharded ones, .h5 or .safetensors) onto the model first.
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// With --weights: what layers are matched by. `order`, as Keras's load_weights: the n-th layer with weights gets those of the
    /// n-th, whatever their names.
    #[arg(long, value_name = "name|order", default_value = "name", value_parser = match_by, requires = "weights")]
    pub(crate) weights_by: MatchBy,
    /// With --weights: weights that the file does not fill, or not in their shape, stay what they are in MODEL, and are listed.
    #[arg(long, requires = "weights")]
    pub(crate) skip_mismatch: bool,
    /// Write the resizing and scaling of images into the ONNX graph, which then takes images of any size, uint8
    /// [batch, height, width, channels].
    #[arg(long)]
    pub(crate) embed_preprocessing: bool,
    /// With --embed-preprocessing: the size of the model's images, where it leaves that open.
    #[arg(long, value_name = "SIZE", requires = "embed_preprocessing")]
    pub(crate) image_size: Option<ImageSize>,
    /// With --embed-preprocessing: tf, caffe, torch, unit or none, where the model does not say what it was trained with.
    #[arg(long, value_name = "NAME", default_value = "auto", requires = "embed_preprocessing")]
    pub(crate) preprocess: String,
    #[command(flatten)]
    pub(crate) views: ViewsAtPredict,
    /// One JSON document instead of a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = examples::VERIFY)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// An .npz with input_0…, output_0…, and for gradients target_0, loss, grad/PATH.
    #[arg(long, value_name = "G.npz")]
    pub(crate) against: PathBuf,
    /// The largest difference: of outputs as a share of the largest, of gradients in relative norm
    /// [default: 1e-4 and 1e-3].
    #[arg(long, value_name = "T")]
    pub(crate) tolerance: Option<f64>,
    /// How the reference's loss was computed [default: `loss_name` in the file, else by the model's last activation].
    #[arg(long, value_name = "NAME")]
    pub(crate) loss: Option<Loss>,
    /// One JSON document instead of lines.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = examples::CACHE)]
pub(crate) struct Cache {
    /// `list` what is in it, `verify` every feature vector and remove what is damaged, or `clear` it.
    pub(crate) action: CacheAction,
    /// Its folder [default: in the user's cache folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is done with the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CacheAction {
    List,
    Verify,
    Clear,
}

#[derive(Args)]
#[command(after_help = examples::DEMO)]
pub(crate) struct Demo {
    /// How many seeds; each has its own split and its own new weights.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(2..=1000))]
    pub(crate) seeds: u64,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}
