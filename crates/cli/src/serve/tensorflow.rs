//! TensorFlow Serving's REST protocol: status, metadata, `:predict` and `:classify`.
//!
//! The source is its page `api_rest`; what that leaves open (the key `results`) is as its server answers.

use super::about::{Port, VERSION};
use super::app::{App, all};
use super::body::whole;
use super::nested;
use super::queue::{Answered, Batch};
use super::refusal::{ErrorBody, Refusal};
use crate::predict::likeliest;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use frostline::predict::{Answer, Picture, Prediction};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type Shared = State<Arc<App>>;

/// Whether the model is there.
#[utoipa::path(get, path = "/v1/models/{name}", tag = "TensorFlow Serving", params(("name" = String, Path)),
    responses((status = 200, description = "GetModelStatusResponse"), (status = 404, body = ErrorBody)))]
pub(super) async fn status(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    app.check_model(&name, None)?;
    let status = json!({ "error_code": "OK", "error_message": "" });
    Ok(Json(
        json!({ "model_version_status": [{ "version": VERSION, "state": "AVAILABLE", "status": status }] }),
    ))
}

pub(super) async fn status_of(
    State(app): Shared,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    app.check_model(&name, Some(&version))?;
    status(State(app), Path(name)).await
}

/// What the model takes and gives.
#[utoipa::path(get, path = "/v1/models/{name}/metadata", tag = "TensorFlow Serving", params(("name" = String, Path)),
    responses((status = 200, description = "GetModelMetadataResponse"), (status = 404, body = ErrorBody)))]
pub(super) async fn metadata(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    app.check_model(&name, None)?;
    let ports = |ports: &[Port]| -> Map<String, Value> {
        ports.iter().map(|port| (port.name.clone(), tensor_info(port))).collect()
    };
    let signature = json!({
        "inputs": ports(&app.about.inputs),
        "outputs": ports(&app.about.outputs),
        "method_name": "tensorflow/serving/predict",
    });
    Ok(Json(json!({
        "model_spec": { "name": name, "signature_name": "", "version": VERSION },
        "metadata": { "signature_def": { "signature_def": { "serving_default": signature } } },
    })))
}

pub(super) async fn metadata_of(
    State(app): Shared,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    app.check_model(&name, Some(&version))?;
    metadata(State(app), Path(name)).await
}

fn tensor_info(port: &Port) -> Value {
    let extents: Vec<Value> =
        port.shape.iter().map(|extent| json!({ "size": extent.to_string(), "name": "" })).collect();
    json!({
        "dtype": "DT_FLOAT",
        "tensor_shape": { "dim": extents, "unknown_rank": false },
        "name": port.name,
    })
}

/// Raw outputs for arrays or images in `instances` or `inputs`.
#[utoipa::path(post, path = "/v1/models/{name}:predict", tag = "TensorFlow Serving", params(("name" = String, Path)),
    request_body(content = Object, description = "`instances` or `inputs`: nested lists in the model's own layout, or {\"b64\": …} images"),
    responses((status = 200, description = "`predictions` for `instances`, `outputs` for `inputs`"),
        (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 413, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody), (status = 504, body = ErrorBody)))]
pub(super) async fn run(
    State(app): Shared,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    verb(app, &name, None, request).await
}

/// Classes with their scores, the likeliest first.
#[utoipa::path(post, path = "/v1/models/{name}:classify", tag = "TensorFlow Serving", params(("name" = String, Path)),
    request_body(content = Object, description = "`examples`: objects with the model's input, as a list or {\"b64\": …}"),
    responses((status = 200, description = "`results`: for each example pairs of a label and its score"),
        (status = 400, body = ErrorBody)))]
#[expect(dead_code, reason = "it stands for its address in the document; `run` answers it")]
async fn classify() {}

