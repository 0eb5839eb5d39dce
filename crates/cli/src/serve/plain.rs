//! The plain protocol: pictures in, the lines of `predict --json` out.

use super::about::About;
use super::app::App;
use super::body::whole;
use super::refusal::{ErrorBody, Refusal};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, State};
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use frostline::predict::Picture;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use utoipa::ToSchema;

/// What the name of a picture is that comes without one.
const UNNAMED: &str = "image";
/// So many characters of a name are kept.
const LONGEST_NAME: usize = 255;

/// Predictions of pictures.
#[derive(Serialize, ToSchema)]
pub(super) struct Predictions {
    /// The model's name.
    model: String,
    /// Time from the whole request to its answer.
    milliseconds: f64,
    /// In the order of the pictures, as `predict --json` has them, with the likeliest classes in `top`; `error` where a picture
    /// cannot be read.
    #[schema(value_type = Vec<Object>)]
    predictions: Vec<Value>,
}

/// Predicts pictures.
#[utoipa::path(post, path = "/predict", tag = "plain",
    request_body(content((Vec<u8> = "multipart/form-data"), (Vec<u8> = "image/*")), description = "One or several files in a form, or the bytes of one picture"),
    responses(
        (status = 200, body = Predictions),
        (status = 400, body = ErrorBody, description = "No picture was sent"),
        (status = 401, body = ErrorBody, description = "The token is missing"),
        (status = 413, body = ErrorBody, description = "The body, a picture, or their number is too large"),
        (status = 422, body = ErrorBody, description = "No picture can be read"),
        (status = 503, body = ErrorBody, description = "Too much waits already"),
        (status = 504, body = ErrorBody, description = "It took too long")))]
pub(super) async fn predict(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Json<Predictions>, Refusal> {
    let (parts, body) = whole(&app, request).await?;
    let began = Instant::now();
    let answered = app.pictures(pictures(parts, body).await?).await?;
    let mut first_error = None;
    let mut is_any = false;
    let predictions = answered.predictions.into_iter().map(|found| match found {
        Ok(prediction) => {
            is_any = true;
            app.teller.json(&prediction)
        }
        Err(refusal) => {
            let message = crate::flags::as_flags(&refusal.to_string());
            first_error.get_or_insert_with(|| message.clone());
            json!({ "error": message })
        }
    });
    let predictions: Vec<Value> = predictions.collect();
    match first_error {
        Some(message) if !is_any => Err(Refusal::unprocessable(message)),
        _ => Ok(Json(Predictions {
            model: app.about.name.clone(),
            milliseconds: began.elapsed().as_secs_f64() * 1e3,
            predictions,
        })),
    }
}

/// The pictures of a request: the files of a form, or its body.
pub(super) async fn pictures(parts: Parts, body: Bytes) -> Result<Vec<Picture>, Refusal> {
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.to_ascii_lowercase().starts_with("multipart/form-data") {
        true => files(Request::from_parts(parts, Body::from(body))).await,
        false if body.is_empty() => {
            Err(Refusal::bad("the body is empty\nhelp: send a picture, or a form with files"))
        }
        false => Ok(vec![Picture::Bytes { name: UNNAMED.to_owned(), bytes: body.into() }]),
    }
}

/// The files of a form.
async fn files(request: Request<Body>) -> Result<Vec<Picture>, Refusal> {
    let wrong = |error: String| Refusal::bad(format!("the form cannot be read: {error}"));
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| wrong(error.body_text()))?;
    let mut pictures = Vec::new();
    while let Some(field) = form.next_field().await.map_err(|error| wrong(error.body_text()))? {
        let name = field.file_name().or(field.name()).unwrap_or(UNNAMED);
        let name: String = name.chars().take(LONGEST_NAME).collect();
        let bytes: Bytes = field.bytes().await.map_err(|error| wrong(error.body_text()))?;
        pictures.push(Picture::Bytes { name, bytes: bytes.into() });
    }
    Ok(pictures)
}

/// What is served.
#[utoipa::path(get, path = "/info", tag = "plain", responses((status = 200, body = About)))]
pub(super) async fn info(State(app): State<Arc<App>>) -> Json<About> {
    Json(app.about.clone())
}

/// Whether the server is there.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, description = "It is there")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}
