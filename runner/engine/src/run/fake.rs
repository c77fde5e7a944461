//! An engine without containers, for the tests of the step loop.
//!
//! A step's script is a list of commands that the fake obeys itself, in the workspace's directory (see
//! [`Container::obey`]). Image names decide how the preparation goes (see [`Fake::image`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use capstan_core::wasm_step::is_component;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Report, Reported};
use crate::fault::Fault;
use crate::sandbox::{
    Chunk, Engine, Exit, Files, Gated, Image, Inputs, NetworkOrder, Preparation, Sandbox,
    SharedNetwork, Stream,
};

/// What the engine was asked to do, and what happens in time besides.
#[derive(Default)]
pub(super) struct Fake {
    state: Mutex<State>,
    changed: Notify,
    pub(super) clock: Arc<Clock>,
    /// Components that have changed: their digests by name.
    pub(super) components: Mutex<BTreeMap<String, String>>,
}

#[derive(Default)]
struct State {
    /// `image <name>`, `network <image>`, `prepare <step>`, `open <step>`, `end <step>`, `discard <step>`, `reclaim`.
    calls: Vec<String>,
    preparations: Vec<Preparation>,
    inputs: Vec<Inputs>,
    made: usize,
    discarded: usize,
    running: usize,
    most_running: usize,
    /// Those in which a script runs.
    networks: BTreeSet<String>,
}

/// Decides the order of what happens at the same time, and when the run is cancelled.
#[derive(Default)]
pub(super) struct Clock {
    ticks: AtomicU64,
    /// Different seeds give different orders.
    pub(super) seed: AtomicU64,
    /// The tick that cancels; 0: none.
    pub(super) cancel_at: AtomicU64,
    pub(super) cancel: CancellationToken,
}

impl Clock {
    fn tick(&self) -> u64 {
        let tick = self.ticks.fetch_add(1, Ordering::SeqCst) + 1;
        if tick == self.cancel_at.load(Ordering::SeqCst) {
            self.cancel.cancel();
        }
        tick
    }

    async fn pass(&self) {
        let tick = self.tick();
        let seed = self.seed.load(Ordering::SeqCst);
        let mixed = (tick ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        for _ in 0..(mixed % 5) * u64::from(seed != 0) {
            tokio::task::yield_now().await;
        }
    }
}

impl Fake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn digest(&self, name: &str) -> String {
        let changed = self.components.lock().unwrap().get(name).cloned();
        changed.unwrap_or_else(|| format!("sha256:{name}"))
    }

    fn call(&self, call: String) {
        self.state().calls.push(call);
        self.changed.notify_waiters();
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// The calls of these kinds, in order.
    pub(super) fn calls_of(&self, kinds: &[&str]) -> String {
        let mut calls = self.calls();
        calls.retain(|call| kinds.contains(&call.split(' ').next().unwrap()));
        calls.join(", ")
    }

    /// What the containers of this step (from 1) were made of, in order.
    pub(super) fn preparations(&self, step: usize) -> Vec<Preparation> {
        let mut preparations = self.state().preparations.clone();
        preparations.retain(|preparation| number(preparation) == step.to_string());
        preparations
    }

    /// What was handed through the gates, in order.
    pub(super) fn inputs(&self) -> Vec<Inputs> {
        self.state().inputs.clone()
    }

    /// How many scripts ran at the same time.
    pub(super) fn most_running(&self) -> usize {
        self.state().most_running
    }

    /// How many containers were made and how many of them were thrown away in due form.
    pub(super) fn made_and_discarded(&self) -> (usize, usize) {
        let state = self.state();
        (state.made, state.discarded)
    }

    async fn until(&self, what: &str, reached: impl Fn(&State) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if reached(&self.state()) {
                    return;
                }
                changed.await;
            }
        };
        let limit = Duration::from_secs(60);
        let waited = tokio::time::timeout(limit, waiting).await;
        assert!(waited.is_ok(), "waited in vain for {what}");
    }
}

