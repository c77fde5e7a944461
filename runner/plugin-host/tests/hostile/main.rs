//! Every plugin of `tests/hostile` ends as its first lines say, uses no more memory than it may, and leaves the host as it was.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod alone;
mod case;
mod load;
mod memory;
mod weave;
mod workspace;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use capstan_core::plugin::{Access, Entry, Grants, Hook, Limits, OnFailure};
use capstan_plugin_host::{
    Compiler, Component, Decision, Ending, Failure, Host, Job, Level, LoadError, Log, Options,
    Plugin, Processed, Refusal, Session, Step, Stream, Verdict,
};
use rstest::rstest;
use tokio::runtime::Runtime;

use crate::alone::alone;
use crate::case::Case;
use crate::memory::Memory;

/// A diff with one file and one hunk, which the cases of `diff` try to abuse.
const DIFF: &[u8] = b"diff --git a.txt a.txt\nindex 5626abf..814f4a4 100644\n--- a.txt\n+++ a.txt\n@@ -1,2 +1,2 @@\n-one\n+ONE\n two\n";

/// Compiled code is kept, as each case has a process of its own.
static HOST: LazyLock<Host> = LazyLock::new(|| {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile");
    Host::new(Options {
        cache: Some(home.join("code")),
        key: Some(home.join("key")),
        cache_limit: 1 << 30,
        compiler: Compiler::Here,
    })
    .unwrap()
});

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// What plugins said: how many bytes, so that a flood is seen and not kept.
#[derive(Default)]
struct Heard {
    bytes: Mutex<usize>,
}

impl Log for Heard {
    fn message(&self, _plugin: &str, _hook: Hook, _level: Level, message: &str) {
        *self.bytes.lock().unwrap() += message.len();
    }
}

/// A session of a plugin that is expected to end in this way.
fn session(component: Arc<Component>, config: &str, expected: &str, log: &Arc<Heard>) -> Session {
    // On a machine with much else to do all takes long, and what ends for another reason is not to end for that one.
    let unless = |ending: &str| (expected != ending).then_some(Duration::from_secs(900));
    let entry = Entry {
        name: "hostile".to_owned(),
        source: "./hostile.wasm".to_owned(),
        digest: None,
        config: config.to_owned(),
        grants: Grants {
            workspace: Access::Write,
            ..Grants::default()
        },
        limits: Limits {
            cpu: unless("out-of-cpu"),
            wall: unless("out-of-time"),
            ..Limits::default()
        },
        on_failure: OnFailure::Refuse,
        audit: false,
    };
    let plugin = Plugin::new(entry, component, |_| {
        Some("a value of the runner".to_owned())
    });
    let job = Job {
        repository: "github.com/acme/widgets".to_owned(),
        ..Job::default()
    };
    plugin.session(Arc::new(job), Arc::clone(log) as Arc<dyn Log>)
}

/// How a call ended, in the words of the cases, and what a person would read.
type Ended = (String, String);

fn answered<T>(result: Result<T, Failure>, name: impl FnOnce(T) -> Ended) -> Ended {
    match result {
        Ok(answer) => name(answer),
        Err(failure) => (ending(&failure.ending), failure.to_string()),
    }
}

fn ending(ending: &Ending) -> String {
    match ending {
        Ending::Error { code, .. } => format!("error {code}"),
        Ending::Trap { .. } => "trap".to_owned(),
        Ending::OutOfMemory { .. } => "out-of-memory".to_owned(),
        Ending::OutOfCpu { .. } => "out-of-cpu".to_owned(),
        Ending::OutOfTime { .. } => "out-of-time".to_owned(),
        Ending::TooMuch { .. } => "too-much".to_owned(),
        Ending::Exit { code } => format!("exit {code}"),
        Ending::Contract { .. } => "contract".to_owned(),
        Ending::Link { .. } => "link".to_owned(),
        Ending::Host { .. } => "host".to_owned(),
    }
}

