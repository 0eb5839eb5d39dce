//! What is trained, on what, and how.

use super::CachePlace;
use super::caching::cache_place;
use super::values::{below_one, count, not_negative, positive, preprocess, rate, share, size, validation};
use clap::Args;
use frostline::DType;
use frostline::data::{Augment, DataError, Fit, Resize, ScaledDecode};
use frostline::fit::{
    ClassWeights, FINE_TUNE_SHARE, GradualConfig, Head, ImageSize, LearningRates, Loss, Metric,
    OptimizerKind, PretrainedWeights, ReusedStatistics, Schedule, SolveConfig, StageConfig, StageDefaults,
    TrainConfig,
};
use frostline::graph::Keep;
use frostline::graph::Unfreeze;
use frostline::predict::PictureSettings;
use std::path::PathBuf;
use std::str::FromStr;

/// The heading of what is said of frozen layers' features.
const FEATURES: &str = "Features of frozen layers";

/// What is trained, on what, and where features are kept.
#[derive(Args)]
pub(crate) struct Training {
    /// Stages and settings in TOML, or the run.json of a run, instead of the flags under Layers and Training.
    #[arg(long, value_name = "FILE")]
    pub(crate) recipe: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Layers")]
    pub(crate) reuse: Reuse,
    #[command(flatten, next_help_heading = "Images")]
    pub(crate) images: Images,
    #[command(flatten, next_help_heading = FEATURES)]
    pub(crate) storage: Storage,
    /// Validation: a share of the training images, stratified; 0 for none; or a folder [default: val/, else 0.2 where a stage
    /// is trained by steps].
    #[arg(long, value_name = "V", value_parser = validation, help_heading = "Images")]
    pub(crate) val: Option<String>,
    /// Round the features of frozen layers to f32 or bf16, which halves their bytes; the same with the cache and without
    /// [default: f32; bf16 where --precision bf16 has made them so already].
    #[arg(long, value_name = "F", value_parser = DType::of_features, help_heading = FEATURES)]
    pub(crate) features: Option<DType>,
    /// Compute the frozen layers again in every epoch; the result is the same bit for bit.
    #[arg(long, help_heading = FEATURES)]
    pub(crate) no_cache: bool,
    /// Where the features of frozen layers are kept, for this run and later ones [default: in the user's cache folder].
    #[arg(long, value_name = "DIR", value_parser = cache_place(), conflicts_with = "no_cache", help_heading = FEATURES)]
    pub(crate) cache: Option<CachePlace>,
    /// How large the cache may grow; what was not used for the longest time goes first.
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = size, help_heading = FEATURES)]
    pub(crate) cache_limit: u64,
}

/// What a recipe says, flag by flag.
#[derive(Args)]
pub(crate) struct Reuse {
    /// Layers to keep: a layer path (./2 for a layer named 2), N lowest, -N for all but the N highest, or `auto`, as many as
    /// `depth` finds [default: all layers below the classifier; all layers if there is none].
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
    /// `copy`: pretrained weights; `reinit`: the architecture alone, trained from scratch.
    #[arg(long, value_name = "W", default_value = "copy", value_parser = ["copy", "reinit"], conflicts_with = "recipe")]
    pub(crate) weights: String,
    /// Flag images that belong to none of the classes. R is the share of images of the classes that may be rejected by
    /// mistake, e.g. 0.05. Saved with the run [default: off].
    #[arg(long, value_name = "R", value_parser = share, conflicts_with = "recipe")]
    pub(crate) reject: Option<f64>,
    /// Reused layers to train after the head: 0, N highest, a layer path (it and all above it; ./2 for a layer named 2), all, or `auto`, as far down as
    /// `depth` finds [default: 0; a solved head on 500 or more photos tries the highest block].
    #[arg(long, value_name = "U", conflicts_with_all = ["recipe", "freeze"])]
    pub(crate) unfreeze: Option<Auto<Unfreeze>>,
    /// Freeze exactly these layers (comma separated, a nested model's path freezes all in it, `none` for nothing), for
    /// one stage of --epochs.
    #[arg(long, value_name = "LIST", conflicts_with = "recipe")]
    pub(crate) freeze: Option<String>,
    /// Do not try whether training the highest block helps.
    #[arg(long, conflicts_with_all = ["recipe", "freeze", "unfreeze", "gradual"])]
    pub(crate) head_only: bool,
    /// Unfreeze block by block from the top while the validation score improves by more than its standard error.
    #[arg(long, conflicts_with_all = ["recipe", "freeze", "unfreeze"])]
    pub(crate) gradual: bool,
    #[command(flatten, next_help_heading = "Training")]
    pub(crate) steps: Steps,
}

