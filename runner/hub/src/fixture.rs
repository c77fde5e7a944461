//! A hub that listens, a repository, and an executor that speaks raw HTTP: for the tests.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use capstan_engine::git::Git;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::people::wire::{Detail, Submission};
use crate::{Access, Client, Hub, HubError, Settings, Token};

pub(crate) const SECRET: &str = "the-executors-shared-secret";
pub(crate) const TOKEN: &str = "the-token-of-the-people";

/// A hub in a directory of its own.
pub(crate) struct World {
    directory: TempDir,
    pub(crate) hub: Hub,
    pub(crate) address: SocketAddr,
    cancel: CancellationToken,
    serving: tokio::task::JoinHandle<Result<(), HubError>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Status and body.
    pub(crate) fn short(&self) -> (u16, String) {
        (self.status, self.text())
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::in_directory(tempfile::tempdir().unwrap()).await
    }

    async fn in_directory(directory: TempDir) -> Self {
        let access = Access {
            executors: Token::given(SECRET),
            people: Token::given(TOKEN),
        };
        let settings = Settings {
            data: directory.path().join("data"),
            helper_image: "helper:1".to_owned(),
            lease: Duration::from_secs(25),
            keep: Duration::from_secs(3600),
            keep_results: Duration::from_secs(3600),
            open_to_new_repositories: true,
        };
        let git = Git::check(std::env::vars_os()).await.unwrap();
        let hub = loop {
            match Hub::open(settings.clone(), &access, git.clone()) {
                Ok(hub) => break hub,
                // Connections of the one before have still to end.
                Err(HubError::InUse(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error}"),
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let (served, token) = (hub.clone(), cancel.clone());
        let serving = tokio::spawn(async move { served.serve(listener, token).await });
        Self {
            directory,
            hub,
            address,
            cancel,
            serving,
        }
    }

    /// Ends the hub, and starts another one on the same data.
    pub(crate) async fn restarted(self) -> Self {
        self.cancel.cancel();
        self.serving.await.unwrap().unwrap();
        drop(self.hub);
        Self::in_directory(self.directory).await
    }

    /// A repository with one commit. Returns where it is.
    pub(crate) fn repository(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs_err::create_dir_all(&path).unwrap();
        git(&path, &["init", "--quiet", "--initial-branch", "main"]);
        for (file, content) in files {
            let file = path.join(file);
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(file, content).unwrap();
        }
        git(&path, &["add", "--all"]);
        git(&path, &["commit", "--quiet", "-m", "one"]);
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.address), Token::given(TOKEN)).unwrap()
    }

    /// Submits a spec on repositories and waits until its jobs are there.
    pub(crate) async fn submit(&self, spec: &str, repositories: &[&Path]) -> Detail {
        let submission = Submission {
            spec: spec.to_owned(),
            repositories: repositories
                .iter()
                .map(|path| path.to_str().unwrap().to_owned())
                .collect(),
            ..Submission::default()
        };
        let client = self.client();
        let id = client.submit(&submission).await.unwrap();
        client.start(id).await.unwrap();
        self.resolved(id).await
    }

    pub(crate) async fn resolved(&self, id: i64) -> Detail {
        loop {
            let detail = self.client().execution(id).await.unwrap();
            if detail.state != "resolving" {
                return detail;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// One request over a connection of its own.
    pub(crate) async fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        let address = self.address;
        let answered = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            // The hub may refuse before it has read all.
            let _ = stream.write_all(&bytes);
            let mut answer = Vec::new();
            let mut buffer = [0; 8192];
            // A hub that refuses early resets the connection after its answer.
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                answer.extend_from_slice(&buffer[..count]);
            }
            answer
        });
        let answer = answered.await.unwrap();
        parse(&answer)
    }

    /// A call of an executor as such.
    pub(crate) async fn call(&self, path: &str, body: Value) -> Answer {
        let authorization = format!("token-executor {SECRET}");
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
        ];
        let path = format!("/.executors/queue/{path}");
        self.http("POST", &path, &headers, body.to_string().as_bytes())
            .await
    }

    /// A call about a job.
    pub(crate) async fn job_call(&self, job: &Job, call: &str, mut body: Value) -> Answer {
        body["executorName"] = json!(job.executor);
        body["jobId"] = json!(job.id);
        let headers = job.headers();
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let path = format!("/.executors/queue/batches/{call}");
        self.http("POST", &path, &headers, body.to_string().as_bytes())
            .await
    }

    /// Pings, and takes a job.
    pub(crate) async fn take(&self, executor: &str) -> Option<Job> {
        let ping = json!({ "executorName": executor });
        assert_eq!(self.call("batches/heartbeat", ping).await.status, 200);
        let body = json!({ "executorName": executor, "version": "dev" });
        let answer = self.call("batches/dequeue", body).await;
        match answer.status {
            204 => None,
            200 => {
                let payload = answer.json();
                Some(Job {
                    id: payload["id"].as_i64().unwrap(),
                    token: payload["token"].as_str().unwrap().to_owned(),
                    executor: executor.to_owned(),
                    payload,
                })
            }
            other => panic!("dequeue answered {other}: {}", answer.text()),
        }
    }

    /// Logs an entry that has ended.
    pub(crate) async fn log(&self, job: &Job, key: &str, out: &str) {
        let body = json!({
            "key": key, "command": null, "startTime": "2026-03-01T10:00:00Z",
            "exitCode": 0, "durationMs": 1, "out": out,
        });
        let answer = self.job_call(job, "addExecutionLogEntry", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// A job that an executor has.
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) token: String,
    pub(crate) executor: String,
    pub(crate) payload: Value,
}

impl Job {
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        vec![
            ("Authorization", format!("Bearer {}", self.token)),
            ("X-Sourcegraph-Job-ID", self.id.to_string()),
            ("X-Sourcegraph-Executor-Name", self.executor.clone()),
        ]
    }
}

/// The line in which a step's result is reported.
pub(crate) fn result_line(key: &str, step: usize, diff: &str) -> String {
    use base64::Engine as _;
    let diff = base64::engine::general_purpose::STANDARD.encode(diff);
    let event = json!({
        "operation": "CACHE_AFTER_STEP_RESULT", "timestamp": "2026-03-01T10:00:00Z", "status": "SUCCESS",
        "metadata": {"key": key, "value": {
            "version": 2, "changedFiles": {"modified": null, "added": null, "deleted": null, "renamed": null},
            "stdout": "", "stderr": "", "stepIndex": step, "diff": diff, "outputs": {}, "skipped": false,
        }},
    });
    format!("Rendering step output\nstdout: {event}\n")
}

/// Runs git as somebody who has no settings, and asserts that it succeeds.
pub(crate) fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "a")
        .env("GIT_AUTHOR_EMAIL", "a@example.com")
        .env("GIT_COMMITTER_NAME", "a")
        .env("GIT_COMMITTER_EMAIL", "a@example.com")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn parse(answer: &[u8]) -> Answer {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(answer)));
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = answer[end + 4..].to_vec();
    if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        body = unchunked(&body);
    }
    Answer { status, head, body }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = String::from_utf8_lossy(&body[..end]).into_owned();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        body = &body[end + 2..];
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&body[..size]);
        body = &body[size + 2..];
    }
    whole
}