fn number(preparation: &Preparation) -> &str {
    preparation.purpose.rsplit(' ').next().unwrap()
}

pub(super) struct Container {
    fake: Arc<Fake>,
    preparation: Preparation,
}

/// The engine that the runner has.
pub(super) struct FakeEngine(pub(super) Arc<Fake>);

impl Sandbox for FakeEngine {
    type Container = Container;

    async fn prepare(&self, preparation: Preparation) -> Result<Container, Fault> {
        self.0.clock.pass().await;
        let step = number(&preparation).to_owned();
        if preparation.image.name == "broken" {
            return Err(Fault::workspace("starting a container: it has no shell"));
        }
        if preparation.image.name == "loner" && preparation.shared.is_some() {
            return Err(Fault::workspace("joining a network: no"));
        }
        assert!(preparation.workspace.directory().is_some_and(Path::is_dir));
        for mount in &preparation.mounts {
            assert!(mount.source.exists(), "{}", mount.source.display());
        }
        {
            let mut state = self.0.state();
            state.made += 1;
            let mut seen = preparation.clone();
            if let Some(shared) = &mut seen.shared {
                shared.holder = Arc::new(());
            }
            state.preparations.push(seen);
        }
        self.0.call(format!("prepare {step}"));
        self.0.clock.pass().await;
        Ok(Container {
            fake: Arc::clone(&self.0),
            preparation,
        })
    }
}

impl Engine for FakeEngine {
    async fn image(&self, name: &str, _platform: Option<&str>) -> Result<Image, Fault> {
        self.0.call(format!("image {name}"));
        self.0.clock.pass().await;
        match name {
            "missing" | "wasm://./missing" => return Err(Fault::workspace("no such image")),
            "engine-down" => return Err(Fault::environment("the engine does not answer")),
            "endless" => std::future::pending().await,
            _ => {}
        }
        Ok(Image {
            name: name.to_owned(),
            id: self.0.digest(name),
            user: if name == "nobody" { "65534" } else { "" }.to_owned(),
        })
    }

    async fn digest(&self, name: &str) -> Result<Option<String>, Fault> {
        match name {
            "wasm://./missing" => Err(Fault::workspace("no such file")),
            _ if is_component(name) => Ok(Some(self.0.digest(name))),
            _ => Ok(None),
        }
    }

    async fn reclaim(&self, _image: &Image, _files: &Files) -> Result<(), Fault> {
        self.0.call("reclaim".to_owned());
        Ok(())
    }

    async fn share_network(&self, order: NetworkOrder) -> Result<SharedNetwork, Fault> {
        let image = order.image.name;
        if image == "broken" {
            return Err(Fault::workspace("starting a container: it has no shell"));
        }
        self.0.state().made += 1;
        // Who gives up meanwhile leaves it to be taken away.
        let holder = Arc::new(Holder(Arc::clone(&self.0)));
        self.0.call(format!("network {image}"));
        self.0.clock.pass().await;
        let number = self.0.state().made;
        Ok(SharedNetwork {
            mode: format!("network {number}"),
            up: watch::channel(Some(BTreeMap::new())).1,
            holder,
        })
    }
}

/// What is made for a network.
struct Holder(Arc<Fake>);

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.state().discarded += 1;
    }
}

impl Gated for Container {
    async fn open(&mut self, inputs: Inputs, output: mpsc::Sender<Chunk>) -> Result<Exit, Fault> {
        let step = number(&self.preparation).to_owned();
        let targets: Vec<&String> = inputs.files.keys().collect();
        assert_eq!(targets, self.preparation.files.iter().collect::<Vec<_>>());
        self.fake.call(format!("open {step}"));
        {
            let mut state = self.fake.state();
            state.inputs.push(inputs.clone());
            state.running += 1;
            state.most_running = state.most_running.max(state.running);
            if let Some(network) = self.network() {
                assert!(state.networks.insert(network), "two at a time in a network");
            }
        }
        let running = Running(Arc::clone(&self.fake), self.network());
        let mut env = self.preparation.env.clone();
        env.extend(inputs.env.clone());
        let mut ended = Ok(exit(0));
        for line in inputs.script.lines() {
            self.fake.clock.pass().await;
            if let Some(end) = self.obey(line.trim(), &env, &inputs, &output).await {
                ended = end;
                break;
            }
        }
        drop(running);
        self.fake.call(format!("end {step}"));
        ended
    }

