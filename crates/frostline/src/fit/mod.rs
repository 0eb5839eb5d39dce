//! Training: losses, metrics, optimizers, stages, and the proof of what stayed frozen.
//!
//! A [`TrainConfig`] says what is reused and in which stages it is trained. [`prepare`] makes a model, its data and its
//! loss from it; [`Prepared::train`] runs the stages. Each [`Stage`] compiles its own plan from its own freeze
//! setting, computes what lies below the boundary once, and restores the best weights at its end.

mod checkpoint;
mod config;
pub mod features;
mod forecast;
mod objective;
mod optim;
mod prepare;
mod solved;
mod tensor_file;
mod train;

pub use checkpoint::{Checkpoints, Every, Journal, Resumed, Stop};
pub use config::caching::Caching;
pub use config::defaults::{FINE_TUNE_SHARE, StageDefaults};
pub use config::setting::{ReusedStatistics, Setting};
pub use config::solve_config::{HeadMethod, SolveConfig};
pub use config::stage_config::{GradualConfig, StageConfig};
pub use config::train_config::{TrainConfig, TrainConfigBuilder};
pub use config::values::{Head, ImageSize, LearningRates, PretrainedWeights};
pub use features::boundaries::BoundaryPlan;
#[cfg(feature = "depth")]
pub(crate) use features::pass::Pass;
pub use features::passes::Source;
pub(crate) use forecast::plan::peak_memory;
pub use forecast::plan::{StagePlan, TrainingPlan};
pub use objective::class_weights::ClassWeights;
pub(crate) use objective::loss::Scored;
pub use objective::loss::{Loss, LossSetting, Outputs, Targets};
pub use objective::metrics::{
    ClassReport, ClassScore, LabelScores, Metric, predicted_class, predicted_labels,
};
pub use objective::scores::Scores;
pub(crate) use objective::targets::TargetColumn;
pub use objective::task::{NO_NAMES, Task};
pub use optim::optimizer::*;
pub use optim::schedule::*;
pub use prepare::applied::Applied;
pub use prepare::first_pass::Check;
pub use prepare::prepared::{Prepared, Validation, pipeline_for, prepare};
pub use prepare::preprocessing::{
    check_numbers, fit_of, input_shape, preprocess_of, resize_of, scaled_decode_of, takes_sequences,
};
pub(crate) use solved::Solving;
pub(crate) use solved::squashed as probabilities;
pub use solved::{
    Examples, Findings, LeftOut, Pictures, Programs, Prospect, Seen, SolvePlan, SolvedHead, Suspect,
    Unfreezing, ViewPass, Viewed, Worth, mislabelled, worth_labelling,
};
pub(crate) use solved::{feature_keys, mean_of_views, stored_as, stored_views, takes_any_size};
pub use train::certificate::{Certificate, Hashes, frozen_hashes};
pub(crate) use train::evaluate::squash;
pub use train::evaluate::{Evaluation, evaluate, no_scores, returns};
pub use train::gradual::blocks;
#[cfg(feature = "depth")]
pub(crate) use train::observe::counter;
pub use train::observe::{EpochRecord, Event, Observer, silent};
pub use train::rate_search::RateSearch;
pub use train::stage::{Stage, StageReport, StageRunner};
pub use train::training::Trained;
