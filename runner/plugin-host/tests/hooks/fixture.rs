//! The guest, built once per process, and jobs for it.

use std::sync::{Arc, Mutex};

use capstan_core::plugin::{Entry, Grants, Hook, Limits, OnFailure};
use capstan_plugin_host::{
    Compiler, Component, Host, Job, Level, Log, Mount, Options, Plugin, Session, Step, StepLimits,
    Usage,
};
use tokio::sync::OnceCell;

/// The guest, loaded once: compiling it takes a while.
async fn guest() -> Arc<Component> {
    static GUEST: OnceCell<Arc<Component>> = OnceCell::const_new();
    let load = || async {
        let host = Host::new(Options {
            cache: None,
            key: None,
            cache_limit: 0,
            compiler: Compiler::Here,
        });
        let bytes = std::fs::read(capstan_tests::guest("runner/plugin-host/tests/guest")).unwrap();
        host.unwrap().load(&bytes, None).await.unwrap()
    };
    GUEST.get_or_init(load).await.clone()
}

/// What a plugin said.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) messages: Mutex<Vec<(Hook, Level, String)>>,
    pub(crate) calls: Mutex<Vec<&'static str>>,
}

impl Log for Heard {
    fn message(&self, plugin: &str, hook: Hook, level: Level, message: &str) {
        assert_eq!(plugin, "tester");
        let mut messages = self.messages.lock().unwrap();
        messages.push((hook, level, message.to_owned()));
    }

    fn called(&self, plugin: &str, call: &'static str, usage: Usage) {
        assert_eq!(plugin, "tester");
        assert!(usage.memory > 0, "{call}");
        self.calls.lock().unwrap().push(call);
    }
}

/// Settings under which the guest is called.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) grants: Grants,
    pub(crate) limits: Limits,
}

impl Settings {
    /// A session with the guest, and what it says.
    pub(crate) async fn session(self, config: &str) -> (Session, Arc<Heard>) {
        let entry = Entry {
            name: "tester".into(),
            source: "./tester.wasm".into(),
            digest: None,
            config: config.into(),
            grants: self.grants,
            limits: self.limits,
            on_failure: OnFailure::Refuse,
            audit: false,
        };
        let environment = |name: &str| (name != "UNSET").then(|| format!("value of {name}"));
        let plugin = Plugin::new(entry, guest().await, environment);
        let heard = Arc::new(Heard::default());
        (plugin.session(job(), heard.clone()), heard)
    }
}

/// A session with the guest, with nothing granted.
pub(crate) async fn session(config: &str) -> Session {
    Settings::default().session(config).await.0
}

/// A session with the guest doing this.
pub(crate) async fn doing(task: &str) -> Session {
    session(&format!(r#"{{"do": "{task}"}}"#)).await
}

fn job() -> Arc<Job> {
    Arc::new(Job {
        batch_change: "tidy".into(),
        repository: "github.com/acme/widgets".into(),
        branch: "main".into(),
        commit: "0123456789012345678901234567890123456789".into(),
        path: "sub/directory".into(),
        steps: vec![
            Step {
                number: 1,
                image: "alpine".into(),
                script: "echo ${{ repository.name }}".into(),
                ..Step::default()
            },
            (*step()).clone(),
        ],
    })
}

/// A step with everything that one can have.
pub(crate) fn step() -> Arc<Step> {
    Arc::new(Step {
        number: 2,
        image: "docker.io/library/busybox:1".into(),
        script: "make all".into(),
        rendered: true,
        condition: Some("${{ true }}".into()),
        environment: vec![("OLD".into(), Some("old".into())), ("TOKEN".into(), None)],
        mounts: vec![Mount {
            source: "/home/me/x".into(),
            target: "/x".into(),
            read_only: true,
        }],
        files: vec!["/etc/made".into()],
        outputs: vec!["one".into(), "two".into()],
        network: Some("bridge".into()),
        limits: StepLimits {
            memory: Some(512),
            cpus: Some(1500),
            pids: None,
            timeout: Some(90),
        },
    })
}
