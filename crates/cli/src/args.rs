//! The arguments.

use clap::{Args, Parser, Subcommand};
use frostline::Precision;
use frostline::cache::RowElement;
use frostline::data::{Augment, Preprocess, Resize, ScaledDecode};
use frostline::fit::{ClassWeights, Head, ImageSize, Loss, Metric, OptimizerKind, Recipe, Schedule};
use frostline::formats::Architecture;
use frostline::freeze::Unfreeze;
use frostline::graph::Keep;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Reuse the lower layers of a pretrained network for a new task.
///
/// Results go to standard output, progress and warnings to standard error. Exit status: 0 done, 1 it failed, 2 the
/// arguments are wrong.
#[derive(Parser)]
#[command(name = "frostline", version, max_term_width = 110)]
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
    /// What a training will do and cost, from a rehearsal on a few images.
    Plan(Box<Plan>),
    /// Reuse a model's lower layers for new data, and write a run directory.
    Train(Box<Train>),
    /// How many layers to reuse: scores of every cut, then a search over what is kept, frozen and trained.
    Depth(Depth),
    /// Loss, accuracy, scores by class and the confusion matrix of a model on data.
    Evaluate(Evaluate),
    /// The class and scores of images.
    Predict(Predict),
    /// Write a model in another format, by the ending: .keras, .h5, .weights.h5, .safetensors, .onnx.
    Convert(Convert),
    /// Compare a model's outputs and gradients with what another framework computed.
    Verify(Verify),
    /// The features of frozen layers that are kept on disk: list, verify, clear.
    Cache(Cache),
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
            Self::Convert(command) => Some(&command.model.path),
            Self::Verify(command) => Some(&command.model.path),
            Self::Cache(_) | Self::Demo(_) => None,
        }
    }
}

/// The model that a command works on.
#[derive(Args)]
pub(crate) struct ModelFile {
    /// A .keras, .h5, .onnx or .safetensors file, or a run directory.
    #[arg(value_name = "MODEL")]
    pub(crate) path: PathBuf,
    /// What a .safetensors file of torchvision or timm holds the weights of: resnet18, resnet34, resnet50, mobilenet_v2,
    /// mobilenet_v3_large, mobilenet_v3_small, efficientnet_b0 or convnext_tiny.
    #[arg(long, value_name = "NAME")]
    pub(crate) arch: Option<Architecture>,
}

#[derive(Args)]
pub(crate) struct Inspect {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Train {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// A folder with one folder a class (or train/, val/, test/ above those), a CSV `path,label[,split]`, or an .npz
    /// with `x_train, y_train[, x_test, y_test]`.
    pub(crate) data: PathBuf,
    /// The run directory to write.
    #[arg(short, long, value_name = "RUN")]
    pub(crate) output: PathBuf,
    /// Print run.json.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) training: Training,
}

#[derive(Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// As for `train`.
    pub(crate) data: PathBuf,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) training: Training,
}

#[derive(Args)]
pub(crate) struct Depth {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// As for `train`. A test part is only quoted; without one, a quarter of the images is.
    pub(crate) data: PathBuf,
    /// The run directory to write; a search that was ended goes on in it. Without it, cuts are scored and nothing is trained.
    #[arg(short, long, value_name = "RUN")]
    pub(crate) output: Option<PathBuf>,
    /// The layers to cut behind, separated by commas; the controls stand on the highest [default: the ends of blocks, up to the output layer].
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    pub(crate) cuts: Vec<String>,
    /// Begin no training after so long (90s, 10m, 2h), or after so many of them (40) [default: no limit].
    #[arg(long, value_name = "LIMIT", value_parser = budget, requires = "output")]
    pub(crate) budget: Option<Budget>,
    /// Splits, each with a seed of its own, that the arms of the last round are trained on.
    #[arg(long, value_name = "R", default_value_t = 10, value_parser = count, requires = "output")]
    pub(crate) repeats: usize,
    /// Train the arms around every cut on every split, instead of ruling out the worse half on the way: takes about ten times
    /// as long.
    #[arg(long, requires = "output")]
    pub(crate) exhaustive: bool,
    /// Where the features of frozen layers are kept [default: in the user's cache folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// How large the cache may grow; what was not used for the longest time goes first.
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = size)]
    pub(crate) cache_limit: u64,
    /// One JSON document instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) images: Images,
}

