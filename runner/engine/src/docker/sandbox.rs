//! Makes containers that wait at their gate.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::query_parameters::{AttachContainerOptions, CreateContainerOptions};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tracing::Instrument as _;

use super::connect::Docker;
use super::container::{Container, Running};
use super::control::{ControlDirectory, HOLDER_SCRIPT};
use super::creation::{body, touches_workspace};
use super::ending::Watch;
use super::failure::{explain, is_missing, lost, refusal, within};
use super::info::EngineInfo;
use super::removal::{Remains, Removal, Removals};
use crate::fault::Fault;
use crate::gate::{Arrival, GATE_SCRIPT, Token};
use crate::sandbox::{Preparation, Sandbox, SharedNetwork};
use crate::workspace::overlay;

/// Longest wait for one answer while a container is made.
const REQUEST: Duration = Duration::from_secs(120);

/// Longest wait from a container's start until its gate says that it is ready.
const READY: Duration = Duration::from_secs(60);

/// The shells that can run the gate, in order.
const INTERPRETERS: [&str; 2] = ["/bin/sh", "/bin/bash"];

/// To whom containers belong, for labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Id of the run.
    pub run: String,
    /// A hash of the state directory's path: runs that share it sweep each other's leftovers.
    pub state: String,
}

/// Runs steps in containers of one engine.
#[derive(Debug, Clone)]
pub struct DockerSandbox {
    pub(super) shared: Arc<Shared>,
}

/// What all containers of a sandbox have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) docker: Docker,
    pub(super) info: EngineInfo,
    pub(super) owner: Owner,
    scratch: PathBuf,
    pub(super) removals: Removals,
    /// Image id to the shell that can run the gate.
    interpreters: Mutex<HashMap<String, &'static str>>,
    without_init: AtomicBool,
    /// Whether a container was found to see what this process mounts.
    sees_mounts: AtomicBool,
    /// To be started: one container for each processor of the engine at a time. All are busy then, and more would only keep the one that is
    /// due next from being ready.
    turns: Semaphore,
}

impl DockerSandbox {
    /// A sandbox that keeps what it needs on the host below `scratch`: a directory on this machine that only the
    /// runner's user can enter, and that the caller deletes at the end. Must be called within a tokio runtime,
    /// on which removals run.
    pub fn new(docker: Docker, info: EngineInfo, owner: Owner, scratch: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared {
                without_init: AtomicBool::new(!info.init && !info.podman),
                sees_mounts: AtomicBool::new(false),
                turns: Semaphore::new(info.cpus.max(1)),
                docker,
                info,
                owner,
                scratch,
                removals: Removals::new(),
                interpreters: Mutex::default(),
            }),
        }
    }

    /// What the engine has said about itself.
    pub fn info(&self) -> &EngineInfo {
        &self.shared.info
    }

    /// Waits until all removals are over, at most for `limit`; tells whether they are. What is left carries labels,
    /// so the next start's [`DockerSandbox::sweep`] finds it.
    pub async fn finish(&self, limit: Duration) -> bool {
        let tasks = &self.shared.removals.tasks;
        tasks.close();
        let over = tokio::time::timeout(limit, tasks.wait()).await.is_ok();
        tasks.reopen();
        over
    }
}

impl Sandbox for DockerSandbox {
    type Container = Container;

    async fn prepare(&self, preparation: Preparation) -> Result<Container, Fault> {
        let made = if touches_workspace(&preparation) {
            None
        } else {
            let making = self.shared.make(preparation.clone(), Role::Step);
            Some(making.await?)
        };
        let preparation = Arc::new(preparation);
        Ok(Container::new(Arc::clone(&self.shared), preparation, made))
    }
}

/// A container at its gate.
pub(super) struct Made {
    pub(super) remains: Remains,
    pub(super) control: Arc<ControlDirectory>,
    pub(super) running: Running,
    /// What it said before it was ready.
    pub(super) said: Vec<u8>,
}

/// What a container is for.
#[derive(Debug)]
pub(super) enum Role {
    /// To run a step when its gate opens.
    Step,
    /// To hold a network as long as others need it. Who wants to know its id gets it before it is started.
    Holder(Mutex<Option<oneshot::Sender<String>>>),
}