    async fn discard(self) {
        self.fake.clock.pass().await;
        let step = number(&self.preparation).to_owned();
        self.fake.state().discarded += 1;
        self.fake.call(format!("discard {step}"));
    }
}

struct Running(Arc<Fake>, Option<String>);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running -= 1;
        if let Some(network) = &self.1 {
            state.networks.remove(network);
        }
    }
}

fn exit(code: i32) -> Exit {
    Exit {
        code,
        out_of_memory: false,
    }
}

impl Container {
    /// That it shares with others.
    fn network(&self) -> Option<String> {
        let shared = self.preparation.shared.as_ref();
        shared.map(|shared| shared.mode.clone())
    }

    fn path(&self, name: &str) -> PathBuf {
        let workspace = self.preparation.workspace.directory().unwrap();
        let start = workspace.join(&self.preparation.directory);
        start.join(name)
    }

    /// Obeys one line of a script; `Some` when it ends the script.
    async fn obey(
        &self,
        line: &str,
        env: &BTreeMap<String, String>,
        inputs: &Inputs,
        output: &mpsc::Sender<Chunk>,
    ) -> Option<Result<Exit, Fault>> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (first, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let send = async |stream, bytes: Vec<u8>| {
            let _ = output.send(Chunk { stream, bytes }).await;
        };
        match command {
            "" => {}
            "write" => fs_err::write(self.path(first), format!("{text}\n")).unwrap(),
            "append" => {
                let old = fs_err::read_to_string(self.path(first)).unwrap_or_default();
                fs_err::write(self.path(first), format!("{old}{text}\n")).unwrap();
            }
            "remove" => fs_err::remove_dir_all(self.path(first))
                .or_else(|_| fs_err::remove_file(self.path(first)))
                .unwrap(),
            "print" => send(Stream::Stdout, rest.into()).await,
            "error" => send(Stream::Stderr, rest.into()).await,
            "flood" => send(Stream::Stdout, vec![b'x'; first.parse().unwrap()]).await,
            "printenv" => {
                let value = env.get(first).map_or("(unset)", String::as_str);
                send(Stream::Stdout, value.into()).await;
            }
            "cat" => {
                let content = inputs.files.get(first).cloned();
                let content =
                    content.unwrap_or_else(|| fs_err::read_to_string(self.path(first)).unwrap());
                send(Stream::Stdout, content.into_bytes()).await;
            }
            "ls" => {
                let mut names: Vec<String> = fs_err::read_dir(self.path(""))
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .collect();
                names.sort();
                send(Stream::Stdout, names.join(" ").into_bytes()).await;
            }
            // Until that many scripts run at the same time.
            "meet" => {
                let count: usize = first.parse().unwrap();
                self.fake
                    .until(line, |state| state.most_running >= count)
                    .await;
            }
            // Until that many scripts have begun.
            "begun" => {
                let count: usize = first.parse().unwrap();
                let begun = |state: &State| state.inputs.len() >= count;
                self.fake.until(line, begun).await;
            }
            // Until the engine was asked for this.
            "await" => {
                let seen = |state: &State| state.calls.iter().any(|call| call == rest);
                self.fake.until(line, seen).await;
            }
            "exit" => return Some(Ok(exit(first.parse().unwrap()))),
            "memory" => {
                return Some(Ok(Exit {
                    code: 137,
                    out_of_memory: true,
                }));
            }
            "fault" => return Some(Err(Fault::workspace(rest))),
            "down" => return Some(Err(Fault::environment(rest))),
            "cancel" => self.fake.clock.cancel.cancel(),
            "hang" => std::future::pending().await,
            // Time passes until the next limit is reached.
            "outlast" => {
                tokio::time::pause();
                std::future::pending::<()>().await;
            }
            "panic" => panic!("as the script says"),
            other => panic!("no such command: {other}"),
        }
        None
    }
}

