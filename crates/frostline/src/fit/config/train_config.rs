//! What a training is to do, as a TOML file, as command-line flags or by the builder; `run.json` records it.

use crate::fit::config::read;
use crate::fit::config::text::{self, shortest, shortest_optional};
use crate::fit::{
    ClassWeights, GradualConfig, Head, ImageSize, LearningRates, Loss, Metric, OptimizerKind,
    PretrainedWeights, ReusedStatistics, Schedule, SolveConfig, StageConfig,
};
use frostline_data::{Augment, Fit, Resize, ScaledDecode};
use frostline_graph::{DType, Error, Keep, Result};
use serde::{Deserialize, Serialize};

/// Each view of an image is a feature vector of its own.
const MOST_VIEWS: usize = 10_000;
/// The steps of so many epochs can be counted.
const MOST_EPOCHS: usize = 1_000_000;

/// A whole training. Every key may be left out of a file; unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrainConfig {
    /// How far up the model is reused; by default all but the output layer and an activation that follows it.
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// What is put on top.
    #[serde(with = "text")]
    pub head: Head,
    /// Pretrained weights, or the architecture alone.
    pub weights: PretrainedWeights,
    /// By default from the labels.
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// What decides which epoch is best; by default accuracy, and the loss's own measure for numbers.
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// With its own settings, as `sgd(momentum=0.9)`.
    #[serde(with = "text")]
    pub optimizer: OptimizerKind,
    /// Whether the rate of the first stage is found by a range test, and the other stages' follow.
    #[serde(rename = "lr", with = "text", skip_serializing_if = "LearningRates::are_given")]
    pub learning_rates: LearningRates,
    /// How the rate moves within a stage.
    #[serde(with = "text")]
    pub schedule: Schedule,
    /// Decoupled, on top of the optimizer's own.
    #[serde(serialize_with = "shortest")]
    pub weight_decay: f32,
    /// In `[0, 1)`.
    #[serde(serialize_with = "shortest")]
    pub label_smoothing: f32,
    /// How classes weigh in the loss.
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
    /// What BatchNormalization of reused layers does while they train. By default its statistics are frozen, and trained where
    /// the weights begin anew or a stage names what is frozen layer by layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_norm: Option<ReusedStatistics>,
    /// The largest norm of all gradients together.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shortest_optional")]
    pub clip_norm: Option<f32>,
    /// Images a step.
    pub batch: usize,
    /// Whether the order of the images changes with each epoch.
    pub shuffle: bool,
    /// Epochs without a better score after which a stage ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Random views of the training images.
    #[serde(with = "text")]
    pub augment: Augment,
    /// How many views of an image are kept; epochs take them in turn.
    pub views: usize,
    /// For models whose input size is open.
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub image_size: Option<ImageSize>,
    /// By default the model's, else `tf-bilinear`.
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// How images of another shape are brought to the input's; by default as the model was trained, else both sides are resized,
    /// each by its own factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// How many times their target JPEGs must still be that are scaled down while they are decoded, 0 to decode them whole;
    /// by default the model's, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaled_decode: Option<ScaledDecode>,
    /// `auto`, or the name of a preprocessing.
    pub preprocess: String,
    /// How the frozen part stores numbers.
    pub precision: DType,
    /// What their features are rounded to, stored or not; by default nothing is rounded.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read::features")]
    pub features: Option<DType>,
    /// Whether the head is solved before any stage.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "read::solve")]
    pub solve: Option<SolveConfig>,
    /// The stages, in their order.
    pub stage: Vec<StageConfig>,
    /// Unfreezing block by block after the stages.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "read::gradual")]
    pub gradual: Option<GradualConfig>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            keep: None,
            head: Head::default(),
            weights: PretrainedWeights::Copy,
            loss: None,
            metric: None,
            optimizer: OptimizerKind::default(),
            learning_rates: LearningRates::Given,
            schedule: Schedule::default(),
            weight_decay: 0.0,
            label_smoothing: 0.0,
            class_weights: None,
            batch_norm: None,
            clip_norm: None,
            batch: 32,
            shuffle: true,
            patience: None,
            augment: Augment::default(),
            views: 4,
            image_size: None,
            resize: None,
            fit: None,
            scaled_decode: None,
            preprocess: "auto".to_owned(),
            precision: DType::F32,
            features: None,
            solve: None,
            stage: Vec::new(),
            gradual: None,
        }
    }
}

