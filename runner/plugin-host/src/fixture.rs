//! Components for tests, in text, and a host that all tests of a process share.

use std::sync::{Arc, LazyLock, Mutex};

use capstan_core::plugin::Hook;

use crate::compile::Compiler;
use crate::component::Component;
use crate::host::{Host, Options};
use crate::interfaces::Config;
use crate::job::Job;
use crate::limits::Usage;
use crate::plugin::{Level, Log};
use crate::state::Caller;

static HOST: LazyLock<Host> = LazyLock::new(|| {
    Host::new(Options {
        cache: None,
        key: None,
        cache_limit: 0,
        compiler: Compiler::Here,
    })
    .unwrap()
});

/// The host without a cache.
pub(crate) fn host() -> &'static Host {
    &HOST
}

/// The bytes of a component in text.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// A component that exports a core module's function `run` as its own.
pub(crate) fn component(core: &str) -> Arc<Component> {
    let text = format!(
        r#"(component
            (core module $m {core})
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run")))
        )"#
    );
    host().load_any(&bytes(&text))
}

/// The command of `fixture/guest.rs`.
pub(crate) async fn guest() -> Arc<Component> {
    let file = capstan_tests::component("runner/plugin-host/src/fixture/guest.rs", &[]);
    host()
        .load(&fs_err::read(file).unwrap(), None)
        .await
        .unwrap()
}

/// What a plugin said.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) messages: Mutex<Vec<(Level, String)>>,
    pub(crate) calls: Mutex<Vec<(&'static str, Usage)>>,
}

impl Log for Heard {
    fn message(&self, _plugin: &str, _hook: Hook, level: Level, message: &str) {
        self.messages
            .lock()
            .unwrap()
            .push((level, message.to_owned()));
    }

    fn called(&self, _plugin: &str, call: &'static str, usage: Usage) {
        self.calls.lock().unwrap().push((call, usage));
    }
}

/// The plugin `tester` in its policy hook.
pub(crate) fn caller(log: &Arc<Heard>) -> Caller {
    Caller {
        plugin: "tester".into(),
        hook: Some(Hook::Policy),
        config: Arc::new(Config::new("{}")),
        job: Arc::new(Job::default()),
        scratch: Arc::default(),
        log: Some(Arc::clone(log) as Arc<dyn Log>),
    }
}
