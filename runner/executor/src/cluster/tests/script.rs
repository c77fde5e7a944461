//! The other side of a conversation: requests come in, and what is scripted goes out.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// What is answered.
pub(super) enum Answer {
    /// An object.
    Json(Value),
    /// A stream that ends after these bytes.
    Bytes(Vec<u8>),
    /// A stream that does not end.
    Open(Vec<u8>),
    /// A failure, and its message.
    Refused(u16, &'static str),
}

type Answered = UnsyncBoxBody<bytes::Bytes, std::io::Error>;

/// A request that came in.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Verb and resource.
    pub(super) what: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Value,
}

type Answering = Arc<dyn Fn(&Call) -> Answer + Send + Sync>;

#[derive(Clone)]
pub(super) struct Script {
    client: Client,
    answers: Arc<Mutex<HashMap<&'static str, Answering>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Script {
    /// Objects are created, patched and deleted, and there is no pod.
    pub(super) fn new() -> Self {
        let (service, handle) = tower_test::mock::pair::<Request<Body>, Response<Answered>>();
        let script = Self {
            client: Client::new(service, "jobs"),
            answers: Arc::default(),
            calls: Arc::default(),
        };
        script.no_pods();
        script.answer("WATCH pods", || Answer::Open(Vec::new()));
        let none =
            json!({"apiVersion": "batch/v1", "kind": "JobList", "metadata": {}, "items": []});
        script.answer("LIST jobs", move || Answer::Json(none.clone()));
        let listening = script.clone();
        tokio::spawn(async move {
            let mut handle = pin!(handle);
            while let Some((request, send)) = handle.next_request().await {
                let answer = listening.take(request).await;
                send.send_response(answer);
            }
        });
        script
    }

    pub(super) fn cluster(&self) -> Cluster {
        Cluster::of(self.client.clone(), "jobs")
    }

    /// Answers a verb on a resource.
    pub(super) fn answer(
        &self,
        what: &'static str,
        answer: impl Fn() -> Answer + Send + Sync + 'static,
    ) {
        self.answer_each(what, move |_| answer());
    }

    /// Answers it by its path.
    pub(super) fn answer_each(
        &self,
        what: &'static str,
        answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) {
        self.answer_all(what, move |call| answer(&call.path));
    }

    /// Answers it by all that came in.
    pub(super) fn answer_all(
        &self,
        what: &'static str,
        answer: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(what, Arc::new(answer));
    }

    fn no_pods(&self) {
        let list = json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": []});
        self.answer("LIST pods", move || Answer::Json(list.clone()));
    }

