//! The page to drop an image on: one file, which loads nothing from anywhere.

use super::app::App;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::sync::Arc;

const PAGE: &str = include_str!("page.html");

/// The page, and what its browser lets it do.
pub(super) struct Page {
    policy: String,
}

impl Page {
    pub(super) fn new() -> Self {
        let hash = |tag: &str| {
            let text = between(PAGE, &format!("<{tag}>"), &format!("</{tag}>"));
            format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
        };
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash("script"),
            hash("style")
        );
        Self { policy }
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).map_or("", |(_, rest)| rest);
    rest.split_once(to).map_or("", |(inner, _)| inner)
}

pub(super) async fn page(State(app): State<Arc<App>>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, app.page.policy.clone()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, PAGE)
}
