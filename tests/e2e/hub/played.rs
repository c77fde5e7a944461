//! An executor that is played over raw HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

#[derive(Clone)]
pub(super) struct Executor {
    address: String,
    secret: String,
    name: String,
}

/// A job that it has.
pub(super) struct Job {
    executor: Executor,
    pub(super) id: i64,
    pub(super) token: String,
    pub(super) payload: Value,
}

impl Executor {
    /// One that has pinged the hub.
    pub(super) fn new(address: &str, secret: &str, name: &str) -> Self {
        let executor = Self {
            address: address.to_owned(),
            secret: secret.to_owned(),
            name: name.to_owned(),
        };
        executor.call("heartbeat", &json!({ "executorName": name }));
        executor
    }

    fn call(&self, call: &str, body: &Value) -> Answer {
        let authorization = format!("Authorization: token-executor {}", self.secret);
        let answer = post(&self.address, call, &[authorization], body);
        assert!(
            matches!(answer.status, 200 | 204),
            "{call}: {}",
            answer.status
        );
        answer
    }

    pub(super) fn beat(&self, jobs: &[i64]) -> Value {
        let body = json!({"version": "V2", "executorName": self.name, "jobIds": jobs});
        serde_json::from_slice(&self.call("heartbeat", &body).body).unwrap()
    }

    pub(super) fn take(&self) -> Option<Job> {
        let body = json!({"executorName": self.name, "version": "0.0.0+dev"});
        let answer = self.call("dequeue", &body);
        (answer.status == 200).then(|| {
            let payload: Value = serde_json::from_slice(&answer.body).unwrap();
            Job {
                executor: self.clone(),
                id: payload["id"].as_i64().unwrap(),
                token: payload["token"].as_str().unwrap().to_owned(),
                payload,
            }
        })
    }
}

impl Job {
    /// The same job at a hub that has moved.
    pub(super) fn at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.executor.address);
        self
    }

    fn headers(&self) -> [String; 3] {
        [
            format!("Authorization: Bearer {}", self.token),
            format!("X-Sourcegraph-Job-ID: {}", self.id),
            format!("X-Sourcegraph-Executor-Name: {}", self.executor.name),
        ]
    }

    fn call(&self, call: &str, mut body: Value) -> Answer {
        body["executorName"] = json!(self.executor.name);
        body["jobId"] = json!(self.id);
        let secret = [format!(
            "Authorization: token-executor {}",
            self.executor.secret
        )];
        match call {
            // A token dies with the first mark.
            "markComplete" => post(&self.executor.address, call, &secret, &body),
            _ => post(&self.executor.address, call, &self.headers(), &body),
        }
    }

    pub(super) fn mark(&self, call: &str) -> Answer {
        self.call(call, json!({ "errorMessage": "it was played" }))
    }

    pub(super) fn log(&self, key: &str, out: &str) {
        let entry = json!({
            "key": key, "command": null, "startTime": "2026-03-01T10:00:00Z", "exitCode": 0, "durationMs": 1, "out": out,
        });
        assert_eq!(self.call("addExecutionLogEntry", entry).status, 200);
    }

    /// Logs the result of a step.
    pub(super) fn report(&self, step: usize, diff: &str) {
        let value = json!({
            "version": 2, "stdout": "", "stderr": "", "stepIndex": step, "diff": STANDARD.encode(diff), "outputs": {},
        });
        let event = json!({
            "operation": "CACHE_AFTER_STEP_RESULT", "timestamp": "2026-03-01T10:00:00Z", "status": "SUCCESS",
            "metadata": {"key": format!("{}-step-{step}", self.id), "value": value},
        });
        self.log(
            &format!("step.docker.step.{step}.post"),
            &format!("stdout: {event}\n"),
        );
    }

    /// The execution input.
    pub(super) fn input(&self) -> Value {
        let content = self.payload["files"]["input.json"]["content"]
            .as_str()
            .unwrap();
        serde_json::from_slice(&STANDARD.decode(content).unwrap()).unwrap()
    }

    /// Clones the repository as executors do, changes something in it, and returns the diff.
    pub(super) fn run_here(&self, directory: &Path, change: impl FnOnce(&Path)) -> String {
        std::fs::create_dir_all(directory).unwrap();
        let name = self.payload["repositoryName"].as_str().unwrap();
        let commit = self.payload["commit"].as_str().unwrap();
        let url = format!("http://{}/.executors/git/{name}", self.executor.address);
        let mut headers = self
            .headers()
            .map(|header| format!("http.extraHeader={header}"))
            .to_vec();
        headers.push("http.extraHeader=X-Sourcegraph-Actor-UID: internal".to_owned());
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .args(headers.iter().flat_map(|header| ["-c", header.as_str()]))
                .args(["-c", "protocol.version=2"])
                .args(arguments)
                .current_dir(directory)
                .env("HOME", directory)
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("GIT_TERMINAL_PROMPT", "0")
                .env("NO_PROXY", "127.0.0.1")
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "git {arguments:?}: {errors}");
            String::from_utf8(output.stdout).unwrap()
        };
        git(&["init", "--quiet"]);
        git(&["fetch", "--no-tags", "--depth=1", &url, commit]);
        git(&["checkout", "--quiet", "--force", commit]);
        change(directory);
        git(&["add", "--all"]);
        git(&["diff", "--cached", "--no-prefix", "--binary"])
    }
}

fn post(address: &str, call: &str, headers: &[String], body: &Value) -> Answer {
    let body = body.to_string();
    let request = format!(
        "POST /.executors/queue/batches/{call} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n{}\r\nContent-Length: {}\r\n\r\n{body}",
        headers.join("\r\n"),
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("an answer has a head");
    let head = String::from_utf8_lossy(&answer[..end]);
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: answer[end + 4..].to_vec(),
    }
}