/// What the role of those that hold a network is called.
pub(super) const HOLDER: &str = "network";

impl Role {
    /// What it is called in a label.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Holder(_) => HOLDER,
        }
    }

    fn tell_created(&self, id: &str) {
        if let Self::Holder(tell) = self
            && let Some(tell) = tell.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // Nobody waits any more when the task is over.
            let _ = tell.send(id.to_owned());
        }
    }
}

/// Waits until a network is up, and puts its files in place.
async fn join(shared: &SharedNetwork, control: Arc<ControlDirectory>) -> Result<(), Fault> {
    let mut up = shared.up.clone();
    let files = async { up.wait_for(Option::is_some).await.ok()?.clone() };
    let Ok(Some(files)) = tokio::time::timeout(REQUEST, files).await else {
        return Err(Fault::workspace("the network to join did not come up"));
    };
    tokio::task::spawn_blocking(move || control.fill_network(&files))
        .await
        .map_err(std::io::Error::other)
        .and_then(|filled| filled)
        .map_err(|error| Fault::environment(format!("preparing a container's files: {error}")))
}

/// Why an attempt to make a container came to nothing.
enum Attempt {
    /// The engine has no init binary.
    NoInit,
    /// The image has no such shell; the engine's words.
    NoInterpreter(String),
    Failed(Fault),
}

impl From<Fault> for Attempt {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl Shared {
    /// Makes a container. It goes on in the background when the caller gives up, because only who has the
    /// engine's answer knows what to remove.
    pub(super) async fn make(
        self: &Arc<Self>,
        preparation: Preparation,
        role: Role,
    ) -> Result<Made, Fault> {
        let shared = Arc::clone(self);
        let (sender, receiver) = oneshot::channel();
        // What nobody receives is dropped, and so removed, before the task counts as over.
        let span = tracing::info_span!("container.make", container.image = preparation.image.name);
        let task = async move { drop(sender.send(shared.make_here(&preparation, &role).await)) };
        let removals = &self.removals;
        removals
            .tasks
            .spawn_on(task.instrument(span), &removals.runtime);
        receiver
            .await
            .map_err(|_| Fault::environment("making a container was cut short"))?
    }

    async fn make_here(&self, preparation: &Preparation, role: &Role) -> Result<Made, Fault> {
        let image = &preparation.image;
        let known = self.interpreters().get(&image.id).copied();
        let mut probes = String::new();
        for interpreter in INTERPRETERS {
            if known.is_some_and(|known| known != interpreter) {
                continue;
            }
            let mut attempt = self.attempt(preparation, role, interpreter).await;
            if matches!(attempt, Err(Attempt::NoInit)) {
                // Of several containers made at once, each finds out for itself.
                self.without_init.store(true, Ordering::Relaxed);
                tracing::debug!("the engine has no init binary, so containers run without one");
                attempt = self.attempt(preparation, role, interpreter).await;
            }
            match attempt {
                Ok(made) => {
                    self.interpreters().insert(image.id.clone(), interpreter);
                    return Ok(made);
                }
                Err(Attempt::NoInterpreter(text)) => {
                    probes.push_str(&format!("\n\t* probing shell {interpreter:?}:\n{text}"));
                }
                Err(Attempt::Failed(fault)) => return Err(fault),
                Err(Attempt::NoInit) => {
                    return Err(Fault::environment(
                        "starting a container: the engine's init binary is missing",
                    ));
                }
            }
        }
        Err(Fault::workspace(format!(
            "probing image {:?} for shell: 2 errors occurred:{probes}",
            image.name
        ))
        .hint("use an image that has /bin/sh or /bin/bash; `scratch` and `distroless` images have none"))
    }

    /// Waits until a container may be started.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Fault> {
        let turn = self.turns.acquire().await;
        turn.map_err(|_| Fault::environment("starting containers has been shut down"))
    }

