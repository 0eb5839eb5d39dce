//! A run with one class more or one less.
//!
//! The head is solved anew, on the same layers, views and settings as the run records, with the photos of the new class among
//! the others, or without those of a class. Nothing else of the model changes, which is proven by hashes of all tensors of both
//! files.

mod change;
mod earlier;
mod scores;

pub use change::{ChangedRun, ClassChange, change_classes};
pub use earlier::EarlierRun;
pub use scores::ClassBefore;
