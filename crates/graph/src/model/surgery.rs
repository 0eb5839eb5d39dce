//! Cutting a model and putting new layers on top of it.

use super::named::{as_flag, without_here};
use super::suggest::which_layer;
use super::{
    Body, Call, Form, Graph, Handle, Layer, Model, ModelInfo, TensorId, Weights, full_path, inputs_of,
};
use crate::layers::Kind;
use crate::ops::Role;
use crate::{Error, Result, Shape};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// How far up a model is kept. Layers are counted as `inspect` lists them: nested models layer by layer, input
/// layers not counted.
///
/// ```
/// use frostline_graph::Keep;
///
/// assert_eq!(Keep::from(-1), Keep::AllBut(1));
/// assert_eq!("block_5".parse::<Keep>()?, Keep::Layer("block_5".to_owned()));
/// # Ok::<(), frostline_graph::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The layer at this path and all below it.
    Layer(String),
    /// The lowest `n` layers.
    Lowest(usize),
    /// All but the highest `n` layers; 0 keeps the whole graph.
    AllBut(usize),
}

/// A number of the lowest layers, or, below 0, of the highest layers to drop.
impl From<i32> for Keep {
    fn from(layers: i32) -> Self {
        let count = layers.unsigned_abs() as usize;
        if layers < 0 { Self::AllBut(count) } else { Self::Lowest(count) }
    }
}

/// The path of the highest layer to keep.
impl From<&str> for Keep {
    fn from(path: &str) -> Self {
        Self::Layer(path.to_owned())
    }
}

impl FromStr for Keep {
    type Err = Error;

    /// A layer path, `N` for the lowest, or `-N` for all but the highest; `./N` is the path of a layer that is named so.
    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.parse::<i64>() {
            Ok(0) => {
                return Err(Error::setting(
                    "keeping 0 layers leaves nothing\nhelp: give a layer path, `N` lowest layers or `-N`"
                        .to_owned(),
                ));
            }
            Ok(count) if count < 0 => Keep::AllBut(count.unsigned_abs() as usize),
            Ok(count) => Keep::Lowest(count as usize),
            Err(_) => Keep::Layer(without_here(text).to_owned()),
        })
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keep::Layer(path) => formatter.write_str(&as_flag(path)),
            Keep::Lowest(count) => write!(formatter, "{count}"),
            Keep::AllBut(count) => write!(formatter, "-{count}"),
        }
    }
}

/// How the weights of a model travel to a model made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// The new model has its own copy.
    Copy,
    /// Both models hold the same weights: training one changes the other, as Keras's
    /// `Sequential(model.layers[:-1])` does.
    Share,
    /// The new model has the architecture only; its weights begin anew from this seed, as after `clone_model`.
    Reinit {
        /// The seed of the initializers.
        seed: u64,
    },
}

impl Model {
    /// A model of the lower layers of this one, with copies of their weights: `-1` drops the highest layer, `5` keeps the
    /// lowest five, a path keeps the layer there and all below it.
    ///
    /// # Errors
    ///
    /// The model cannot be cut there, or has no such layer.
    pub fn keep(&self, keep: impl Into<Keep>) -> Result<Model> {
        self.keep_with(&keep.into(), Transfer::Copy)
    }

    /// Puts a layer on top of the model's output. Its weights are drawn from the seed 0; [`Model::add_layers`] draws from
    /// another, and takes inputs whose size is open.
    ///
    /// # Errors
    ///
    /// The layer does not fit the output, or there are several outputs.
    pub fn push(mut self, layer: impl Into<Kind>) -> Result<Model> {
        let inputs = self.graph.stand_in_shapes();
        self.add_layers(vec![layer.into()], &inputs, 0)?;
        Ok(self)
    }

