//! The engine goes away in the middle: an error, soon, and never a result.

use std::path::PathBuf;
use std::time::Duration;

use capstan_engine::docker::{Docker, DockerSandbox, Environment, Owner};
use capstan_engine::fault::FaultClass;
use capstan_engine::sandbox::{Chunk, Gated, Sandbox};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::engine::{Engine, inputs};
use crate::images::BUSYBOX;

/// Stands between us and the engine, and can die as an engine does.
struct Proxy {
    dir: TempDir,
    task: JoinHandle<()>,
}

impl Proxy {
    fn start(engine: PathBuf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("docker.sock")).unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let engine = engine.clone();
                connections.spawn(async move {
                    let mut far = UnixStream::connect(engine).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { dir, task }
    }

    fn address(&self) -> String {
        format!("unix://{}", self.dir.path().join("docker.sock").display())
    }

    async fn die(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

#[tokio::test]
async fn losing_the_engine_in_a_step_is_an_environment_fault() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let Some(socket) = engine.docker.address().strip_prefix("unix://") else {
        eprintln!("skipped: the engine has no unix socket");
        return;
    };
    let proxy = Proxy::start(socket.into());
    let environment = Environment {
        docker_host: Some(proxy.address()),
        ..Environment::default()
    };
    let scratch = tempfile::tempdir().unwrap();
    let owner = Owner {
        run: engine.run.clone(),
        state: "losing".to_owned(),
    };
    let sandbox = DockerSandbox::new(
        Docker::connect(&environment).await.unwrap(),
        engine.info.clone(),
        owner,
        scratch.path().to_owned(),
    );
    let mut container = sandbox.prepare(engine.step(BUSYBOX).await).await.unwrap();
    let (sender, mut receiver) = mpsc::channel::<Chunk>(4);
    let die = async {
        assert_eq!(receiver.recv().await.unwrap().bytes, b"started\n");
        proxy.die().await;
    };
    let script = inputs("echo started; sleep 600");
    let both = async { tokio::join!(container.open(script, sender), die).0 };
    let exit = tokio::time::timeout(Duration::from_secs(20), both).await;
    let fault = exit.expect("it does not hang").unwrap_err();
    assert_eq!(fault.class, FaultClass::Environment);
    let start = "lost the connection to the Docker engine while running acme/repo step 1: ";
    assert!(fault.message.starts_with(start), "{fault}");
    assert!(fault.hint.is_some());

    let next = sandbox.prepare(engine.step(BUSYBOX).await).await;
    assert_eq!(next.err().unwrap().class, FaultClass::Environment);
    container.discard().await;
    assert!(sandbox.finish(Duration::from_secs(20)).await);
    engine.sandbox.remove_all(&engine.run).await.unwrap();
    engine.close().await;
}
