//! The document that describes all addresses.

use super::about::{About, Port};
use super::plain::Predictions;
use super::refusal::ErrorBody;
use super::{explain, open_inference, plain, router, tensorflow};
use axum::Json;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "frostline",
        description = "Predictions of one model: a plain protocol, TensorFlow Serving's and the Open Inference Protocol."
    ),
    paths(
        plain::predict,
        explain::explain,
        plain::info,
        plain::healthz,
        router::metrics,
        tensorflow::status,
        tensorflow::metadata,
        tensorflow::run,
        tensorflow::classify,
        open_inference::live,
        open_inference::ready,
        open_inference::server,
        open_inference::model,
        open_inference::model_ready,
        open_inference::infer,
    ),
    components(schemas(About, Port, Predictions, ErrorBody))
)]
struct Document;

pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
