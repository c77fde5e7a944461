//! Many tasks side by side.

use super::*;

fn endings(finished: &[Finished]) -> Vec<String> {
    finished.iter().map(ending).collect()
}

impl Bench {
    /// One job for each script.
    fn jobs(&self, scripts: &[&str]) -> Vec<Job> {
        let job = |script: &&str| self.job(&format!("- {{container: alpine, run: \"{script}\"}}"));
        scripts.iter().map(job).collect()
    }
}

#[tokio::test]
async fn never_more_than_asked_for_and_in_order() {
    for (parallel, most) in [(0, 1), (1, 1), (2, 2), (9, 3)] {
        let bench = Bench::new().await;
        let meet = format!("meet {most}\\nprint x");
        let failing = format!("meet {most}\\nexit 3");
        let jobs = bench.jobs(&[&meet, &failing, &meet]);
        let finished = bench.run_jobs(jobs, parallel, false).await;
        assert_eq!(
            endings(&finished),
            ["done", "failed: exit status 3", "done"]
        );
        assert_eq!(bench.fake.most_running(), most, "{parallel}");
    }
}

#[tokio::test]
async fn the_first_failure_stops_the_others_on_demand() {
    let bench = Bench::new().await;
    let jobs = bench.jobs(&["print x", "begun 3\\nexit 3", "hang", "print x"]);
    let finished = bench.run_jobs(jobs, 2, true).await;
    assert_eq!(
        endings(&finished),
        ["done", "failed: exit status 3", "cancelled", "cancelled"]
    );
    // The last one never started.
    bench.recorder.take(0);
    assert_eq!(bench.recorder.take(3), "cancelled");
    assert!(!bench.fake.clock.cancel.is_cancelled());
}

#[tokio::test]
async fn a_machine_that_is_not_fit_stops_all() {
    let bench = Bench::new().await;
    let jobs = bench.jobs(&["meet 2\\ndown no engine", "hang", "print x"]);
    let finished = bench.run_jobs(jobs, 2, false).await;
    assert_eq!(
        endings(&finished),
        ["failed: no engine", "cancelled", "cancelled"]
    );
}

#[tokio::test]
async fn a_run_that_was_cancelled_before_does_nothing() {
    let bench = Bench::new().await;
    bench.fake.clock.cancel.cancel();
    let finished = bench
        .run_jobs(bench.jobs(&["print x", "print y"]), 2, false)
        .await;
    assert_eq!(endings(&finished), ["cancelled", "cancelled"]);
    assert!(bench.fake.calls().is_empty());
}

/// A defect in one task is told as its failure; the others go on.
#[tokio::test]
async fn a_task_that_panics_fails() {
    let bench = Bench::new().await;
    let runner = bench.runner().await;
    let jobs = bench.jobs(&["panic", "print x"]);
    let finished = runner.run(jobs, 1, false).await;
    assert_eq!(
        endings(&finished),
        ["failed: the task ended abnormally", "done"]
    );
    let report = bench.recorder.take(0);
    assert!(
        report.ends_with("\nfailed: the task ended abnormally"),
        "{report}"
    );
}

/// Nothing to do is nothing done.
#[tokio::test]
async fn no_jobs() {
    let bench = Bench::new().await;
    assert!(bench.run_jobs(Vec::new(), 2, false).await.is_empty());
}
