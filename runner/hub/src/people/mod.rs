//! The API for people: submitting, looking, cancelling, trying again. Its commands are `capstan hub submit` and the like.
//!
//! All calls carry `Authorization: Bearer TOKEN`. Bodies and answers are JSON, see [`wire`]; what is refused is told as plain text.

mod look;
mod send;
pub mod wire;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post, put};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::Refusal;
use crate::hub::Shared;
use crate::secret::TokenDigest;

pub(crate) use self::look::{log_body, time};

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/executions", get(look::executions).post(send::draft))
        .route("/api/executions/{id}", get(look::execution))
        .route("/api/executions/{id}/changesets", get(look::changesets))
        .route("/api/executions/{id}/files", put(send::file))
        .route("/api/executions/{id}/start", post(send::start))
        .route("/api/executions/{id}/cancel", post(send::cancel))
        .route("/api/executions/{id}/retry", post(send::retry))
        .route("/api/jobs/{id}/log", get(look::log))
        .route("/api/jobs/{id}/log/{number}", get(look::log_text))
        .route("/api/executors", get(look::executors))
}

/// Refuses who does not know the token. A browser that was told a password sends it for every page that asks, so it is no proof here.
fn authorize(hub: &Shared, headers: &HeaderMap) -> Result<(), Refusal> {
    match bearer(headers) {
        Some(token) if TokenDigest::of(token) == hub.people => Ok(()),
        _ => Err(Refusal::status(
            StatusCode::UNAUTHORIZED,
            "invalid or missing token",
        )),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ")
}

/// Whether somebody may look at pages: by the token, or by the token as a password.
pub(crate) fn may_look(hub: &Shared, headers: &HeaderMap) -> bool {
    if authorize(hub, headers).is_ok() {
        return true;
    }
    let password = || {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let pair = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        pair.split_once(':')
            .map(|(_, password)| TokenDigest::of(password))
    };
    password().is_some_and(|digest| digest == hub.people)
}