/// Writes down what is reported, one line each.
pub(super) struct Recorder {
    lines: Mutex<Vec<(usize, String)>>,
    clock: Arc<Clock>,
    /// Cancels the run when this line is reported.
    pub(super) cancel_on: Mutex<Option<String>>,
    /// Lets the time pass to the next limit when this line is reported.
    pub(super) outlast_on: Mutex<Option<String>>,
}

impl Recorder {
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        Self {
            lines: Mutex::default(),
            clock,
            cancel_on: Mutex::default(),
            outlast_on: Mutex::default(),
        }
    }

    /// What was reported of a job, and forgets it.
    pub(super) fn take(&self, job: usize) -> String {
        let mut lines = self.lines.lock().unwrap();
        let (taken, rest): (Vec<_>, Vec<_>) = lines.drain(..).partition(|(of, _)| *of == job);
        *lines = rest;
        let text: Vec<String> = taken.into_iter().map(|(_, line)| line).collect();
        text.join("\n")
    }
}

impl Report for Recorder {
    fn report(&self, job: usize, what: Reported<'_>) {
        // What is told next says it, too.
        if matches!(what, Reported::Ran { .. }) {
            return;
        }
        let line = describe(&what);
        let is = |wanted: &Mutex<Option<String>>| {
            let mut wanted = wanted.lock().unwrap();
            wanted
                .take_if(|wanted| line.starts_with(wanted.as_str()))
                .is_some()
        };
        if is(&self.cancel_on) {
            self.clock.cancel.cancel();
        }
        if is(&self.outlast_on) {
            tokio::time::pause();
        }
        self.lines.lock().unwrap().push((job, line));
        self.clock.tick();
    }
}

fn describe(what: &Reported<'_>) -> String {
    match what {
        Reported::Started => "started".to_owned(),
        Reported::Workspace => "workspace".to_owned(),
        Reported::Resumed { start } => format!("resumed at {}", start + 1),
        Reported::CacheEntryDropped { reason, .. } => format!("cache entry dropped: {reason}"),
        Reported::CacheGivenUp { reason } => format!("cache given up: {reason}"),
        Reported::StepSkipped { step } => format!("{} skipped", step + 1),
        Reported::Preparing { step } => format!("{} preparing", step + 1),
        Reported::Prepared { step } => format!("{} prepared", step + 1),
        Reported::PreparingFailed { step, error } => {
            format!("{} preparing failed: {error}", step + 1)
        }
        Reported::StepStarted { step, script, env } => {
            format!("{} started: {} {env:?}", step + 1, script.trim())
        }
        Reported::Output {
            step,
            stream,
            bytes,
        } => {
            let text = String::from_utf8_lossy(bytes);
            format!("{} {stream:?}: {}", step + 1, text.trim_end())
        }
        Reported::StepDone { result } => format!("{} done", result.step_index + 1),
        Reported::StepFailed { step, failure } => {
            format!("{} failed: {}", step + 1, failure.message)
        }
        Reported::Cacheable { result, .. } => format!("{} cacheable", result.step_index + 1),
        Reported::Done { cached, .. } => if *cached { "done, cached" } else { "done" }.to_owned(),
        Reported::Failed { failure } => format!("failed: {}", failure.summary),
        Reported::Plugin { plugin, what, .. } => format!("plugin {plugin}: {what}"),
        Reported::Cancelled => "cancelled".to_owned(),
        Reported::Ran { step, code } => format!("{} ended with {code}", step + 1),
    }
}