/// Makes a [`TrainConfig`] setting by setting; what is not set has its default.
///
/// ```
/// use frostline::prelude::*;
///
/// let config = TrainConfig::builder().batch(16usize).stage(StageConfig::head().epochs(3)).build()?;
/// assert_eq!((config.batch, config.stage[0].epochs), (16, 3));
/// assert!(TrainConfig::builder().batch(0usize).build().is_err());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct TrainConfigBuilder(TrainConfig);

macro_rules! setters {
    ($($name:ident: $type:ty),* $(,)?) => {
        impl TrainConfigBuilder {
            $(
                #[doc = concat!("See [`TrainConfig::", stringify!($name), "`].")]
                pub fn $name(mut self, value: impl Into<$type>) -> Self {
                    self.0.$name = value.into();
                    self
                }
            )*
        }
    };
}

setters! {
    keep: Option<Keep>, head: Head, weights: PretrainedWeights, loss: Option<Loss>, metric: Option<Metric>,
    optimizer: OptimizerKind, learning_rates: LearningRates, schedule: Schedule, weight_decay: f32, label_smoothing: f32,
    class_weights: Option<ClassWeights>, batch_norm: Option<ReusedStatistics>, clip_norm: Option<f32>, batch: usize,
    shuffle: bool, patience: Option<usize>, augment: Augment, views: usize, image_size: Option<ImageSize>,
    resize: Option<Resize>, fit: Option<Fit>, scaled_decode: Option<ScaledDecode>, preprocess: String, precision: DType,
    features: Option<DType>, solve: Option<SolveConfig>, gradual: Option<GradualConfig>,
}

impl TrainConfigBuilder {
    /// Adds a stage behind those that are there.
    pub fn stage(mut self, stage: StageConfig) -> Self {
        self.0.stage.push(stage);
        self
    }

    /// The configuration.
    ///
    /// # Errors
    ///
    /// Settings that make no sense, alone or together.
    pub fn build(mut self) -> Result<TrainConfig> {
        self.0.name_stages();
        self.0.check()?;
        Ok(self.0)
    }
}

impl TrainConfig {
    /// A builder with the defaults.
    pub fn builder() -> TrainConfigBuilder {
        TrainConfigBuilder::default()
    }

    /// Whether anything trains by steps.
    pub(in crate::fit) fn has_stages(&self) -> bool {
        !self.stage.is_empty() || self.gradual.is_some()
    }

    /// Whether images are held out to watch: a solved head alone needs none.
    pub(in crate::fit) fn is_watched(&self) -> bool {
        self.solve.is_none() || self.has_stages()
    }

    /// What BatchNormalization of reused layers does in a stage.
    pub(in crate::fit) fn reused_statistics(&self, names_frozen_layers: bool) -> ReusedStatistics {
        match (self.batch_norm, self.weights) {
            (Some(said), _) => said,
            (None, PretrainedWeights::Copy) if !names_frozen_layers => ReusedStatistics::Frozen,
            (None, _) => ReusedStatistics::Train,
        }
    }

