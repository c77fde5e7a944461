//! What a plugin does wrong in any hook is a failure with a name, and the next call is unharmed.

use std::sync::Arc;
use std::time::Duration;

use capstan_core::plugin::{Hook, Limits};
use capstan_plugin_host::{Ending, Failure, Session, Stream};
use rstest::rstest;

use crate::diff::DIFF;
use crate::fixture::{Settings, doing, step};

/// Calls each hook once.
async fn every_hook(session: &Session) -> Vec<(&'static str, Hook, Result<(), Failure>)> {
    let diff: Arc<[u8]> = DIFF.as_bytes().into();
    let directory = tempfile::tempdir().unwrap();
    let filtered = async {
        let filter = session.filter(&step(), Stream::Stdout).await?;
        filter.unwrap().push(b"text", &mut Vec::new()).await
    };
    vec![
        (
            "policy.check-job",
            Hook::Policy,
            session.check_job().await.map(drop),
        ),
        (
            "policy.check-step",
            Hook::Policy,
            session.check_step(&step()).await.map(drop),
        ),
        (
            "policy.check-diff",
            Hook::Policy,
            session.check_diff(&diff).await.map(drop),
        ),
        (
            "workspace.prepare",
            Hook::Workspace,
            session.prepare(directory.path()).await,
        ),
        (
            "diff.process",
            Hook::Diff,
            session.process_diff(&diff).await.map(drop),
        ),
        ("output.filter.push", Hook::Output, filtered.await),
        (
            "output.derive-outputs",
            Hook::Output,
            session.derive_outputs(&step(), b"", b"").await.map(drop),
        ),
    ]
}

/// A plugin that may prepare workspaces and has little of everything.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.grants.workspace = capstan_core::plugin::Access::Write;
    settings.limits = Limits {
        memory: Some(16 * 1024 * 1024),
        cpu: Some(Duration::from_millis(100)),
        wall: None,
    };
    settings
}

#[rstest]
#[case::error("error", |ending: &Ending| matches!(ending, Ending::Error { code, message, retryable: true } if code == "input" && message == "no good"))]
#[case::long_error("long-error", |ending: &Ending| matches!(ending, Ending::TooMuch { limit: 262_144, .. }))]
#[case::trap("trap", |ending: &Ending| matches!(ending, Ending::Trap { .. }))]
#[case::endless("loop", |ending: &Ending| matches!(ending, Ending::OutOfCpu { .. }))]
#[case::exit("exit", |ending: &Ending| matches!(ending, Ending::Exit { code: 1 }))]
#[case::memory("memory", |ending: &Ending| matches!(ending, Ending::OutOfMemory { limit: 16_777_216, .. }))]
#[tokio::test(flavor = "multi_thread")]
async fn in_every_hook(#[case] task: &str, #[case] expected: fn(&Ending) -> bool) {
    let (session, heard) = settings().session(&format!(r#"{{"do": "{task}"}}"#)).await;
    // Spawned, as calls are: they must be free to move between threads.
    let results = tokio::spawn(async move { every_hook(&session).await });
    for (call, hook, result) in results.await.unwrap() {
        let failure = result.expect_err(call);
        assert!(expected(&failure.ending), "{call}: {:?}", failure.ending);
        assert_eq!(failure.call, call);
        assert_eq!(failure.hook, Some(hook));
        assert_eq!(failure.plugin, "tester");
        assert!(failure.digest.starts_with("sha256:"));
    }
    assert_eq!(heard.calls.lock().unwrap().len(), 7);
}

#[tokio::test]
async fn a_panic_is_told_with_its_text() {
    let failure = doing("trap").await.check_job().await.unwrap_err();
    assert!(
        failure.last_lines.contains("ouch"),
        "{}",
        failure.last_lines
    );
    assert!(failure.to_string().contains("ouch"), "{failure}");
}

#[tokio::test]
async fn the_call_after_a_failed_one_is_unharmed() {
    let (session, _) = settings().session(r#"{"do": "count"}"#).await;
    for count in ["1 (seen)", "2 (seen)"] {
        let failure = session.check_job().await.unwrap_err();
        assert_eq!(failure.ending.to_string(), count);
    }
}
