//! The Open Inference Protocol, version 2, over HTTP, with its extensions for binary tensors and for classification.

use super::about::{Port, VERSION};
use super::app::{App, all, warned};
use super::body::whole;
use super::queue::Answered;
use super::refusal::{ErrorBody, Refusal};
use super::tensors::{Content, InferRequest, WantedOutput, content, packed};
use crate::predict::likeliest;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, Request};
use axum::response::{IntoResponse, Response};
use frostline::predict::{Answer, Picture, Prediction};
use serde_json::{Value, json};
use std::sync::Arc;

type Shared = State<Arc<App>>;

/// How many bytes of a body are JSON; the rest is binary data.
const HEADER_LEN: HeaderName = HeaderName::from_static("inference-header-content-length");

/// Whether the server is there.
#[utoipa::path(get, path = "/v2/health/live", tag = "Open Inference Protocol", responses((status = 200)))]
pub(super) async fn live() {}

/// Whether it can predict.
#[utoipa::path(get, path = "/v2/health/ready", tag = "Open Inference Protocol", responses((status = 200)))]
pub(super) async fn ready() {}

/// What the server is.
#[utoipa::path(get, path = "/v2", tag = "Open Inference Protocol", responses((status = 200)))]
pub(super) async fn server() -> Json<Value> {
    let extensions = ["binary_tensor_data", "classification"];
    Json(json!({ "name": "frostline", "version": env!("CARGO_PKG_VERSION"), "extensions": extensions }))
}

/// What the model takes and gives.
#[utoipa::path(get, path = "/v2/models/{name}", tag = "Open Inference Protocol", params(("name" = String, Path)),
    responses((status = 200), (status = 404, body = ErrorBody)))]
pub(super) async fn model(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    app.check_model(&name, None)?;
    let port = |port: &Port| json!({ "name": port.name, "datatype": "FP32", "shape": port.shape });
    Ok(Json(json!({
        "name": name,
        "versions": [VERSION],
        "platform": "frostline",
        "inputs": app.about.inputs.iter().map(port).collect::<Vec<_>>(),
        "outputs": app.about.outputs.iter().map(port).collect::<Vec<_>>(),
    })))
}

pub(super) async fn model_of(
    State(app): Shared,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    app.check_model(&name, Some(&version))?;
    model(State(app), Path(name)).await
}

/// Whether the model is there.
#[utoipa::path(get, path = "/v2/models/{name}/ready", tag = "Open Inference Protocol", params(("name" = String, Path)),
    responses((status = 200), (status = 404, body = ErrorBody)))]
pub(super) async fn model_ready(State(app): Shared, Path(name): Path<String>) -> Result<(), Refusal> {
    app.check_model(&name, None)
}

pub(super) async fn model_ready_of(
    State(app): Shared,
    Path((name, version)): Path<(String, String)>,
) -> Result<(), Refusal> {
    app.check_model(&name, Some(&version))
}

/// Raw outputs for tensors: FP32 or UINT8 in the model's own layout, or BYTES that are encoded images.
#[utoipa::path(post, path = "/v2/models/{name}/infer", tag = "Open Inference Protocol", params(("name" = String, Path)),
    request_body(content((Object = "application/json"), (Vec<u8> = "application/octet-stream")), description = "JSON, and with Inference-Header-Content-Length binary data behind it"),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 413, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody), (status = 504, body = ErrorBody)))]
pub(super) async fn infer(
    State(app): Shared,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    app.check_model(&name, None)?;
    inferred(app, request).await
}

