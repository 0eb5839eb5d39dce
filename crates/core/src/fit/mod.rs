//! Training: losses, metrics, optimizers, stages, and the proof of what stayed frozen.

mod certificate;
mod class_weights;
mod loss;
mod metrics;
mod optimizer;
mod schedule;

pub use certificate::{Certificate, Hashes, frozen_hashes};
pub use class_weights::ClassWeights;
pub use loss::{Loss, LossSetting, Outputs, Targets};
pub use metrics::{ClassReport, ClassScore, Metric, predicted_class};
pub use optimizer::{Decay, Optimizer, OptimizerKind, clip_global_norm};
pub use schedule::{Schedule, Watch};
