//! What of a solved head is set by hand.

use crate::fit::config::text;
use frostline_data::View;
use frostline_graph::Pooling;
use serde::{Deserialize, Serialize};

/// The head is solved, not trained. Whatever is not set is found by the out-of-sample score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SolveConfig {
    /// The layers whose outputs the head reads, the highest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cuts: Option<Vec<String>>,
    /// How the outputs of those layers become vectors.
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// The views of an image that are averaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub views: Option<Vec<View>>,
    /// How it is solved.
    pub method: HeadMethod,
    /// Whether the highest block is trained where images that were not trained on say that this is better.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unfreeze: bool,
    /// The share of images of the classes that a prediction may take for none of them, so as to tell what is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject: Option<f64>,
}

/// How a head is solved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadMethod {
    /// The mean of both for classes, ridge regression for numbers.
    #[default]
    Auto,
    /// Ridge regression of the class indicators.
    Ridge,
    /// Logistic regression.
    Logistic,
    /// The mean of both.
    Mean,
}