    /// [`Model::keep`], with weights that travel as `transfer` says.
    ///
    /// # Errors
    ///
    /// The model cannot be cut there, or has no such layer.
    pub fn keep_with(&self, keep: &Keep, transfer: Transfer) -> Result<Model> {
        let graph = match self.graph.kept_path(keep)? {
            Some(path) => self.graph.truncate(&path)?,
            None => self.graph.clone(),
        };
        let kept: BTreeMap<String, ()> = graph.leaves().into_iter().map(|(path, _)| (path, ())).collect();
        let mut weights = Weights::default();
        for (path, handle) in self.weights.iter() {
            let layer = path.rsplit_once('/').map_or(path, |(layer, _)| layer);
            if kept.contains_key(layer) {
                match transfer {
                    Transfer::Copy => weights.insert(path, handle.copy()),
                    Transfer::Share => weights.insert(path, handle.clone()),
                    Transfer::Reinit { .. } => {}
                }
            }
        }
        let class_token = self.info.class_token || self.graph.reads_class_token();
        let mut model = Model { graph, weights, info: ModelInfo { class_token, ..self.info.clone() } };
        if let Transfer::Reinit { seed } = transfer {
            let statistics = |path: &str| self.weights.get(path).ok();
            model.fill_weights(&model.graph.stand_in_shapes(), seed, statistics)?;
        }
        Ok(model)
    }

    /// Puts layers on top of the model's output, with new weights drawn from the seed, for inputs of these
    /// shapes. Returns the names that the layers were given.
    ///
    /// # Errors
    ///
    /// A layer does not fit what is below it, or there are several outputs.
    pub fn add_layers(&mut self, kinds: Vec<Kind>, inputs: &[Shape], seed: u64) -> Result<Vec<String>> {
        let mut names = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let [output] = self.graph.outputs.as_slice() else {
                return Err(Error::surgery(format!(
                    "a head needs one output to stand on, the model has {}\nhelp: keep up to a layer of your choice with the setting `keep = LAYER`",
                    self.graph.outputs.len()
                )));
            };
            let output = *output;
            let name = self.graph.unused_name(kind.class_name());
            let config = kind.config();
            self.graph.layers.push(Layer {
                name: name.clone(),
                trainable: true,
                body: Body::Kind(kind),
                config,
            });
            self.graph.calls.push(Call { layer: self.graph.layers.len() - 1, inputs: vec![output] });
            self.graph.outputs = vec![TensorId { call: self.graph.calls.len() - 1, output: 0 }];
            names.push(name);
        }
        self.fill_weights(inputs, seed, |_| None)?;
        Ok(names)
    }

    /// Draws every weight that is missing. What is a statistic of the data (of a Normalization layer) and not of
    /// the training is taken from `statistics` where it is there.
    fn fill_weights<'a>(
        &mut self,
        inputs: &[Shape],
        seed: u64,
        statistics: impl Fn(&str) -> Option<&'a Handle>,
    ) -> Result<()> {
        for wanted in self.graph.weight_specs(inputs)? {
            if self.weights.contains(&wanted.path) {
                continue;
            }
            let of_data = wanted.spec.role == Role::State && matches!(wanted.kind, Kind::Normalization(_));
            let handle = match statistics(&wanted.path).filter(|_| of_data) {
                Some(handle) => handle.copy(),
                None => Handle::new(wanted.spec.initializer.draw(&wanted.spec.shape, seed, &wanted.path)),
            };
            self.weights.insert(wanted.path, handle);
        }
        Ok(())
    }
}

/// A weight that a graph needs.
#[derive(Clone, Debug)]
pub struct WantedWeight {
    /// `layer path/variable`.
    pub path: String,
    /// What the layer does.
    pub kind: Kind,
    /// Name, shape, initializer, role.
    pub spec: crate::layers::WeightSpec,
}

impl Graph {
    /// Input shapes with 224 for the extents that are left open: enough to know the shapes of weights.
    pub fn stand_in_shapes(&self) -> Vec<Shape> {
        let closed =
            |shape: Vec<Option<usize>>| shape.into_iter().map(|extent| extent.unwrap_or(224)).collect();
        self.input_shapes().into_iter().map(closed).collect()
    }

    /// Every weight that the graph needs when its inputs have these shapes, in the order of the layers.
    pub fn weight_specs(&self, inputs: &[Shape]) -> Result<Vec<WantedWeight>> {
        let mut found = Vec::new();
        self.collect_weight_specs("", inputs, &mut found)?;
        Ok(found)
    }

