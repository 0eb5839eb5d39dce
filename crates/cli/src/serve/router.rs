//! Which address is answered by what, and what holds for all of them.

use super::app::App;
use super::refusal::Refusal;
use super::{explain, open_inference, openapi, page, plain, tensorflow};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// What answers requests.
pub(super) fn router(app: &Arc<App>) -> Router {
    let open = Router::new()
        .route("/", get(page::page))
        .route("/healthz", get(plain::healthz))
        .route("/v2/health/live", get(open_inference::live))
        .route("/v2/health/ready", get(open_inference::ready));
    let closed = Router::new()
        .route("/predict", post(plain::predict))
        .route("/explain", post(explain::explain))
        .route("/info", get(plain::info))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/v1/models/{name}", get(tensorflow::status).post(tensorflow::run))
        .route("/v1/models/{name}/metadata", get(tensorflow::metadata))
        .route(
            "/v1/models/{name}/versions/{version}",
            get(tensorflow::status_of).post(tensorflow::run_version),
        )
        .route("/v1/models/{name}/versions/{version}/metadata", get(tensorflow::metadata_of))
        .route("/v2", get(open_inference::server))
        .route("/v2/models/{name}", get(open_inference::model))
        .route("/v2/models/{name}/ready", get(open_inference::model_ready))
        .route("/v2/models/{name}/infer", post(open_inference::infer))
        .route("/v2/models/{name}/versions/{version}", get(open_inference::model_of))
        .route("/v2/models/{name}/versions/{version}/ready", get(open_inference::model_ready_of))
        .route("/v2/models/{name}/versions/{version}/infer", post(open_inference::infer_version))
        .route_layer(from_fn_with_state(app.clone(), admit));
    let nosniff = HeaderValue::from_static("nosniff");
    open.merge(closed)
        .method_not_allowed_fallback(|| async {
            Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this address takes another method; /openapi.json lists all",
            )
        })
        .fallback(|| async {
            Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this address; /openapi.json lists all")
        })
        // bodies are measured where they are read
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, nosniff))
        .layer(from_fn_with_state(app.clone(), count))
        .with_state(app.clone())
}

/// Lets in who brings the token.
async fn admit(State(app): State<Arc<App>>, request: Request<Body>, next: Next) -> Response {
    let said = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match app.admits(said) {
        true => next.run(request).await,
        false => Refusal::new(
            StatusCode::UNAUTHORIZED,
            "the request does not bring the server's token\nhelp: send `Authorization: Bearer TOKEN`",
        )
        .into_response(),
    }
}

/// Counts requests by the pattern of their address, of which there are few.
async fn count(State(app): State<Arc<App>>, request: Request<Body>, next: Next) -> Response {
    let began = Instant::now();
    let path = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let method = if path == "other" { "other" } else { method.as_str() };
    let response = next.run(request).await;
    app.metrics.answered(method, &path, response.status().as_u16(), began.elapsed());
    response
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    let message = "the request has failed in a way that is not foreseen";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
}

/// Counters for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "server",
    responses((status = 200, description = "Counters in the text format of OpenMetrics", content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(CONTENT_TYPE, kind)], app.metrics.text())
}
