//! A [`Graph`] as Keras 3's model config.

use super::dtype::written;
use super::newer::for_all_versions;
use super::order::keras_order;
use frostline_graph::layers::{
    CALL, Dropout, HARD_SIGMOID_KERAS_2, KERAS_LAYERS, Kind, LayerKind, NamedActivation, Operation, Rescaling,
};
use frostline_graph::ops::Dropped;
use frostline_graph::{Body, Form, Graph, Layer, TensorId};
use serde_json::{Map, Value, json};

/// Which of Keras 3's two writers is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `.keras`: every object says its module.
    Archive,
    /// `.h5`: class names alone.
    Legacy,
}

/// The config of a model, whole. Errors name the layer that cannot be written.
pub(super) fn model(graph: &Graph, style: Style) -> Result<Value, String> {
    let (module, class_name, registered) = match graph.form {
        Form::Sequential => ("keras", "Sequential", Value::Null),
        Form::Functional => ("keras.src.models.functional", "Functional", json!("Functional")),
    };
    if style == Style::Legacy {
        refuse_masked_operations(graph)?;
    }
    let config = match graph.form {
        Form::Sequential => sequential(graph, style)?,
        Form::Functional => functional(graph, style)?,
    };
    Ok(object(style, module, class_name, config, registered))
}

/// An `.h5` file has a layer in the place of an operation, and a layer hands on which steps of a sequence count.
fn refuse_masked_operations(graph: &Graph) -> Result<(), String> {
    let leaves = graph.leaves();
    let is = |wanted: fn(&Kind) -> bool| {
        leaves.iter().find(|(_, layer)| matches!(&layer.body, Body::Kind(kind) if wanted(kind)))
    };
    match (is(|kind| kind.makes_mask()), is(|kind| matches!(kind, Kind::Operation(_)))) {
        (Some((masking, _)), Some((operation, _))) => Err(format!(
            "layer `{operation}` is an operation of Keras, and `{masking}` says which steps of a sequence count: read from an `.h5` file it would hand that on\nhelp: save the model as `.keras`"
        )),
        _ => Ok(()),
    }
}

fn object(style: Style, module: &str, class_name: &str, config: Value, registered: Value) -> Value {
    match style {
        Style::Archive => {
            json!({"module": module, "class_name": class_name, "config": config, "registered_name": registered})
        }
        Style::Legacy => json!({"class_name": class_name, "config": config}),
    }
}

fn sequential(graph: &Graph, style: Style) -> Result<Value, String> {
    let layers = graph.layers.iter().map(|each| layer(each, style)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"name": graph.name, "trainable": true, "dtype": "float32", "layers": layers}))
}

fn functional(graph: &Graph, style: Style) -> Result<Value, String> {
    let shapes = graph.infer_shapes(&graph.stand_in_shapes()).unwrap_or_default();
    let mut layers = Vec::with_capacity(graph.layers.len());
    for index in keras_order(graph) {
        let mut written = layer(&graph.layers[index], style)?;
        let calls = graph.calls.iter().filter(|call| call.layer == index && !call.inputs.is_empty());
        let nodes = calls.map(|call| {
            let tensors: Vec<Value> = call.inputs.iter().map(|id| tensor(graph, &shapes, *id)).collect();
            let takes_list = match &graph.layers[index].body {
                Body::Kind(kind) => kind.takes_list(),
                _ => tensors.len() > 1,
            };
            if let Some(operation) = operation(&graph.layers[index], style) {
                return operation
                    .arguments
                    .keras(&|place| tensors.get(place).cloned().unwrap_or(Value::Null));
            }
            let arguments = if takes_list { vec![Value::Array(tensors)] } else { tensors };
            let keywords = graph.layers[index].config.get(CALL).and_then(|call| call.get("kwargs"));
            json!({"args": arguments, "kwargs": keywords.cloned().unwrap_or_else(|| json!({}))})
        });
        let nodes: Vec<Value> = nodes.collect();
        if let Some(map) = written.as_object_mut() {
            map.insert("name".to_owned(), json!(graph.layers[index].name));
            map.insert("inbound_nodes".to_owned(), Value::Array(nodes));
        }
        layers.push(written);
    }
    // a list even of one, which Keras 3.0 to 3.3 want and later versions read as well
    let ends = |ids: &[TensorId]| ids.iter().map(|id| end(graph, *id)).collect::<Vec<_>>();
    Ok(json!({
        "name": graph.name,
        "trainable": true,
        "layers": layers,
        "input_layers": ends(&graph.inputs),
        "output_layers": ends(&graph.outputs),
    }))
}

/// An operation that is written as one. An `.h5` file does not say modules, so that Keras would take it for the layer of the
/// same name.
fn operation(layer: &Layer, style: Style) -> Option<&Operation> {
    match &layer.body {
        Body::Kind(Kind::Operation(operation)) if style == Style::Archive => Some(operation),
        _ => None,
    }
}

