//! Secrets: gone from what people see, untouched in what steps and results get.

use super::*;

const SECRET: &str = "hunter2-token";

async fn bench() -> Bench {
    let mut bench = Bench::new().await;
    bench.secrets = Secrets::new([SECRET]).unwrap();
    bench
}

fn log_of(finished: &Finished) -> String {
    fs_err::read_to_string(finished.log.as_ref().unwrap()).unwrap()
}

/// Across the borders of chunks and in the other stream, too; templates and outputs have it.
#[tokio::test]
async fn output_is_shown_without_them_and_kept_with_them() {
    let bench = bench().await;
    let finished = bench
        .run(
            "
- container: alpine
  run: |
    print a hunter2-to
    print ken b aHVudGVyMi10b2tlbg== c hunt
    error hunter2-token
  outputs: {o: {value: '${{ step.stdout }}'}}
- {container: alpine, run: 'write a ${{ outputs.o }}'}",
        )
        .await;
    insta::assert_snapshot!(bench.recorder.take(0), @"
    started
    workspace
    1 preparing
    1 prepared
    1 started: print a hunter2-to
    print ken b ******** c hunt
    error ******** {}
    1 Stdout: a
    1 Stdout: ******** b ******** c
    1 Stderr: ********
    1 Stdout: hunt
    1 done
    1 cacheable
    2 preparing
    2 prepared
    2 started: write a a ******** b ******** c hunt {}
    2 done
    2 cacheable
    done
    ");
    let log = log_of(&finished);
    assert!(!log.contains("token"), "{log}");
    let diff = diff(&finished);
    let whole = "+a hunter2-token b aHVudGVyMi10b2tlbg== c hunt\n";
    assert!(diff.contains(whole), "{diff}");
}

#[tokio::test]
async fn failures_are_told_without_them() {
    for step in [
        "{container: alpine, run: \"error hunter2-token\\nexit 3\"}",
        "{container: 'hunter2-token${{ index \"\" 1 }}', run: x}",
        "{container: alpine, run: 'fault no hunter2-token here'}",
        "{container: alpine, run: 'print hunter2-token', outputs: {o: {value: '${{ step.stdout }}', format: json}}}",
    ] {
        let bench = bench().await;
        let finished = bench.run(&format!("- {step}")).await;
        let report = bench.recorder.take(0);
        assert!(
            report.contains("failed: ") && !report.contains(SECRET),
            "{report}"
        );
        let Outcome::Failed(failure) = &finished.outcome else {
            panic!("{step} fails");
        };
        assert!(!format!("{failure:?}").contains(SECRET), "{failure:?}");
        assert!(!log_of(&finished).contains(SECRET));
    }
}

/// Forwarded values are masked by name, static ones by value.
#[tokio::test]
async fn environments_are_shown_without_them() {
    let mut bench = bench().await;
    bench.set("SHORT", "x");
    let report = bench
        .report(
            "- {container: alpine, run: 'printenv B', env: [SHORT, {B: 'Bearer hunter2-token'}]}",
        )
        .await;
    assert!(
        report.contains(r#"1 started: printenv B {"B": "Bearer ********", "SHORT": "********"}"#),
        "{report}"
    );
}