/// How layers are trained by steps.
#[derive(Args)]
pub(crate) struct Steps {
    /// Train the head by steps, for so many epochs with the backbone frozen, instead of solving it. So does any other flag
    /// of this group that says how steps are taken, where nothing is unfrozen [default: solved; 10 where it is trained].
    #[arg(long, value_name = "E", value_parser = count, conflicts_with = "recipe")]
    pub(crate) epochs: Option<usize>,
    /// Epochs with the layers of --unfreeze or --gradual trained.
    #[arg(long, value_name = "F", default_value_t = StageDefaults::FINE_TUNE.epochs, conflicts_with = "recipe")]
    pub(crate) fine_tune_epochs: usize,
    /// The head's learning rate; a tenth of it once reused layers train. `auto` finds it by a range test, and trains the head by
    /// steps [default: 0.001].
    #[arg(long, value_name = "X", value_parser = rate, conflicts_with = "recipe")]
    pub(crate) lr: Option<Auto<f32>>,
    /// The rate of reused layers as a share of the head's [default: 0.1; 1 with --freeze or --weights reinit].
    #[arg(long, value_name = "F", value_parser = not_negative, conflicts_with = "recipe")]
    pub(crate) backbone_lr_factor: Option<f32>,
    #[arg(long, value_name = "NAME", conflicts_with = "recipe", help = format!(
        "{}, with settings as in sgd(momentum=0.9,nesterov=true) [default: adam]", OptimizerKind::NAMES.join(", ")
    ))]
    pub(crate) optimizer: Option<OptimizerKind>,
    /// A loss by its Keras name [default: from the labels].
    #[arg(long, value_name = "NAME", conflicts_with = "recipe")]
    pub(crate) loss: Option<Loss>,
    /// What decides which epoch is best: accuracy, top5, auc, precision, recall, f1, mse, mae [default: accuracy].
    #[arg(long, value_name = "NAME", conflicts_with = "recipe")]
    pub(crate) metric: Option<Metric>,
    #[arg(long, value_name = "NAME", conflicts_with = "recipe", help = format!(
        "{} [default: constant]", Schedule::EXAMPLES.join(", ")
    ))]
    pub(crate) schedule: Option<Schedule>,
    /// Decoupled weight decay, on every trained weight.
    #[arg(long, value_name = "D", default_value_t = 0.0, value_parser = not_negative, conflicts_with = "recipe")]
    pub(crate) weight_decay: f32,
    /// How far targets are moved towards the uniform distribution, from 0 to below 1.
    #[arg(long, value_name = "S", default_value_t = 0.0, value_parser = below_one, conflicts_with = "recipe")]
    pub(crate) label_smoothing: f32,
    /// `balanced`, or weights by class as 0=1.0,1=2.5.
    #[arg(long, value_name = "W", conflicts_with = "recipe")]
    pub(crate) class_weights: Option<ClassWeights>,
    /// Clip the global norm of the gradients to N.
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "recipe")]
    pub(crate) clip_norm: Option<f32>,
    /// Batch size: images a step [default: 32].
    #[arg(long, value_name = "B", value_parser = count, conflicts_with = "recipe")]
    pub(crate) batch: Option<usize>,
    /// BatchNormalization of reused layers while they train: `frozen` normalises by its moving statistics and leaves them
    /// alone, as Keras's guide to transfer learning has it; `train` by the batch's, which move them [default: frozen; train
    /// with --freeze or --weights reinit].
    #[arg(long, value_name = "B", value_parser = ["frozen", "train"], conflicts_with = "recipe")]
    pub(crate) batch_norm: Option<String>,
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
}

impl Steps {
    /// Whether anything says how steps are taken.
    fn are_described(&self) -> bool {
        self.lr.is_some()
            || self.optimizer.is_some()
            || self.schedule.is_some()
            || self.batch.is_some()
            || self.weight_decay != 0.0
            || self.clip_norm.is_some()
            || self.no_shuffle
            || self.patience.is_some()
    }

    fn learning_rate(&self) -> f32 {
        match self.lr {
            Some(Auto::To(rate)) => rate,
            Some(Auto::Auto) | None => StageDefaults::HEAD.learning_rate,
        }
    }

    /// Whether the rate is looked for.
    fn seeks_rate(&self) -> bool {
        matches!(self.lr, Some(Auto::Auto))
    }
}

