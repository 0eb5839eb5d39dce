//! Pages for people: each is one file, which loads nothing, runs nothing, and is read on a phone as on a desk.

mod answer;
mod classes;
mod confusion;
mod curves;
mod data;
mod evaluation;
pub(in crate::report) mod frame;
mod made;
mod mistakes;
mod photos;
mod scored;
mod similar;
mod training;

pub(in crate::report) use curves::epochs;
pub use evaluation::EvaluationPage;
pub use similar::{Shown, SimilarPage};
pub(in crate::report) use training::{Training, sentence};
