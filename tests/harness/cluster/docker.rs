//! The container engine, asked through its client.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::{RwLock, RwLockWriteGuard, watch};

use super::chance;
use crate::engine::Engine;

/// The label of all containers of all clusters. Its value names the cluster.
const LABEL: &str = "io.capstan.test.cluster";

/// How long the engine is left alone when its events have ended.
const AGAIN: Duration = Duration::from_millis(200);

pub(super) struct Docker {
    cluster: String,
    /// Taken for writing when nothing more may be asked.
    open: RwLock<()>,
    /// Ids of containers whose processes have ended.
    ended: Mutex<BTreeSet<String>>,
    told: watch::Sender<()>,
}

impl Docker {
    pub(super) fn new() -> Self {
        Self {
            cluster: chance::token(),
            open: RwLock::default(),
            ended: Mutex::default(),
            told: watch::channel(()).0,
        }
    }

    /// The label that a container has to carry.
    pub(super) fn label(&self) -> String {
        format!("{LABEL}={}", self.cluster)
    }

    /// Runs the client; its standard output, else what it complains of.
    pub(super) async fn run(&self, arguments: &[String]) -> Result<String, String> {
        let _open = self.open.read().await;
        let output = Command::new("docker")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("the docker client runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    /// The last that a container has said, on both streams.
    pub(super) async fn last_words(&self, id: &str) -> String {
        let _open = self.open.read().await;
        let output = Command::new("docker")
            .args(["logs", "--tail", "80", id])
            .stdin(Stdio::null())
            .output()
            .await
            .expect("the docker client runs");
        let both = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&both).into_owned()
    }

    /// Waits for what is being asked. Nothing more is asked as long as the guard is there.
    pub(super) async fn close(&self) -> RwLockWriteGuard<'_, ()> {
        self.open.write().await
    }

    /// Whether the engine has told that a container's process has ended.
    pub(super) fn has_ended(&self, id: &str) -> bool {
        self.ended().contains(id)
    }

    /// The end of a container is known to whom it concerns.
    pub(super) fn forget(&self, id: &str) {
        self.ended().remove(id);
    }

    /// Tells of ends after now.
    pub(super) fn ends(&self) -> watch::Receiver<()> {
        self.told.subscribe()
    }

    /// Listens to the engine. Never ends.
    pub(super) async fn listen(&self) {
        let mut since = jiff::Timestamp::now().as_second();
        loop {
            let next = jiff::Timestamp::now().as_second();
            self.listen_since(since).await;
            since = next;
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn listen_since(&self, since: i64) {
        let arguments = [
            "events",
            "--filter=type=container",
            "--filter=event=die",
            "--format={{.ID}}",
        ];
        let mut child = Command::new("docker")
            .args(arguments)
            .arg(format!("--filter=label={}", self.label()))
            .arg(format!("--since={since}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the docker client runs");
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(id)) = lines.next_line().await {
            self.ended().insert(id);
            self.told.send_replace(());
        }
    }

    fn ended(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all containers of this cluster, without asking what becomes of them.
    pub(super) fn sweep(&self) {
        let engine = Engine::require();
        let filter = format!("label={}", self.label());
        let listed = engine
            .command(&["ps", "--all", "--quiet", "--filter", &filter])
            .output();
        let Ok(listed) = listed else { return };
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mut arguments = vec!["rm", "--force", "--volumes"];
        arguments.extend(listed.lines());
        if arguments.len() > 3 {
            // Those that go by themselves make it complain.
            let _ = engine.command(&arguments).output();
        }
    }
}
