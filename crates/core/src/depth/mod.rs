//! How many layers to reuse: how far up the backbone is kept, how far up it stays frozen.

mod arm;
mod cost;
mod cuts;
mod experiment;
mod frozen;
mod kept;
mod log;
mod pooled;
pub mod scores;
mod search;
mod statistics;
mod tangent;
mod verdict;

pub use arm::{Arm, Training};
pub use cost::Cost;
pub use cuts::{Cut, cuts, named_cuts};
pub use experiment::{Experiment, Outcome};
pub use frozen::{FreezeScore, recommended_freeze, score_freezes};
pub use kept::{CutScore, HeadScore, recommended, score_cuts};
pub use log::{SearchKey, SearchLog};
pub use search::{Controls, Found, Limits, candidates, grid, search};
pub use statistics::{CONFIDENCE, Design, Estimate, sampling_variance};
pub use tangent::Tangents;
pub use verdict::Verdict;
