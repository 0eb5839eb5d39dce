//! The graph of a model as its user sees it: layers, their calls, and models nested in models.

use super::without_here;
use crate::layers::Kind;
use crate::{Error, ErrorKind, Result, Shape};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How Keras wrote a model down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A chain of layers.
    Sequential,
    /// Layers called on tensors.
    Functional,
}

/// A model: layers in the order of its file, and their calls in an order in which they can be run.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The model's name. It is part of a layer's path only where the model is nested in another.
    pub name: String,
    /// Sequential or Functional.
    pub form: Form,
    /// The layers, each once. A Sequential model has its input layer here too, at the front.
    pub layers: Vec<Layer>,
    /// The calls of the layers; a shared layer has several. A call's inputs come from calls before it.
    pub calls: Vec<Call>,
    /// The outputs of the input layers' calls, in the order of the model's arguments.
    pub inputs: Vec<TensorId>,
    /// What the model returns.
    pub outputs: Vec<TensorId>,
}

/// A layer with its name and settings.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Unique in its graph, without a slash.
    pub name: String,
    /// The flag that the file carries. What trains is decided by [`crate::model::Freeze`] alone.
    pub trainable: bool,
    /// What it does.
    pub body: Body,
    /// The config in the form of Keras 3, verbatim but for the old names that were brought up to date.
    pub config: Map<String, Value>,
}

/// What a layer does.
#[derive(Clone, Debug)]
pub enum Body {
    /// A layer kind that frostline knows.
    Kind(Kind),
    /// A model used as a layer.
    Model(Box<Graph>),
    /// A layer that cannot be run here (a Lambda, a class of the user's own): the graph has to be cut below it.
    Unsupported {
        /// Its Keras class.
        class_name: String,
        /// Why, and the remedy, in words.
        reason: String,
    },
}

impl Body {
    /// The body of a layer of this class that cannot be run for this error.
    pub fn unsupported(class_name: &str, error: Error) -> Self {
        let message = match error.kind() {
            ErrorKind::Config | ErrorKind::Shape => error.message(),
            _ => error.to_string(),
        };
        Body::Unsupported { class_name: class_name.to_owned(), reason: message.replace("\nhelp: ", ": ") }
    }
}

/// One use of a layer.
#[derive(Clone, Debug)]
pub struct Call {
    /// Index into [`Graph::layers`].
    pub layer: usize,
    /// The tensors that it is called on.
    pub inputs: Vec<TensorId>,
}

/// The `output`-th result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId {
    /// Index into [`Graph::calls`].
    pub call: usize,
    /// Always 0 but for a nested model with several outputs.
    pub output: usize,
}

/// Joins a group's path and a name: `join("", "conv")` is `conv`, `join("backbone", "conv")` is `backbone/conv`.
pub fn join(group: &str, name: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") }
}

/// No value of one image has so many numbers: a damaged file may ask for more than can be counted.
fn is_too_large(shape: &[usize]) -> bool {
    const MOST: usize = 1 << 30;
    shape.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent)).is_none_or(|len| len > MOST)
}

/// The whole path of a layer or nested model that is named by the end of its path, where there is only one such;
/// otherwise the path as it is.
pub(crate) fn full_path<'a>(path: &'a str, leaves: &[&'a str]) -> &'a str {
    let path = without_here(path);
    if leaves.iter().any(|leaf| is_within(leaf, path)) {
        return path;
    }
    let ending = format!("/{path}");
    let whole = |leaf: &&'a str| {
        let leaf: &'a str = leaf;
        let end = match leaf.find(&format!("{ending}/")) {
            Some(at) => at + ending.len(),
            None => leaf.ends_with(&ending).then_some(leaf.len())?,
        };
        Some(&leaf[..end])
    };
    let found: BTreeSet<&'a str> = leaves.iter().filter_map(whole).collect();
    // a name with a slash, as old files have it, has none here
    let flat = |name: &str| name.replace('/', "_");
    let alike: Vec<&'a str> = leaves.iter().copied().filter(|leaf| flat(leaf) == flat(path)).collect();
    match (found.len(), alike.as_slice()) {
        (1, _) => found.first().copied().unwrap_or(path),
        (0, [one]) => one,
        _ => path,
    }
}

