//! Cancellation, time limits, and what is left after them.

use std::pin::Pin;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::fault::Fault;
use crate::run::GetOrigin;

/// Steps that are at all stages at some time, with a container that turns out not to be needed.
const STEPS: &str = r#"
- {container: alpine, run: "write a 1\nprint x", outputs: {x: {value: '${{ step.stdout }}'}}}
- {container: alpine, run: "write b ${{ outputs.x }}", env: {A: '${{ outputs.x }}'}}
- {container: alpine, run: "write c 1", if: '${{ eq previous_step.stdout "y" }}'}
- {container: nobody, run: "append a 2\nerror y"}"#;

#[tokio::test]
async fn cancelled_at_every_stage() {
    for stage in [
        "started",
        "workspace",
        "1 preparing",
        "1 prepared",
        "1 started",
        "1 Stdout",
        "1 done",
        "2 preparing",
        "3 skipped",
        "4 started",
    ] {
        let bench = Bench::new().await;
        *bench.recorder.cancel_on.lock().unwrap() = Some(stage.to_owned());
        let finished = bench.run(STEPS).await;
        assert!(matches!(finished.outcome, Outcome::Cancelled), "{stage}");
        let report = bench.recorder.take(0);
        assert!(report.ends_with("\ncancelled"), "{stage}: {report}");
        assert!(!report.contains("failed"), "{stage}: {report}");
    }
}

#[tokio::test]
async fn cancelled_while_an_image_is_pulled() {
    let mut bench = Bench::new().await;
    bench.settings.prepare_ahead = 3;
    let report = bench
        .report(
            "
- {container: alpine, run: \"await image endless\\ncancel\\nhang\"}
- {container: endless, run: 'print never'}
- {container: alpine, run: 'print never'}",
        )
        .await;
    assert!(report.ends_with("\ncancelled"), "{report}");
}

#[tokio::test]
async fn the_log_tells_why_a_step_was_cut_short() {
    let bench = Bench::new().await;
    let step = "- {container: alpine, run: \"print half\\ncancel\\nhang\"}";
    let finished = bench.run(step).await;
    let log = fs_err::read_to_string(finished.log.unwrap()).unwrap();
    assert!(log.contains("stdout | half\n"), "{log}");
    assert!(log.ends_with("; cancelled\n"), "{log}");
}

#[tokio::test]
async fn a_step_takes_too_long() {
    let mut bench = Bench::new().await;
    bench.settings.step_timeout = Some(Duration::from_secs(90));
    let finished = bench
        .run(
            "
- {container: alpine, run: 'write a 1'}
- {container: alpine, run: \"print x\\noutlast\"}",
        )
        .await;
    insta::assert_snapshot!(bench.recorder.take(0), @"
    started
    workspace
    1 preparing
    1 prepared
    1 started: write a 1 {}
    1 done
    1 cacheable
    2 preparing
    2 prepared
    2 started: print x
    outlast {}
    2 Stdout: x
    2 failed: Timeout reached. Execution took longer than 1m30s.
    failed: Timeout reached. Execution took longer than 1m30s.
    ");
    let log = fs_err::read_to_string(finished.log.unwrap()).unwrap();
    let end = "; Timeout reached. Execution took longer than 1m30s.\n";
    assert!(log.ends_with(end), "{log}");
}

/// A repository that never comes.
#[derive(Debug)]
struct Never;

impl GetOrigin for Never {
    fn get(&self) -> Pin<Box<dyn Future<Output = Result<Arc<Origin>, Fault>> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

/// The limit covers all of the task; what is told depends on what it was at.
#[tokio::test]
async fn a_task_takes_too_long() {
    let timeout = "Timeout reached. Execution took longer than 1h0m0s.";
    for (steps, outlast_on, expected) in [
        (
            "- {container: alpine, run: outlast}",
            None,
            format!(
                "workspace\n1 preparing\n1 prepared\n1 started: outlast {{}}\n1 failed: {timeout}\n"
            ),
        ),
        (
            "- {container: endless, run: 'print x'}",
            Some("1 preparing"),
            format!("workspace\n1 preparing\n1 preparing failed: {timeout}\n1 failed: {timeout}\n"),
        ),
        (
            "- {container: alpine, run: 'print x'}",
            Some("workspace"),
            "workspace\n".to_owned(),
        ),
    ] {
        let bench = Bench::new().await;
        *bench.recorder.outlast_on.lock().unwrap() = outlast_on.map(str::to_owned);
        let mut job = bench.job(steps);
        if outlast_on == Some("workspace") {
            job.base = Base::Later(Arc::new(Never));
        }
        bench.run_job(job).await;
        let report = bench.recorder.take(0);
        tokio::time::resume();
        assert_eq!(
            report,
            format!("started\n{expected}failed: {timeout}"),
            "{steps}"
        );
    }
}

#[tokio::test]
async fn workspaces_are_kept_on_demand() {
    let mut bench = Bench::new().await;
    bench.settings.keep_workspaces = true;
    let finished = bench
        .run("- {container: alpine, run: \"write a 1\\nexit 1\"}")
        .await;
    let workspace = finished.workspace.unwrap();
    assert_eq!(fs_err::read(workspace.join("a")).unwrap(), b"1\n");
}

#[tokio::test]
async fn steps_in_place_leave_what_they_did() {
    let bench = Bench::new().await;
    bench.fixture.write("untracked", "mine\n");
    let mut job = bench.job("- {container: alpine, run: \"write a 1\\nappend README 2\"}");
    job.base = Base::InPlace(Arc::clone(&bench.origin));
    let finished = bench.run_job(job).await;
    insta::assert_snapshot!(diff(&finished), @"
    diff --git README README
    index ce01362..f654329 100644
    --- README
    +++ README
    @@ -1 +1,2 @@
     hello
    +2
    diff --git a a
    new file mode 100644
    index 0000000..d00491f
    --- /dev/null
    +++ a
    @@ -0,0 +1 @@
    +1
    diff --git untracked untracked
    new file mode 100644
    index 0000000..351be5b
    --- /dev/null
    +++ untracked
    @@ -0,0 +1 @@
    +mine
    ");
    let at = |name: &str| fs_err::read_to_string(bench.fixture.path.join(name)).unwrap();
    assert_eq!(at("README"), "hello\n2\n");
    assert_eq!(at("untracked"), "mine\n");
    let seen = bench.fake.preparations(1)[0].workspace.clone();
    assert_eq!(seen.directory(), Some(bench.fixture.path.as_path()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever the order of events, and wherever the run is cancelled, all that was made is put away (which
    /// [`Bench::run_jobs`] checks), and a run that was not cancelled comes to the same end.
    #[test]
    fn nothing_is_left_behind(seed: u64, cancel_at in 0_u64..80, ahead in 0_usize..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut bench = Bench::new().await;
            bench.settings.prepare_ahead = ahead;
            bench.fake.clock.seed.store(seed, std::sync::atomic::Ordering::SeqCst);
            bench.fake.clock.cancel_at.store(cancel_at, std::sync::atomic::Ordering::SeqCst);
            let finished = bench.run(STEPS).await;
            if !matches!(finished.outcome, Outcome::Cancelled) {
                assert!(diff(&finished).contains("diff --git b b"), "{}", diff(&finished));
                assert!(bench.recorder.take(0).ends_with("\ndone"));
            } else {
                assert_ne!(cancel_at, 0);
            }
        });
    }
}
