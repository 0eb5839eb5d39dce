//! What all requests share.

use super::about::{About, Port};
use super::explain::HeatMaps;
use super::metrics::Metrics;
use super::page::Page;
use super::queue::{Answered, Queue, Work};
use super::refusal::Refusal;
use crate::args::LimitFlags;
use crate::flags::as_flags;
use crate::predict::Teller;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use frostline::predict::{Picture, Prediction};
use std::sync::Arc;

/// So many times the values of a picture a row may have.
const TIMES_USUAL: u64 = 16;

/// What all requests share.
pub(super) struct App {
    pub(super) about: About,
    pub(super) teller: Teller,
    pub(super) queue: Queue,
    pub(super) limits: LimitFlags,
    pub(super) metrics: Arc<Metrics>,
    pub(super) page: Page,
    pub(super) heat_maps: HeatMaps,
    /// The hash of the token: hashes are compared in a time that says nothing of them.
    token: Option<blake3::Hash>,
}

impl App {
    pub(super) fn new(
        about: About,
        teller: Teller,
        queue: Queue,
        limits: LimitFlags,
        heat_maps: HeatMaps,
        token: Option<&str>,
    ) -> Self {
        let token = token.map(|token| blake3::hash(token.as_bytes()));
        Self { about, teller, queue, limits, metrics: Arc::default(), page: Page::new(), heat_maps, token }
    }

    /// Whether a request may ask, by what it says in `Authorization`.
    pub(super) fn admits(&self, authorization: Option<&str>) -> bool {
        let Some(token) = self.token else { return true };
        let said = authorization.and_then(|value| value.split_once(' '));
        let said = said.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        said.is_some_and(|(_, said)| blake3::hash(said.trim().as_bytes()) == token)
    }

    /// Errors where a request asks for another model.
    pub(super) fn check_model(&self, name: &str, version: Option<&str>) -> Result<(), Refusal> {
        if name == self.about.name && version.is_none_or(|version| version == super::about::VERSION) {
            return Ok(());
        }
        let asked = version
            .map_or_else(|| format!("Latest({name})"), |version| format!("Specific({name}, {version})"));
        let message =
            format!("Servable not found for request: {asked}; help: the model is `{}`", self.about.name);
        Err(Refusal::new(StatusCode::NOT_FOUND, message))
    }

    /// Predicts pictures. Errors where they are too many or too large, and where none are taken.
    pub(super) async fn pictures(&self, pictures: Vec<Picture>) -> Result<Answered, Refusal> {
        let pictures = self.within_limits(pictures).await?;
        self.queue.ask(Work::Pictures(pictures)).await
    }

    /// The pictures, if they are neither too many nor too large, and pictures are taken.
    pub(super) async fn within_limits(&self, pictures: Vec<Picture>) -> Result<Vec<Picture>, Refusal> {
        if let Some(why) = &self.about.no_pictures {
            return Err(Refusal::bad(format!("the model takes no pictures: {why}")));
        }
        self.check_count(pictures.len())?;
        let most = self.limits.max_pixels;
        let checked = tokio::task::spawn_blocking(move || {
            // a picture whose size cannot be told has its error when it is decoded
            let sizes = pictures.iter().filter_map(|picture| Some((picture, picture.size().ok()?)));
            let too_large =
                sizes.into_iter().find(|(_, [height, width])| *height as u64 * *width as u64 > most);
            match too_large {
                Some((picture, [height, width])) => Err(Refusal::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!(
                        "image `{}`: has {width} x {height} pixels, of which at most {most} are taken\nhelp: scale it down, or start the server with the setting `max-pixels`",
                        picture.name()
                    ),
                )),
                None => Ok(pictures),
            }
        });
        checked.await.map_err(|_| {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the request was not read to its end")
        })?
    }

    /// Predicts rows of the model's own layout, a batch for each input.
    pub(super) async fn rows(&self, inputs: Vec<super::queue::Batch>) -> Result<Answered, Refusal> {
        let rows = inputs.first().and_then(|batch| batch.shape.first()).copied().unwrap_or(0);
        self.check_count(rows)?;
        for (batch, port) in inputs.iter().zip(&self.about.inputs) {
            check_shape(batch, port)?;
            let most = self.most_values();
            if (batch.values.len() / rows.max(1)) as u64 > most {
                return Err(Refusal::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("a row of `{}` has more than {most} values", port.name),
                ));
            }
        }
        self.queue.ask(Work::Rows(inputs)).await
    }

    /// The most values of a row. What a model with an open input keeps of it grows with it, to many times its size.
    fn most_values(&self) -> u64 {
        let usual = self.about.usual.map_or(u64::MAX, |usual| TIMES_USUAL * usual as u64);
        self.limits.max_pixels.min(usual)
    }

    fn check_count(&self, count: usize) -> Result<(), Refusal> {
        match count {
            0 => Err(Refusal::bad("the request holds no image\nhelp: send at least one")),
            count if count > self.limits.max_batch => Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "the request holds {count} images, of which at most {} are taken at a time\nhelp: send fewer in a request, or start the server with the setting `max-batch`",
                    self.limits.max_batch
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Errors where a batch has another shape than the input takes.
fn check_shape(batch: &super::queue::Batch, port: &Port) -> Result<(), Refusal> {
    let fits = batch.shape.len() == port.shape.len()
        && batch
            .shape
            .iter()
            .zip(&port.shape)
            .all(|(extent, wanted)| *wanted < 0 || *extent as i64 == *wanted);
    match fits && batch.shape.iter().all(|extent| *extent > 0) {
        true => Ok(()),
        false => Err(Refusal::bad(format!(
            "input `{}` has the shape {:?} where the model takes {:?} (-1: any)",
            port.name, batch.shape, port.shape
        ))),
    }
}

/// All predictions of a request that is answered by raw numbers: one without an answer leaves none for the others.
pub(super) fn all(answered: Answered) -> Result<Vec<Prediction>, Refusal> {
    let mut all = Vec::new();
    for found in answered.predictions {
        let prediction = found.map_err(|refusal| Refusal::unprocessable(refusal.to_string()))?;
        if !prediction.is_finite() {
            return Err(Refusal::unprocessable(format!(
                "what the model puts out for `{}` holds NaN or infinity",
                prediction.name
            )));
        }
        all.push(prediction);
    }
    Ok(all)
}

/// The header that says what a client should know of its request.
const WARNING: &str = "x-frostline-warning";

/// An answer with a warning in its head, if there is one.
pub(super) fn warned(mut response: Response, warning: Option<String>) -> Response {
    let text = warning.map(|warning| as_flags(&warning).replace('\n', "; "));
    if let Some(value) = text.and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok()) {
        response.headers_mut().insert(WARNING, value);
    }
    response
}
