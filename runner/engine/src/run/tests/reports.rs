//! What is reported, in which order, with which words (facts/batch-spec.md 2.9, 3.3, 3.5, 3.11 and 7).

use super::super::Cause;
use super::*;

#[tokio::test]
async fn steps_that_go_well() {
    let bench = Bench::new().await;
    let report = bench
        .report(
            "
- {container: alpine, run: 'print hello', env: {A: b}}
- {container: alpine, run: 'error careful'}",
        )
        .await;
    insta::assert_snapshot!(report, @r#"
    started
    workspace
    1 preparing
    1 prepared
    1 started: print hello {"A": "b"}
    1 Stdout: hello
    1 done
    1 cacheable
    2 preparing
    2 prepared
    2 started: error careful {}
    2 Stderr: careful
    2 done
    2 cacheable
    done
    "#);
}

#[tokio::test]
async fn steps_that_are_skipped() {
    let bench = Bench::new().await;
    let report = bench
        .report(
            r#"
- {container: alpine, run: 'print never', if: false}
- {container: alpine, run: 'print never', if: '${{ eq repository.name "acme/gadgets" }}'}
- {container: alpine, run: 'print one', if: ' ${{ eq repository.name "acme/widgets" }} '}
- {container: alpine, run: 'print never', if: '${{ eq previous_step.stdout "two" }}'}
- {container: alpine, run: 'print never', if: 'TRUE'}
- {container: alpine, run: 'print five', if: ''}"#,
        )
        .await;
    insta::assert_snapshot!(report, @"
    started
    1 skipped
    2 skipped
    workspace
    3 preparing
    3 prepared
    3 started: print one {}
    3 Stdout: one
    3 done
    3 cacheable
    4 skipped
    5 skipped
    6 preparing
    6 prepared
    6 started: print five {}
    6 Stdout: five
    6 done
    6 cacheable
    done
    ");
}

#[tokio::test]
async fn a_task_whose_steps_are_all_skipped_makes_nothing() {
    let bench = Bench::new().await;
    let finished = bench
        .run("- {container: alpine, run: 'print never', if: false}")
        .await;
    assert_eq!(diff(&finished), "");
    assert_eq!(finished.log, None);
    insta::assert_snapshot!(bench.recorder.take(0), @"
    started
    1 skipped
    done, cached
    ");
    assert!(bench.fake.calls().is_empty());
}

#[tokio::test]
async fn a_script_that_fails() {
    let bench = Bench::new().await;
    let finished = bench
        .run(
            "
- container: alpine
  run: |
    print building
    error /.capstan/script: line 3: nope: not found
    exit 7
- {container: alpine, run: 'print never'}",
        )
        .await;
    insta::assert_snapshot!(bench.recorder.take(0), @"
    started
    workspace
    1 preparing
    1 prepared
    1 started: print building
    error /.capstan/script: line 3: nope: not found
    exit 7 {}
    1 Stdout: building
    1 Stderr: /.capstan/script: line 3: nope: not found
    1 failed: run: print building
    	(... and 3 more lines)
    container: alpine

    standard out:
    	building

    standard error:
    	line 3: nope: not found

    Command failed with exit code 7.
    failed: line 3: nope: not found
    ");
    let Outcome::Failed(failure) = finished.outcome else {
        panic!("it failed");
    };
    assert_eq!(failure.step, Some(0));
    let cause = Cause::Script {
        code: 7,
        out_of_memory: false,
    };
    assert_eq!(failure.cause, cause);
}

#[tokio::test]
async fn a_script_that_is_killed_for_lack_of_memory() {
    let bench = Bench::new().await;
    let finished = bench.run("- {container: alpine, run: memory}").await;
    let Outcome::Failed(failure) = finished.outcome else {
        panic!("it failed");
    };
    assert_eq!(failure.summary, "exit status 137");
    assert!(failure.hint.unwrap().contains("memory"));
}

/// A failed preparation is told as such, then as the failure of the step, then as that of the task.
#[tokio::test]
async fn preparations_that_fail() {
    for (step, error) in [
        (
            "{container: missing, run: x}",
            "failed to pull image for step 1: missing: no such image",
        ),
        (
            "{container: broken, run: x}",
            "starting a container: it has no shell",
        ),
        (
            "{container: ' ', run: x}",
            "failed to resolve image for step 1: empty image",
        ),
        (
            r#"{container: 'a${{ outputs.x }}', run: x}"#,
            r#"failed to resolve image for step 1: template: step-container:1:5: executing "step-container" at <outputs>: map has no entry for key "x""#,
        ),
        (
            r#"{container: '${{ "${{" }}', run: x}"#,
            r#"failed to resolve image for step 1: unresolved template in image "${{""#,
        ),
        (
            "{container: alpine, run: '${{ outputs.x }}'}",
            r#"parsing step run: template: step-run:1:4: executing "step-run" at <outputs>: map has no entry for key "x""#,
        ),
        (
            "{container: alpine, run: '${{ nope }}'}",
            r#"parsing step run: parsing step run: template: step-run:1: function "nope" not defined"#,
        ),
        (
            "{container: alpine, run: x, env: {A: '${{ outputs.x }}'}}",
            r#"parsing step environment: template: A:1:4: executing "A" at <outputs>: map has no entry for key "x""#,
        ),
        (
            "{container: alpine, run: x, env: {A: '${{ nope }}'}}",
            r#"parsing step environment: parsing step run: template: A:1: function "nope" not defined"#,
        ),
        (
            "{container: alpine, run: x, files: {/f: '${{ outputs.x }}'}}",
            r#"parsing step files: template: /f:1:4: executing "/f" at <outputs>: map has no entry for key "x""#,
        ),
        (
            "{container: alpine, run: x, files: {/f: '${{ nope }}'}}",
            r#"parsing step files: parsing step run: template: /f:1: function "nope" not defined"#,
        ),
    ] {
        let bench = Bench::new().await;
        let report = bench.report(&format!("- {step}")).await;
        assert_eq!(
            report,
            format!(
                "started\nworkspace\n1 preparing\n1 preparing failed: {error}\n1 failed: {error}\nfailed: {error}"
            ),
            "{step}"
        );
        assert!(!bench.fake.calls().contains(&"open 1".to_owned()));
    }
}

/// The output's error is the task's; the step itself went well.
#[tokio::test]
async fn outputs_that_fail() {
    for (output, error) in [
        (
            "{value: '${{ outputs.x }}'}",
            r#"setting step outputs: parsing step run: template: outputs-o:1:4: executing "outputs-o" at <outputs>: map has no entry for key "x""#,
        ),
        (
            "{value: '${{ nope }}'}",
            r#"setting step outputs: parsing step run: parsing step run: template: outputs-o:1: function "nope" not defined"#,
        ),
        ("{value: '', format: json}", "setting step outputs: EOF"),
        (
            "{value: '{', format: json}",
            "setting step outputs: unexpected EOF",
        ),
    ] {
        let bench = Bench::new().await;
        let step = format!("- {{container: alpine, run: 'print 1', outputs: {{o: {output}}}}}");
        let report = bench.report(&step).await;
        let expected = format!(
            "started\nworkspace\n1 preparing\n1 prepared\n1 started: print 1 {{}}\n1 Stdout: 1\nfailed: {error}"
        );
        assert_eq!(report, expected, "{output}");
    }
}

#[tokio::test]
async fn conditions_that_fail() {
    for (condition, error) in [
        (
            "${{ outputs.x }}",
            r#"evaluating step condition: parsing step if: template: step-condition:1:4: executing "step-condition" at <outputs>: map has no entry for key "x""#,
        ),
        (
            "${{ nope }}",
            r#"evaluating step condition: parsing step if: parsing step run: template: step-condition:1: function "nope" not defined"#,
        ),
    ] {
        let bench = Bench::new().await;
        let report = bench
            .report(&format!(
                "- {{container: alpine, run: x, if: '{condition}'}}"
            ))
            .await;
        assert_eq!(report, format!("started\nfailed: {error}"));
    }
}

/// An engine that fails in the middle of a step.
#[tokio::test]
async fn infrastructure_that_fails() {
    for (run, cause) in [
        ("fault the container is gone", Cause::Workspace),
        ("down the container is gone", Cause::Environment),
    ] {
        let bench = Bench::new().await;
        let finished = bench
            .run(&format!("- {{container: alpine, run: '{run}'}}"))
            .await;
        let report = bench.recorder.take(0);
        assert!(
            report.ends_with("1 failed: the container is gone\nfailed: the container is gone"),
            "{report}"
        );
        let Outcome::Failed(failure) = finished.outcome else {
            panic!("it failed");
        };
        assert_eq!(failure.cause, cause);
    }
}

#[tokio::test]
async fn workspaces_that_cannot_be_made() {
    let mut bench = Bench::new().await;
    let mut origin = Origin::clone(&bench.origin);
    origin.rev = "0123456789012345678901234567890123456789".to_owned();
    bench.origin = Arc::new(origin);
    let report = bench
        .report("- {container: alpine, run: 'print never'}")
        .await;
    let error = "failed: creating workspace: checking out: ";
    assert!(
        report.starts_with(&format!("started\nworkspace\n{error}")),
        "{report}"
    );
    assert!(!bench.fake.calls().contains(&"open 1".to_owned()));
}

#[tokio::test]
async fn a_diff_that_is_too_large() {
    let mut bench = Bench::new().await;
    bench.settings.diff_limit = 50;
    let report = bench
        .report("- {container: alpine, run: 'write a 1'}")
        .await;
    insta::assert_snapshot!(report, @"
    started
    workspace
    1 preparing
    1 prepared
    1 started: write a 1 {}
    1 failed: getting diff produced by step: 'git diff' printed more than 50 bytes
    failed: getting diff produced by step: 'git diff' printed more than 50 bytes
    ");
}
