//! A real engine for one test, its workspace, and short ways to run a step.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bollard::query_parameters::ListContainersOptions;
use capstan_engine::docker::{
    Credentials, Docker, DockerSandbox, EngineInfo, Environment, Images, Owner,
};
use capstan_engine::fault::Fault;
use capstan_engine::sandbox::{
    Chunk, Exit, Files, Gated, Image, Inputs, Preparation, Sandbox, Stream,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::images;

pub(crate) struct Engine {
    pub(crate) api: bollard::Docker,
    pub(crate) docker: Docker,
    pub(crate) info: EngineInfo,
    pub(crate) sandbox: DockerSandbox,
    pub(crate) run: String,
    pub(crate) workspace: TempDir,
    _scratch: TempDir,
    images: Images,
}

/// What came of a step.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Engine {
    /// The engine, or `None` with a printed reason where there is none.
    pub(crate) async fn start() -> Option<Self> {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let docker =
            match Docker::connect(&Environment::read(|name| std::env::var(name).ok())).await {
                Ok(docker) => docker,
                Err(fault) => {
                    eprintln!("skipped: {fault}");
                    return None;
                }
            };
        let address = docker.address();
        let api = if address.starts_with("unix://") {
            bollard::Docker::connect_with_unix(address, 120, bollard::API_DEFAULT_VERSION)
        } else {
            bollard::Docker::connect_with_http(address, 120, bollard::API_DEFAULT_VERSION)
        };
        let api = api.unwrap().negotiate_version().await.unwrap();
        images::ensure(&api).await;
        let info = docker.info().await.unwrap();
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let run = format!("test-{}-{number}", std::process::id());
        let scratch = tempfile::tempdir().unwrap();
        let owner = Owner {
            run: run.clone(),
            state: format!("state-{run}"),
        };
        let workspace = tempfile::tempdir().unwrap();
        use std::os::unix::fs::PermissionsExt;
        fs_err::set_permissions(workspace.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        Some(Self {
            api,
            sandbox: DockerSandbox::new(
                docker.clone(),
                info.clone(),
                owner,
                scratch.path().to_owned(),
            ),
            images: Images::new(
                docker.clone(),
                &info,
                Credentials::default(),
                Arc::new(|_| ()),
            ),
            docker,
            info,
            run,
            workspace,
            _scratch: scratch,
        })
    }

    pub(crate) async fn image(&self, name: &str) -> Image {
        self.images.ensure(name, None).await.unwrap()
    }

    /// A step of the image, nothing special.
    pub(crate) async fn step(&self, image: &str) -> Preparation {
        let files = Files::Directory(self.workspace.path().to_owned());
        Preparation {
            network: Some("none".to_owned()),
            ..Preparation::bare(
                "acme/repo step 1".to_owned(),
                self.image(image).await,
                files,
            )
        }
    }

    /// Runs a step from its preparation to its removal.
    pub(crate) async fn run(
        &self,
        preparation: Preparation,
        inputs: Inputs,
    ) -> Result<Outcome, Fault> {
        let mut container = self.sandbox.prepare(preparation).await?;
        let outcome = open(&mut container, inputs).await;
        container.discard().await;
        outcome
    }

    /// Runs a script in an image.
    pub(crate) async fn script(&self, image: &str, script: &str) -> Outcome {
        self.run(self.step(image).await, inputs(script))
            .await
            .unwrap()
    }

    /// Ids of this test's containers.
    pub(crate) async fn containers(&self) -> Vec<String> {
        self.containers_of(&self.run).await
    }

    /// Ids of a run's containers.
    pub(crate) async fn containers_of(&self, run: &str) -> Vec<String> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([(
                "label".to_owned(),
                vec![format!("io.capstan.run={run}")],
            )])),
            ..ListContainersOptions::default()
        };
        let mut found = self.api.list_containers(Some(options.clone())).await;
        for _ in 0..20 {
            // Podman tells of a state that Docker does not have, until it has noticed a container's end.
            if found.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            found = self.api.list_containers(Some(options.clone())).await;
        }
        let found = found.unwrap();
        found
            .into_iter()
            .filter_map(|container| container.id)
            .collect()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.workspace.path().join(name)
    }

    /// Waits for the removals and makes sure that nothing is left.
    pub(crate) async fn close(self) {
        assert!(self.sandbox.finish(Duration::from_secs(60)).await);
        // Those that hold a network go by themselves, a moment later.
        let mut containers = self.containers().await;
        for _ in 0..100 {
            if containers.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            containers = self.containers().await;
        }
        assert_eq!(containers, Vec::<String>::new());
        let left: Vec<_> = fs_err::read_dir(self._scratch.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

pub(crate) fn inputs(script: &str) -> Inputs {
    Inputs {
        script: script.to_owned(),
        ..Inputs::default()
    }
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    pairs.iter().map(owned).collect()
}

/// Opens the gate and collects the output.
pub(crate) async fn open(container: &mut impl Gated, inputs: Inputs) -> Result<Outcome, Fault> {
    let (sender, mut receiver) = mpsc::channel::<Chunk>(16);
    let collect = async {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(chunk) = receiver.recv().await {
            match chunk.stream {
                Stream::Stdout => stdout.extend(chunk.bytes),
                Stream::Stderr => stderr.extend(chunk.bytes),
            }
        }
        (stdout, stderr)
    };
    let (exit, (stdout, stderr)) = tokio::join!(container.open(inputs, sender), collect);
    Ok(Outcome {
        exit: exit?,
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    })
}
