//! What a search for how many layers to reuse has found: as tables, as JSON, and as a page with pictures.

mod document;
mod folder;
#[cfg(feature = "report")]
mod page;
mod tables;

pub use document::scores_document;
pub use tables::{Table, arms, cuts, freezes, learning};

use crate::depth::{Found, LearningCurve, Scores, Verdict};

/// What a search has found.
#[derive(Debug)]
pub struct DepthReport {
    /// The model's file, as the user named it.
    pub model: String,
    /// The data, as the user named them.
    pub data: String,
    /// Images to train and select on, and images that are held out.
    pub images: [usize; 2],
    /// What was known before anything was trained.
    pub scores: Scores,
    /// The arms and their scores.
    pub found: Found,
    /// What a part of the images gives.
    pub learning: Vec<LearningCurve>,
    /// In words.
    pub verdict: Verdict,
}