    /// Errors where numbers make no sense.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: String, help: &str| Err(Error::setting(format!("{message}\nhelp: {help}")));
        if self.batch == 0 {
            return refuse("a batch of 0 images".to_owned(), "give a number from 1, usually 16 to 64");
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return refuse(
                format!("label smoothing {}", self.label_smoothing),
                "give a number from 0 to below 1",
            );
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return refuse(format!("weight decay {}", self.weight_decay), "give a number from 0");
        }
        if self.clip_norm.is_some_and(|norm| !(norm > 0.0 && norm.is_finite())) {
            return refuse("a clip norm that is not above 0".to_owned(), "leave it out to clip nothing");
        }
        if self.features == Some(DType::Int8) {
            return refuse("features in int8".to_owned(), "write f32 or bf16");
        }
        if !(1..=MOST_VIEWS).contains(&self.views) {
            return refuse(format!("{} views", self.views), &format!("give a number from 1 to {MOST_VIEWS}"));
        }
        if self.learning_rates == LearningRates::Auto && (self.solve.is_some() || self.stage.is_empty()) {
            return refuse(
                "a head that is solved has no learning rate, and `lr = \"auto\"` looks for that of the head"
                    .to_owned(),
                "train the head in a stage (the setting `epochs = 10`), or give rates",
            );
        }
        if let Some(solve) = &self.solve {
            if solve.cuts.as_ref().is_some_and(Vec::is_empty)
                || solve.views.as_ref().is_some_and(Vec::is_empty)
            {
                return refuse(
                    "a head that reads nothing: the list of cuts or views in [solve] is empty".to_owned(),
                    "name some, or leave the list out",
                );
            }
            if solve.reject.is_some_and(|share| !(0.0..1.0).contains(&share) || share == 0.0) {
                return refuse(
                    "the share of images to reject".to_owned(),
                    "give a number above 0 and below 1, such as 0.05",
                );
            }
            let others = [
                (self.head != Head::Output, "a head of its own layers", "leave the head out"),
                (
                    self.weights == PretrainedWeights::Reinit,
                    "weights that begin anew",
                    "keep the pretrained weights",
                ),
                (!self.augment.is_identity(), "augmented images", "leave the augmentation out"),
                (self.loss.is_some(), "a loss of its own", "leave the loss out"),
                (self.label_smoothing != 0.0, "label smoothing", "leave it out"),
            ];
            if let Some((_, what, help)) = others.iter().find(|(given, ..)| *given) {
                return refuse(
                    format!("a head that is solved does not go with {what}"),
                    &format!("{help}, or train the head in a stage"),
                );
            }
        }
        let epochs = self.stage.iter().map(|stage| stage.epochs);
        let most = epochs.chain(self.gradual.iter().map(|gradual| gradual.epochs)).max().unwrap_or(0);
        if most > MOST_EPOCHS {
            return refuse(format!("{most} epochs"), &format!("give a number up to {MOST_EPOCHS}"));
        }
        let rates = self.stage.iter().map(|s| (s.learning_rate, s.backbone_lr_factor));
        for (rate, factor) in
            rates.chain(self.gradual.iter().map(|g| (g.learning_rate, g.backbone_lr_factor)))
        {
            if !(rate > 0.0 && rate.is_finite() && factor >= 0.0 && factor.is_finite()) {
                return refuse(
                    format!("a learning rate of {rate} with the factor {factor}"),
                    "give a rate above 0",
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frostline_graph::Unfreeze;

    #[test]
    fn a_recipe_is_read_and_written_back() {
        let text = r#"
            keep = -1
            head = "gap dropout(0.3)"
            optimizer = "sgd(momentum=0.9,nesterov=true)"
            augment = "flip rotate(10)"
            class-weights = "balanced"
            image-size = 160
            scaled-decode = 2
            precision = "bf16"
            features = "bf16"
            [[stage]]
            name = "head"
            epochs = 10
            lr = 1e-3
            [[stage]]
            name = "top"
            unfreeze = "block_5"
            epochs = 5
            lr = 1e-4
            backbone-lr-factor = 0.5
        "#;
        let recipe: TrainConfig = toml::from_str(text).expect("valid");
        assert_eq!(recipe.keep, Some(Keep::AllBut(1)));
        assert_eq!(recipe.stage[0].unfreeze, Unfreeze::Nothing);
        assert_eq!(recipe.stage[1].unfreeze, Unfreeze::From("block_5".to_owned()));
        assert_eq!(recipe.stage[0].backbone_lr_factor, 0.1);
        recipe.check().expect("sensible");
        let json = serde_json::to_string(&recipe).expect("written");
        assert_eq!(serde_json::from_str::<TrainConfig>(&json).expect("read back"), recipe);
        let again = toml::to_string(&recipe).expect("written");
        assert_eq!(toml::from_str::<TrainConfig>(&again).expect("read back"), recipe);
    }

    #[test]
    fn a_rate_is_written_by_its_shortest_form() {
        let text = "clip-norm = 0.3\ngradual = true\n[[stage]]\nlr = 1e-4";
        let recipe: TrainConfig = toml::from_str(text).expect("valid");
        let json = serde_json::to_value(&recipe).expect("written");
        assert_eq!(json["stage"][0]["lr"], serde_json::json!(0.0001));
        assert_eq!(json["clip-norm"], serde_json::json!(0.3));
        assert_eq!(json["gradual"]["lr"], serde_json::json!(0.0001));
        assert!(toml::to_string(&recipe).expect("written").contains("lr = 0.0001\n"));
    }

    #[test]
    fn a_stage_without_a_name_epochs_or_rate_has_defaults() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("recipe.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).expect("written");
            TrainConfig::read(&path)
        };
        let recipe = read("gradual = true\n[[stage]]\n").expect("valid");
        assert_eq!(
            (&*recipe.stage[0].name, recipe.stage[0].epochs, recipe.stage[0].learning_rate),
            ("train", 10, 1e-3)
        );
        assert_eq!(recipe.gradual, Some(GradualConfig::default()));
        let recipe = read("gradual = false\n[[stage]]\n[[stage]]\nunfreeze = 2").expect("valid");
        assert_eq!((&*recipe.stage[1].name, &recipe.gradual), ("stage 2", &None));
        let settings = |stage: &StageConfig| {
            (stage.epochs, stage.learning_rate, stage.backbone_lr_factor, stage.warm_up)
        };
        assert_eq!(settings(&recipe.stage[0]), (10, 1e-3, 0.1, false));
        assert_eq!(
            settings(&recipe.stage[1]),
            (5, 1e-4, 0.1, true),
            "a stage that unfreezes has lower rates"
        );
        let recipe = read("[[stage]]\nunfreeze = \"all\"\nlr = 0.01\nwarm-up = false").expect("valid");
        assert_eq!(settings(&recipe.stage[0]), (5, 0.01, 0.1, false), "what is said counts");
        let recipe = read("weights = \"reinit\"\n[[stage]]\nunfreeze = \"all\"").expect("valid");
        assert_eq!(settings(&recipe.stage[0]), (10, 1e-3, 1.0, false), "from scratch");
        let recipe = read("[[stage]]\nfreeze = [\"a\"]").expect("valid");
        assert_eq!(settings(&recipe.stage[0]), (10, 1e-3, 1.0, false), "a list");
        assert!(read("views = 100000\n[[stage]]").is_err() && read("[[stage]]\nepochs = 10000000").is_err());
        let error = read("gradual = 3").expect_err("no table").to_string();
        assert!(error.contains("a table [gradual], true or false"), "{error}");
    }

    #[test]
    fn mistakes_are_errors() {
        for text in [
            "epochs = 3",
            "optimizer = \"adan\"",
            "head = \"dens(3)\"",
            "[[stage]]\nname = \"a\"\nepochs = 1\nlr = 0.1\nunfreez = 1",
        ] {
            assert!(toml::from_str::<TrainConfig>(text).is_err(), "{text}");
        }
        let recipe = TrainConfig { batch: 0, ..TrainConfig::default() };
        assert!(recipe.check().is_err());
    }
}