pub(super) async fn run_version(
    State(app): Shared,
    Path((name, version)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (version, asked) = version.split_once(':').unwrap_or((&version, ""));
    let (version, name) = (version.to_owned(), format!("{name}:{asked}"));
    verb(app, &name, Some(&version), request).await
}

/// `name:predict` and `name:classify`.
async fn verb(
    app: Arc<App>,
    name: &str,
    version: Option<&str>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (name, asked) = name.rsplit_once(':').unwrap_or((name, ""));
    app.check_model(name, version)?;
    let is_classify = match asked {
        "predict" => false,
        "classify" => true,
        _ => {
            return Err(Refusal::bad(format!(
                "`{asked}` is not done here\nhelp: post to /v1/models/{name}:predict or /v1/models/{name}:classify"
            )));
        }
    };
    let (_, body) = whole(&app, request).await?;
    let body: Request1<'_> = parse(&body)?;
    if let Some(signature) =
        body.signature_name.as_deref().filter(|name| !matches!(*name, "" | "serving_default"))
    {
        return Err(Refusal::bad(format!(
            "there is no signature `{signature}`\nhelp: leave it out, or give serving_default"
        )));
    }
    let given = [body.instances, body.inputs, body.examples];
    let (answered, is_rows) = match (is_classify, given) {
        (true, [None, None, Some(examples)]) => (instances(&app, examples).await?, true),
        (true, _) => return Err(Refusal::bad("`classify` takes `examples`, a list of objects, and no more")),
        (false, [Some(rows), None, None]) => (instances(&app, rows).await?, true),
        (false, [None, Some(columns), None]) => (inputs(&app, columns).await?, false),
        (false, _) => return Err(Refusal::bad("give either `instances` or `inputs`")),
    };
    let warning = answered.warning.clone();
    let found = all(answered)?;
    let value = match (is_classify, is_rows) {
        (true, _) => json!({ "results": results(&app, &found)? }),
        (false, true) => json!({ "predictions": rows_of(&app, &found) }),
        (false, false) => json!({ "outputs": columns_of(&app, &found) }),
    };
    Ok(super::app::warned(Json(value).into_response(), warning))
}

/// The body of a request.
#[derive(Deserialize)]
struct Request1<'a> {
    signature_name: Option<String>,
    #[serde(borrow)]
    instances: Option<&'a RawValue>,
    #[serde(borrow)]
    inputs: Option<&'a RawValue>,
    #[serde(borrow)]
    examples: Option<&'a RawValue>,
}

fn parse<'a>(body: &'a Bytes) -> Result<Request1<'a>, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("JSON Parse error: {error}")))
}

fn wrong(error: impl std::fmt::Display) -> Refusal {
    Refusal::bad(format!("the input cannot be read: {error}"))
}

fn is_object(text: &RawValue) -> bool {
    text.get().starts_with('{')
}

/// Row by row.
async fn instances(app: &App, rows: &RawValue) -> Result<Answered, Refusal> {
    let rows: Vec<&RawValue> = serde_json::from_str(rows.get()).map_err(wrong)?;
    let ports = &app.about.inputs;
    let (mut pictures, mut batches) = (Vec::new(), Vec::<Batch>::new());
    for row in rows {
        let values: Vec<&RawValue> = match is_object(row) {
            false => vec![row],
            true => {
                let named: BTreeMap<String, &RawValue> = serde_json::from_str(row.get()).map_err(wrong)?;
                match named.keys().any(|name| name == "b64") {
                    true => vec![row],
                    false => by_name(ports, named)?,
                }
            }
        };
        if let [one] = values.as_slice()
            && is_object(one)
        {
            pictures.push(picture(one, pictures.len())?);
            continue;
        }
        if values.len() != ports.len() {
            return Err(not_all(ports));
        }
        for (index, value) in values.into_iter().enumerate() {
            let row = nested::batch(value)?;
            match batches.get_mut(index) {
                None => batches.push(Batch { shape: [vec![1], row.shape].concat(), values: row.values }),
                Some(batch) if batch.shape[1..] == row.shape => {
                    batch.shape[0] += 1;
                    batch.values.extend(row.values);
                }
                Some(batch) => {
                    return Err(wrong(format!(
                        "rows of the shapes {:?} and {:?}",
                        &batch.shape[1..],
                        row.shape
                    )));
                }
            }
        }
    }
    match (pictures.is_empty(), batches.is_empty()) {
        (false, false) => Err(wrong("images and arrays in one request")),
        (false, true) => app.pictures(pictures).await,
        (true, _) => app.rows(batches).await,
    }
}