    async fn attempt(
        &self,
        preparation: &Preparation,
        role: &Role,
        interpreter: &'static str,
    ) -> Result<Made, Attempt> {
        let image = &preparation.image.name;
        let api = &self.docker.api;
        let scratch = self.scratch.clone();
        let targets = preparation.files.clone();
        let shares = preparation.shared.is_some();
        let script = match role {
            Role::Step => GATE_SCRIPT,
            Role::Holder(_) => HOLDER_SCRIPT,
        };
        let create = move || ControlDirectory::create(&scratch, script, &targets, shares);
        let control = tokio::task::spawn_blocking(create)
            .await
            .map_err(std::io::Error::other)
            .and_then(|made| made)
            .map_err(|error| {
                Fault::environment(format!("preparing a container's files: {error}"))
            })?;
        let control = Arc::new(control);
        let token = Token::random();
        let init = !self.without_init.load(Ordering::Relaxed);
        let body = body(
            preparation,
            role,
            &self.owner,
            &control,
            &token,
            interpreter,
            init,
            self.docker.seen_at.as_ref(),
        )?;
        let options = CreateContainerOptions {
            platform: preparation.platform.clone().unwrap_or_default(),
            ..CreateContainerOptions::default()
        };
        let creating = format!("creating a container of image {image:?}");
        let created = tokio::time::timeout(REQUEST, api.create_container(Some(options), body))
            .await
            .map_err(|_| lost(&creating, "no answer in time"))?
            .map_err(|error| match refusal(&error) {
                Some((_, text)) if init && names_init(text) => Attempt::NoInit,
                Some((_, text)) if is_missing(&error) => Attempt::Failed(
                    Fault::workspace(format!("{creating}: {text}"))
                        .hint("the image has been removed while the run went on; run again"),
                ),
                Some((_, text)) if text.contains("bind source path does not exist") => Attempt::Failed(
                    Fault::workspace(format!("{creating}: {text}"))
                        .hint("the container engine does not see this path: share it with the engine's machine under the same path; for the executor, TMPDIR names the directory, and EXECUTOR_DOCKER_HOST_MOUNT_PATH where the engine sees that"),
                ),
                _ => Attempt::Failed(super::failure::fault(&creating, &error)),
            })?;
        let mut remains = Remains {
            api: api.clone(),
            id: created.id,
            control: Some(Arc::clone(&control)),
            removals: self.removals.clone(),
            removal: Removal::Confirmed,
        };
        for warning in created.warnings {
            tracing::debug!(container = %remains.id, "the engine warns: {warning}");
        }

        let options = AttachContainerOptions {
            stream: true,
            stdin: true,
            stdout: true,
            stderr: true,
            ..AttachContainerOptions::default()
        };
        let starting = format!("starting a container of image {image:?}");
        let failed = |error: &bollard::errors::Error| match refusal(error) {
            Some((_, text)) if init && names_init(text) => Attempt::NoInit,
            Some((_, text)) => self.start_failure(preparation, interpreter, text),
            None => Attempt::Failed(lost(&starting, &explain(error))),
        };
        let slow = |_| lost(&starting, "no answer in time");
        // Who holds a network has its turn before others wait for it, with a turn of theirs or without.
        let comes_first = preparation.is_next || preparation.shared.is_none();
        let early = match comes_first {
            true => Some(self.turn().await?),
            false => None,
        };
        role.tell_created(&remains.id);
        if let Some(shared) = &preparation.shared {
            join(shared, Arc::clone(&control)).await?;
        }
        let _turn = match early {
            Some(turn) => turn,
            None => self.turn().await?,
        };
        // Podman starts the process when somebody attaches, so either request may fail for the same reasons.
        let attach = api.attach_container(&remains.id, Some(options));
        let attached = tokio::time::timeout(REQUEST, attach)
            .await
            .map_err(slow)?
            .map_err(|error| failed(&error))?;
        tokio::time::timeout(REQUEST, api.start_container(&remains.id, None))
            .await
            .map_err(slow)?
            .map_err(|error| failed(&error))?;

        let mut running = Running::new(attached, &token);
        let arrival = tokio::time::timeout(READY, running.output.until_ready())
            .await
            .map_err(|_| {
                Fault::environment(format!(
                    "{starting}: its shell did not get ready within {} s",
                    READY.as_secs()
                ))
                .hint("the engine or the machine is overloaded, or the image's shell hangs")
            })?;
        let said = match arrival {
            Arrival::Ready(said) => said,
            Arrival::Lost(reason) => return Err(lost(&starting, &reason).into()),
            Arrival::Ended(text) => {
                let code = self.exit_code(&remains.id, &starting).await?;
                let text = format!("{}: exit status {code}", text.trim());
                return Err(self.start_failure(preparation, interpreter, &text));
            }
        };

        match role {
            Role::Step => self.look_at(&mut running, preparation, &remains.id).await?,
            // Nobody has to wait until its network is taken down. Podman leaves the standard input open.
            Role::Holder(_) if !self.info.podman => remains.removal = Removal::Itself,
            Role::Holder(_) => {}
        }
        Ok(Made {
            remains,
            control,
            running,
            said,
        })
    }

