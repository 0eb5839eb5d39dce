//! How many layers to reuse: how far up the backbone is kept, how far up it stays frozen.

mod cuts;
mod kept;
mod pooled;
pub mod scores;

pub use cuts::{Cut, cuts};
pub use kept::{CutScore, recommended, score_cuts};
pub use pooled::Pooled;
