//! A Kubernetes cluster of one node, as an executor sees it.
//!
//! What it serves it serves as the real one does: objects with versions, watches that end, refusals with a `Status`. Its pods run as
//! containers of the engine of the tests, in the network of this machine. It reads JSON by itself, so that it does not believe what the code
//! under test believes. What no client should send is a [`violation`](Cluster::violations).

mod api;
mod chance;
mod clock;
mod conditions;
mod defaults;
mod deletion;
mod docker;
mod events;
mod jobs;
mod kubelet;
mod quantity;
mod resource;
mod scheduler;
mod state;
mod store;
mod trouble;
mod validate;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use self::resource::Kind;
use self::state::Shared;
use crate::engine::Engine;
use crate::privilege::as_root;

/// After this long a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster on this machine. Stopped when dropped, with all that runs in it.
pub struct Cluster {
    address: SocketAddr,
    shared: Shared,
    kubeconfig: PathBuf,
    dir: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self::start()
    }
}

impl Cluster {
    /// Starts one, with nothing in it. Needs the engine.
    pub fn start() -> Self {
        Engine::require();
        let dir = tempfile::Builder::new()
            .prefix("capstan-cluster-")
            .tempdir()
            .expect("a temporary directory can be made");
        let root = dir.path().canonicalize().expect("it exists");
        let shared = Shared::new(root.clone(), chance::token());
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let served = shared.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
                let listener = listener.expect("there is a free port");
                let address = listener.local_addr().expect("it is bound");
                tell.send(address).expect("somebody waits for it");
                let serve = axum::serve(listener, api::router(served.clone()));
                tokio::select! {
                    served = async { serve.await } => served.expect("the network works"),
                    () = kubelet::run(served.clone()) => {}
                    () = served.docker().listen() => {}
                    _ = stopped => {}
                }
                let _closed = served.docker().close().await;
                served.docker().sweep();
            });
        });
        let address = told.recv().expect("it starts");
        let kubeconfig = root.join("kubeconfig");
        let content = kubeconfig_of(&format!("http://{address}"), shared.token());
        fs::write(&kubeconfig, content.to_string()).expect("the directory is writable");
        Self {
            address,
            shared,
            kubeconfig,
            dir,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The file with which clients find it, and are let in.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The namespace that there is.
    pub fn namespace(&self) -> &'static str {
        store::NAMESPACE
    }

    /// All Jobs, by name.
    pub fn jobs(&self) -> Vec<Value> {
        self.shared.lock().store.all(Kind::Job)
    }

    /// All pods, by name.
    pub fn pods(&self) -> Vec<Value> {
        self.shared.lock().store.all(Kind::Pod)
    }

    /// All Secrets, by name.
    pub fn secrets(&self) -> Vec<Value> {
        self.shared.lock().store.all(Kind::Secret)
    }

    /// What was asked: verbs and resources, as roles name them.
    pub fn requests(&self) -> BTreeSet<(String, String)> {
        self.shared.lock().requests.clone()
    }

    /// What was asked that should not have been, or in another way.
    pub fn violations(&self) -> Vec<String> {
        self.shared.lock().violations.clone()
    }

    /// Asserts that nothing was asked that a client should not ask.
    #[track_caller]
    pub fn assert_pleased(&self) {
        assert_eq!(self.violations(), Vec::<String>::new());
    }

    /// Waits until a condition holds.
    #[track_caller]
    pub fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}; jobs:\n{:#}\npods:\n{:#}\nviolations: {:?}",
                Value::from(self.jobs()),
                Value::from(self.pods()),
                self.violations()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it, with the right token: the status, and the body, which is a text unless it is one JSON. A patch is a merge patch.
    pub fn request(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        // The version without chunks and with an end.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.shared.token(),
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).expect("it is up");
        let sent = stream.write_all(request.as_bytes());
        sent.expect("it reads");
        let mut answer = Vec::new();
        // What is cut has no proper end.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .expect("the answer has a head");
        let status = head
            .split_whitespace()
            .nth(1)
            .and_then(|code| code.parse().ok());
        let body = serde_json::from_str(body).unwrap_or_else(|_| json!(body));
        (status.expect("it has a status"), body)
    }
}

fn kubeconfig_of(server: &str, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": {"server": server}}],
        "users": [{"name": "executor", "user": {"token": token}}],
        "contexts": [{
            "name": "tests",
            "context": {"cluster": "tests", "user": "executor", "namespace": store::NAMESPACE},
        }],
        "current-context": "tests",
    })
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // Containers write as root. The directory itself goes with its own guard.
        let _ = as_root("rm")
            .arg("-rf")
            .arg(self.dir.path().join("pods"))
            .status();
    }
}
