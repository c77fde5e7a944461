//! The shape of a pod without a cluster: containers that are all there from the beginning and share a directory with the runner.

use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::CreateContainerOptions;
use capstan_core::redact::Secrets;
use capstan_core::spec::{ParseOptions, parse};
use capstan_core::task::{BatchChange, Repository, Task};
use capstan_engine::disk_cache::DiskCache;
use capstan_engine::fault::Fault;
use capstan_engine::git::Git;
use capstan_engine::plugins::Plugins;
use capstan_engine::pod::{COMMAND, PodEngine, Slot, Volume};
use capstan_engine::repository::{Origin, RemoteCache, Source};
use capstan_engine::run::{Base, GetOrigin, Job, Outcome as RunOutcome, Runner, Settings, Silent};
use capstan_engine::sandbox::{
    BindMount, Engine as _, Gated as _, Inputs, Preparation, Sandbox as _, User, WORK,
};
use capstan_engine::workspace::Checkouts;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Outcome, inputs, open};

/// A pod whose containers run as root, or as their images' users.
pub(crate) struct Pod {
    pub(crate) docker: Engine,
    pub(crate) engine: Arc<PodEngine>,
    /// Ids of its containers, in the order of the slots.
    pub(crate) containers: Vec<String>,
    _volume: TempDir,
}

/// What one container of a pod is.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) image: &'static str,
    pub(crate) files: &'static [&'static str],
    pub(crate) memory: Option<i64>,
    pub(crate) user: Option<&'static str>,
}

impl Part {
    pub(crate) fn of(image: &'static str) -> Self {
        Self {
            image,
            files: &[],
            memory: None,
            user: None,
        }
    }
}

impl Pod {
    /// Starts one; `None` where there is no engine.
    pub(crate) async fn start(parts: &[Part]) -> Option<Self> {
        let docker = Engine::start().await?;
        let volume = tempfile::tempdir().unwrap();
        let slot = |part: &Part| Slot {
            image: part.image.to_owned(),
            user: User::Image,
            workspace: docker.workspace.path().to_owned(),
            place: WORK.to_owned(),
            directory: WORK.to_owned(),
            mounts: Vec::new(),
            files: part.files.iter().map(|&file| file.to_owned()).collect(),
        };
        let layout = Volume::new(volume.path(), parts.iter().map(slot).collect());
        layout.lay_out().unwrap();
        let mut containers = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let mounts = layout.mounts(index).into_iter();
            let bind = |mount: BindMount| {
                let mode = if mount.read_only { "ro" } else { "rw" };
                format!("{}:{}:{mode}", mount.source.display(), mount.target)
            };
            let binds: Vec<String> = mounts.map(bind).collect();
            let body = ContainerCreateBody {
                image: Some(docker.image(part.image).await.id),
                entrypoint: Some(COMMAND.map(str::to_owned).to_vec()),
                cmd: Some(Vec::new()),
                user: part.user.map(str::to_owned),
                working_dir: Some("/work".to_owned()),
                // As the kubelet does.
                env: Some(vec!["KUBERNETES_SERVICE_HOST=10.0.0.1".to_owned()]),
                labels: Some(HashMap::from([(
                    "io.capstan.run".to_owned(),
                    docker.run.clone(),
                )])),
                host_config: Some(HostConfig {
                    binds: Some(binds),
                    memory: part.memory,
                    memory_swap: part.memory,
                    network_mode: Some("none".to_owned()),
                    security_opt: Some(vec!["no-new-privileges".to_owned()]),
                    ..HostConfig::default()
                }),
                ..ContainerCreateBody::default()
            };
            let created = docker
                .api
                .create_container(None::<CreateContainerOptions>, body);
            let id = created.await.unwrap().id;
            docker.api.start_container(&id, None).await.unwrap();
            containers.push(id);
        }
        Some(Self {
            docker,
            engine: Arc::new(PodEngine::new(layout)),
            containers,
            _volume: volume,
        })
    }

    pub(crate) async fn step(&self, part: Part) -> Preparation {
        let image = self.engine.image(part.image, None).await.unwrap();
        Preparation {
            image,
            files: part.files.iter().map(|&file| file.to_owned()).collect(),
            network: None,
            ..self.docker.step(part.image).await
        }
    }

    /// Runs a step in the container that the pod has for it.
    pub(crate) async fn run(&self, part: Part, inputs: Inputs) -> Outcome {
        let mut container = self.engine.prepare(self.step(part).await).await.unwrap();
        let outcome = open(&mut container, inputs).await.unwrap();
        container.discard().await;
        outcome
    }

    pub(crate) async fn script(&self, image: &'static str, script: &str) -> Outcome {
        self.run(Part::of(image), inputs(script)).await
    }

    /// How the container of a slot ended, waiting for that.
    pub(crate) async fn exit_code(&self, index: usize) -> i64 {
        for _ in 0..400 {
            let inspected = self
                .docker
                .api
                .inspect_container(&self.containers[index], None);
            let state = inspected.await.unwrap().state.unwrap();
            if state.running == Some(false) {
                return state.exit_code.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the container of slot {index} does not end");
    }

    pub(crate) async fn close(self) {
        self.docker
            .sandbox
            .remove_all(&self.docker.run)
            .await
            .unwrap();
        self.docker.close().await;
    }
}

/// A repository that is there.
#[derive(Debug)]
struct Known(Arc<Origin>);

impl GetOrigin for Known {
    fn get(&self) -> Pin<Box<dyn Future<Output = Result<Arc<Origin>, Fault>> + Send + '_>> {
        Box::pin(async { Ok(Arc::clone(&self.0)) })
    }
}

