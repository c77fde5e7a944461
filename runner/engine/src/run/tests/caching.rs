//! Results that are known from earlier runs (facts/batch-spec.md 3.8).

use super::*;
use crate::run::lookup;

const STEPS: &str = "
- {container: alpine, run: \"write a 1\\nprint one\", outputs: {o: {value: '${{ step.stdout }}'}}}
- {container: alpine, run: 'print two ${{ previous_step.stdout }}'}
- {container: alpine, run: 'append a ${{ previous_step.stdout }}'}";

#[tokio::test]
async fn a_second_run_makes_nothing() {
    let bench = Bench::with_cache().await;
    let first = bench.run_cached(bench.job(STEPS)).await;
    let calls = bench.fake.calls();
    bench.recorder.take(0);
    let second = bench.run_cached(bench.job(STEPS)).await;
    assert_eq!(diff(&second), diff(&first));
    assert_eq!(bench.fake.calls(), calls);
    assert_eq!(bench.recorder.take(0), "started\ndone, cached");
    assert_eq!(second.log, None);
}

/// A changed step goes on from the results before it: their diff, outputs, and what the last one printed.
#[tokio::test]
async fn a_changed_step_goes_on_from_those_before_it() {
    let bench = Bench::with_cache().await;
    bench.run_cached(bench.job(STEPS)).await;
    bench.recorder.take(0);
    let changed = STEPS.replace("append a", "append a ${{ outputs.o }}");
    let changed = changed.replace(
        "${{ previous_step.stdout }}'}\n- {container: alpine, run: 'append",
        "x'}\n- {container: alpine, run: 'append",
    );
    let finished = bench.run_cached(bench.job(&changed)).await;
    insta::assert_snapshot!(bench.recorder.take(0), @"
    started
    resumed at 2
    workspace
    2 preparing
    2 prepared
    2 started: print two x {}
    2 Stdout: two x
    2 done
    2 cacheable
    3 preparing
    3 prepared
    3 started: append a one two x {}
    3 done
    3 cacheable
    done
    ");
    insta::assert_snapshot!(diff(&finished), @"
    diff --git a a
    new file mode 100644
    index 0000000..2ad7c46
    --- /dev/null
    +++ a
    @@ -0,0 +1,2 @@
    +1
    +one two x
    ");
}

#[tokio::test]
async fn every_step_has_the_key_that_was_computed_before_it_ran() {
    let bench = Bench::with_cache().await;
    let tool = bench.directory.path().join("tool");
    fs_err::write(&tool, "x").unwrap();
    let steps = "
- {container: alpine, run: 'print 1', mount: [{path: ./tool, mountpoint: /tool}]}
- {container: alpine, run: 'exit 1'}";
    let job = bench.job(steps);
    let keys = lookup::keys(&job, None).unwrap();
    assert!(keys[0].ends_with("-step-0") && keys[1].ends_with("-step-1"));
    bench.run_cached(job.clone()).await;
    // The result of the step before the failure is kept, and nothing else.
    let slug = lookup::cache_slug(&job);
    let entries = fs_err::read_dir(bench.directory.path().join("cache").join(slug)).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [format!("{}.json", keys[0]).as_str()]);
    bench.recorder.take(0);
    bench.run_cached(job.clone()).await;
    let report = bench.recorder.take(0);
    assert!(
        report.starts_with("started\nresumed at 2\nworkspace\n"),
        "{report}"
    );
    // A mounted file that changed is another task.
    fs_err::write(&tool, "longer").unwrap();
    assert_ne!(lookup::keys(&job, None).unwrap()[0], keys[0]);
}

#[tokio::test]
async fn a_broken_entry_is_told_and_the_step_runs() {
    let bench = Bench::with_cache().await;
    let job = bench.job("- {container: alpine, run: 'print 1'}");
    let key = &lookup::keys(&job, None).unwrap()[0];
    let cache = bench.cache.clone().unwrap();
    cache.put(&lookup::cache_slug(&job), key, b"{").unwrap();
    bench.run_cached(job.clone()).await;
    let report = bench.recorder.take(0);
    assert!(report.starts_with("cache entry dropped: EOF"), "{report}");
    assert!(report.ends_with("1 done\n1 cacheable\ndone"), "{report}");
    bench.run_cached(job).await;
    assert_eq!(bench.recorder.take(0), "started\ndone, cached");
}

#[tokio::test]
async fn a_result_that_cannot_be_written_costs_only_time() {
    let mut bench = Bench::new().await;
    let file = bench.directory.path().join("file");
    fs_err::write(&file, "").unwrap();
    bench.cache = Some(StepCache::open(file.join("cache")));
    let finished = bench.run("- {container: alpine, run: 'write a 1'}").await;
    assert!(diff(&finished).contains("+++ a"));
    let report = bench.recorder.take(0);
    assert!(report.contains("\ncache given up: "), "{report}");
}

#[tokio::test]
async fn a_mount_that_is_gone_is_told_before_anything_runs() {
    let bench = Bench::with_cache().await;
    let tool = bench.directory.path().join("tool");
    fs_err::write(&tool, "x").unwrap();
    let job = bench
        .job("- {container: alpine, run: 'print 1', mount: [{path: tool, mountpoint: /tool}]}");
    fs_err::remove_file(&tool).unwrap();
    let finished = bench.run_job(job).await;
    let expected = format!(
        "failed: computing the cache key: path {} does not exist",
        tool.display()
    );
    assert_eq!(ending(&finished), expected);
    assert!(bench.fake.calls().is_empty());
}

/// A last step that is skipped has no result: the task goes on from the one before, and finds nothing to run.
#[tokio::test]
async fn a_skipped_last_step_needs_no_workspace() {
    let bench = Bench::with_cache().await;
    let steps = "
- {container: alpine, run: 'write a 1'}
- {container: alpine, run: 'print 2', if: '${{ eq previous_step.stdout \"x\" }}'}";
    let first = bench.run_cached(bench.job(steps)).await;
    bench.recorder.take(0);
    let second = bench.run_cached(bench.job(steps)).await;
    assert_eq!(diff(&second), diff(&first));
    assert_eq!(
        bench.recorder.take(0),
        "started\nresumed at 2\n2 skipped\ndone, cached"
    );
}

#[tokio::test]
async fn a_known_diff_that_does_not_apply_is_told() {
    let bench = Bench::new().await;
    let mut job = bench.job(STEPS);
    job.resume = Some(Resume {
        result: Arc::new(capstan_core::result::StepResult {
            diff: b"no diff".to_vec(),
            ..Default::default()
        }),
    });
    let finished = bench.run_job(job).await;
    let ending = ending(&finished);
    let expected = "failed: applying diff of cache result: applying cached diff: ";
    assert!(ending.starts_with(expected), "{ending}");
}