fn unloadable(error: &LoadError) -> Ended {
    let name = match error {
        LoadError::TooLarge { .. } => "too-large",
        LoadError::NotAComponent(_) => "not-a-component",
        LoadError::Digest { .. } => "digest",
        LoadError::Link(_) => "link",
        LoadError::Compile(_) => "compile",
        LoadError::Io { .. } => "io",
    };
    (name.to_owned(), error.to_string())
}

fn refused(refusal: &Refusal) -> Ended {
    (format!("refuse {}", refusal.rule), refusal.reason.clone())
}

async fn call(session: &Session, call: &str) -> Ended {
    let step = Arc::new(Step {
        number: 1,
        ..Step::default()
    });
    let diff: Arc<[u8]> = Arc::from(DIFF);
    let decided = |decision| match decision {
        Decision::Keep => ("keep".to_owned(), String::new()),
        Decision::Change(changes) => ("change".to_owned(), format!("{changes:?}")),
        Decision::Refuse(refusal) => refused(&refusal),
    };
    match call {
        "policy.check-job" => answered(session.check_job().await, decided),
        "policy.check-step" => answered(session.check_step(&step).await, decided),
        "policy.check-diff" => answered(session.check_diff(&diff).await, |verdict| match verdict {
            Verdict::Keep => ("keep".to_owned(), String::new()),
            Verdict::Refuse(refusal) => refused(&refusal),
        }),
        "diff.process" => answered(
            session.process_diff(&diff).await,
            |processed| match processed {
                Processed::Diff { .. } => ("done".to_owned(), String::new()),
                Processed::Refused(refusal) => refused(&refusal),
            },
        ),
        "output.filter" => answered(filter(session, &step).await, |bytes| {
            ("filtered".to_owned(), format!("{} bytes", bytes.len()))
        }),
        "output.derive-outputs" => answered(
            session.derive_outputs(&step, b"out", b"").await,
            |outputs| ("outputs".to_owned(), format!("{outputs:?}")),
        ),
        other => panic!("no such call: {other}"),
    }
}

async fn filter(session: &Session, step: &Arc<Step>) -> Result<Vec<u8>, Failure> {
    let mut into = Vec::new();
    if let Some(mut filter) = session.filter(step, Stream::Stdout).await? {
        for _ in 0..16 {
            filter.push(b"some output\n", &mut into).await?;
        }
        filter.finish(&mut into).await?;
    }
    Ok(into)
}

#[rstest]
fn ends_as_it_says(
    #[files("../../tests/hostile/policy/*.wat")]
    #[files("../../tests/hostile/diff/*.wat")]
    #[files("../../tests/hostile/output/*.wat")]
    path: PathBuf,
) {
    alone(&[], || {
        let case = Case::read(&path);
        let directory = path.parent().and_then(Path::file_name).unwrap();
        let hook = directory.to_str().unwrap();
        let bytes = weave::component(hook, &case.text);
        let log = Arc::new(Heard::default());
        let memory = Memory::now();
        let (ended, message) = RUNTIME.block_on(async {
            match HOST.load(&bytes, None).await {
                Ok(component) => {
                    let session = session(component, "{}", &case.expect, &log);
                    call(&session, &case.hook).await
                }
                Err(error) => unloadable(&error),
            }
        });
        // What the hook's plugins may have at most, what is compiled, and some air.
        memory.grew_by_less_than(if hook == "diff" { 512 } else { 256 } << 20);
        assert!(
            *log.bytes.lock().unwrap() <= 256 << 10,
            "the log is bounded"
        );
        case.check(&ended, &message);
        assert_unharmed();
    });
}

/// A good plugin answers as if nothing had happened.
fn assert_unharmed() {
    static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| weave::component("policy", ""));
    let log = Arc::new(Heard::default());
    let ended = RUNTIME.block_on(async {
        let component = HOST.load(&GOOD, None).await.unwrap();
        let session = session(component, "{}", "keep", &log);
        call(&session, "policy.check-step").await
    });
    assert_eq!(ended, ("keep".to_owned(), String::new()));
}