/// Column by column.
async fn inputs(app: &App, columns: &RawValue) -> Result<Answered, Refusal> {
    let ports = &app.about.inputs;
    let columns: Vec<&RawValue> = match is_object(columns) {
        false => vec![columns],
        true => {
            let named: BTreeMap<String, &RawValue> = serde_json::from_str(columns.get()).map_err(wrong)?;
            match named.keys().any(|name| name == "b64") {
                true => vec![columns],
                false => by_name(ports, named)?,
            }
        }
    };
    if let [one] = columns.as_slice() {
        let images = match is_object(one) {
            true => Some(vec![*one]),
            false if one.get().trim_start_matches(['[', ' ', '\n', '\t', '\r']).starts_with('{') => {
                Some(serde_json::from_str(one.get()).map_err(wrong)?)
            }
            false => None,
        };
        if let Some(images) = images {
            let pictures = images.into_iter().enumerate().map(|(index, image)| picture(image, index));
            return app.pictures(pictures.collect::<Result<_, _>>()?).await;
        }
    }
    if columns.len() != ports.len() {
        return Err(not_all(ports));
    }
    app.rows(columns.into_iter().map(nested::batch).collect::<Result<_, _>>()?).await
}

/// The values for the model's inputs, in their order. A picture for the one input may have any name.
fn by_name<'a>(
    ports: &[Port],
    mut named: BTreeMap<String, &'a RawValue>,
) -> Result<Vec<&'a RawValue>, Refusal> {
    if let ([_], Some((_, only))) = (ports, named.first_key_value())
        && named.len() == 1
        && only.get().trim_start_matches(['[', ' ', '\n', '\t', '\r']).starts_with('{')
    {
        return Ok(vec![*only]);
    }
    let values: Option<Vec<&RawValue>> = ports.iter().map(|port| named.remove(&port.name)).collect();
    match named.first_key_value() {
        None => values.ok_or_else(|| not_all(ports)),
        Some((other, _)) => {
            Err(wrong(format!("the model has no input `{other}`; it takes {}", names(ports))))
        }
    }
}

fn not_all(ports: &[Port]) -> Refusal {
    wrong(format!("the model takes {}, all of them for each image", names(ports)))
}

fn names(ports: &[Port]) -> String {
    ports.iter().map(|port| format!("`{}`", port.name)).collect::<Vec<_>>().join(", ")
}

/// `{"b64": "…"}`.
fn picture(value: &RawValue, index: usize) -> Result<Picture, Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Encoded {
        b64: String,
    }
    let encoded: Encoded = serde_json::from_str(value.get()).map_err(wrong)?;
    let bytes = STANDARD
        .decode(encoded.b64)
        .map_err(|error| wrong(format!("image {index} is no base64: {error}")))?;
    Ok(Picture::Bytes { name: format!("image {index}"), bytes })
}

/// The outputs of each row: one as it is, several by name.
fn rows_of(app: &App, found: &[Prediction]) -> Vec<Value> {
    let row = |prediction: &Prediction| match prediction.outputs.as_slice() {
        [one] => nested::value(&one.shape, &one.data),
        many => {
            let named = app.about.outputs.iter().zip(many);
            Value::Object(
                named.map(|(port, one)| (port.name.clone(), nested::value(&one.shape, &one.data))).collect(),
            )
        }
    };
    found.iter().map(row).collect()
}

/// The rows of each output: one as it is, several by name.
fn columns_of(app: &App, found: &[Prediction]) -> Value {
    let column = |index: usize| -> Value {
        found.iter().map(|row| nested::value(&row.outputs[index].shape, &row.outputs[index].data)).collect()
    };
    match app.about.outputs.as_slice() {
        [_] => column(0),
        ports => {
            let named = ports.iter().enumerate().map(|(index, port)| (port.name.clone(), column(index)));
            Value::Object(named.collect())
        }
    }
}

/// For each image pairs of a label and its score, the likeliest first.
fn results(app: &App, found: &[Prediction]) -> Result<Vec<Value>, Refusal> {
    let result = |prediction: &Prediction| match &prediction.answer {
        Answer::Class { scores, .. } | Answer::Labels { scores, .. } => Ok(likeliest(scores)
            .into_iter()
            .map(|index| json!([app.teller.name(index), scores[index]]))
            .collect()),
        Answer::Number(_) | Answer::Unnamed => {
            Err(Refusal::bad("the model names no classes\nhelp: ask for :predict"))
        }
    };
    found.iter().map(result).collect()
}
