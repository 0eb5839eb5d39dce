//! How many layers to reuse: how far up the backbone is kept, how far up it stays frozen.

mod arm;
mod before;
mod candidates;
mod choose;
mod compare;
mod cost;
mod exchange;
mod experiment;
mod frozen;
mod kept;
mod learning;
mod log;
mod one_machine;
mod pooled;
pub mod scores;
mod scratch;
mod search;
pub(crate) mod shared;
mod side_by_side;
mod statistics;
mod tangent;
mod trial;
mod verdict;

pub use arm::{Arm, Training};
pub use before::Scores;
pub use candidates::{Baselines, candidates, grid};
#[cfg(feature = "report")]
pub(crate) use compare::selection;
pub use cost::Cost;
pub use exchange::{CommonFolder, Exchange};
pub use experiment::{Experiment, Outcome};
pub use frostline_graph::{Cut, cuts, named_cuts};
pub use frozen::{FreezeScore, recommended_freeze, score_freezes};
pub use kept::{CutScore, HeadScore, recommended, score_cuts};
pub use learning::{LearningCurve, LearningPoint, more_data};
pub use log::{SearchKey, SearchLog};
pub use one_machine::{Limits, search};
pub use search::{Found, Rounds, Search};
pub use shared::{Ended, SharedEvent, SharedPlace, SharedSearch};
pub use statistics::{CONFIDENCE, Design, Estimate, sampling_variance};
pub use tangent::Tangents;
pub use trial::Trial;
pub use verdict::Verdict;
