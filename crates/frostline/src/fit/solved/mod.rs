//! The head is solved, not trained: on features of frozen layers the problem is convex and has one solution, which is computed
//! to the end, with no learning rate, no epochs, no order of images and no held-out part. Every training image is scored by a
//! head that has not seen it, and that says what to expect of new ones.
//!
//! The head reads the pooled outputs of the highest blocks, averaged over several views of an image; it is one Dense layer on
//! a Concatenate, so that the model is an ordinary Keras graph.

mod findings;
mod head;
mod left_out;
mod outcome;
mod plan;
mod reading;
mod suggest;
mod unfreeze;

pub use findings::{Findings, Suspect, mislabelled};
pub use left_out::LeftOut;
pub use outcome::{Prospect, SolvedHead};
pub use plan::SolvePlan;
pub(crate) use reading::features::{keys as feature_keys, read as stored_views, stored_as};
pub(crate) use reading::pass::takes_any_size;
pub use reading::pass::{Examples, Pictures, Programs, ViewPass};
pub(crate) use reading::setup::Solving;
pub use reading::views::{Seen, Viewed};
pub(crate) use reading::views::{mean as mean_of_views, squashed};
pub use suggest::{Worth, worth_labelling};
pub(in crate::fit) use unfreeze::Considered;
pub use unfreeze::Unfreezing;