/// True for the path itself and for what is nested in it.
pub fn is_within(leaf: &str, path: &str) -> bool {
    leaf.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The shapes of what a call reads, where all are known.
pub(super) fn inputs_of(call: &Call, shapes: &[Option<Vec<Shape>>]) -> Option<Vec<Shape>> {
    call.inputs.iter().map(|id| shapes[id.call].as_ref()?.get(id.output).cloned()).collect()
}

/// No more layers that do not fit are set aside.
const MOST_SET_ASIDE: usize = 256;

impl Graph {
    /// Every layer that is not a model, with its path, in the order of the calls (a shared layer once, at its
    /// first call). Nested models are walked in place.
    pub fn leaves(&self) -> Vec<(String, &Layer)> {
        let mut found = Vec::new();
        self.collect_leaves("", &mut found);
        found
    }

    fn collect_leaves<'a>(&'a self, group: &str, found: &mut Vec<(String, &'a Layer)>) {
        let mut seen = vec![false; self.layers.len()];
        for call in &self.calls {
            if std::mem::replace(&mut seen[call.layer], true) {
                continue;
            }
            let layer = &self.layers[call.layer];
            let path = join(group, &layer.name);
            match &layer.body {
                Body::Model(inner) => inner.collect_leaves(&path, found),
                _ => found.push((path, layer)),
            }
        }
    }

    /// The output shape of every leaf (its first call's) when the inputs have these shapes; `None` for layers that
    /// cannot be run and for all that stands on them.
    pub fn leaf_shapes(&self, inputs: &[Shape]) -> Result<BTreeMap<String, Option<Shape>>> {
        let mut found = BTreeMap::new();
        self.collect_leaf_shapes("", inputs, &mut found)?;
        Ok(found)
    }

    fn collect_leaf_shapes(
        &self,
        group: &str,
        inputs: &[Shape],
        found: &mut BTreeMap<String, Option<Shape>>,
    ) -> Result<()> {
        let shapes = self.known_shapes(group, inputs)?;
        for (call, shape) in self.calls.iter().zip(&shapes) {
            let layer = &self.layers[call.layer];
            let path = join(group, &layer.name);
            match (&layer.body, inputs_of(call, &shapes)) {
                (Body::Model(inner), Some(given)) => inner.collect_leaf_shapes(&path, &given, found)?,
                (Body::Model(_), None) => {}
                _ => {
                    let shape = shape.as_ref().and_then(|shapes| shapes.first().cloned());
                    found.entry(path).or_insert(shape);
                }
            }
        }
        Ok(())
    }

    /// How often layers are called in one run, with what nested models call in each of their calls.
    pub fn calls_in_all(&self) -> usize {
        let of_layer = |layer: &Layer| match &layer.body {
            Body::Model(inner) => inner.calls_in_all(),
            _ => 1,
        };
        let each: Vec<usize> = self.layers.iter().map(of_layer).collect();
        self.calls.iter().fold(0, |all: usize, call| all.saturating_add(each[call.layer]))
    }

    /// The layer at a path, which may name a nested model.
    pub fn layer(&self, path: &str) -> Option<&Layer> {
        let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let layer = self.layers.iter().find(|layer| layer.name == name)?;
        match (rest, &layer.body) {
            (None, _) => Some(layer),
            (Some(rest), Body::Model(inner)) => inner.layer(rest),
            _ => None,
        }
    }

    /// The shapes of the inputs as the file says them, without the batch; `None` where any extent will do.
    pub fn input_shapes(&self) -> Vec<Vec<Option<usize>>> {
        let shape_of = |id: &TensorId| match &self.layers[self.calls[id.call].layer].body {
            Body::Kind(Kind::InputLayer(input)) => input.extents.clone(),
            Body::Kind(_) => Vec::new(),
            _ => Vec::new(),
        };
        self.inputs.iter().map(shape_of).collect()
    }

    /// Makes every layer that refuses its inputs' shapes one that cannot be run, with the refusal as the reason. Returns
    /// the paths and classes of these layers. Of a graph with very many the rest stay as they are: it is damaged, and its shapes an error.
    pub fn set_aside_what_does_not_fit(&mut self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        // each is looked for from the beginning
        while found.len() < MOST_SET_ASIDE
            && let Err(error) = self.weight_specs(&self.stand_in_shapes())
        {
            let Some(path) = error.layer().filter(|_| error.kind() == ErrorKind::Shape) else { break };
            let (path, message) = (path.to_owned(), error.message());
            let Some(layer) = self.layer_mut(&path) else { break };
            let class = match &layer.body {
                Body::Kind(Kind::InputLayer(_)) | Body::Model(_) | Body::Unsupported { .. } => break,
                Body::Kind(kind) => kind.class_name(),
            };
            layer.body = Body::unsupported(class, Error::shape(&path, message));
            found.push((path, class.to_owned()));
        }
        found
    }

    fn layer_mut(&mut self, path: &str) -> Option<&mut Layer> {
        let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let layer = self.layers.iter_mut().find(|layer| layer.name == name)?;
        match rest {
            None => Some(layer),
            Some(rest) => match &mut layer.body {
                Body::Model(inner) => inner.layer_mut(rest),
                _ => None,
            },
        }
    }

    /// The shapes of all calls' outputs when the inputs have these shapes. A nested model's call has one shape an
    /// output. Errors name the layer that does not fit.
    pub fn infer_shapes(&self, inputs: &[Shape]) -> Result<Vec<Vec<Shape>>> {
        let shapes = self.known_shapes("", inputs)?;
        shapes.into_iter().map(|shape| shape.ok_or_else(|| self.why_unknown())).collect()
    }

    /// [`Graph::infer_shapes`], but with `None` for layers that cannot be run and all that stands on them.
    pub(super) fn known_shapes(&self, group: &str, inputs: &[Shape]) -> Result<Vec<Option<Vec<Shape>>>> {
        self.check_inputs(group, inputs)?;
        let mut shapes: Vec<Option<Vec<Shape>>> = Vec::with_capacity(self.calls.len());
        for (index, call) in self.calls.iter().enumerate() {
            let layer = &self.layers[call.layer];
            let path = join(group, &layer.name);
            let given = inputs_of(call, &shapes);
            let found = match (&layer.body, given) {
                (Body::Unsupported { .. }, _) | (_, None) => None,
                (Body::Kind(_), Some(_)) if call.inputs.is_empty() => {
                    let position = self.inputs.iter().position(|id| id.call == index);
                    let shape = position.and_then(|position| inputs.get(position)).cloned();
                    Some(vec![shape.ok_or_else(|| {
                        Error::shape(&path, "an input layer that is no input of its model")
                    })?])
                }
                (Body::Kind(kind), Some(given)) => {
                    Some(kind.output_shapes(&given).map_err(|message| Error::shape(&path, message))?)
                }
                (Body::Model(inner), Some(given)) => {
                    let all = inner.known_shapes(&path, &given)?;
                    let shape_of = |id: &TensorId| Some(all[id.call].as_ref()?[id.output].clone());
                    inner.outputs.iter().map(shape_of).collect()
                }
            };
            match found.iter().flatten().find(|shape| is_too_large(shape)) {
                Some(shape) => return Err(Error::shape(path, format!("{shape:?} are too many numbers"))),
                None => shapes.push(found),
            }
        }
        // an operation's outputs are counted only when its inputs' shapes are known
        let used = self.calls.iter().flat_map(|call| &call.inputs).chain(&self.outputs);
        let missing =
            |id: &&TensorId| shapes[id.call].as_ref().is_some_and(|outputs| outputs.len() <= id.output);
        if let Some(id) = used.into_iter().find(missing) {
            let path = join(group, &self.layers[self.calls[id.call].layer].name);
            return Err(Error::shape(path, format!("it has no output {}", id.output)));
        }
        Ok(shapes)
    }

    /// The error for a model of whose outputs some shapes are not known: a layer of it cannot be run.
    fn why_unknown(&self) -> Error {
        for (path, layer) in self.leaves() {
            if let Body::Unsupported { class_name, reason } = &layer.body {
                return self.cannot_run(&path, class_name, reason);
            }
        }
        Error::shape(&self.name, "it holds a layer whose shape is not known")
    }

    fn check_inputs(&self, group: &str, inputs: &[Shape]) -> Result<()> {
        let wanted = self.input_shapes();
        let fits = |(wanted, given): (&Vec<Option<usize>>, &Shape)| {
            wanted.len() == given.len()
                && wanted
                    .iter()
                    .zip(given)
                    .all(|(wanted, given)| wanted.is_none_or(|extent| extent == *given))
        };
        if wanted.len() == inputs.len() && wanted.iter().zip(inputs).all(fits) {
            return Ok(());
        }
        let name = if group.is_empty() { &self.name } else { group };
        let extent = |extent: &Option<usize>| extent.map_or("?".to_owned(), |extent| extent.to_string());
        let shape = |shape: &Vec<Option<usize>>| shape.iter().map(extent).collect::<Vec<_>>().join(" x ");
        let wanted: Vec<String> = wanted.iter().map(shape).collect();
        let wanted = wanted.join(" and ");
        let help = "help: give data of that shape, each image without the batch's dimension";
        Err(Error::shape(name, format!("expected inputs of shape {wanted}, received {inputs:?}\n{help}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_names_a_layer_where_there_is_only_one_such() {
        let leaves = ["net/block/conv", "net/block/norm", "net/conv", "dense"];
        for (path, whole) in [
            ("dense", "dense"),
            ("net", "net"),
            ("norm", "net/block/norm"),
            ("block", "net/block"),
            ("block/conv", "net/block/conv"),
            ("conv", "conv"), // two layers end so
            ("lock", "lock"),
            ("other", "other"),
        ] {
            assert_eq!(full_path(path, &leaves), whole, "{path}");
        }
    }
}
