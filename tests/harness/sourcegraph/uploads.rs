//! Uploads of code intelligence indexes (facts/executor-protocol.md 9).

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Response, StatusCode};

use super::git::plain;
use super::routes::Request;
use super::state::State;

/// Most bytes of one request.
const PART: usize = 100_000_000;

/// An index that was uploaded.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// The last part of the path: `lsif` or `scip`.
    pub route: String,
    /// What was said of it.
    pub query: BTreeMap<String, String>,
    /// The header of this name.
    pub uncompressed_size: u64,
    /// It, compressed.
    pub bytes: Vec<u8>,
    /// In how many parts it came.
    pub parts: usize,
}

/// All uploads, done or not.
#[derive(Default)]
pub(super) struct Uploads {
    all: Vec<Coming>,
}

/// One that comes in parts.
struct Coming {
    upload: Upload,
    parts: Vec<Option<Vec<u8>>>,
    is_done: bool,
}

impl Uploads {
    pub(super) fn done(&self) -> Vec<Upload> {
        let done = self.all.iter().filter(|coming| coming.is_done);
        done.map(|coming| Upload {
            bytes: coming.parts.iter().flatten().flatten().copied().collect(),
            ..coming.upload.clone()
        })
        .collect()
    }
}

/// What an upload's path names.
pub(super) fn route(path: &str) -> Option<&str> {
    let route = path.strip_prefix("/.executors/")?.strip_suffix("/upload")?;
    matches!(route, "lsif" | "scip").then_some(route)
}

impl State {
    pub(super) fn on_upload(
        &mut self,
        route: &str,
        request: &Request<'_>,
        query: &str,
        body: &[u8],
    ) -> Response<Body> {
        if !self.is_executor(request) {
            return plain(StatusCode::UNAUTHORIZED, "");
        }
        if request.method != Method::POST {
            self.violation(request, "it has to be a POST");
        }
        if body.len() > PART {
            self.violation(request, "it is too large for one request");
        }
        let query = parse(query);
        let size = request.header("x-uncompressed-size").parse().ok();
        let answer = self.uploads.take(route, &query, size, body);
        answer.unwrap_or_else(|what| {
            self.violation(request, what);
            plain(StatusCode::BAD_REQUEST, what)
        })
    }
}

impl Uploads {
    fn take(
        &mut self,
        route: &str,
        query: &BTreeMap<String, String>,
        size: Option<u64>,
        body: &[u8],
    ) -> Result<Response<Body>, &'static str> {
        let number = |name: &str| query.get(name)?.parse::<usize>().ok();
        if query.contains_key("uploadId") {
            let id = number("uploadId").ok_or("the id is no number")?;
            let found = self.all.get_mut(id.wrapping_sub(1));
            let coming = found.ok_or("there is no such upload")?;
            if let Some(index) = number("index") {
                let part = coming.parts.get_mut(index).ok_or("there is no such part")?;
                if part.replace(body.to_vec()).is_some() {
                    return Err("the part was there already");
                }
            } else if query.get("done").is_some_and(|done| done == "true") {
                if !coming.parts.iter().all(Option::is_some) || !body.is_empty() {
                    return Err("it is not all there");
                }
                coming.is_done = true;
            } else {
                return Err("neither a part nor the end");
            }
            return Ok(plain(StatusCode::NO_CONTENT, ""));
        }
        for name in ["repository", "commit", "root"] {
            if !query.contains_key(name) {
                return Err("something is not said");
            }
        }
        let mut upload = Upload {
            route: route.to_owned(),
            query: query.clone(),
            uncompressed_size: size.ok_or("the size is not said")?,
            bytes: Vec::new(),
            parts: 1,
        };
        let several = query.get("multiPart").is_some_and(|multi| multi == "true");
        let parts = if several {
            if !body.is_empty() {
                return Err("there is a body too early");
            }
            upload.parts = number("numParts").ok_or("the number of parts is not said")?;
            vec![None; upload.parts]
        } else {
            vec![Some(body.to_vec())]
        };
        self.all.push(Coming {
            upload,
            parts,
            is_done: !several,
        });
        let id = format!("{{\"id\":\"{}\"}}", self.all.len());
        Ok(plain(StatusCode::ACCEPTED, &id))
    }
}

/// The pairs of a query.
fn parse(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let hex = after.get(..2).and_then(|two| str::from_utf8(two).ok());
        let code = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
