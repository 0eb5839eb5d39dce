//! Which layers train. A frozen layer has no gradient, no update, no weight decay; its BatchNormalization uses its
//! moving statistics and leaves them alone; its dropout is off.

use crate::layers::Kind;
use crate::model::{Body, Graph, Layer, as_flag, full_path, is_within, without_here};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The variables of a BatchNormalization that are no weights.
const STATISTICS: [&str; 2] = ["moving_mean", "moving_variance"];

/// The frozen layers of a model, by path. All others train.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freeze {
    frozen: BTreeSet<String>,
    /// Layers of which the moving statistics are frozen, whether or not their weights are.
    statistics: BTreeSet<String>,
}

/// How many of the reused layers train.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfreeze {
    /// None of them: the head alone trains.
    Nothing,
    /// The highest `n`, counted as `inspect` lists them.
    Highest(usize),
    /// The layer (or nested model) at this path and all reused layers above it.
    From(String),
    /// All of them.
    All,
}

impl FromStr for Unfreeze {
    type Err = std::convert::Infallible;

    /// `0`, the number of highest layers, `all`, or a layer path; `./2` is the path of a layer that is named `2`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match (text, text.parse()) {
            ("all", _) => Unfreeze::All,
            (_, Ok(0)) => Unfreeze::Nothing,
            (_, Ok(count)) => Unfreeze::Highest(count),
            _ => Unfreeze::From(without_here(text).to_owned()),
        })
    }
}

impl fmt::Display for Unfreeze {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfreeze::Nothing => formatter.write_str("0"),
            Unfreeze::Highest(count) => write!(formatter, "{count}"),
            Unfreeze::From(path) => formatter.write_str(&as_flag(path)),
            Unfreeze::All => formatter.write_str("all"),
        }
    }
}

impl Freeze {
    /// Everything trains.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Nothing trains: the model as it is used for prediction.
    pub fn everything(graph: &Graph) -> Self {
        Self { frozen: graph.leaves().into_iter().map(|(path, _)| path).collect(), ..Self::default() }
    }

    /// Exactly these layers are frozen. The path of a nested model freezes all in it. An unknown path is an error.
    pub fn exactly<S: AsRef<str>>(graph: &Graph, paths: &[S]) -> Result<Self> {
        let leaves = graph.leaves();
        let mut frozen = BTreeSet::new();
        let all: Vec<&str> = leaves.iter().map(|(leaf, _)| leaf.as_str()).collect();
        for path in paths.iter().map(AsRef::as_ref) {
            let path = full_path(path, &all);
            let covered = leaves.iter().map(|(leaf, _)| leaf).filter(|leaf| is_within(leaf, path));
            let before = frozen.len();
            frozen.extend(covered.cloned());
            if frozen.len() == before && !leaves.iter().any(|(leaf, _)| is_within(leaf, path)) {
                return Err(unknown(path, &leaves.iter().map(|(leaf, _)| leaf.as_str()).collect::<Vec<_>>()));
            }
        }
        Ok(Self { frozen, ..Self::default() })
    }

    /// All of `reused` (paths from the lowest to the highest) is frozen but for what `unfreeze` says.
    pub fn reused(reused: &[String], unfreeze: &Unfreeze) -> Result<Self> {
        let paths: Vec<&str> = reused.iter().map(String::as_str).collect();
        let frozen =
            match unfreeze {
                Unfreeze::Nothing => reused.len(),
                Unfreeze::All => 0,
                Unfreeze::Highest(count) => reused.len().saturating_sub(*count),
                Unfreeze::From(path) => reused
                    .iter()
                    .position(|leaf| is_within(leaf, full_path(path, &paths)))
                    .ok_or_else(|| unknown(path, &reused.iter().map(String::as_str).collect::<Vec<_>>()))?,
            };
        Ok(Self { frozen: reused[..frozen].iter().cloned().collect(), ..Self::default() })
    }

    /// What is frozen in both.
    pub fn and(&self, other: &Self) -> Self {
        let both = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.intersection(b).cloned().collect();
        Self {
            frozen: both(&self.frozen, &other.frozen),
            statistics: both(&self.statistics, &other.statistics),
        }
    }

    /// The same with the statistics of those of `layers` that are a BatchNormalization: they normalise by their moving
    /// statistics and leave them alone even where gamma and beta train, as `base_model(x, training=False)` has it in Keras's
    /// guide to transfer learning.
    pub fn with_statistics(mut self, graph: &Graph, layers: &[String]) -> Self {
        let is_normalization = |layer: &Layer| matches!(&layer.body, Body::Kind(Kind::BatchNormalization(_)));
        let all: BTreeSet<String> = graph
            .leaves()
            .into_iter()
            .filter_map(|(path, layer)| is_normalization(layer).then_some(path))
            .collect();
        self.statistics.extend(layers.iter().filter(|path| all.contains(*path)).cloned());
        self
    }

    /// Sets the `trainable` flags that the graph is saved with.
    pub fn mark(&self, graph: &mut Graph) {
        self.mark_in("", graph);
    }

    fn mark_in(&self, group: &str, graph: &mut Graph) {
        for layer in &mut graph.layers {
            let path = crate::model::join(group, &layer.name);
            layer.trainable = !self.is_frozen(&path);
            if let Body::Model(inner) = &mut layer.body {
                self.mark_in(&path, inner);
            }
        }
    }

    /// Whether the layer at this path is frozen.
    pub fn is_frozen(&self, path: &str) -> bool {
        self.frozen.contains(path)
    }

    /// Whether the layer at this path runs as in prediction, whether or not its weights train.
    pub fn is_inference(&self, path: &str) -> bool {
        self.is_frozen(path) || self.statistics.contains(path)
    }

    /// Whether a weight, `layer path/variable`, stays as it is.
    pub fn holds(&self, weight: &str) -> bool {
        let (layer, variable) = weight.rsplit_once('/').unwrap_or((weight, ""));
        self.is_frozen(layer) || STATISTICS.contains(&variable) && self.statistics.contains(layer)
    }

    /// The frozen layers' paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.frozen.iter().map(String::as_str)
    }
}

fn unknown(path: &str, leaves: &[&str]) -> Error {
    Error::setting(format!(
        "there is no layer `{path}` to freeze or unfreeze\nhelp: {}",
        crate::model::which_layer(path, leaves)
    ))
}
