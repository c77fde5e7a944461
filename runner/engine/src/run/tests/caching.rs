//! Results that are known from earlier runs (facts/batch-spec.md 3.8).

use super::*;
use crate::run::lookup::{self, Keys};

async fn keys(bench: &Bench, job: &Job) -> Keys {
    let engine = bench.runner().await.engine.clone();
    lookup::keys(&*engine, job, None).await.unwrap()
}

fn key(keys: &Keys, step: usize) -> &str {
    keys.get(step).unwrap()
}

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
    let before = keys(&bench, &job).await;
    assert!(key(&before, 0).ends_with("-step-0") && key(&before, 1).ends_with("-step-1"));
    bench.run_cached(job.clone()).await;
    // The result of the step before the failure is kept, and nothing else.
    let slug = lookup::cache_slug(&job);
    let entries = fs_err::read_dir(bench.directory.path().join("cache").join(slug)).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [format!("{}.json", key(&before, 0)).as_str()]);
    bench.recorder.take(0);
    bench.run_cached(job.clone()).await;
    let report = bench.recorder.take(0);
    assert!(
        report.starts_with("started\nresumed at 2\nworkspace\n"),
        "{report}"
    );
    // A mounted file that changed is another task.
    fs_err::write(&tool, "longer").unwrap();
    let after = keys(&bench, &job).await;
    assert_ne!(key(&after, 0), key(&before, 0));
}

#[tokio::test]
async fn a_broken_entry_is_told_and_the_step_runs() {
    let bench = Bench::with_cache().await;
    let job = bench.job("- {container: alpine, run: 'print 1'}");
    let keys = keys(&bench, &job).await;
    let cache = bench.cache.clone().unwrap();
    cache
        .put(&lookup::cache_slug(&job), key(&keys, 0), b"{")
        .unwrap();
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

const COMPONENTS: &str = "
- {container: alpine, run: 'write a 1'}
- {container: 'wasm://./fix', run: 'append a 2'}
- {container: alpine, run: 'append a 3'}";

/// The steps that run, by the images that are asked for, when the job runs once more.
async fn runs_again(bench: &Bench, steps: &str) -> String {
    let before = bench.fake.calls_of(&["open"]).len();
    let job = bench.job(steps);
    assert_eq!(ending(&bench.run_cached(job).await), "done");
    bench.fake.calls_of(&["open"])[before..]
        .trim_start_matches(", ")
        .to_owned()
}

/// An image's tag may move, and results stay, as with `src`. A component that changed is another one.
#[tokio::test]
async fn a_changed_component_runs_again_with_what_follows() {
    let bench = Bench::with_cache().await;
    let change = |digest: &str| {
        let (name, digest) = ("wasm://./fix".to_owned(), digest.to_owned());
        bench.fake.components.lock().unwrap().insert(name, digest);
    };
    assert_eq!(
        runs_again(&bench, COMPONENTS).await,
        "open 1, open 2, open 3"
    );
    assert_eq!(runs_again(&bench, COMPONENTS).await, "");
    change("sha256:other");
    assert_eq!(runs_again(&bench, COMPONENTS).await, "open 2, open 3");
    assert_eq!(runs_again(&bench, COMPONENTS).await, "");
    change("sha256:wasm://./fix");
    assert_eq!(runs_again(&bench, COMPONENTS).await, "");
}

/// Which component it is, is known only when it is too late for the key.
#[tokio::test]
async fn results_of_components_that_earlier_steps_choose_are_not_kept() {
    let bench = Bench::with_cache().await;
    for container in [
        "wasm://./${{ previous_step.stdout }}",
        "${{ previous_step.stdout }}",
    ] {
        let printed = if container.starts_with("wasm") {
            "fix"
        } else {
            "wasm://./fix"
        };
        let steps = format!(
            "
- {{container: alpine, run: 'print {printed}'}}
- {{container: '{container}', run: 'append a 2'}}
- {{container: alpine, run: 'append a 3'}}"
        )
        .replace("append a 2", "write a 2");
        assert_eq!(runs_again(&bench, &steps).await, "open 1, open 2, open 3");
        assert_eq!(runs_again(&bench, &steps).await, "open 2, open 3");
    }
}

#[tokio::test]
async fn a_component_that_is_not_there_matters_only_if_its_step_runs() {
    let bench = Bench::with_cache().await;
    let steps = "
- {container: alpine, run: 'write a 1'}
- {container: 'wasm://./missing', run: 'append a 2', if: false}
- {container: alpine, run: 'append a 3'}";
    assert_eq!(runs_again(&bench, steps).await, "open 1, open 3");
    assert_eq!(runs_again(&bench, steps).await, "");
    let steps = steps.replace(", if: false", "");
    let finished = bench.run_cached(bench.job(&steps)).await;
    assert_eq!(
        ending(&finished),
        "failed: failed to load component for step 2: wasm://./missing: no such image"
    );
}
