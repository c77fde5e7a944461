//! What is asked, and what is answered.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use serde_json::{Value, json};

use super::git::{self, plain};
use super::state::{Entry, State as Known};
use super::uploads;
use super::{SECRET, Shared};

/// How often a request that is held looks whether it may go on.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

/// A request that is being looked at.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    path: &'a str,
    headers: &'a HeaderMap,
    body: Value,
}

impl Request<'_> {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("")
    }

    fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or("").to_owned()
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let path = uri.path();
    shared.lock().hear(&method, path, &headers);
    while shared.lock().is_held(path) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let request = Request {
        method: &method,
        path,
        headers: &headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    if let Some(rest) = path.strip_prefix("/.executors/git/") {
        let found = shared.lock().repository(&request, rest);
        return match found {
            Ok((repository, rest)) => {
                let query = uri.query().unwrap_or("");
                git::serve(&repository, &rest, &method, query, &headers, &bytes).await
            }
            Err(refusal) => refusal,
        };
    }
    let mut known = shared.lock();
    if let Some(route) = uploads::route(path) {
        if let Some(status) = known.failure(path) {
            return plain(StatusCode::from_u16(status).expect("a test names it"), "");
        }
        let query = uri.query().unwrap_or("");
        return known.on_upload(route, &request, query, &bytes);
    }
    known
        .bodies
        .push(String::from_utf8_lossy(&bytes).into_owned());
    if let Some(status) = known.failure(path) {
        let status = StatusCode::from_u16(status).expect("a test names a status");
        return plain(status, "{\"error\":\"as the test wants it\"}");
    }
    known.answer(&request)
}

impl Known {
    fn hear(&mut self, method: &Method, path: &str, headers: &HeaderMap) {
        let request = format!("{method} {path}");
        let text = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        let mut headers: Vec<String> = headers.iter().map(text).collect();
        headers.sort();
        self.requests.push(request.clone());
        self.headers.push((request, headers));
    }

    fn is_held(&self, path: &str) -> bool {
        self.held.iter().any(|part| path.contains(&**part))
    }

    pub(super) fn violation(&mut self, request: &Request<'_>, what: &str) {
        let violation = format!("{} {}: {what}", request.method, request.path);
        self.violations.push(violation);
    }

    fn answer(&mut self, request: &Request<'_>) -> Response<Body> {
        if request.header("content-type") != "application/json" {
            self.violation(request, "no Content-Type of JSON");
        }
        if request.path == "/.executors/test/auth" {
            return match self.is_executor(request) {
                true => plain(StatusCode::OK, "ok"),
                false => plain(StatusCode::UNAUTHORIZED, ""),
            };
        }
        if let Some(key) = request
            .path
            .strip_prefix("/.executors/files/batch-changes/")
        {
            if let Err(refusal) = self.job_level(request, None) {
                return refusal;
            }
            return match self.files.get(key) {
                Some(content) => Response::new(Body::from(content.clone())),
                None => plain(StatusCode::NOT_FOUND, "workspace file does not exist"),
            };
        }
        let Some(call) = request.path.strip_prefix("/.executors/queue/") else {
            self.violation(request, "there is nothing there");
            return plain(StatusCode::NOT_FOUND, "");
        };
        let (queue, call) = match call.split_once('/') {
            Some((queue, call)) => (Some(queue), call),
            None => (None, call),
        };
        if request.method != Method::POST {
            self.violation(request, "it has to be a POST");
        }
        match call {
            "dequeue" | "heartbeat" => {
                if !self.is_executor(request) {
                    return plain(StatusCode::UNAUTHORIZED, "");
                }
                if request.headers.contains_key("x-sourcegraph-job-id") {
                    self.violation(request, "a job is named in a call about all of them");
                }
                match call {
                    "dequeue" => self.on_dequeue(request, queue),
                    _ => self.on_heartbeat(request, queue),
                }
            }
            _ => self.on_job(request, queue.unwrap_or(""), call),
        }
    }

    pub(super) fn is_executor(&self, request: &Request<'_>) -> bool {
        request.header("authorization") == format!("token-executor {SECRET}")
    }