    /// Learns what a container at its gate has, and from where its end can be seen.
    async fn look_at(
        &self,
        running: &mut Running,
        preparation: &Preparation,
        id: &str,
    ) -> Result<(), Fault> {
        let looking = self.docker.api.inspect_container(id, None);
        let details = within(REQUEST, "inspecting a container", looking).await?;
        running.environment = details
            .config
            .and_then(|config| config.env)
            .unwrap_or_default();
        let pid = details.state.and_then(|state| state.pid);
        if let (true, Some(pid)) = (self.docker.is_local(), pid) {
            running.watch = Watch::on(pid, id);
            if running.watch.is_some() {
                self.check_mounts(preparation, pid)?;
            }
        }
        Ok(())
    }

    /// Makes sure, once, that the first process of a container sees the workspace that this process has mounted. What it would see instead is
    /// an empty directory.
    fn check_mounts(&self, preparation: &Preparation, pid: i64) -> Result<(), Fault> {
        let Some(workspace) = preparation.workspace.directory() else {
            return Ok(());
        };
        if self.sees_mounts.load(Ordering::Relaxed) {
            return Ok(());
        }
        let table = |process: &str| fs_err::read(format!("/proc/{process}/mountinfo"));
        let ours = table("self").unwrap_or_default();
        let Ok(theirs) = table(&pid.to_string()) else {
            return Ok(());
        };
        if !overlay::is_seen(&ours, workspace) {
            return Ok(());
        }
        if !overlay::is_seen(&theirs, Path::new(&preparation.place)) {
            return Err(Fault::environment(
                "containers do not see what this process mounts, although the engine seems to have the same mounts",
            )
            .hint("set workspaces = \"checkout\", or CAPSTAN_WORKSPACES=checkout"));
        }
        self.sees_mounts.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Tells what the words of the engine, the init process or the shell mean.
    fn start_failure(&self, preparation: &Preparation, interpreter: &str, text: &str) -> Attempt {
        let image = &preparation.image.name;
        let lower = text.to_ascii_lowercase();
        if lower.contains("exec format error") {
            let engine = self.info.platform();
            return Attempt::Failed(
                Fault::workspace(format!(
                    "image {image} holds programs for another platform, this engine runs {engine}: {text}"
                ))
                .hint(format!(
                    "choose an image built for {engine}, or install emulation (`docker run --privileged --rm tonistiigi/binfmt --install all`)"
                )),
            );
        }
        // 127 is what init processes and shells end with when there is no such program.
        let is_absent = lower.contains("no such file")
            || lower.contains("not found")
            || lower.ends_with("exit status 127");
        if is_absent && (lower.contains(interpreter) || lower.contains("exit status 127")) {
            return Attempt::NoInterpreter(text.to_owned());
        }
        let hint = if lower.contains("permission denied") && self.info.selinux {
            Some(
                "SELinux refuses the container the workspace; label the directory (`chcon -Rt container_file_t`)",
            )
        } else if lower.contains("network") {
            Some("check the --network setting (`docker network ls`)")
        } else {
            None
        };
        let fault = Fault::workspace(format!("starting a container of image {image:?}: {text}"));
        Attempt::Failed(match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        })
    }

    fn interpreters(&self) -> std::sync::MutexGuard<'_, HashMap<String, &'static str>> {
        self.interpreters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error is about the init binary that the engine should have.
fn names_init(text: &str) -> bool {
    [
        "docker-init",
        "container-init",
        "catatonit",
        "init binary",
        "init_path",
    ]
    .iter()
    .any(|name| text.contains(name))
}
