//! What people look at: a few pages, rendered here, without scripts and without anything from elsewhere.
//!
//! Everything shown comes from others, so all of it goes through [`html::Page`], which escapes it; and browsers are told to run and load nothing.

mod execution;
mod html;
mod list;
mod log;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::hub::Shared;
use crate::people;

const STYLE: &str = include_str!("style.css");

/// Nothing but our own style sheet is loaded; nothing is run, framed, or sent.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn router(hub: &Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(list::executions))
        .route("/executors", get(list::executors))
        .route("/executions/{id}", get(execution::page))
        .route(
            "/executions/{id}/changesets/{number}",
            get(execution::patch),
        )
        .route("/jobs/{id}", get(log::page))
        .route("/jobs/{id}/log/{number}", get(log::text))
        .route("/style.css", get(style))
        .layer(middleware::from_fn_with_state(Arc::clone(hub), guard))
}

/// Asks who it is, and adds the headers that keep browsers at bay.
async fn guard(State(hub): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = if people::may_look(&hub, request.headers()) {
        next.run(request).await
    } else {
        let ask = [(
            header::WWW_AUTHENTICATE,
            "Basic realm=\"Capstan hub: any user, the hub's token as password\", charset=\"UTF-8\"",
        )];
        (StatusCode::UNAUTHORIZED, ask, "the hub's token is needed\n").into_response()
    };
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}
