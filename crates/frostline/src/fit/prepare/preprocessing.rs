//! What a model expects of its images: their size, their resize kernel, what becomes of their shape, how their JPEGs are decoded,
//! their preprocessing.

use crate::fit::ImageSize;
use crate::fit::prepare::input_scaling::{InputScaling, input_scaling};
use frostline_data::{Dataset, Fit, Preprocess, Resize, ScaledDecode};
use frostline_graph::layers::Kind;
use frostline_graph::{Body, Error, Graph, Layer, Model, Result, Shape, join};

/// Architectures of `keras.applications` by how their models' names begin, and what their `preprocess_input` does; and what
/// frostline names after PyTorch.
/// Longer names come before those that they begin with.
const KNOWN: &[(&str, Preprocess)] = &[
    ("resnet50v2", Preprocess::Tf),
    ("resnet101v2", Preprocess::Tf),
    ("resnet152v2", Preprocess::Tf),
    ("resnet", Preprocess::Caffe),
    ("vgg", Preprocess::Caffe),
    ("mobilenetv3", Preprocess::None),
    ("mobilenet", Preprocess::Tf),
    ("xception", Preprocess::Tf),
    ("inception", Preprocess::Tf),
    ("nasnet", Preprocess::Tf),
    ("densenet", Preprocess::Torch),
    ("efficientnet", Preprocess::None),
    ("convnext", Preprocess::None),
    // weights of torchvision and timm
    ("torch_", Preprocess::Torch),
];

/// The preprocessing of a model, and how it is known: what frostline saved with it, what its graph does to the input before
/// the first kernel, or, where that is nothing, the name of an architecture of `keras.applications` in a file of Keras.
///
/// Error: why it is not known, in words that end a sentence.
pub fn preprocess_of(model: &Model) -> Result<(Preprocess, String), String> {
    if let Some(saved) = &model.info.preprocess {
        return match serde_json::from_value::<Preprocess>(saved.clone()) {
            Ok(preprocess) => Ok((preprocess, "saved with the model".to_owned())),
            Err(_) => {
                Err(format!("the model's preprocessing was saved as {saved}, which is none that is known"))
            }
        };
    }
    if model.graph.inputs.len() != 1 {
        return Err("the model has several inputs".to_owned());
    }
    if takes_sequences(model) {
        return Ok((Preprocess::None, "its input are sequences, which go in as they are".to_owned()));
    }
    match input_scaling(model) {
        InputScaling::Expects { preprocess, path } => {
            let from = match preprocess {
                Preprocess::None => "",
                _ => " from that range",
            };
            Ok((preprocess, format!("the model scales its input itself{from}, in the layers up to `{path}`")))
        }
        InputScaling::Unclear { path, what } => {
            Err(format!("up to `{path}` the model does {what} to its input"))
        }
        InputScaling::Nothing => known_architecture(model)
            .map(|(name, preprocess)| (preprocess, format!("from the architecture's name, `{name}`")))
            .ok_or_else(|| "nothing is known of the model's preprocessing".to_owned()),
    }
}

/// Whether a model's one input is a sequence of numbers or of vectors, and no image: what it is read by says so.
pub fn takes_sequences(model: &Model) -> bool {
    let shapes = model.graph.input_shapes();
    let is_of_sequences = |kind: &Kind| {
        matches!(
            kind,
            Kind::Bidirectional(_)
                | Kind::Embedding(_)
                | Kind::Masking(_)
                | Kind::OneDimensional(_)
                | Kind::Recurrent(_)
                | Kind::TimeDistributed(_)
        )
    };
    let reads = |layer: &Layer| matches!(&layer.body, Body::Kind(kind) if is_of_sequences(kind));
    matches!(shapes.as_slice(), [shape] if matches!(shape.len(), 1 | 2))
        && model.graph.leaves().into_iter().any(|(_, layer)| reads(layer))
}

/// Below what the whole numbers of an input must lie, where an `Embedding` looks them up: the layer's path, and its number of
/// vectors.
fn looked_up_in(graph: &Graph, input: usize) -> Option<(String, usize)> {
    let id = graph.inputs.get(input)?;
    let readers = graph.calls.iter().filter(|call| call.inputs.first() == Some(id));
    readers
        .filter_map(|call| {
            let layer = &graph.layers[call.layer];
            match &layer.body {
                Body::Kind(Kind::Embedding(embedding)) => Some((layer.name.clone(), embedding.input_dim)),
                Body::Model(inner) => {
                    looked_up_in(inner, 0).map(|(path, size)| (join(&layer.name, &path), size))
                }
                _ => None,
            }
        })
        .min_by_key(|(_, size)| *size)
}

