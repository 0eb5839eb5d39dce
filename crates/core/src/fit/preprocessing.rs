//! What a model expects of its images: their size, their resize kernel, how their JPEGs are decoded, their
//! preprocessing.

use super::ImageSize;
use crate::data::{Dataset, Preprocess, Resize, ScaledDecode};
use crate::graph::{Body, Graph, Layer, Model};
use crate::{Error, Result, Shape};

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

/// The preprocessing of a model, and how it is known: what frostline saved with it, layers in it that scale its input,
/// or the name of a known architecture. `None` where nothing is known.
pub fn preprocess_of(model: &Model) -> Option<(Preprocess, String)> {
    if let Some(saved) = &model.info.preprocess
        && let Ok(preprocess) = serde_json::from_value::<Preprocess>(saved.clone())
    {
        return Some((preprocess, "saved with the model".to_owned()));
    }
    let is_one_of = |layer: &Layer, classes: &[&str]| match &layer.body {
        Body::Kind(kind) => classes.contains(&kind.class_name()),
        _ => false,
    };
    // what scales behind the first layer with a kernel does not scale the input
    let kernels = ["Conv2D", "Dense", "DepthwiseConv2D", "SeparableConv2D"];
    let leaves = model.graph.leaves();
    let mut first = leaves.iter().take_while(|(_, layer)| !is_one_of(layer, &kernels));
    let scales = first.find(|(_, layer)| is_one_of(layer, &["Rescaling", "Normalization"]));
    if let Some((path, _)) = scales {
        return Some((Preprocess::None, format!("the model scales its input itself, in `{path}`")));
    }
    let (name, preprocess) = known_architecture(&model.graph)?;
    Some((preprocess, format!("from the architecture's name, `{name}`")))
}

fn known_architecture(graph: &Graph) -> Option<(String, Preprocess)> {
    let lower = graph.name.to_lowercase();
    if let Some((_, preprocess)) = KNOWN.iter().find(|(name, _)| lower.starts_with(name)) {
        return Some((graph.name.clone(), preprocess.clone()));
    }
    graph.layers.iter().find_map(|layer| match &layer.body {
        Body::Model(inner) => {
            let lower = layer.name.to_lowercase();
            let known = KNOWN.iter().find(|(name, _)| lower.starts_with(name));
            known.map(|(_, p)| (layer.name.clone(), p.clone())).or_else(|| known_architecture(inner))
        }
        _ => None,
    })
}

/// The resize kernel that was saved with a model, else `tf-bilinear`.
pub fn resize_of(model: &Model) -> Resize {
    model.info.resize.as_deref().and_then(|name| name.parse().ok()).unwrap_or_default()
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
        return Err(Error::Setting(format!(
            "the model `{}` has {} inputs; images are one\nhelp: use the library's `engine` for models with several inputs",
            model.graph.name,
            shapes.len()
        )));
    };
    let rows = dataset.and_then(Dataset::row_shape);
    let saved = model.info.image_size;
    let extent = |axis: usize, extent: &Option<usize>| {
        match (extent, size) {
        (Some(extent), Some(ImageSize(size))) if axis < 2 && wanted.len() >= 2 && *extent != size[axis] => {
            Err(Error::Setting(format!(
                "the model's input is fixed to {extent} where --image-size says {}\nhelp: leave --image-size out: images are resized to the model's input",
                size[axis]
            )))
        }
        (Some(extent), _) => Ok(*extent),
        (None, Some(ImageSize(size))) if axis < 2 => Ok(size[axis]),
        (None, None) if axis < 2 && saved.is_some() => Ok(saved.map_or(0, |size| size[axis])),
        (None, _) => match rows.and_then(|rows| rows.get(axis)) {
            Some(extent) => Ok(*extent),
            None if axis == 2 => Ok(3),
            None => Err(Error::Setting(
                "the model leaves the size of its images open\nhelp: give the size it was trained on, e.g. --image-size 224".to_owned(),
            )),
        },
    }
    };
    wanted.iter().enumerate().map(|(axis, wanted)| extent(axis, wanted)).collect()
}