    /// Checks the headers of a call about a job; the job's id and the executor's name.
    fn job_level(
        &mut self,
        request: &Request<'_>,
        queue: Option<&str>,
    ) -> Result<(i64, String), Response<Body>> {
        let name = request.header("x-sourcegraph-executor-name").to_owned();
        let Ok(id) = request.header("x-sourcegraph-job-id").parse::<i64>() else {
            self.violation(request, "no job id in the headers");
            return Err(plain(StatusCode::BAD_REQUEST, "no job id"));
        };
        if name.is_empty() {
            self.violation(request, "no executor name in the headers");
            return Err(plain(StatusCode::BAD_REQUEST, "no executor name"));
        }
        if self.is_executor(request) {
            return Ok((id, name));
        }
        let job = self.jobs.get(&id);
        let token = job.and_then(|job| job.token.clone());
        let is_right =
            token.is_some_and(|token| request.header("authorization") == format!("Bearer {token}"));
        if !is_right || !self.executors.contains(&name) {
            return Err(plain(StatusCode::UNAUTHORIZED, "the token is not known"));
        }
        if queue.is_some_and(|queue| self.jobs[&id].queue != queue) {
            self.violation(request, "the job is of another queue");
            return Err(plain(StatusCode::FORBIDDEN, "another queue"));
        }
        Ok((id, name))
    }

    fn on_dequeue(&mut self, request: &Request<'_>, queue: Option<&str>) -> Response<Body> {
        if let Some(text) = self.dequeue_answers.pop_front() {
            return plain(StatusCode::OK, &text);
        }
        let name = request.text("executorName");
        if !self.executors.contains(&name) {
            self.violation(request, "it has never been heard of");
        }
        if request.text("version").is_empty() {
            self.violation(request, "no version");
        }
        let queues = match queue {
            Some(queue) => vec![queue.to_owned()],
            None => texts(&request.body["queues"]),
        };
        match self.dequeue(&queues, &name, queue.is_none()) {
            Some(job) => plain(StatusCode::OK, &job.to_string()),
            None => plain(StatusCode::NO_CONTENT, ""),
        }
    }