    /// From now on every job has a pod in this state: in lists, and in watches that are begun.
    pub(super) fn pods(&self, status: Value) {
        let calls = Arc::clone(&self.calls);
        let pod = move || {
            let calls = calls.lock().unwrap();
            // One that is made, or was made by an earlier process.
            let mut jobs = calls
                .iter()
                .rev()
                .filter_map(|call| match call.what.as_str() {
                    "POST jobs" => call.body["metadata"]["name"].as_str().map(str::to_owned),
                    "GET jobs" => call.path.rsplit('/').next().map(str::to_owned),
                    _ => None,
                });
            let job = jobs.next();
            job.map(|job| {
                json!({"apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": "the-pod", "resourceVersion": "2", "labels": {"job-name": job}},
                    "spec": {"nodeName": "node-1", "containers": []}, "status": status})
            })
        };
        self.answer("LIST pods", move || {
            let items: Vec<Value> = pod().into_iter().collect();
            Answer::Json(json!({"apiVersion": "v1", "kind": "PodList",
                "metadata": {"resourceVersion": "1"}, "items": items}))
        });
        // So that it is listed soon.
        self.answer("WATCH pods", || Answer::Bytes(expired()));
    }

    /// From now on every job has a pod whose runner has begun.
    pub(super) fn pod_runs(&self) {
        let running = |name: &str| {
            json!({"name": name, "image": "i", "imageID": "", "ready": true, "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}})
        };
        self.pods(json!({"phase": "Running", "containerStatuses": [running("runner"), running("step-0")]}));
        // A job that was made by an earlier process.
        self.answer_each("GET jobs", |path| {
            let name = path.rsplit('/').next().unwrap();
            Answer::Json(json!({"apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": name, "uid": "uid-of-the-job"}}))
        });
    }

    /// What came in, but for lists and watches.
    pub(super) fn calls(&self) -> Vec<Call> {
        let calls = self.calls.lock().unwrap();
        let told = calls
            .iter()
            .filter(|call| !call.what.starts_with("LIST") && !call.what.starts_with("WATCH"));
        told.cloned().collect()
    }

    /// Waits until such a request has come in.
    pub(super) async fn until(&self, what: &str) {
        let came = async {
            while !self.calls().iter().any(|call| call.what == what) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), came)
            .await
            .unwrap_or_else(|_| panic!("no {what} in {:?}", self.calls()));
    }

    async fn take(&self, request: Request<Body>) -> Response<Answered> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let (_, after) = path.split_once("/namespaces/jobs/").expect("one namespace");
        let words: Vec<&str> = after.split('/').collect();
        let (resource, verb) = match (words.as_slice(), parts.method.as_str()) {
            ([resource], "GET") if query.contains("watch=true") => {
                ((*resource).to_owned(), "WATCH")
            }
            ([resource], "GET") => ((*resource).to_owned(), "LIST"),
            ([resource, _, part], verb) => (format!("{resource}/{part}"), verb),
            ([resource, ..], verb) => ((*resource).to_owned(), verb),
            ([], _) => panic!("{path}"),
        };
        let call = Call {
            what: format!("{verb} {resource}"),
            path: path.clone(),
            query,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        };
        self.calls.lock().unwrap().push(call.clone());
        let answering = self
            .answers
            .lock()
            .unwrap()
            .get(call.what.as_str())
            .cloned();
        let answer = match answering {
            Some(answering) => answering(&call),
            None => done(&call),
        };
        respond(answer)
    }
}

/// What a cluster does if nothing else is scripted.
fn done(call: &Call) -> Answer {
    match call.what.split_once(' ').unwrap().0 {
        "POST" => made(call),
        "PATCH" => Answer::Json(
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "patched"}}),
        ),
        "DELETE" => Answer::Json(
            json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "code": 200}),
        ),
        _ => Answer::Refused(404, "there is none"),
    }
}

/// What was to be created is.
pub(super) fn made(call: &Call) -> Answer {
    let mut object = call.body.clone();
    object["metadata"]["uid"] = "uid-of-the-job".into();
    Answer::Json(object)
}

fn expired() -> Vec<u8> {
    let status =
        json!({"type": "ERROR", "object": status(410, "Expired", "too old resource version")});
    format!("{status}\n").into_bytes()
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "reason": reason, "message": message, "code": code})
}

fn respond(answer: Answer) -> Response<Answered> {
    let reasons = BTreeMap::from([
        (403, "Forbidden"),
        (404, "NotFound"),
        (409, "AlreadyExists"),
    ]);
    // Whether the stream goes on for ever.
    let (code, bytes, is_open) = match answer {
        Answer::Json(value) => (200, value.to_string().into_bytes(), false),
        Answer::Bytes(bytes) => (200, bytes, false),
        Answer::Open(bytes) => (200, bytes, true),
        Answer::Refused(code, message) => {
            let reason = reasons.get(&code).copied().unwrap_or("InternalError");
            let status = status(code, reason, message);
            (code, status.to_string().into_bytes(), false)
        }
    };
    let frame = http_body::Frame::data(bytes::Bytes::from(bytes));
    let first = stream::iter([Ok(frame)]);
    let body = match is_open {
        true => StreamBody::new(first.chain(stream::pending()).boxed()),
        false => StreamBody::new(first.boxed()),
    };
    let body = UnsyncBoxBody::new(body);
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}
