//! The measured side: the plugin host as the step loop uses it.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capstan_core::plugin::{Entry, Grants, Hook, Limits, OnFailure};
use capstan_plugin_host::{
    Compiler, Component, Decision, Host, Level, Log, Options, Plugin, Session, Step, Stream,
};

/// Hears nothing.
struct Deaf;

impl Log for Deaf {
    fn message(&self, _plugin: &str, _hook: Hook, _level: Level, _message: &str) {}
}

/// A host; with a cache below `directory`, if there is one.
pub(crate) fn host(directory: Option<&Path>) -> Host {
    Host::new(Options {
        cache: directory.map(|directory| directory.join("code")),
        key: directory.map(|directory| directory.join("key")),
        cache_limit: 1 << 30,
        compiler: Compiler::Here,
    })
    .expect("this machine can run WebAssembly")
}

/// Loads a component, and how long that takes.
pub(crate) async fn load(host: &Host, bytes: &[u8]) -> Duration {
    let start = Instant::now();
    loaded(host, bytes).await;
    start.elapsed()
}

async fn loaded(host: &Host, bytes: &[u8]) -> Arc<Component> {
    let component = host.load(bytes, None).await;
    component.unwrap_or_else(|error| panic!("{error}"))
}

/// A plugin within a job.
pub(crate) async fn session(host: &Host, bytes: &[u8], config: &str) -> Session {
    let entry = Entry {
        name: "measured".to_owned(),
        source: "./measured.wasm".to_owned(),
        digest: None,
        config: config.to_owned(),
        grants: Grants::default(),
        limits: Limits::default(),
        on_failure: OnFailure::Refuse,
        audit: false,
    };
    let plugin = Plugin::new(entry, loaded(host, bytes).await, |_| None);
    plugin.session(Arc::default(), Arc::new(Deaf))
}

/// The step that is asked about.
fn step() -> Arc<Step> {
    Arc::new(Step {
        number: 1,
        image: crate::bare::IMAGE.to_owned(),
        rendered: true,
        ..Step::default()
    })
}

/// How long one `policy.check-step` takes.
pub(crate) async fn check_step(session: &Session) -> Duration {
    let step = step();
    let start = Instant::now();
    let decision = session.check_step(&step).await;
    let time = start.elapsed();
    assert!(matches!(decision, Ok(Decision::Keep)), "{decision:?}");
    time
}

/// How long it takes to send `length` bytes, `chunk` after `chunk`, through a filter.
pub(crate) async fn filter(session: &Session, chunk: &[u8], length: usize) -> Duration {
    let step = step();
    let start = Instant::now();
    let filter = session.filter(&step, Stream::Stdout).await;
    let mut filter = filter
        .unwrap_or_else(|failure| panic!("{failure}"))
        .expect("it filters standard output");
    let mut into = Vec::new();
    for _ in 0..length / chunk.len() {
        into.clear();
        let pushed = filter.push(chunk, &mut into).await;
        pushed.unwrap_or_else(|failure| panic!("{failure}"));
        black_box(&into);
    }
    start.elapsed()
}

/// How long it takes to copy them.
pub(crate) fn copy(chunk: &[u8], length: usize) -> Duration {
    let start = Instant::now();
    let mut into = Vec::new();
    for _ in 0..length / chunk.len() {
        into.clear();
        into.extend_from_slice(black_box(chunk));
        black_box(&into);
    }
    start.elapsed()
}
