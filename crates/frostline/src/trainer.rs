//! Trains a model on data in one chain of calls.

use crate::fit::{
    Caching, Check, Checkpoints, Event, Head, Journal, Observer, OptimizerKind, StageConfig, TrainConfig,
    TrainConfigBuilder, Trained, Validation, prepare, silent,
};
use crate::{Error, Result};
use frostline_data::Dataset;
use frostline_graph::{Keep, Model};

/// Says how a model is trained on data, and trains it. What is not said is as `frostline train` has it: where no stage is
/// added, the head is solved.
///
/// ```
/// use frostline::prelude::*;
///
/// let model = Model::load("../cli/assets/demo/my_model_A.h5")?;
/// let data = open_data("../cli/assets/demo/fashion_subset.npz".as_ref())?;
/// let fitted = Trainer::new(&model, data).keep(-1).train()?;
/// assert!(fitted.test_accuracy().unwrap() > 0.9);
/// # Ok::<(), Error>(())
/// ```
#[must_use = "a trainer does nothing until `train`"]
pub struct Trainer<'a> {
    model: &'a Model,
    data: Dataset,
    config: TrainConfigBuilder,
    has_stages: bool,
    validation: Validation,
    seed: u64,
    caching: Caching,
    checkpoints: Option<Checkpoints>,
    observe: Observer<'a>,
    wrong: Option<Error>,
}

/// A trained model.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fitted {
    /// The model with its new weights.
    pub model: Model,
    /// What became of its stages, its scores, and the proof of what stayed frozen.
    pub trained: Trained,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl Fitted {
    /// The accuracy on the test part of the data, if there is one and its labels are classes.
    pub fn test_accuracy(&self) -> Option<f64> {
        self.trained.test.as_ref()?.scores.get(crate::fit::Metric::Accuracy)
    }
}

impl<'a> Trainer<'a> {
    /// Trains a copy of `model` on `data`. The model itself is left as it is.
    pub fn new(model: &'a Model, data: Dataset) -> Self {
        Self {
            model,
            data,
            config: TrainConfig::builder(),
            has_stages: false,
            validation: Validation::Auto,
            seed: 0,
            caching: Caching::default(),
            checkpoints: None,
            observe: &silent,
            wrong: None,
        }
    }

    /// How much of the model is kept below the new output layer: `-1` drops the highest layer.
    pub fn keep(mut self, keep: impl Into<Keep>) -> Self {
        self.config = self.config.keep(keep.into());
        self
    }

    /// The model has its output layer already, and keeps it.
    pub fn keep_head(mut self) -> Self {
        self.config = self.config.head(Head::Keep);
        self
    }

    /// An optimizer as settings write it: `adam`, `sgd(momentum=0.9)`.
    pub fn optimizer(mut self, text: &str) -> Self {
        match text.parse::<OptimizerKind>() {
            Ok(kind) => self.config = self.config.optimizer(kind),
            Err(message) => self.wrong = Some(Error::setting(message)),
        }
        self
    }

    /// Adds a stage of training by steps.
    pub fn stage(mut self, stage: StageConfig) -> Self {
        self.config = self.config.stage(stage);
        self.has_stages = true;
        self
    }

    /// Changes any setting; `change` receives the settings made so far.
    pub fn config(mut self, change: impl FnOnce(TrainConfigBuilder) -> TrainConfigBuilder) -> Self {
        self.config = change(self.config);
        self
    }

    /// Where the validation images come from; by default the data's own, else, where a stage is trained by steps, a fifth of the
    /// training images.
    pub fn validation(mut self, validation: Validation) -> Self {
        self.validation = validation;
        self
    }

    /// The seed of new weights, the split, the order of the images, dropout and views; 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Where the features of frozen layers are kept; by default in memory.
    pub fn caching(mut self, caching: Caching) -> Self {
        self.caching = caching;
        self
    }

    /// Leaves checkpoints in a folder, and goes on from one that is there: the same training, stopped at any step, ends with the
    /// same bits. The folder is left when the training is done, so that nothing is lost until the model is saved: remove it
    /// then, with [`Checkpoints::remove`].
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Calls `observe` after each epoch and stage.
    pub fn observe(mut self, observe: &'a (dyn Fn(&Event<'_>) + Sync)) -> Self {
        self.observe = observe;
        self
    }

    /// Trains.
    ///
    /// # Errors
    ///
    /// A setting that does not fit the model or the data; data that cannot be trained on; checkpoints of another training.
    pub fn train(self) -> Result<Fitted> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let mut config = self.config.build()?;
        if !self.has_stages && config.stage.is_empty() && config.solve.is_none() {
            config.solve = Some(Default::default());
        }
        let mut prepared = prepare(
            Check::Decode,
            self.model.clone(),
            self.data,
            config,
            &self.validation,
            self.seed,
            self.caching,
            self.observe,
        )?;
        let journal = match self.checkpoints {
            Some(checkpoints) => Journal::open(checkpoints, &prepared)?,
            None => Journal::default(),
        };
        prepared.notes.extend_from_slice(journal.notes());
        let trained = prepared.train_with(&journal, self.observe)?;
        Ok(Fitted { model: prepared.model, trained, notes: prepared.notes })
    }
}
