//! Reading bodies: not more than is allowed, and not for longer.

use super::app::App;
use super::refusal::Refusal;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};

/// The head of a request, and its whole body.
pub(super) async fn whole(app: &App, request: Request<Body>) -> Result<(Parts, Bytes), Refusal> {
    let most = app.limits.max_body;
    let too_large = || {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the body has more than {most} bytes\nhelp: send fewer or smaller images in a request, or start the server with the setting `max-body`"
            ),
        )
    };
    let (parts, body) = request.into_parts();
    let said = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    match tokio::time::timeout(app.limits.timeout, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok((parts, bytes)),
        Ok(Err(error)) if is_of_length(&error) => Err(too_large()),
        Ok(Err(error)) => Err(Refusal::bad(format!("the body is cut off: {error}"))),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive in {}", humantime::format_duration(app.limits.timeout)),
        )),
    }
}

fn is_of_length(error: &axum::Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}