impl Reuse {
    /// What the flags say, as a configuration.
    pub(crate) fn config(&self) -> TrainConfig {
        let weights = match self.weights.as_str() {
            "reinit" => PretrainedWeights::Reinit,
            _ => PretrainedWeights::Copy,
        };
        let stage = |name: &str, unfreeze: Unfreeze| self.stage(name, unfreeze);
        let all_alike = self.steps.backbone_lr_factor.unwrap_or(StageDefaults::ALIKE.backbone_lr_factor);
        let (mut stages, mut gradual) = (Vec::new(), None);
        let solves = self.solves();
        let unfreeze = match &self.unfreeze {
            // the stage is added when the layer is found
            None | Some(Auto::Auto) => None,
            Some(Auto::To(unfreeze)) => Some(unfreeze.clone()),
        };
        match (&self.freeze, unfreeze, weights) {
            (Some(list), ..) => {
                let paths = list.split(',').map(str::trim).filter(|path| !path.is_empty() && *path != "none");
                let freeze = Some(paths.map(str::to_owned).collect());
                stages.push(StageConfig {
                    freeze,
                    backbone_lr_factor: all_alike,
                    ..stage("train", Unfreeze::All)
                });
            }
            (None, None | Some(Unfreeze::All), PretrainedWeights::Reinit) if !self.gradual => {
                stages.push(StageConfig {
                    backbone_lr_factor: all_alike,
                    ..stage("from scratch", Unfreeze::All)
                });
            }
            (None, unfreeze, _) => {
                stages.extend((!solves).then(|| stage("head", Unfreeze::Nothing)));
                if self.gradual {
                    gradual = Some(GradualConfig {
                        epochs: self.steps.fine_tune_epochs,
                        learning_rate: self.steps.learning_rate() * FINE_TUNE_SHARE,
                        backbone_lr_factor: self
                            .steps
                            .backbone_lr_factor
                            .unwrap_or(StageDefaults::FINE_TUNE.backbone_lr_factor),
                    });
                } else {
                    stages.extend(self.fine_tuning(unfreeze.unwrap_or(Unfreeze::Nothing)));
                }
            }
        }
        TrainConfig {
            keep: match &self.keep {
                Some(Auto::To(keep)) => Some(keep.clone()),
                Some(Auto::Auto) | None => None,
            },
            head: self.head.clone(),
            weights,
            loss: self.steps.loss,
            metric: self.steps.metric,
            optimizer: self.steps.optimizer.unwrap_or_default(),
            learning_rates: match self.steps.seeks_rate() {
                true => LearningRates::Auto,
                false => LearningRates::Given,
            },
            schedule: self.steps.schedule.unwrap_or_default(),
            weight_decay: self.steps.weight_decay,
            label_smoothing: self.steps.label_smoothing,
            class_weights: self.steps.class_weights.clone(),
            clip_norm: self.steps.clip_norm,
            batch: self.steps.batch.unwrap_or(TrainConfig::default().batch),
            batch_norm: self.steps.batch_norm.as_deref().map(|name| match name {
                "train" => ReusedStatistics::Train,
                _ => ReusedStatistics::Frozen,
            }),
            solve: solves.then(|| SolveConfig {
                reject: self.reject,
                unfreeze: !self.tunes() && !self.head_only && self.reject.is_none(),
                ..SolveConfig::default()
            }),
            shuffle: !self.steps.no_shuffle,
            patience: self.steps.patience,
            augment: self.steps.augment,
            views: self.steps.views,
            stage: stages,
            gradual,
            ..TrainConfig::default()
        }
    }

    /// Whether reused layers are to be trained.
    pub(crate) fn tunes(&self) -> bool {
        self.gradual || !matches!(self.unfreeze, None | Some(Auto::To(Unfreeze::Nothing)))
    }

    /// Whether the head is solved: nothing says how it is to be trained.
    pub(crate) fn solves(&self) -> bool {
        let trains = self.steps.epochs.is_some()
            || self.steps.seeks_rate()
            || self.freeze.is_some()
            || self.head != Head::Output
            || self.steps.loss.is_some()
            || self.steps.label_smoothing != 0.0
            || !self.steps.augment.is_identity()
            || self.weights == "reinit";
        // where layers are unfrozen, the steps are theirs
        !trains && (self.tunes() || !self.steps.are_described())
    }