/// What is trained, on what, and where features are kept.
#[derive(Args)]
pub(crate) struct Training {
    #[command(flatten)]
    pub(crate) reuse: Reuse,
    #[command(flatten)]
    pub(crate) images: Images,
    #[command(flatten)]
    pub(crate) storage: Storage,
    /// Validation: a share of the training images, stratified; 0 for none; or a folder [default: val/, else 0.2].
    #[arg(long, value_name = "V", value_parser = validation)]
    pub(crate) val: Option<String>,
    /// Round the features of frozen layers to f32 or bf16, which halves their bytes; the same with the cache and without
    /// [default: f32; bf16 where --precision bf16 has made them so already].
    #[arg(long, value_name = "F")]
    pub(crate) features: Option<RowElement>,
    /// Compute the frozen layers again in every epoch; the result is the same bit for bit.
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Where the features of frozen layers are kept, for this run and later ones [default: in the user's cache folder].
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    pub(crate) cache: Option<PathBuf>,
    /// How large the cache may grow; what was not used for the longest time goes first.
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = size)]
    pub(crate) cache_limit: u64,
}

/// What a recipe says, flag by flag.
#[derive(Args)]
pub(crate) struct Reuse {
    /// Stages and settings in TOML, or the run.json of a run, instead of the flags of this group.
    #[arg(long, value_name = "FILE", exclusive = false)]
    pub(crate) recipe: Option<PathBuf>,
    /// Layers to keep: a layer path, N lowest, -N for all but the N highest, or `auto`, as many as `depth` finds
    /// [default: all but the output layer].
    #[arg(long, value_name = "K", allow_hyphen_values = true, conflicts_with = "recipe")]
    pub(crate) keep: Option<Auto<Keep>>,
    /// Layers to put on top before the output layer, e.g. "gap dropout(0.3) dense(128,relu)"; `keep` keeps the model's
    /// own head.
    #[arg(
        long,
        value_name = "SPEC",
        default_value = "none",
        conflicts_with = "recipe",
        hide_default_value = true
    )]
    pub(crate) head: Head,
    /// Reused layers to train after the head: 0, N highest, a layer path (it and all above it), all, or `auto`, as far down as
    /// `depth` finds [default: 0].
    #[arg(long, value_name = "U", conflicts_with_all = ["recipe", "freeze"])]
    pub(crate) unfreeze: Option<Auto<Unfreeze>>,
    /// Freeze exactly these layers (comma separated, a nested model's path freezes all in it, `none` for nothing), for
    /// one stage of --epochs.
    #[arg(long, value_name = "LIST", conflicts_with = "recipe")]
    pub(crate) freeze: Option<String>,
    /// Unfreeze block by block from the top while the validation score improves by more than its standard error.
    #[arg(long, conflicts_with_all = ["recipe", "freeze", "unfreeze"])]
    pub(crate) gradual: bool,
    /// Epochs with the backbone frozen.
    #[arg(long, value_name = "E", default_value_t = 10, value_parser = count, conflicts_with = "recipe")]
    pub(crate) epochs: usize,
    /// Epochs with the layers of --unfreeze or --gradual trained.
    #[arg(long, value_name = "F", default_value_t = 5, conflicts_with = "recipe")]
    pub(crate) fine_tune_epochs: usize,
    /// The head's learning rate; a tenth of it once reused layers train.
    #[arg(long, value_name = "X", default_value_t = 1e-3, value_parser = positive, conflicts_with = "recipe")]
    pub(crate) lr: f32,
    /// The rate of reused layers as a share of the head's [default: 0.1; 1 with --freeze or --weights reinit].
    #[arg(long, value_name = "F", value_parser = not_negative, conflicts_with = "recipe")]
    pub(crate) backbone_lr_factor: Option<f32>,
    /// sgd, rmsprop, adam, adamw, with settings as in sgd(momentum=0.9,nesterov=true).
    #[arg(long, value_name = "NAME", default_value = "adam", conflicts_with = "recipe")]
    pub(crate) optimizer: OptimizerKind,
    /// A loss by its Keras name [default: from the labels].
    #[arg(long, value_name = "NAME", conflicts_with = "recipe")]
    pub(crate) loss: Option<Loss>,
    /// What decides which epoch is best: accuracy, top5, auc, precision, recall, f1, mse, mae [default: accuracy].
    #[arg(long, value_name = "NAME", conflicts_with = "recipe")]
    pub(crate) metric: Option<Metric>,
    /// constant, exponential(0.9), cosine, plateau(0.5,3).
    #[arg(long, value_name = "NAME", default_value = "constant", conflicts_with = "recipe")]
    pub(crate) schedule: Schedule,
    /// Decoupled weight decay, on every trained weight.
    #[arg(long, value_name = "D", default_value_t = 0.0, value_parser = not_negative, conflicts_with = "recipe")]
    pub(crate) weight_decay: f32,
    /// How far targets are drawn to the even distribution, from 0 to below 1.
    #[arg(long, value_name = "S", default_value_t = 0.0, value_parser = below_one, conflicts_with = "recipe")]
    pub(crate) label_smoothing: f32,
    /// `balanced`, or weights by class as 0=1.0,1=2.5.
    #[arg(long, value_name = "W", conflicts_with = "recipe")]
    pub(crate) class_weights: Option<ClassWeights>,
    /// The largest norm of all gradients together.
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "recipe")]
    pub(crate) clip_norm: Option<f32>,
    /// Images a step.
    #[arg(long, value_name = "B", default_value_t = 32, value_parser = count, conflicts_with = "recipe")]
    pub(crate) batch: usize,
    /// Take the images in their order.
    #[arg(long, conflicts_with = "recipe")]
    pub(crate) no_shuffle: bool,
    /// Epochs without a better score after which a stage ends; the best weights are kept always.
    #[arg(long, value_name = "P", conflicts_with = "recipe")]
    pub(crate) patience: Option<usize>,
    /// Random views, e.g. "flip rotate(15) zoom(0.1) crop(0.9) brightness(0.1) contrast(0.1)"; vflip mirrors top to
    /// bottom.
    #[arg(long, value_name = "SPEC", default_value = "none", conflicts_with = "recipe")]
    pub(crate) augment: Augment,
    /// Views of an image; epochs take them in turn.
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = count, conflicts_with = "recipe")]
    pub(crate) views: usize,
    /// `copy`: pretrained weights; `reinit`: the architecture alone, trained from scratch.
    #[arg(long, value_name = "W", default_value = "copy", value_parser = ["copy", "reinit"], conflicts_with = "recipe")]
    pub(crate) weights: String,
}

