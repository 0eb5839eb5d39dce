//! What a training is to do, as a TOML file or as command-line flags; `run.json` records it.

use crate::fit::config::defaults::{StageDefaults, filled};
use crate::fit::config::text;
use crate::fit::{ClassWeights, Loss, Metric, OptimizerKind, ReusedStatistics, Schedule, SolveRecipe};
use frostline_data::{Augment, Resize, ScaledDecode};
use frostline_graph::{DType, Error, Keep, Result, Unfreeze};
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::str::FromStr;

/// Each view of an image is a feature vector of its own.
const MOST_VIEWS: usize = 10_000;
/// The steps of so many epochs can be counted.
const MOST_EPOCHS: usize = 1_000_000;

/// A whole training. Every key may be left out of a file; unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
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
    /// How many times their target JPEGs must still be that are scaled down while they are decoded, 0 to decode them whole;
    /// by default the model's, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaled_decode: Option<ScaledDecode>,
    /// `auto`, or the name of a preprocessing.
    pub preprocess: String,
    /// How the frozen part stores numbers.
    pub precision: DType,
    /// What their features are rounded to, stored or not; by default nothing is rounded.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "features")]
    pub features: Option<DType>,
    /// Whether the head is solved before any stage.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "solve")]
    pub solve: Option<SolveRecipe>,
    /// The stages, in their order.
    pub stage: Vec<StageRecipe>,
    /// Unfreezing block by block after the stages.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "gradual")]
    pub gradual: Option<GradualRecipe>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            keep: None,
            head: Head::default(),
            weights: PretrainedWeights::Copy,
            loss: None,
            metric: None,
            optimizer: OptimizerKind::default(),
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

/// One stage of training. What a recipe leaves out is filled in by [`StageDefaults`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StageRecipe {
    /// For people; by default `stage N`, and `train` where there is one stage.
    #[serde(default)]
    pub name: String,
    /// How many of the reused layers train.
    #[serde(with = "text", default = "nothing")]
    pub unfreeze: Unfreeze,
    /// Exactly these layers are frozen, instead of `unfreeze`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Vec<String>>,
    /// Passes over the training images.
    #[serde(default = "epochs")]
    pub epochs: usize,
    /// The head's learning rate.
    #[serde(rename = "lr", default = "rate", serialize_with = "shortest")]
    pub learning_rate: f32,
    /// The reused layers' rate as a share of the head's.
    #[serde(default = "factor", serialize_with = "shortest")]
    pub backbone_lr_factor: f32,
    /// Whether the rate rises from 0 over the first epoch.
    #[serde(default)]
    pub warm_up: bool,
}

fn nothing() -> Unfreeze {
    Unfreeze::Nothing
}

const HEAD: StageDefaults = StageDefaults::HEAD;

fn factor() -> f32 {
    HEAD.backbone_lr_factor
}

fn rate() -> f32 {
    HEAD.learning_rate
}

fn epochs() -> usize {
    HEAD.epochs
}

/// A rate as it is written in decimal: 0.0001, not 0.00009999999747378752.
fn shortest<S: Serializer>(value: &f32, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.to_string().parse().unwrap_or(f64::from(*value)))
}

fn shortest_optional<S: Serializer>(
    value: &Option<f32>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match value {
        Some(value) => shortest(value, serializer),
        None => serializer.serialize_none(),
    }
}

fn features<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<DType>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| DType::of_features(&text)).transpose().map_err(serde::de::Error::custom)
}

/// A table, or `true` for one with every default.
struct TableOrTrue<T> {
    name: &'static str,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for TableOrTrue<T> {
    type Value = Option<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a table [{}], true or false", self.name)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> std::result::Result<Self::Value, E> {
        Ok(value.then(T::default))
    }

    fn visit_unit<E: serde::de::Error>(self) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

fn gradual<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<GradualRecipe>, D::Error> {
    deserializer.deserialize_any(TableOrTrue { name: "gradual", of: PhantomData })
}

fn solve<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<SolveRecipe>, D::Error> {
    deserializer.deserialize_any(TableOrTrue { name: "solve", of: PhantomData })
}

/// Unfreezing block by block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GradualRecipe {
    /// Epochs a block.
    pub epochs: usize,
    /// The head's learning rate.
    #[serde(rename = "lr", serialize_with = "shortest")]
    pub learning_rate: f32,
    /// The reused layers' rate as a share of the head's.
    #[serde(serialize_with = "shortest")]
    pub backbone_lr_factor: f32,
}

impl Default for GradualRecipe {
    /// What `--gradual` does.
    fn default() -> Self {
        let StageDefaults { epochs, learning_rate, backbone_lr_factor, .. } = StageDefaults::FINE_TUNE;
        Self { epochs, learning_rate, backbone_lr_factor }
    }
}

/// What is put on top of the kept layers.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Head {
    /// An output layer for the labels alone.
    #[default]
    Output,
    /// These layers, then the output layer.
    Layers(String),
    /// The model's own head stays: the graph is as it was.
    Keep,
}

impl FromStr for Head {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.trim() {
            "" | "none" => Head::Output,
            "keep" => Head::Keep,
            spec => {
                frostline_graph::layers::parse_head(spec)?;
                Head::Layers(spec.to_owned())
            }
        })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Head::Output => "none",
            Head::Layers(spec) => spec,
            Head::Keep => "keep",
        })
    }
}

