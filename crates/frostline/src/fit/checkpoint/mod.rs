//! What a training leaves on disk while it runs, so that it can go on at the step where it was stopped, bit for bit as if it
//! had not been.
//!
//! A [`Journal`] knows what a training has done. On the way it writes checkpoints into a folder, at most two: the newest and the one
//! before. A training that goes on is run from its beginning again, but for what it has done already: that is answered from the journal. So
//! what a stage decides for the next has one place, the code that trains.

pub(in crate::fit) mod exact;
mod file;
mod folder;
pub(in crate::fit) mod journal;
mod key;
pub(in crate::fit) mod state;
mod timing;

pub use folder::Checkpoints;
pub use journal::{Journal, Resumed};
pub use timing::{Every, Stop};