    fn collect_weight_specs(
        &self,
        group: &str,
        inputs: &[Shape],
        found: &mut Vec<WantedWeight>,
    ) -> Result<()> {
        let shapes = self.known_shapes(group, inputs)?;
        let mut seen = vec![false; self.layers.len()];
        for call in &self.calls {
            if std::mem::replace(&mut seen[call.layer], true) {
                continue;
            }
            let layer = &self.layers[call.layer];
            let path = super::join(group, &layer.name);
            // above a layer that cannot be run no shape is known, and no weight is wanted
            let Some(given) = inputs_of(call, &shapes) else { continue };
            match &layer.body {
                Body::Model(inner) => inner.collect_weight_specs(&path, &given, found)?,
                Body::Kind(kind) => {
                    for spec in kind.weights(&given).map_err(|message| Error::shape(&path, message))? {
                        found.push(WantedWeight {
                            path: super::join(&path, spec.name),
                            kind: kind.clone(),
                            spec,
                        });
                    }
                }
                Body::Unsupported { .. } => {}
            }
        }
        Ok(())
    }

    /// The paths of the layers that count, in the order of the calls: all but input layers.
    pub fn counted_paths(&self) -> Vec<String> {
        let counts = |layer: &Layer| !matches!(&layer.body, Body::Kind(Kind::InputLayer(_)));
        self.leaves().into_iter().filter(|(_, layer)| counts(layer)).map(|(path, _)| path).collect()
    }

    /// The highest of so many layers that are kept, whether the model can be cut there or not; `None` where all are, or where
    /// there are not so many.
    pub fn highest_kept(&self, keep: &Keep) -> Option<String> {
        let mut paths = self.counted_paths();
        let count = match keep {
            Keep::Layer(path) => return Some(path.clone()),
            Keep::Lowest(count) => *count,
            Keep::AllBut(0) => return None,
            Keep::AllBut(count) => paths.len().saturating_sub(*count),
        };
        (1..=paths.len()).contains(&count).then(|| paths.swap_remove(count - 1))
    }

    /// The path of the highest layer kept, or `None` where the whole graph is.
    fn kept_path(&self, keep: &Keep) -> Result<Option<String>> {
        let paths = self.counted_paths();
        let path = match keep {
            Keep::AllBut(0) => return Ok(None),
            Keep::Layer(path) => {
                let leaves = self.leaves();
                let leaves: Vec<&str> = leaves.iter().map(|(leaf, _)| leaf.as_str()).collect();
                Some(full_path(path, &leaves).to_owned())
            }
            Keep::Lowest(_) | Keep::AllBut(_) => self.highest_kept(keep),
        };
        let Some(path) = path else {
            let layers = paths.len();
            let named = self.number_note("keep", &keep.to_string(), "means a number of layers");
            return Err(Error::surgery(format!(
                "cannot keep {keep}: the model has {layers} layers\nhelp: {}",
                named.unwrap_or_else(|| format!(
                    "keep between 1 and {layers}; `frostline inspect` lists them"
                ))
            )));
        };
        if self.turned_paths().contains(&path) {
            return Err(self.no_cut(
                &path,
                &format!("`{path}`"),
                "the channels of its output are not its last axis",
            ));
        }
        if matches!(keep, Keep::Layer(_)) {
            return Ok(Some(path));
        }
        let count = paths.iter().position(|other| *other == path).map_or(0, |index| index + 1);
        // of a layer that cannot be run that is the error, not that it is no place to cut at
        let is_unsupported = matches!(self.layer(&path), Some(Layer { body: Body::Unsupported { .. }, .. }));
        if self.cut_points().contains(&path) || count == paths.len() || is_unsupported {
            return Ok(Some(path));
        }
        Err(self.no_cut(&path, &format!("layer {count}, `{path}`"), "other branches run past it"))
    }

    /// The error for a layer that is no place to cut at, with the nearest that are.
    fn no_cut(&self, path: &str, layer: &str, why: &str) -> Error {
        let paths = self.counted_paths();
        let useful = self.useful_cut_points();
        let cuts = if useful.is_empty() { self.cut_points() } else { useful };
        let count = paths.iter().position(|other| other == path).map_or(0, |index| index + 1);
        let below = paths[..count].iter().rev().find(|path| cuts.contains(path));
        let above = paths[count..].iter().find(|path| cuts.contains(path));
        let near: Vec<_> = below.into_iter().chain(above).map(|path| as_flag(path)).collect();
        let help = match near.is_empty() {
            true => "the model can be cut nowhere".to_owned(),
            false => format!("cut at `{}`", near.join("` or `")),
        };
        Error::surgery(format!("cannot cut at {layer}: {why}\nhelp: {help}"))
    }