pub(super) async fn infer_version(
    State(app): Shared,
    Path((name, version)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    app.check_model(&name, Some(&version))?;
    inferred(app, request).await
}

async fn inferred(app: Arc<App>, request: Request<Body>) -> Result<Response, Refusal> {
    let (parts, body) = whole(&app, request).await?;
    let (text, mut binary) = split(&parts.headers, &body)?;
    let request: InferRequest<'_> = serde_json::from_slice(text)
        .map_err(|error| Refusal::bad(format!("the request cannot be read: {error}")))?;
    let wanted = wanted(&app, &request)?;
    let mut contents = Vec::new();
    for input in &request.inputs {
        contents.push((input.name.as_str(), content(input, &mut binary)?));
    }
    if !binary.is_empty() {
        return Err(Refusal::bad(format!("{} bytes behind the inputs belong to none of them", binary.len())));
    }
    let answered = predicted(&app, contents).await?;
    let warning = answered.warning.clone();
    let found = all(answered)?;
    let mut outputs = Vec::new();
    let mut behind = Vec::new();
    for (index, output) in wanted {
        let (value, bytes) = told(&app, index, &output, &found)?;
        outputs.push(value);
        behind.extend(bytes);
    }
    let is_binary = outputs.iter().any(|output| output.get("parameters").is_some());
    let mut answer = json!({ "model_name": app.about.name, "model_version": VERSION });
    if let Some(id) = request.id {
        answer["id"] = json!(id);
    }
    answer["outputs"] = json!(outputs);
    if !is_binary {
        return Ok(warned(Json(answer).into_response(), warning));
    }
    let mut bytes = answer.to_string().into_bytes();
    let len = bytes.len();
    bytes.extend(behind);
    let headers = [(HEADER_LEN, len.to_string()), (CONTENT_TYPE, "application/octet-stream".to_owned())];
    Ok(warned((headers, bytes).into_response(), warning))
}

/// The JSON of a body, and what is behind it.
fn split<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Refusal> {
    let Some(len) = headers.get(HEADER_LEN) else { return Ok((body, &[])) };
    let len = len.to_str().ok().and_then(|len| len.parse().ok());
    len.and_then(|len| body.split_at_checked(len)).ok_or_else(|| {
        Refusal::bad("Inference-Header-Content-Length is no number of bytes that the body has")
    })
}

/// The outputs that are asked for, all of them where none is, by their places.
fn wanted(app: &App, request: &InferRequest<'_>) -> Result<Vec<(usize, Form)>, Refusal> {
    let ports = &app.about.outputs;
    let all_binary = request.parameters.binary_data_output.unwrap_or(false);
    let Some(outputs) = &request.outputs else {
        let form = Form { is_binary: all_binary, classes: None };
        return Ok((0..ports.len()).map(|index| (index, form)).collect());
    };
    let place = |output: &WantedOutput| {
        let index = ports.iter().position(|port| port.name == output.name).ok_or_else(|| {
            let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
            Refusal::bad(format!("there is no output `{}`; there are {}", output.name, names.join(", ")))
        })?;
        let is_binary = output.parameters.binary_data.unwrap_or(all_binary);
        let classes = output.parameters.classification.filter(|count| *count > 0);
        Ok((index, Form { is_binary, classes }))
    };
    outputs.iter().map(place).collect()
}

/// How an output is given.
#[derive(Clone, Copy)]
struct Form {
    is_binary: bool,
    /// So many of the likeliest classes, instead of numbers.
    classes: Option<usize>,
}

async fn predicted(app: &App, contents: Vec<(&str, Content)>) -> Result<Answered, Refusal> {
    let ports = &app.about.inputs;
    let (mut pictures, mut batches) = (None, Vec::new());
    let mut left: Vec<(&str, Content)> = contents;
    for port in ports {
        let names = || ports.iter().map(|port| format!("`{}`", port.name)).collect::<Vec<_>>().join(", ");
        let place = left.iter().position(|(name, _)| *name == port.name);
        let place = place.ok_or_else(|| Refusal::bad(format!("the model takes the inputs {}", names())))?;
        match left.swap_remove(place).1 {
            Content::Numbers(batch) => batches.push(batch),
            Content::Pictures(found) => pictures = Some(found),
        }
    }
    if let Some((other, _)) = left.first() {
        return Err(Refusal::bad(format!("the model has no input `{other}`")));
    }
    match pictures {
        None => app.rows(batches).await,
        Some(pictures) if ports.len() == 1 => app.pictures(pictures).await,
        Some::<Vec<Picture>>(_) => Err(Refusal::bad("BYTES are for models with one input")),
    }
}

/// An output as JSON, and its bytes where they are behind it.
fn told(app: &App, index: usize, form: &Form, found: &[Prediction]) -> Result<(Value, Vec<u8>), Refusal> {
    let name = &app.about.outputs[index].name;
    if let Some(count) = form.classes {
        let rows = found.iter().map(|row| classes(app, index, count, row)).collect::<Result<Vec<_>, _>>()?;
        let shape = [rows.len(), rows.first().map_or(0, Vec::len)];
        let texts = rows.concat();
        let value = json!({ "name": name, "datatype": "BYTES", "shape": shape });
        return Ok(given(value, form, json!(texts), packed(&texts)));
    }
    let outputs = found.iter().map(|row| &row.outputs[index]);
    let shape = [vec![found.len()], found[0].outputs[index].shape.clone()].concat();
    let values: Vec<f32> = outputs.flat_map(|output| output.data.iter().copied()).collect();
    let value = json!({ "name": name, "datatype": "FP32", "shape": shape });
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Ok(given(value, form, json!(values), bytes))
}

fn given(mut value: Value, form: &Form, data: Value, bytes: Vec<u8>) -> (Value, Vec<u8>) {
    match form.is_binary {
        true => {
            value["parameters"] = json!({ "binary_data_size": bytes.len() });
            (value, bytes)
        }
        false => {
            value["data"] = data;
            (value, Vec::new())
        }
    }
}

/// `score:index:label`, the likeliest first.
fn classes(app: &App, index: usize, count: usize, row: &Prediction) -> Result<Vec<String>, Refusal> {
    let scores = match (&row.answer, index) {
        (Answer::Class { scores, .. } | Answer::Labels { scores, .. }, 0) => scores,
        _ => return Err(Refusal::bad("this output names no classes\nhelp: leave `classification` out")),
    };
    let class = |class: usize| format!("{}:{class}:{}", scores[class], app.teller.name(class));
    Ok(likeliest(scores).into_iter().take(count).map(class).collect())
}