/// What is set by hand, or as scores say.
#[derive(Clone)]
pub(crate) enum Auto<T> {
    /// As the scores say.
    Auto,
    /// As the user says.
    To(T),
}

impl<T: FromStr> FromStr for Auto<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::To),
        }
    }
}

/// How the frozen part computes.
#[derive(Args, Clone)]
pub(crate) struct Storage {
    /// What frozen layers keep images and weights in: f32; bf16, which is faster where the processor multiplies it
    /// (sums stay in f32); or, in training, int8, which is faster still and rounds more [default: f32].
    #[arg(long, value_name = "P")]
    pub(crate) precision: Option<Precision>,
}

/// How images become inputs.
#[derive(Args, Clone)]
pub(crate) struct Images {
    /// For models whose input size is open: 224, or 160x224 (height x width).
    #[arg(long, value_name = "SIZE")]
    pub(crate) image_size: Option<ImageSize>,
    /// tf-bilinear, tf-nearest, tf-bicubic, tf-area, pil-bilinear, … [default: the model's, else tf-bilinear].
    #[arg(long, value_name = "NAME")]
    pub(crate) resize: Option<Resize>,
    /// Decode large JPEGs at a half, a quarter or an eighth of their size, as long as they stay N times the input's (2
    /// without a number; 0: whole). Faster, and other pixels; saved with the model [default: the model's, else 0].
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "2")]
    pub(crate) scaled_decode: Option<ScaledDecode>,
    /// tf (x/127.5-1), caffe, torch, unit (x/255), none; `auto` reads it from the model.
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = preprocess)]
    pub(crate) preprocess: String,
}