    fn on_heartbeat(&mut self, request: &Request<'_>, queue: Option<&str>) -> Response<Body> {
        let name = request.text("executorName");
        if name.is_empty() {
            self.violation(request, "no executor name");
        }
        let is_ping = request.body.get("os").is_none();
        let of = |ids: &Value, is_text: bool| -> Option<Vec<i64>> {
            let ids = ids.as_array()?.iter();
            ids.map(|id| match is_text {
                true => id.as_str()?.parse().ok(),
                false => id.as_i64(),
            })
            .collect()
        };
        let (expected, ids) = match queue {
            Some(_) => (
                "V2",
                match &request.body["jobIds"] {
                    Value::Null => Some(Vec::new()),
                    ids => of(ids, false).filter(|ids| !ids.is_empty()),
                },
            ),
            None => {
                if texts(&request.body["queueNames"]).is_empty() {
                    self.violation(request, "no names of queues");
                }
                let by_queue = request.body["jobIdsByQueue"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let ids: Option<Vec<Vec<i64>>> = by_queue
                    .iter()
                    .map(|queue| of(&queue["jobIds"], true))
                    .collect();
                ("", ids.map(|ids| ids.concat()))
            }
        };
        if !is_ping && request.body["version"] != expected {
            self.violation(request, "the version is not the one of this form");
        }
        let Some(ids) = ids else {
            self.violation(request, "ids are in another form");
            return plain(StatusCode::BAD_REQUEST, "");
        };
        let (known, cancelled) = self.heartbeat(&name, &ids);
        let shown = |ids: Vec<i64>| -> Vec<String> {
            let ids = ids.into_iter();
            ids.map(|id| match queue {
                Some(_) => id.to_string(),
                None => format!("{id}-{}", self.jobs[&id].queue),
            })
            .collect()
        };
        let answer = json!({"knownIds": shown(known), "cancelIds": shown(cancelled)});
        plain(StatusCode::OK, &answer.to_string())
    }

    fn on_job(&mut self, request: &Request<'_>, queue: &str, call: &str) -> Response<Body> {
        let (id, header_name) = match self.job_level(request, Some(queue)) {
            Ok(found) => found,
            Err(refusal) => return refusal,
        };
        let name = request.text("executorName");
        if name != header_name || request.body["jobId"] != id {
            self.violation(request, "headers and body are not about the same");
        }
        match call {
            "addExecutionLogEntry" | "updateExecutionLogEntry" => {
                self.on_log(request, id, &name, call)
            }
            "markComplete" | "markErrored" | "markFailed" => {
                let message = request.body.get("errorMessage").is_some();
                if message == (call == "markComplete") {
                    self.violation(
                        request,
                        "a message where there should be none, or none where one should be",
                    );
                }
                match self.mark(&name, id, call, request.text("errorMessage")) {
                    true => plain(StatusCode::NO_CONTENT, ""),
                    false => plain(StatusCode::NOT_FOUND, "null"),
                }
            }
            _ => {
                self.violation(request, "there is no such call");
                plain(StatusCode::NOT_FOUND, "")
            }
        }
    }

    fn on_log(&mut self, request: &Request<'_>, id: i64, name: &str, call: &str) -> Response<Body> {
        let is_ours = self
            .jobs
            .get(&id)
            .is_some_and(|job| job.state == super::JobState::Processing(name.to_owned()));
        if !is_ours {
            return plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "{\"error\":\"unknown job\"}",
            );
        }
        let body = &request.body;
        let command = &body["command"];
        let entry = Entry {
            key: request.text("key"),
            command: command.is_array().then(|| texts(command)),
            exit_code: body["exitCode"].as_i64(),
            out: request.text("out"),
        };
        let mut wrong = Vec::new();
        if entry.key.is_empty() || body["startTime"].as_str().is_none() {
            wrong.push("no key or no start time");
        }
        if body.get("command").is_none() {
            wrong.push("no command, not even null");
        }
        if body.get("out").is_some_and(|out| out == "") {
            wrong.push("an empty text is left out");
        }
        if entry.exit_code.is_some() != body["durationMs"].is_u64() {
            wrong.push("exit code and duration come together");
        }
        let number = body["entryId"]
            .as_u64()
            .and_then(|number| usize::try_from(number).ok());
        let mut status = (StatusCode::NO_CONTENT, String::new());
        if let Some(job) = self.jobs.get_mut(&id) {
            match (
                call,
                number.and_then(|number| job.log.get_mut(number.wrapping_sub(1))),
            ) {
                ("updateExecutionLogEntry", Some(old)) => {
                    if !entry.out.starts_with(&old.out)
                        || old.key != entry.key
                        || old.exit_code.is_some()
                    {
                        wrong.push("an entry shrinks, is another, or changes after its end");
                    }
                    *old = entry;
                }
                ("updateExecutionLogEntry", None) => wrong.push("there is no such entry"),
                _ => {
                    job.log.push(entry);
                    status = (StatusCode::OK, job.log.len().to_string());
                }
            }
        }
        for what in wrong {
            self.violation(request, what);
        }
        plain(status.0, &status.1)
    }

    /// The repository that is asked for, and what follows its name in the path.
    fn repository(
        &mut self,
        request: &Request<'_>,
        rest: &str,
    ) -> Result<(std::path::PathBuf, String), Response<Body>> {
        if let Some(status) = self.failure(request.path) {
            return Err(plain(
                StatusCode::from_u16(status).expect("a test names it"),
                "",
            ));
        }
        let mut checked = Request {
            body: Value::Null,
            ..*request
        };
        checked.path = request.path;
        self.job_level(&checked, None)?;
        if request.header("x-sourcegraph-actor-uid") != "internal" {
            self.violation(request, "no actor");
        }
        let found = self.repositories.iter().find_map(|(name, path)| {
            let after = rest.strip_prefix(name.as_str())?;
            after
                .starts_with('/')
                .then(|| (path.clone(), after.to_owned()))
        });
        found.ok_or_else(|| plain(StatusCode::NOT_FOUND, "no such repository"))
    }
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}
