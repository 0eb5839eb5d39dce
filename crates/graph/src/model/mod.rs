//! A graph with its weights and what else a file says about it.

mod block_cuts;
mod classifier;
mod cuts;
mod dense_output;
mod freeze;
mod graph;
mod join;
mod named;
mod places;
mod suggest;
mod surgery;
mod tokens;
mod turned;
mod weights;

pub use block_cuts::{Cut, cuts, named_cuts};
pub use freeze::*;
use graph::inputs_of;
pub use graph::*;
pub use join::Pooling;
pub use named::as_flag;
use named::without_here;
pub use places::Grid;
use suggest::which_layer;

pub use surgery::{Keep, Transfer, WantedWeight, snake_case};
pub use weights::{Handle, Weights};

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A model in memory.
#[derive(Clone, Debug)]
pub struct Model {
    /// Layers and calls.
    pub graph: Graph,
    /// Their weights. Cloning a model shares them; see [`Model::copy`].
    pub weights: Weights,
    /// What frostline saved with it, or what is known of it.
    pub info: ModelInfo,
}

impl Model {
    /// A model with the same layers and a copy of every weight.
    pub fn copy(&self) -> Self {
        let mut weights = Weights::default();
        for (path, handle) in self.weights.iter() {
            weights.insert(path, handle.copy());
        }
        Self { graph: self.graph.clone(), weights, info: self.info.clone() }
    }

    /// The paths of the layers with a weight that is not a finite number, sorted.
    pub fn layers_not_finite(&self) -> Vec<String> {
        let is_lost =
            |handle: &Handle| handle.with(|tensor| tensor.data.iter().any(|value| !value.is_finite()));
        let lost: BTreeSet<&str> = self
            .weights
            .iter()
            .filter(|(_, handle)| is_lost(handle))
            .map(|(path, _)| path.rsplit_once('/').map_or(path, |(layer, _)| layer))
            .collect();
        lost.into_iter().map(str::to_owned).collect()
    }

    /// The paths of the layers with a weight of two or more axes, as convolutions and dense layers have one.
    pub fn layers_with_kernels(&self) -> BTreeSet<&str> {
        self.weights
            .iter()
            .filter(|(_, handle)| handle.with(|tensor| tensor.shape.len() >= 2))
            .filter_map(|(path, _)| Some(path.rsplit_once('/')?.0))
            .collect()
    }
}

/// What rides along in a model file besides layers and weights: the entry `frostline.json` of a `.keras` file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelInfo {
    /// The names of the outputs' classes, in their order.
    pub classes: Option<Vec<String>>,
    /// Whether an image may have several of them: then each output is a label's own probability.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub several_labels: bool,
    /// The name of the preprocessing (`tf`, `caffe`, …), or a description of it, as `data` writes it.
    pub preprocess: Option<serde_json::Value>,
    /// `[height, width]` of the images it was trained on.
    pub image_size: Option<[usize; 2]>,
    /// The name of the resize kernel it was trained with.
    pub resize: Option<String>,
    /// How images of another shape were brought to that size: `squash`, `crop` or `pad`; none where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<String>,
    /// How many times that size JPEGs still were when they were decoded; none where they were decoded whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaled_decode: Option<u8>,
    /// The views of an image whose outputs, before the last activation, are averaged in a prediction; empty where it takes the
    /// model's own view alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<String>,
    /// Layers that are called otherwise than in the file that they came from: the path here, the name there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub renamed: BTreeMap<String, String>,
    /// Whether the names in the model are not Keras's, so that none of them says which of its architectures it is: exporters to
    /// ONNX call graphs as they like.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub foreign_names: bool,
    /// Whether the model that these layers come from goes on from the first of its tokens alone: its class token.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub class_token: bool,
}

impl ModelInfo {
    /// The name of a class: its number where the model has no names.
    pub fn class_name(&self, index: usize) -> String {
        let name = self.classes.as_ref().and_then(|classes| classes.get(index));
        name.cloned().unwrap_or_else(|| index.to_string())
    }
}