impl Images {
    /// A recipe with what is said here in the place of what it says.
    pub(crate) fn onto(&self, mut recipe: Recipe) -> Recipe {
        recipe.image_size = self.image_size.or(recipe.image_size);
        recipe.resize = self.resize.or(recipe.resize);
        recipe.scaled_decode = self.scaled_decode.or(recipe.scaled_decode);
        if self.preprocess != "auto" {
            recipe.preprocess.clone_from(&self.preprocess);
        }
        recipe
    }
}

#[derive(Args)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// As for `train`; the test part where there is one, else all.
    pub(crate) data: PathBuf,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
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
pub(crate) struct Predict {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// Images, folders of images, or one .npy or .npz batch in the model's own input layout.
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// One JSON object a line, an image each.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the raw outputs: output_0, ….
    #[arg(short, long, value_name = "OUT.npz")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) images: Images,
    #[command(flatten)]
    pub(crate) storage: Storage,
}

#[derive(Args)]
pub(crate) struct Convert {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// The file to write.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Load these weights (.weights.h5, .h5 or .safetensors) onto the model first.
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
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
    /// One JSON document instead of a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
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
pub(crate) struct Cache {
    /// `list` what is in it, `verify` every row and remove what is damaged, or `clear` it.
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
pub(crate) struct Demo {
    /// How many seeds; each has its own split and its own new weights.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(2..=1000))]
    pub(crate) seeds: u64,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

fn preprocess(name: &str) -> Result<String, String> {
    match name {
        "auto" => Ok(name.to_owned()),
        name => name.parse::<Preprocess>().map(|p| p.to_string()).map_err(|error| error.to_string()),
    }
}

/// Where a search ends by itself.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    Time(Duration),
    Trainings(usize),
}

fn budget(text: &str) -> Result<Budget, humantime::DurationError> {
    match text.parse() {
        Ok(trainings) => Ok(Budget::Trainings(trainings)),
        Err(_) => humantime::parse_duration(text).map(Budget::Time),
    }
}

fn count(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number: &usize| *number > 0);
    number.ok_or_else(|| "give a whole number from 1".to_owned())
}

fn number(text: &str, fits: impl Fn(f32) -> bool, expected: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|number: &f32| number.is_finite() && fits(*number));
    number.ok_or_else(|| format!("give {expected}"))
}

fn positive(text: &str) -> Result<f32, String> {
    number(text, |number| number > 0.0, "a number above 0")
}

fn not_negative(text: &str) -> Result<f32, String> {
    number(text, |number| number >= 0.0, "a number from 0")
}

fn below_one(text: &str) -> Result<f32, String> {
    number(text, |number| (0.0..1.0).contains(&number), "a number from 0 to below 1")
}

/// A share, or a folder.
fn validation(text: &str) -> Result<String, String> {
    match text.parse::<f64>() {
        Ok(share) if !(0.0..1.0).contains(&share) => {
            Err("give a share from 0 to below 1, e.g. --val 0.2, or a folder".to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

/// `2GiB`, `500MB`, `1000`.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: &[(&str, u64)] = &[
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("b", 1),
        ("", 1),
    ];
    let lower = text.trim().to_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = UNITS.iter().find(|(name, _)| *name == &lower[digits.len()..]);
    let number = digits.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
    match (number, unit) {
        (Some(number), Some((_, unit))) => Ok((number * *unit as f64) as u64),
        _ => Err(format!("`{text}` is no size: write e.g. 2GiB")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("1.5 MB"), Ok(1_500_000));
        assert_eq!(size("77"), Ok(77));
        assert!(size("2 loaves").is_err());
    }
}