/// What an `.h5` file has in the place of an operation: a `Rescaling`, where it is one.
fn as_rescaling(operation: &Operation, layer: &Layer) -> Result<Rescaling, String> {
    operation.scale_and_offset().map(|(scale, offset)| Rescaling { scale, offset }).ok_or_else(|| {
        format!(
            "layer `{}` is Keras's operation `{}`, which Keras finds in no `.h5` file again\nhelp: save the model as `.keras`",
            layer.name,
            operation.class_name()
        )
    })
}

/// `[layer, which of its calls, which output]`
fn history(graph: &Graph, id: TensorId) -> Value {
    let layer = graph.calls[id.call].layer;
    let node = graph.calls[..id.call].iter().filter(|call| call.layer == layer).count();
    json!([graph.layers[layer].name, node, id.output])
}

/// [`history`] of an input or output of the model: there a nested Functional model's own graph counts as its first
/// call.
fn end(graph: &Graph, id: TensorId) -> Value {
    let mut history = history(graph, id);
    if let Body::Model(inner) = &graph.layers[graph.calls[id.call].layer].body
        && inner.form == Form::Functional
        && let Some(node) = history[1].as_u64()
    {
        history[1] = json!(node + 1);
    }
    history
}

fn tensor(graph: &Graph, shapes: &[Vec<Vec<usize>>], id: TensorId) -> Value {
    let mut shape = vec![Value::Null];
    if let Some(known) = shapes.get(id.call).and_then(|outputs| outputs.get(id.output)) {
        shape.extend(known.iter().map(|extent| json!(extent)));
    }
    let config = json!({"shape": shape, "dtype": "float32", "keras_history": history(graph, id)});
    json!({"class_name": "__keras_tensor__", "config": config})
}

fn layer(layer: &Layer, style: Style) -> Result<Value, String> {
    let kind = match &layer.body {
        Body::Model(inner) => {
            let mut written = model(inner, style)?;
            written["config"]["name"] = json!(layer.name);
            written["config"]["trainable"] = json!(layer.trainable);
            return Ok(written);
        }
        Body::Kind(kind) => kind,
        Body::Unsupported { class_name, .. } => {
            return Err(format!(
                "layer `{}` is a `{class_name}`, which frostline cannot run and does not write\nhelp: keep the layers below it",
                layer.name
            ));
        }
    };
    let mut config = Map::new();
    config.insert("name".to_owned(), json!(layer.name));
    if let Some(operation) = operation(layer, style) {
        let class_name = operation.class_name();
        config.extend(for_all_versions(class_name, operation.settings().clone()));
        let config = Value::Object(config);
        return Ok(object(style, operation.module(), class_name, config, json!(class_name)));
    }
    if takes_trainable(kind) {
        config.insert("trainable".to_owned(), json!(layer.trainable));
    }
    config.insert("dtype".to_owned(), json!("float32"));
    let rescaling = match kind {
        Kind::Operation(operation) => Some(as_rescaling(operation, layer)?),
        _ => None,
    };
    let (class_name, own) = match &rescaling {
        Some(rescaling) => (rescaling.class_name(), &rescaling.config()),
        None => (kind.class_name(), &layer.config),
    };
    for (key, value) in own {
        match key.as_str() {
            // what it is called with is written with its calls
            "name" | "trainable" | CALL => {}
            "dtype" => drop(config.insert(key.clone(), written(value))),
            _ => drop(config.insert(key.clone(), by_name(value))),
        }
    }
    if config.values().any(|value| holds_text(value, HARD_SIGMOID_KERAS_2)) {
        return Err(format!(
            "layer `{}` has the hard_sigmoid of Keras 2, which Keras 3 has no name for\nhelp: keep the layers below it",
            layer.name
        ));
    }
    let config = Value::Object(for_all_versions(class_name, config));
    // an object of Keras's own that is not exported is found by its module and written as if it were registered
    let module = kind.keras_module();
    let registered = if module == KERAS_LAYERS { Value::Null } else { json!(class_name) };
    Ok(object(style, module, class_name, config, registered))
}

/// A setting in which functions that are no objects of Keras (`activation=tf.nn.swish`) go by the names of Keras's own: it does not
/// find them otherwise.
fn by_name(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(by_name).collect(),
        Value::Object(map) if map.get("class_name").is_some_and(|class| class == "function") => {
            let known = map.get("config").and_then(Value::as_str).and_then(NamedActivation::named);
            known.map_or_else(|| value.clone(), |activation| activation.json())
        }
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), by_name(value))).collect(),
        other => other.clone(),
    }
}

/// Whether a text is somewhere in a value.
fn holds_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own == text,
        Value::Array(items) => items.iter().any(|item| holds_text(item, text)),
        Value::Object(map) => map.values().any(|item| holds_text(item, text)),
        _ => false,
    }
}

/// Whether the constructor in Keras takes `trainable`.
fn takes_trainable(kind: &Kind) -> bool {
    match kind {
        Kind::InputLayer(_) | Kind::Dropout(Dropout { dropped: Dropped::Channels, .. }) => false,
        Kind::OneDimensional(layer) => takes_trainable(layer.over_images()),
        Kind::ThreeDimensional(layer) => layer.over_all_slices().is_none_or(takes_trainable),
        _ => true,
    }
}
