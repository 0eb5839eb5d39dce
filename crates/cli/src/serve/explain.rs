//! Where in a picture the model sees its class: a heat map over it.

use super::app::App;
use super::body::whole;
use super::plain::pictures;
use super::refusal::{ErrorBody, Refusal};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use frostline::data::{Pipeline, Thumbnail};
use frostline::explain::Explainer;
use frostline::graph::Model;
use frostline::predict::Picture;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// The longer side of a heat map, in pixels.
const SIDE: usize = 960;
/// How much of the picture the colours hide.
const OPACITY: f32 = 0.5;

/// Makes heat maps. Its plans are made when the first is asked for: many servers are never asked.
pub(super) struct HeatMaps {
    model: Model,
    pipeline: Option<Pipeline>,
    explainer: OnceLock<Result<Explainer, String>>,
    /// One at a time: predictions go on beside it.
    turn: Semaphore,
}

impl HeatMaps {
    /// `pipeline`: how pictures become inputs, of a model that takes any.
    pub(super) fn new(model: &Model, pipeline: Option<Pipeline>) -> Self {
        Self { model: model.clone(), pipeline, explainer: OnceLock::new(), turn: Semaphore::new(1) }
    }

    fn explainer(&self) -> Result<(&Explainer, &Pipeline), String> {
        let pipeline = self.pipeline.as_ref().ok_or("the model takes no pictures")?;
        let made = self.explainer.get_or_init(|| {
            Explainer::new(&self.model, None, pipeline.clone()).map_err(|error| error.to_string())
        });
        made.as_ref().map(|explainer| (explainer, pipeline)).map_err(Clone::clone)
    }

    fn map(&self, name: &str, bytes: &[u8], class: Option<usize>) -> Result<Thumbnail, String> {
        let (explainer, pipeline) = self.explainer()?;
        let picture = pipeline.decode_bytes(bytes, name).map_err(|error| error.to_string())?;
        let map = explainer.explain(&picture, name, class).map_err(|error| error.to_string())?;
        let over = map.overlay(&picture, OPACITY).map_err(|error| error.to_string())?;
        Thumbnail::of(over, SIDE, name).map_err(|error| error.to_string())
    }
}

/// Lays a heat map over a picture: yellow is where the class is seen.
#[utoipa::path(post, path = "/explain", tag = "plain",
    params(("class" = Option<usize>, Query, description = "The number of a class, from 0; the predicted one where it is left out")),
    request_body(content((Vec<u8> = "multipart/form-data"), (Vec<u8> = "image/*")), description = "One file in a form, or the bytes of one picture"),
    responses(
        (status = 200, description = "The picture with the map", content_type = "image/jpeg"),
        (status = 400, body = ErrorBody, description = "Not one picture was sent"),
        (status = 401, body = ErrorBody, description = "The token is missing"),
        (status = 413, body = ErrorBody, description = "The body or the picture is too large"),
        (status = 422, body = ErrorBody, description = "The picture cannot be read, or the model has no layer with places in it"),
        (status = 503, body = ErrorBody, description = "Other heat maps are made")))]
pub(super) async fn explain(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<impl IntoResponse, Refusal> {
    let (parts, body) = whole(&app, request).await?;
    let class = class_of(parts.uri.query())?;
    let pictures = app.within_limits(pictures(parts, body).await?).await?;
    let Ok([Picture::Bytes { name, bytes }]) = <[Picture; 1]>::try_from(pictures) else {
        return Err(Refusal::bad("a heat map is of one picture\nhelp: send one"));
    };
    let busy = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "other heat maps are made\nhelp: ask again");
    let turn = tokio::time::timeout(app.limits.timeout, app.heat_maps.turn.acquire());
    let _turn = turn.await.map_err(|_| busy())?.map_err(|_| busy())?;
    let shared = app.clone();
    let made = tokio::task::spawn_blocking(move || shared.heat_maps.map(&name, &bytes, class));
    let failed = |_| {
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the heat map has failed in a way that is not foreseen",
        )
    };
    let Thumbnail { media_type, bytes, .. } = made.await.map_err(failed)?.map_err(Refusal::unprocessable)?;
    Ok(([(CONTENT_TYPE, media_type), (CACHE_CONTROL, "no-store")], bytes))
}

/// The class that is asked for: `class=3`.
fn class_of(query: Option<&str>) -> Result<Option<usize>, Refusal> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(None) };
    let number = query.strip_prefix("class=").and_then(|number| number.parse().ok());
    number.map(Some).ok_or_else(|| {
        Refusal::bad(format!(
            "`{query}` names no class\nhelp: write `?class=3` for the class 3, counted from 0"
        ))
    })
}
