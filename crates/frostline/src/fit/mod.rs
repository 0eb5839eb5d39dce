//! Training: losses, metrics, optimizers, stages, and the proof of what stayed frozen.
//!
//! A [`Recipe`] says what is reused and in which stages it is trained. [`prepare`] makes a model, its data and its
//! loss from it; [`Prepared::train`] runs the stages. Each [`Stage`] compiles its own plan from its own freeze
//! setting, computes what lies below the boundary once, and restores the best weights at its end.

mod ahead;
mod applied;
mod bank;
mod batches;
mod boundaries;
mod caching;
mod calibration;
mod certificate;
mod choice;
mod class_weights;
mod defaults;
mod evaluate;
mod features;
mod first_pass;
mod gradual;
mod input_scaling;
mod loss;
mod lost;
mod metrics;
mod number_names;
mod observe;
mod optimizer;
mod pass;
mod plan;
mod prepare;
mod preprocessing;
mod probe;
mod recipe;
mod rehearsal;
mod schedule;
mod scores;
mod setting;
mod shelf;
mod solved;
mod stage;
mod stage_run;
mod targets;
mod task;
mod text;
mod train;

pub use applied::Applied;
pub use boundaries::BoundaryPlan;
pub use caching::Caching;
pub use certificate::{Certificate, Hashes, frozen_hashes};
pub use class_weights::ClassWeights;
pub use defaults::{FINE_TUNE_SHARE, StageDefaults};
pub use evaluate::{Evaluation, evaluate, evaluate_in, no_scores, returns};
pub use features::Source;
pub use first_pass::Check;
pub use gradual::blocks;
pub use loss::{Loss, LossSetting, Outputs, Targets};
pub use metrics::{ClassReport, ClassScore, Metric, predicted_class};
pub(crate) use observe::counter;
pub use observe::{EpochRecord, Event, Observer, silent};
pub use optimizer::{Optimizer, OptimizerKind, clip_global_norm};
pub(crate) use pass::Pass;
pub use plan::{StagePlan, TrainingPlan, peak_memory};
pub use prepare::{Prepared, Validation, pipeline_for, prepare, prepare_by};
pub use preprocessing::{input_shape, preprocess_of, resize_of, scaled_decode_of};
pub use recipe::{GradualRecipe, Head, ImageSize, PretrainedWeights, Recipe, StageRecipe};
pub use schedule::{Best, Schedule, Watch};
pub use scores::Scores;
pub use setting::{ReusedStatistics, Setting};
pub(crate) use solved::Solving;
pub use solved::{
    Examples, Findings, HeadMethod, LeftOut, Pictures, Prospect, Seen, SolvePlan, SolveRecipe, SolvedHead,
    Suspect, Unfreezing, ViewPass, Viewed, Worth, mislabelled, worth_labelling,
};
pub use stage::{Stage, StageReport, Trainer};
pub use targets::TargetColumn;
pub use task::{NO_NAMES, Task};
pub use train::Trained;
