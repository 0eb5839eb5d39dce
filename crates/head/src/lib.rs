//! The last layer of a network, solved on the features below it.
//!
//! Features in, a dense layer out: ridge regression, logistic regression or their mean, at the optimum, with the penalty and the
//! temperature chosen by predictions of rows that were left out. Those predictions then say how good the layer is, which labels are
//! likely wrong, and what a new photo must look like to be none of the classes.
//!
//! ```
//! use frostline_head::{InMemory, Method, Problem, Targets, solve};
//! let values = [0.0, 0.1, 0.2, 1.0, 1.1, 1.2];
//! let problem = Problem {
//!     features: &InMemory { values: &values, width: 1 },
//!     blocks: &[1],
//!     targets: Targets::Classes { labels: &[0, 0, 0, 1, 1, 1], classes: 2 },
//!     weights: None,
//!     groups: None,
//! };
//! let solved = solve(&problem, Method::Auto)?;
//! assert_eq!(solved.accuracy, Some(1.0));
//! # Ok::<(), frostline_head::HeadError>(())
//! ```

mod design;
mod error;
mod folds;
pub mod interval;
mod logistic;
mod loss;
pub mod mislabelled;
pub mod neighbours;
pub mod novelty;
mod pieces;
mod problem;
mod product;
mod ridge;
mod solve;
mod solved;
mod standardise;
mod table;

pub use error::HeadError;
pub use loss::{log_sum_exp, probabilities};
pub use problem::{Kind, Method, Problem, Targets};
pub use solve::{Layer, fit_logistic, solve};
pub use solved::{Solved, Tried};
pub use table::{FeatureTable, InMemory};