/// The error for numbers of an input that no vector is there for.
///
/// Error: which layer, and what it takes.
pub fn check_numbers(model: &Model, input: usize, least: f32, largest: f32) -> Result<()> {
    let Some((path, size)) = looked_up_in(&model.graph, input) else { return Ok(()) };
    if least >= 0.0 && largest < size as f32 {
        return Ok(());
    }
    Err(Error::setting(format!(
        "the numbers go from {least} to {largest}, and `{path}` has vectors for 0 to {}\nhelp: number words as the model was trained with them; what it does not know has a number of its own there",
        size - 1
    )))
}

/// What is known by the architecture's name: none where a format other than Keras's names a graph as it likes.
fn known_architecture(model: &Model) -> Option<(String, Preprocess)> {
    if model.info.foreign_names { None } else { known_by_name(&model.graph) }
}

fn known_by_name(graph: &Graph) -> Option<(String, Preprocess)> {
    let lower = graph.name.to_lowercase();
    if let Some((_, preprocess)) = KNOWN.iter().find(|(name, _)| lower.starts_with(name)) {
        return Some((graph.name.clone(), preprocess.clone()));
    }
    graph.layers.iter().find_map(|layer| match &layer.body {
        Body::Model(inner) => {
            let lower = layer.name.to_lowercase();
            let known = KNOWN.iter().find(|(name, _)| lower.starts_with(name));
            known.map(|(_, p)| (layer.name.clone(), p.clone())).or_else(|| known_by_name(inner))
        }
        _ => None,
    })
}

/// A nested model with one input, as the towers of a Siamese network share one.
fn shared_tower(graph: &Graph) -> Option<&str> {
    let is_tower = |body: &Body| matches!(body, Body::Model(inner) if inner.inputs.len() == 1);
    graph.layers.iter().find(|layer| is_tower(&layer.body)).map(|layer| layer.name.as_str())
}

/// The resize kernel that was saved with a model, else `tf-bilinear`.
pub fn resize_of(model: &Model) -> Resize {
    model.info.resize.as_deref().and_then(|name| name.parse().ok()).unwrap_or_default()
}

/// How the images that a model was trained on were brought to its input's shape; squashed where it does not say.
pub fn fit_of(model: &Model) -> Fit {
    model.info.fit.as_deref().and_then(|name| name.parse().ok()).unwrap_or_default()
}

/// How far the JPEGs that a model was trained on were scaled down while they were decoded; not at all where it does not
/// say so.
pub fn scaled_decode_of(model: &Model) -> ScaledDecode {
    model.info.scaled_decode.and_then(|times| times.try_into().ok()).unwrap_or_default()
}

/// The shape of a model's one input, without the batch. Extents that the file leaves open are filled from `size`, from
/// what was saved with the model, or from the rows of arrays, in this order.
pub fn input_shape(model: &Model, size: Option<ImageSize>, dataset: Option<&Dataset>) -> Result<Shape> {
    let shapes = model.graph.input_shapes();
    let [wanted] = shapes.as_slice() else {
        return Err(Error::setting(format!(
            "the model `{}` has {} inputs, and images are one\nhelp: keep a part of it that has one input, with the setting `keep = LAYER`{}",
            model.graph.name,
            shapes.len(),
            shared_tower(&model.graph)
                .map_or_else(String::new, |name| format!(", for example the setting `keep = {name}`"))
        )));
    };
    let rows = dataset.and_then(Dataset::row_shape);
    let saved = model.info.image_size;
    let extent = |axis: usize, extent: &Option<usize>| {
        match (extent, size) {
        (Some(extent), Some(ImageSize(size))) if axis < 2 && wanted.len() >= 2 && *extent != size[axis] => {
            Err(Error::setting(format!(
                "the model's input is fixed to {extent} where the setting `image-size` says {}\nhelp: leave the setting `image-size` out: images are resized to the model's input",
                size[axis]
            )))
        }
        (Some(extent), _) => Ok(*extent),
        (None, Some(ImageSize(size))) if axis < 2 => Ok(size[axis]),
        (None, None) if axis < 2 && saved.is_some() => Ok(saved.map_or(0, |size| size[axis])),
        (None, _) => match rows.and_then(|rows| rows.get(axis)) {
            Some(extent) => Ok(*extent),
            None if axis == 2 => Ok(3),
            None => Err(Error::setting(
                "the model leaves the size of its images open\nhelp: give the size it was trained on, e.g. the setting `image-size = 224`".to_owned(),
            )),
        },
    }
    };
    wanted.iter().enumerate().map(|(axis, wanted)| extent(axis, wanted)).collect()
}
