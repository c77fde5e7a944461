//! What templates see (facts/batch-spec.md 2.5, 3.5).

use capstan_core::value::Value;

use super::*;

#[tokio::test]
async fn steps_is_all_that_changed_before() {
    let bench = Bench::new().await;
    let printed = bench
        .printed(
            "
- {container: alpine, run: \"write a one\\nappend README 2\\nprint ${{ steps.added_files }} ${{ steps.modified_files }}\"}
- {container: alpine, run: \"remove sub/file\\nprint ${{ steps.added_files }} ${{ steps.modified_files }}\"}
- {container: alpine, run: 'print ${{ steps.added_files }} ${{ steps.modified_files }} ${{ steps.deleted_files }}'}",
        )
        .await;
    insta::assert_snapshot!(printed, @"
    1: [] []
    2: [a] [README]
    3: [a] [README] [sub/file]
    ");
}

/// Skipped steps do not count.
#[tokio::test]
async fn previous_step_is_the_last_that_ran() {
    let bench = Bench::new().await;
    let printed = bench
        .printed(
            "
- {container: alpine, run: \"print one\\nerror uno\\nwrite a 1\"}
- {container: alpine, run: 'print two', if: false}
- {container: alpine, run: 'print three', if: '${{ eq previous_step.stdout \"\" }}'}
- {container: alpine, run: 'print after ${{ previous_step.stdout }} ${{ previous_step.stderr }} ${{ previous_step.added_files }}'}",
        )
        .await;
    insta::assert_snapshot!(printed, @"
    1: one
    4: after one uno [a]
    ");
}

#[tokio::test]
async fn the_first_step_has_an_empty_past() {
    let mut bench = Bench::new().await;
    bench.path = "sub".to_owned();
    let printed = bench
        .printed(
            "- {container: alpine, run: \"print [${{ previous_step.stdout }}] ${{ steps.added_files }} ${{ step.added_files }} ${{ steps.path }}\
             \\nprint ${{ repository.name }} ${{ repository.branch }} ${{ repository.search_result_paths }} ${{ batch_change.name }}\"}",
        )
        .await;
    insta::assert_snapshot!(printed, @"
    1: [] [] [] sub
    1: acme/widgets main README sub/file tidy
    ");
}

/// `step` is only there in outputs, where `steps` and `previous_step` still are those before the step.
#[tokio::test]
async fn outputs_see_the_step() {
    let bench = Bench::new().await;
    let printed = bench
        .printed(
            "
- container: alpine
  run: \"write a 1\\nprint one\\nerror uno ${{ step.stdout }}.\"
  outputs: {o: {value: '${{ step.stdout }}${{ step.stderr }}${{ step.added_files }} ${{ steps.added_files }} ${{ previous_step.added_files }}'}}
- {container: alpine, run: 'print ${{ replace outputs.o \"\\n\" \"/\" }}'}",
        )
        .await;
    insta::assert_snapshot!(printed, @"
    1: one
    2: oneuno .[a] [] []
    ");
}

#[tokio::test]
async fn outputs_accumulate_and_are_overwritten() {
    let bench = Bench::new().await;
    let finished = bench
        .run(
            "
- {container: alpine, run: 'print 1', outputs: {a: {value: first}, b: {value: '[1, \"x\"]', format: json}}}
- {container: alpine, run: 'print 2', if: false, outputs: {a: {value: skipped}}}
- {container: alpine, run: 'print 3', outputs: {a: {value: second}, c: {value: 'n: 1', format: yaml}}}",
        )
        .await;
    let Outcome::Done {
        result: Some(result),
        ..
    } = finished.outcome
    else {
        panic!("it went well");
    };
    let text = |text: &str| Value::String(text.to_owned());
    let number = Value::Map([("n".to_owned(), Value::Int(1))].into());
    let expected = [
        ("a", text("second")),
        ("b", Value::List(vec![Value::Float(1.0), text("x")])),
        ("c", number),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(result.outputs, expected.into());
}

/// Outputs of one step see those whose names come before theirs.
#[tokio::test]
async fn outputs_of_a_step_are_set_in_the_order_of_their_names() {
    let bench = Bench::new().await;
    let printed = bench
        .printed(
            "
- container: alpine
  run: 'print 1'
  outputs: {b: {value: '${{ outputs.a }}b'}, c: {value: '${{ outputs.b }}c'}, a: {value: a}}
- {container: alpine, run: 'print ${{ outputs.c }}'}",
        )
        .await;
    assert_eq!(printed, "1: 1\n2: abc\n");
}

#[tokio::test]
async fn files_are_rendered() {
    let bench = Bench::new().await;
    let printed = bench
        .printed(
            "
- {container: alpine, run: 'print 1', outputs: {o: {value: late}}}
- {container: alpine, run: 'cat /f', files: {/f: 'is ${{ outputs.o }}'}}",
        )
        .await;
    assert_eq!(printed, "1: 1\n2: is late\n");
}

#[tokio::test]
async fn the_directory_of_the_workspace_is_there_for_every_step() {
    let mut bench = Bench::new().await;
    bench.path = "sub".to_owned();
    let printed = bench
        .printed(
            "
- {container: alpine, run: \"ls\\nremove ../sub\"}
- {container: alpine, run: \"write new 1\\nls\"}",
        )
        .await;
    assert_eq!(printed, "1: file\n2: new\n");
    let purpose = &bench.fake.preparations(1)[0].purpose;
    assert_eq!(purpose, "acme/widgets:sub step 1");
}

/// What a step printed is kept up to a limit, for templates and results; the log has a limit of its own.
#[tokio::test]
async fn what_is_kept_of_output_is_bounded() {
    let mut bench = Bench::new().await;
    bench.settings.capture_limit = 10;
    // The time and the label of the line count.
    bench.settings.log_limit = 65;
    let finished = bench
        .run(
            "
- {container: alpine, run: \"flood 8\\nflood 40\", outputs: {o: {value: '${{ step.stdout }}'}}}
- {container: alpine, run: 'print ${{ len outputs.o }} ${{ len previous_step.stdout }}'}",
        )
        .await;
    let report = bench.recorder.take(0);
    assert!(report.contains("2 Stdout: 10 10\n"), "{report}");
    let log = fs_err::read_to_string(finished.log.unwrap()).unwrap();
    assert!(
        log.contains(&format!("stdout | {}\n", "x".repeat(20))),
        "{log}"
    );
    assert!(
        log.contains("[Step 1] output truncated: 28 more bytes\n"),
        "{log}"
    );
}
