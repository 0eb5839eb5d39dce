//! Why a request is not answered, as a status and one JSON object: `{"error": "…"}`, as TensorFlow Serving and the Open Inference
//! Protocol have it.

use crate::flags::as_flags;
use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Seconds after which a client may try again.
pub(super) const AGAIN: &str = "1";

/// Why a request is not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

/// What a request is answered that is refused.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// What is wrong, and what can be done.
    error: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// What the client has sent is not what it should be.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// What the client has sent can be read, and not be predicted.
    pub(super) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(ErrorBody { error: as_flags(&self.message) });
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                drop(headers.insert(RETRY_AFTER, AGAIN.parse().expect("digits")))
            }
            StatusCode::UNAUTHORIZED => {
                drop(headers.insert(WWW_AUTHENTICATE, "Bearer".parse().expect("ASCII")))
            }
            // the rest of such a request is not read
            StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE => {
                drop(headers.insert(CONNECTION, "close".parse().expect("ASCII")));
            }
            _ => {}
        }
        response
    }
}