    /// The graph up to and with the layer at `path`, whose output becomes the model's only one.
    pub(crate) fn truncate(&self, path: &str) -> Result<Graph> {
        let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let index = self.layers.iter().position(|layer| layer.name == name);
        let calls = |index: usize| self.calls.iter().enumerate().filter(move |(_, call)| call.layer == index);
        let Some((index, call)) = index.and_then(|index| Some((index, calls(index).next_back()?.0))) else {
            let names: Vec<&str> = self.layers.iter().map(|layer| layer.name.as_str()).collect();
            return Err(Error::surgery(format!(
                "the model `{}` has no layer `{name}`\nhelp: {}",
                self.name,
                which_layer(name, &names)
            )));
        };
        let mut graph = self.clone();
        match (rest, &self.layers[index].body) {
            (None, Body::Kind(_)) if self.gives_several(call) => {
                return Err(Error::surgery(format!(
                    "`{name}` gives several values, and a model is cut behind one\nhelp: keep a layer above or below it"
                )));
            }
            (None, _) => {}
            (Some(rest), Body::Model(inner)) if calls(index).count() == 1 => {
                graph.layers[index].body = Body::Model(Box::new(inner.truncate(rest)?));
            }
            (Some(_), Body::Model(_)) => {
                return Err(Error::surgery(format!(
                    "cannot cut inside `{name}`: the model uses it more than once\nhelp: keep all of it with the setting `keep = {name}`"
                )));
            }
            (Some(rest), _) => {
                return Err(Error::surgery(format!(
                    "`{name}` is a layer, not a model: it holds no `{rest}`"
                )));
            }
        }
        graph.outputs = vec![TensorId { call, output: 0 }];
        graph.prune();
        Ok(graph)
    }

    /// Drops the calls that no output needs, and the layers that are not called any more.
    pub fn prune(&mut self) {
        let mut needed = vec![false; self.calls.len()];
        let mut stack: Vec<usize> = self.outputs.iter().map(|id| id.call).collect();
        while let Some(call) = stack.pop() {
            if !std::mem::replace(&mut needed[call], true) {
                stack.extend(self.calls[call].inputs.iter().map(|id| id.call));
            }
        }
        let mut called = vec![false; self.layers.len()];
        self.calls
            .iter()
            .zip(&needed)
            .filter(|(_, needed)| **needed)
            .for_each(|(call, _)| called[call.layer] = true);
        let new_call = positions(&needed);
        let new_layer = positions(&called);
        let moved = |id: &TensorId| TensorId { call: new_call[id.call], output: id.output };
        self.inputs = self.inputs.iter().filter(|id| needed[id.call]).map(moved).collect();
        self.outputs = self.outputs.iter().map(moved).collect();
        let mut flags = needed.iter();
        self.calls.retain(|_| flags.next().copied().unwrap_or(false));
        for call in &mut self.calls {
            call.layer = new_layer[call.layer];
            call.inputs.iter_mut().for_each(|id| id.call = new_call[id.call]);
        }
        let mut flags = called.iter();
        self.layers.retain(|_| flags.next().copied().unwrap_or(false));
        let chain =
            self.calls.iter().enumerate().all(|(index, call)| {
                call.layer == index && call.inputs.iter().all(|id| id.call + 1 == index)
            });
        if !chain {
            self.form = Form::Functional;
        }
    }

    /// A name that no layer has yet, in Keras's manner: `dense`, `dense_1`.
    pub(super) fn unused_name(&self, class_name: &str) -> String {
        let base = snake_case(class_name);
        let taken = |name: &str| self.layers.iter().any(|layer| layer.name == name);
        let numbered = (1..).map(|number| format!("{base}_{number}"));
        std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base)
    }
}

/// New index of each element that stays.
fn positions(stays: &[bool]) -> Vec<usize> {
    let next = |count: &mut usize, stays: &bool| {
        let position = *count;
        *count += usize::from(*stays);
        Some(position)
    };
    stays.iter().scan(0, next).collect()
}

/// `GlobalAveragePooling2D` as Keras names a layer of it: `global_average_pooling2d`.
pub fn snake_case(class_name: &str) -> String {
    let characters: Vec<char> = class_name.chars().collect();
    let mut name = String::new();
    for (index, character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| characters[index]);
        let after = characters.get(index + 1);
        let begins = character.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
        if begins {
            name.push('_');
        }
        name.extend(character.to_lowercase());
    }
    name
}
