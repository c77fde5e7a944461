//! Git over HTTP, read only (facts/executor-protocol.md 1.12).

use std::io::Read as _;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::read::GzDecoder;

use super::auth::{self, Right};
use super::{Hub, Refusal, collect};
use crate::git::{self, Protocol};
use crate::hub::Shared;
use crate::store;

/// Largest request: what a client wants and has, by name.
const LIMIT: usize = 16 << 20;

/// Largest request when it is unpacked.
const UNPACKED_LIMIT: usize = 64 << 20;

pub(super) async fn serve(State(hub): Hub, request: Request) -> Result<Response, Refusal> {
    let right = auth::job(&hub, request.headers(), "batches").await?;
    let not_found = || Refusal::status(StatusCode::NOT_FOUND, "not found");
    let path = percent_decoded(request.uri().path());
    let path = path
        .as_deref()
        .and_then(|path| path.strip_prefix("/.executors/git/"))
        .ok_or_else(not_found)?;
    let protocol = Protocol::of(request.headers().get("Git-Protocol"));
    if let Some(name) = path.strip_suffix("/info/refs") {
        let repository = repository(&hub, &right, name).await?;
        if request.method() != Method::GET {
            return Err(method());
        }
        if request.uri().query() != Some("service=git-upload-pack") {
            return Err(Refusal::status(
                StatusCode::FORBIDDEN,
                "only git-upload-pack over the smart protocol is served",
            ));
        }
        let body = git::advertise(&hub, &repository, protocol).await;
        return Ok(answer("application/x-git-upload-pack-advertisement", body?));
    }
    let name = path
        .strip_suffix("/git-upload-pack")
        .ok_or_else(not_found)?;
    let repository = repository(&hub, &right, name).await?;
    if request.method() != Method::POST {
        return Err(method());
    }
    let is_packed = is_packed(request.headers())?;
    let body = collect(&hub, request, LIMIT).await?;
    let body = match is_packed {
        true => unpack(&body)?,
        false => body.to_vec(),
    };
    let body = git::upload_pack(&hub, &repository, protocol, body).await;
    Ok(answer("application/x-git-upload-pack-result", body?))
}

/// The repository of this name, if the right is for it.
async fn repository(hub: &Shared, right: &Right, name: &str) -> Result<git::Served, Refusal> {
    let source = match right {
        Right::Job(owner) if owner.repository_name != name => {
            return Err(Refusal::status(
                StatusCode::FORBIDDEN,
                "the token is of another repository",
            ));
        }
        Right::Job(owner) => {
            let id = owner.repository;
            let known = hub.store.read(store::repositories).await?;
            known.into_iter().find(|known| known.id == id)
        }
        Right::Executor => {
            let name = name.to_owned();
            hub.store
                .read(move |connection| store::repository_by_name(connection, &name))
                .await?
        }
    };
    let source = source
        .ok_or_else(|| Refusal::status(StatusCode::NOT_FOUND, "repository does not exist"))?;
    git::Served::of(hub, &source.source)
}

fn method() -> Refusal {
    Refusal::status(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
}

fn is_packed(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers
        .get(header::CONTENT_ENCODING)
        .map(HeaderValue::as_bytes)
    {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(_) => Err(Refusal::status(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported content encoding",
        )),
    }
}

fn unpack(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut unpacked = Vec::new();
    let limit = UNPACKED_LIMIT as u64 + 1;
    let read = GzDecoder::new(body).take(limit).read_to_end(&mut unpacked);
    match read {
        Ok(length) if length <= UNPACKED_LIMIT => Ok(unpacked),
        Ok(_) => Err(Refusal::status(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is too large",
        )),
        Err(_) => Err(Refusal::status(
            StatusCode::BAD_REQUEST,
            "the body is not gzip",
        )),
    }
}

fn answer(content_type: &'static str, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (
            header::CACHE_CONTROL,
            "no-cache, max-age=0, must-revalidate",
        ),
    ];
    (headers, body).into_response()
}

/// The path with its escapes undone; `None` if that is not text.
fn percent_decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%'
            && let [high, low, after @ ..] = rest
            && let Ok(byte) = u8::from_str_radix(str::from_utf8(&[*high, *low]).ok()?, 16)
        {
            bytes.push(byte);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}
