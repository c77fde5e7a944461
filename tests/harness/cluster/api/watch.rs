//! A watch: what happens to objects, a line of JSON for each thing.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::Request;
use super::refusal::Refusal;
use super::selector::Selector;
use crate::cluster::resource::Kind;
use crate::cluster::state::{Shared, State};
use crate::cluster::store::Change;

/// How long a watch lasts of which nobody says how long.
const LASTING: u64 = 1800;

/// How often a client that wants to know hears of the version that it has come to.
const BOOKMARKS: Duration = Duration::from_secs(60);

struct Watch {
    shared: Shared,
    changes: Receiver<()>,
    kind: Kind,
    selector: Selector,
    /// The version up to which all is told.
    version: u64,
    /// How often streams had been cut when it began.
    cuts: u64,
    with_bookmarks: bool,
    next_bookmark: Instant,
    end: Instant,
    lines: VecDeque<Bytes>,
    is_over: bool,
}

pub(super) fn serve(shared: &Shared, request: &Request<'_>) -> Result<Response<Body>, Refusal> {
    let query = &request.query;
    let kind = request.target.kind;
    let selector = Selector::of(kind, query)?;
    let asked = query.get("resourceVersion").unwrap_or("0");
    let asked: u64 = asked
        .parse()
        .map_err(|_| Refusal::bad_request(format!("resourceVersion: Invalid value: {asked:?}")))?;
    let changes = shared.changes();
    let state = shared.lock();
    let lasting = query.number("timeoutSeconds").unwrap_or(LASTING);
    let mut watch = Watch {
        shared: shared.clone(),
        changes,
        kind,
        selector,
        version: asked,
        cuts: state.cuts,
        with_bookmarks: query.is_true("allowWatchBookmarks"),
        next_bookmark: Instant::now() + BOOKMARKS,
        end: Instant::now() + Duration::from_secs(lasting),
        lines: VecDeque::new(),
        is_over: false,
    };
    let wants_all = query.is_true("sendInitialEvents");
    if asked == 0 || wants_all {
        watch.tell_all(&state);
    }
    if wants_all {
        let mut bookmark = watch.bookmark();
        bookmark["object"]["metadata"]["annotations"] =
            json!({"k8s.io/initial-events-end": "true"});
        watch.say(&bookmark);
    }
    drop(state);
    let lines = stream::unfold(watch, |mut watch| async {
        let line = watch.next().await?;
        Some((line, watch))
    });
    let mut response = Response::new(Body::from_stream(lines));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    Ok(response)
}

impl Watch {
    /// All that is there, as if it had just come.
    fn tell_all(&mut self, state: &State) {
        for object in state.store.all(self.kind) {
            if self.selector.takes(&object) {
                self.say(&json!({"type": "ADDED", "object": object}));
            }
        }
        self.version = state.store.version();
    }

    fn say(&mut self, event: &Value) {
        self.lines.push_back(Bytes::from(format!("{event}\n")));
    }

    fn bookmark(&self) -> Value {
        let object = json!({
            "kind": self.kind.name(),
            "apiVersion": self.kind.api_version(),
            "metadata": {"resourceVersion": self.version.to_string(), "creationTimestamp": null},
        });
        json!({"type": "BOOKMARK", "object": object})
    }

    /// The next line; an error when the stream is cut, nothing after its end.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(Ok(line));
            }
            if self.is_over {
                return None;
            }
            self.changes.mark_unchanged();
            if self.look().is_err() {
                self.is_over = true;
                return Some(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if !self.lines.is_empty() || self.is_over {
                continue;
            }
            let until = match self.with_bookmarks {
                true => self.end.min(self.next_bookmark),
                false => self.end,
            };
            tokio::select! {
                _ = self.changes.changed() => {}
                () = tokio::time::sleep_until(until) => self.pause(),
            }
        }
    }

    /// It is time for a bookmark, perhaps the last.
    fn pause(&mut self) {
        self.next_bookmark = Instant::now() + BOOKMARKS;
        self.is_over = Instant::now() >= self.end;
        if self.with_bookmarks {
            let bookmark = self.bookmark();
            self.say(&bookmark);
        }
    }

    /// Sees what has happened since it last looked.
    fn look(&mut self) -> Result<(), ()> {
        let shared = self.shared.clone();
        let state = shared.lock();
        if state.cuts != self.cuts {
            return Err(());
        }
        if self.version < state.store.oldest() {
            let refusal = Refusal::expired(self.version, state.store.oldest());
            self.say(&json!({"type": "ERROR", "object": refusal.status()}));
            self.is_over = true;
            return Ok(());
        }
        for change in state.store.since(self.kind, self.version) {
            if let Some(kind) = self.seen_as(change) {
                self.say(&json!({"type": kind, "object": change.after}));
            }
        }
        self.version = self.version.max(state.store.version());
        Ok(())
    }

    /// What a change is for someone who sees only what is selected.
    fn seen_as(&self, change: &Change) -> Option<&'static str> {
        let before = change.before.as_ref();
        let was_seen = before.is_some_and(|before| self.selector.takes(before));
        let is_seen = !change.is_gone && self.selector.takes(&change.after);
        match (was_seen, is_seen) {
            (false, false) => None,
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
        }
    }
}
