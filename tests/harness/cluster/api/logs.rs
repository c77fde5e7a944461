//! What a container says, from the engine.

use std::io;
use std::process::Stdio;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response};
use futures_util::stream;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::watch::Receiver;

use super::Request;
use super::refusal::Refusal;
use super::request::Query;
use crate::cluster::resource::Kind;
use crate::cluster::state::Shared;
use crate::cluster::store::list;

/// Bytes that are handed on at a time.
const CHUNK: usize = 16 << 10;

struct Log {
    shared: Shared,
    changes: Receiver<()>,
    cuts: u64,
    output: pipe::Receiver,
    /// Bytes that may still be told.
    left: u64,
    /// The engine's client. It goes with the stream.
    _client: Child,
}

pub(super) fn serve(shared: &Shared, request: &Request<'_>) -> Result<Response<Body>, Refusal> {
    let name = request.name();
    let changes = shared.changes();
    let state = shared.lock();
    let pod = state.store.get(Kind::Pod, name);
    let pod = pod.ok_or_else(|| Refusal::not_found(Kind::Pod, name))?;
    let id = container(pod, name, request.query.get("container"))?;
    if request.query.is_true("previous") {
        let message = format!("previous terminated container in pod {name:?} not found");
        return Err(Refusal::bad_request(message));
    }
    let body = match id {
        // On no node yet: there is nobody to ask, and that is no error.
        None => Body::empty(),
        Some(id) => follow(shared, changes, state.cuts, &id, &request.query),
    };
    let mut response = Response::new(body);
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert("content-type", text);
    Ok(response)
}

/// The engine's id of a container; `None` while the pod is on no node, or if the container never ran.
fn container(pod: &Value, name: &str, wanted: Option<&str>) -> Result<Option<String>, Refusal> {
    let names = |field: &str| -> Vec<String> {
        let names = list(&pod["spec"][field]).filter_map(|container| container["name"].as_str());
        names.map(str::to_owned).collect()
    };
    let (main, init) = (names("containers"), names("initContainers"));
    let wanted = match (wanted, &*main, &*init) {
        (Some(wanted), ..) => wanted,
        (None, [only], []) => only,
        _ => {
            let mut message = format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                main.join(" ")
            );
            if !init.is_empty() {
                message += &format!(" or one of the init containers: [{}]", init.join(" "));
            }
            return Err(Refusal::bad_request(message));
        }
    };
    if main.iter().chain(&init).all(|name| name != wanted) {
        let message = format!("container {wanted} is not valid for pod {name}");
        return Err(Refusal::bad_request(message));
    }
    if pod["spec"].get("nodeName").is_none() {
        return Ok(None);
    }
    let statuses = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = statuses
        .iter()
        .flat_map(|field| list(&pod["status"][field]));
    let status = statuses.find(|status| status["name"] == wanted);
    let waiting = status.map_or(Some("ContainerCreating"), |status| {
        status["state"]["waiting"]["reason"].as_str()
    });
    if let Some(reason) = waiting {
        let why = match reason {
            "ErrImagePull" => "image can't be pulled",
            "ImagePullBackOff" => "trying and failing to pull image",
            other => other,
        };
        let message = format!("container {wanted:?} in pod {name:?} is waiting to start: {why}");
        return Err(Refusal::bad_request(message));
    }
    let id = status.and_then(|status| status["containerID"].as_str());
    Ok(id
        .and_then(|id| id.split_once("://"))
        .map(|(_, id)| id.to_owned()))
}

/// Both streams of a container as it writes them.
fn follow(shared: &Shared, changes: Receiver<()>, cuts: u64, id: &str, query: &Query) -> Body {
    let mut command = Command::new("docker");
    command.arg("logs");
    for switch in ["follow", "timestamps"] {
        if query.is_true(switch) {
            command.arg(format!("--{switch}"));
        }
    }
    if let Some(seconds) = query.number("sinceSeconds") {
        command.arg(format!("--since={seconds}s"));
    }
    if let Some(time) = query.get("sinceTime") {
        command.arg(format!("--since={time}"));
    }
    if let Some(lines) = query.number("tailLines") {
        command.arg(format!("--tail={lines}"));
    }
    // One pipe for both, so that the order stays.
    let (reader, writer) = io::pipe().expect("a pipe can be made");
    let same = writer.try_clone().expect("it can be had twice");
    let client = command
        .arg(id)
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(same)
        .kill_on_drop(true)
        .spawn()
        .expect("the docker client runs");
    // Our end of the pipe for writing is in there.
    drop(command);
    let log = Log {
        shared: shared.clone(),
        changes,
        cuts,
        output: pipe::Receiver::from_owned_fd(reader.into()).expect("it is a pipe"),
        left: query.number("limitBytes").unwrap_or(u64::MAX),
        _client: client,
    };
    Body::from_stream(stream::unfold(log, |mut log| async {
        let chunk = log.next().await?;
        Some((chunk, log))
    }))
}

impl Log {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let mut chunk = vec![0; CHUNK];
        loop {
            self.changes.mark_unchanged();
            if self.shared.lock().cuts != self.cuts {
                self.left = 0;
                self.cuts = self.shared.lock().cuts;
                return Some(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if self.left == 0 {
                return None;
            }
            tokio::select! {
                _ = self.changes.changed() => {}
                read = self.output.read(&mut chunk) => {
                    let count = read.unwrap_or(0);
                    let told = self.left.min(count as u64);
                    if told == 0 {
                        return None;
                    }
                    self.left -= told;
                    chunk.truncate(usize::try_from(told).expect("it is no more than was read"));
                    return Some(Ok(chunk.into()));
                }
            }
        }
    }
}