impl Pod {
    /// Runs these steps on a repository with a file `README`, in the workspace that the pod's containers see.
    pub(crate) async fn run_steps(&self, steps: &str) -> RunOutcome {
        let home = tempfile::tempdir().unwrap();
        let repository = home.path().join("widgets");
        fs_err::create_dir(&repository).unwrap();
        fs_err::write(repository.join("README"), "hello\n").unwrap();
        for arguments in [
            &["init", "--quiet"][..],
            &["add", "."],
            &[
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "commit",
                "--quiet",
                "-m",
                "one",
            ],
        ] {
            let git = Command::new("git")
                .args(arguments)
                .current_dir(&repository)
                .status();
            assert!(git.unwrap().success());
        }
        let git = Git::check(std::env::vars_os()).await.unwrap();
        let cache = DiskCache::new(&home.path().join("cache"), 0);
        let remotes = RemoteCache::new(&cache);
        let source = Source::Local(repository);
        let origin = Arc::new(
            capstan_engine::repository::open(&git, &remotes, &source, None, |_| {})
                .await
                .unwrap(),
        );
        let spec = format!(
            "name: pods\nsteps:\n{steps}changesetTemplate: {{title: t, branch: b, commit: {{message: m}}}}\n"
        );
        let parsed = parse(spec.as_bytes(), &ParseOptions::default()).unwrap();
        let workspaces = home.path().join("workspaces");
        fs_err::create_dir(&workspaces).unwrap();
        let runner = Arc::new(Runner {
            engine: Arc::clone(&self.engine),
            git,
            workspaces,
            checkouts: Checkouts::own(),
            logs: home.path().join("logs"),
            cache: None,
            plugins: Plugins::default(),
            settings: Settings::default(),
            report: Arc::new(Silent),
            cancel: CancellationToken::new(),
        });
        let job = Job {
            task: Arc::new(Task {
                repository: Repository {
                    id: "widgets".to_owned(),
                    name: "widgets".to_owned(),
                    branch: "main".to_owned(),
                    rev: origin.rev.clone(),
                },
                path: String::new(),
                only_fetch_workspace: false,
                search_result_paths: Vec::new(),
                batch_change: BatchChange {
                    name: "pods".to_owned(),
                    description: String::new(),
                },
                steps: parsed.spec.steps,
            }),
            base: Base::Into {
                origin: Arc::new(Known(origin)),
                directory: self.docker.workspace.path().to_owned(),
            },
            outer_environment: Arc::default(),
            mount_directory: home.path().to_owned(),
            mounts: Arc::default(),
            secrets: Secrets::default(),
            resume: None,
            skip: BTreeSet::new(),
        };
        runner.run(vec![job], 1, false).await.remove(0).outcome
    }
}