/// Whether the pretrained weights are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PretrainedWeights {
    /// Yes.
    #[default]
    Copy,
    /// No: the architecture is trained from scratch.
    Reinit,
}

/// `[height, width]`, written `224` or `160x224`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize(pub [usize; 2]);

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let extent = |text: &str| text.trim().parse().ok().filter(|extent| (1..=1 << 14).contains(extent));
        let size = match text.split_once('x') {
            Some((height, width)) => extent(height).zip(extent(width)),
            None => extent(text).map(|extent| (extent, extent)),
        };
        let (height, width) =
            size.ok_or_else(|| format!("`{text}` is no image size: write `224` or `160x224`"))?;
        Ok(Self([height, width]))
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}", self.0[0], self.0[1])
    }
}

impl Recipe {
    /// Reads a TOML file, or the `recipe` of a run's `run.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::io(path, source))?;
        let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
        let read = match is_json {
            true => Self::of_run(&text).map_err(|error| error.to_string()),
            // once as it is, for errors that name the line, and once with the defaults
            false => toml::from_str::<Self>(&text)
                .and_then(|_| filled(toml::from_str(&text)?).try_into())
                .map_err(|error| error.to_string()),
        };
        let mut recipe = read.map_err(|error| {
            let help = match is_json {
                true => "give the run.json of a run, or a recipe in TOML",
                false => "a recipe has [[stage]] tables with name, epochs, lr and unfreeze",
            };
            Error::format(path, format!("{}\nhelp: {help}", error.trim_end()))
        })?;
        recipe.name_stages();
        if !recipe.has_stages() && recipe.solve.is_none() {
            return Err(Error::format(
                path,
                "the recipe has no stage\nhelp: add a [[stage]] table, or [solve]",
            ));
        }
        recipe.check()?;
        Ok(recipe)
    }

    fn of_run(text: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Run {
            recipe: Recipe,
        }
        Ok(serde_json::from_str::<Run>(text)?.recipe)
    }

    fn name_stages(&mut self) {
        let only = self.stage.len() == 1;
        for (index, stage) in self.stage.iter_mut().enumerate().filter(|(_, stage)| stage.name.is_empty()) {
            stage.name = if only { "train".to_owned() } else { format!("stage {}", index + 1) };
        }
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
        let recipe: Recipe = toml::from_str(text).expect("valid");
        assert_eq!(recipe.keep, Some(Keep::AllBut(1)));
        assert_eq!(recipe.stage[0].unfreeze, Unfreeze::Nothing);
        assert_eq!(recipe.stage[1].unfreeze, Unfreeze::From("block_5".to_owned()));
        assert_eq!(recipe.stage[0].backbone_lr_factor, 0.1);
        recipe.check().expect("sensible");
        let json = serde_json::to_string(&recipe).expect("written");
        assert_eq!(serde_json::from_str::<Recipe>(&json).expect("read back"), recipe);
        let again = toml::to_string(&recipe).expect("written");
        assert_eq!(toml::from_str::<Recipe>(&again).expect("read back"), recipe);
    }

    #[test]
    fn a_rate_is_written_by_its_shortest_form() {
        let text = "clip-norm = 0.3\ngradual = true\n[[stage]]\nlr = 1e-4";
        let recipe: Recipe = toml::from_str(text).expect("valid");
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
            Recipe::read(&path)
        };
        let recipe = read("gradual = true\n[[stage]]\n").expect("valid");
        assert_eq!(
            (&*recipe.stage[0].name, recipe.stage[0].epochs, recipe.stage[0].learning_rate),
            ("train", 10, 1e-3)
        );
        assert_eq!(recipe.gradual, Some(GradualRecipe::default()));
        let recipe = read("gradual = false\n[[stage]]\n[[stage]]\nunfreeze = 2").expect("valid");
        assert_eq!((&*recipe.stage[1].name, &recipe.gradual), ("stage 2", &None));
        let of = |stage: &StageRecipe| {
            (stage.epochs, stage.learning_rate, stage.backbone_lr_factor, stage.warm_up)
        };
        assert_eq!(of(&recipe.stage[0]), (10, 1e-3, 0.1, false));
        assert_eq!(of(&recipe.stage[1]), (5, 1e-4, 0.1, true), "a stage that unfreezes has lower rates");
        let recipe = read("[[stage]]\nunfreeze = \"all\"\nlr = 0.01\nwarm-up = false").expect("valid");
        assert_eq!(of(&recipe.stage[0]), (5, 0.01, 0.1, false), "what is said counts");
        let recipe = read("weights = \"reinit\"\n[[stage]]\nunfreeze = \"all\"").expect("valid");
        assert_eq!(of(&recipe.stage[0]), (10, 1e-3, 1.0, false), "from scratch");
        let recipe = read("[[stage]]\nfreeze = [\"a\"]").expect("valid");
        assert_eq!(of(&recipe.stage[0]), (10, 1e-3, 1.0, false), "a list");
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
            assert!(toml::from_str::<Recipe>(text).is_err(), "{text}");
        }
        let recipe = Recipe { batch: 0, ..Recipe::default() };
        assert!(recipe.check().is_err());
    }
}
