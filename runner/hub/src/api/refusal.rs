//! Answers that say no, as Sourcegraph says it (facts/executor-protocol.md 1.3, 1.4, 1.8).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use capstan_protocol::{DecodeError, error_body};

use crate::store::StoreError;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// With this status, and this text for people.
    Status(StatusCode, String),
    /// Something went wrong here: 500, with the text as JSON.
    Internal(String),
    /// The body is none: 400.
    Undecodable(String),
    /// A mark for a job that the executor does not have: 404.
    NoSuchJob,
}

impl Refusal {
    pub(crate) fn status(status: StatusCode, text: impl Into<String>) -> Self {
        Self::Status(status, text.into())
    }

    /// What a call about a log says of a job that the executor does not have.
    pub(crate) fn unknown_job() -> Self {
        Self::Internal("unknown job".to_owned())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request failed");
        Self::Internal(error.to_string())
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::Undecodable(error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        match self {
            Self::Status(status, text) => (status, format!("{text}\n")).into_response(),
            Self::Internal(message) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                (status, json, error_body(&message)).into_response()
            }
            Self::Undecodable(message) => {
                let text = format!("Failed to unmarshal payload: {message}\n");
                (StatusCode::BAD_REQUEST, text).into_response()
            }
            Self::NoSuchJob => (StatusCode::NOT_FOUND, json, "null").into_response(),
        }
    }
}