    fn stage(&self, name: &str, unfreeze: Unfreeze) -> StageConfig {
        StageConfig {
            name: name.to_owned(),
            unfreeze,
            freeze: None,
            epochs: self.steps.epochs.unwrap_or(StageDefaults::HEAD.epochs),
            learning_rate: self.steps.learning_rate(),
            backbone_lr_factor: self
                .steps
                .backbone_lr_factor
                .unwrap_or(StageDefaults::HEAD.backbone_lr_factor),
            warm_up: StageDefaults::HEAD.warm_up,
        }
    }

    /// The stage after the head's, if any layer is unfrozen.
    pub(crate) fn fine_tuning(&self, unfreeze: Unfreeze) -> Option<StageConfig> {
        (unfreeze != Unfreeze::Nothing).then(|| StageConfig {
            epochs: self.steps.fine_tune_epochs,
            learning_rate: self.steps.learning_rate() * FINE_TUNE_SHARE,
            warm_up: StageDefaults::FINE_TUNE.warm_up,
            ..self.stage("fine-tune", unfreeze)
        })
    }
}

/// What is set by hand, or as scores say.
#[derive(Clone, Debug)]
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
    pub(crate) precision: Option<DType>,
}

/// How images become inputs.
#[derive(Args, Clone)]
pub(crate) struct Images {
    /// For models whose input size is open, and for vision transformers of --arch, whose positions are interpolated: 224, or 160x224
    /// (height x width).
    #[arg(long, value_name = "SIZE")]
    pub(crate) image_size: Option<ImageSize>,
    /// tf-bilinear, tf-nearest, tf-bicubic, tf-area, pil-bilinear, … [default: the model's, else tf-bilinear].
    #[arg(long, value_name = "NAME")]
    pub(crate) resize: Option<ResizeFlag>,
    /// What becomes of the shape of photos: `squash` resizes each side by its own factor, `crop` covers the input and takes the
    /// middle, `pad` shows all of a photo with black on both sides; `--resize crop` is the same. Saved with the model. In
    /// `train` a solved head then reads the input's own size alone [default: the model's, else squash].
    #[arg(long, value_name = "FIT")]
    pub(crate) fit: Option<Fit>,
    /// Decode large JPEGs at a half, a quarter or an eighth of their size, as long as they stay N times the input's (2
    /// without a number; 0: whole). This is faster, but pixel values differ slightly; saved with the model [default: the model's, else 0].
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "2")]
    pub(crate) scaled_decode: Option<ScaledDecode>,
    /// tf (x/127.5-1), caffe, torch, unit (x/255), none; `auto` reads it from the model.
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = preprocess)]
    pub(crate) preprocess: String,
}

/// A kernel; or, as other tools have it under this name, what becomes of the shape of images.
#[derive(Clone, Copy)]
pub(crate) enum ResizeFlag {
    Kernel(Resize),
    Fit(Fit),
}

impl FromStr for ResizeFlag {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        text.parse().map(Self::Fit).or_else(|_| text.parse().map(Self::Kernel))
    }
}

impl Images {
    /// Whether `--resize` and `--fit` say two things of the shape of images.
    pub(crate) fn is_at_odds(&self) -> bool {
        matches!((self.resize, self.fit), (Some(ResizeFlag::Fit(one)), Some(other)) if one != other)
    }

    /// The kernel that is asked for.
    pub(crate) fn kernel(&self) -> Option<Resize> {
        match self.resize {
            Some(ResizeFlag::Kernel(kernel)) => Some(kernel),
            _ => None,
        }
    }

    /// What is to become of the shape of images, where that is said.
    pub(crate) fn fit(&self) -> Option<Fit> {
        match self.resize {
            Some(ResizeFlag::Fit(fit)) => self.fit.or(Some(fit)),
            _ => self.fit,
        }
    }

    /// The same as the library has it.
    pub(crate) fn settings(&self) -> PictureSettings {
        PictureSettings {
            image_size: self.image_size,
            resize: self.kernel(),
            fit: self.fit(),
            scaled_decode: self.scaled_decode,
            preprocess: self.preprocess.clone(),
        }
    }

    /// A recipe with what is said here in the place of what it says.
    pub(crate) fn onto(&self, mut recipe: TrainConfig) -> TrainConfig {
        recipe.image_size = self.image_size.or(recipe.image_size);
        recipe.resize = self.kernel().or(recipe.resize);
        recipe.fit = self.fit().or(recipe.fit);
        recipe.scaled_decode = self.scaled_decode.or(recipe.scaled_decode);
        if self.preprocess != "auto" {
            recipe.preprocess.clone_from(&self.preprocess);
        }
        recipe
    }
}
