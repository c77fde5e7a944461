//! Who may make a call (facts/executor-protocol.md 1.3).

use axum::http::{HeaderMap, StatusCode, header};
use capstan_protocol::route;

use super::Refusal;
use crate::hub::Shared;
use crate::secret::TokenDigest;
use crate::store::{self, TokenOwner};

/// Calls of an executor as such: dequeue, heartbeat, the test of its secret.
pub(super) fn executor(hub: &Shared, headers: &HeaderMap) -> Result<(), Refusal> {
    match credentials(headers) {
        Some((route::EXECUTOR_SCHEME, secret)) if TokenDigest::of(secret) == hub.executors => {
            Ok(())
        }
        _ => Err(Refusal::status(
            StatusCode::UNAUTHORIZED,
            "invalid or missing executor secret",
        )),
    }
}

/// By what right a call about a job is made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// The secret that executors share.
    Executor,
    /// The token of a job.
    Job(TokenOwner),
}

/// Calls about a job of `queue`.
pub(super) async fn job(
    hub: &Shared,
    headers: &HeaderMap,
    queue: &'static str,
) -> Result<Right, Refusal> {
    let unauthorized = |text: &str| Refusal::status(StatusCode::UNAUTHORIZED, text);
    let token = match credentials(headers) {
        Some((route::EXECUTOR_SCHEME, secret)) => {
            return if TokenDigest::of(secret) == hub.executors {
                Ok(Right::Executor)
            } else {
                Err(Refusal::status(
                    StatusCode::FORBIDDEN,
                    "invalid executor secret",
                ))
            };
        }
        Some((route::JOB_SCHEME, token)) => TokenDigest::of(token),
        _ => return Err(unauthorized("missing or malformed Authorization header")),
    };
    let bad = |text: &str| Refusal::status(StatusCode::BAD_REQUEST, text);
    let id = text(headers, route::JOB_ID_HEADER)
        .and_then(|id| id.parse::<i64>().ok())
        .ok_or_else(|| bad("missing or malformed job id header"))?;
    let name = text(headers, route::EXECUTOR_NAME_HEADER)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| bad("missing executor name header"))?
        .to_owned();
    let (owner, is_known) = hub
        .store
        .read(move |connection| {
            let owner = store::token_owner(connection, token.bytes())?;
            Ok((owner, store::is_known(connection, &name)?))
        })
        .await?;
    let owner = owner.ok_or_else(|| unauthorized("invalid job token"))?;
    if owner.job != id || owner.queue != queue {
        return Err(Refusal::status(
            StatusCode::FORBIDDEN,
            "the token is of another job",
        ));
    }
    if !is_known {
        return Err(unauthorized("unknown executor"));
    }
    Ok(Right::Job(owner))
}

impl Right {
    /// Refuses a call about another job than the one that the token is for.
    pub(super) fn is_for(&self, job: i64) -> Result<(), Refusal> {
        match self {
            Self::Job(owner) if owner.job != job => Err(Refusal::status(
                StatusCode::FORBIDDEN,
                "the token is of another job",
            )),
            _ => Ok(()),
        }
    }
}

/// Scheme and credentials.
fn credentials(headers: &HeaderMap) -> Option<(&str, &str)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    (!credentials.is_empty() && !credentials.contains(' ')).then_some((scheme, credentials))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
