//! The environment of steps: what they get, when, and who may see it.

use super::*;

fn names(env: &BTreeMap<String, String>) -> Vec<&str> {
    let ours = |name: &&str| !name.starts_with("GIT_CONFIG_");
    env.keys().map(String::as_str).filter(ours).collect()
}

#[tokio::test]
async fn forwarded_values_are_used_but_not_shown() {
    let mut bench = Bench::new().await;
    bench.set("TOKEN", "s3cret");
    bench.set("MODE", "forwarded");
    bench.set("UNASKED", "s3cret too");
    let finished = bench
        .run(
            "
- container: alpine
  run: \"printenv TOKEN\\nprintenv MODE\\nprintenv GONE\\nprintenv UNASKED\"
  env: [TOKEN, MODE, GONE, {MODE: static}]
- {container: alpine, run: 'exit 1', env: [TOKEN]}",
        )
        .await;
    insta::assert_snapshot!(bench.recorder.take(0), @r#"
    started
    workspace
    1 preparing
    1 prepared
    1 started: printenv TOKEN
    printenv MODE
    printenv GONE
    printenv UNASKED {"GONE": "********", "MODE": "static", "TOKEN": "********"}
    1 Stdout: s3cret
    1 Stdout: static
    1 Stdout: (unset)
    1 done
    1 cacheable
    2 preparing
    2 prepared
    2 started: exit 1 {"TOKEN": "********"}
    2 failed: run: exit 1
    container: alpine

    Command failed with exit code 1.
    failed: exit status 1
    "#);
    // The step printed the token once itself.
    let log = fs_err::read_to_string(finished.log.unwrap()).unwrap();
    assert_eq!(log.matches("s3cret").count(), 1, "{log}");
}

/// The error would quote the value.
#[tokio::test]
async fn a_forwarded_value_that_is_no_template_is_not_shown() {
    for secret in ["${{ s3cret }}", "${{ index outputs.s3cret 1 }}"] {
        let mut bench = Bench::new().await;
        bench.set("TOKEN", secret);
        let report = bench
            .report("- {container: alpine, run: x, env: [TOKEN]}")
            .await;
        assert!(report.contains("forwarded variable TOKEN"), "{report}");
        assert!(!report.contains("s3cret"), "{report}");
    }
}

/// A git in the container accepts the workspace, whoever owns it.
#[tokio::test]
async fn git_accepts_the_workspace_unless_the_step_configures_git() {
    for (env, expected) in [
        ("{}", "safe.directory /work"),
        ("{GIT_CONFIG_COUNT: '0'}", "(unset) (unset)"),
        ("{GIT_CONFIG_KEY_0: user.name}", "user.name (unset)"),
        ("[GIT_CONFIG_VALUE_0]", "(unset)"),
    ] {
        let bench = Bench::new().await;
        let step = format!(
            "- {{container: alpine, run: \"printenv GIT_CONFIG_KEY_0\\nprintenv GIT_CONFIG_VALUE_0\", env: {env}}}"
        );
        let report = bench.report(&step).await;
        let printed: Vec<&str> = report
            .lines()
            .filter_map(|line| {
                line.strip_prefix("1 Stdout: ")
                    .or((line == "1 Stdout:").then_some(""))
            })
            .collect();
        assert_eq!(printed.join(" ").trim(), expected, "{report}");
        let shown = report.lines().find(|line| line.starts_with("1 started"));
        assert!(!shown.unwrap().contains("safe.directory"), "{report}");
    }
}

/// What depends on earlier steps comes through the gate, the rest is there from the start.
#[tokio::test]
async fn values_come_as_early_as_they_can() {
    let bench = Bench::new().await;
    bench
        .printed(
            "
- {container: alpine, run: 'await prepare 2', outputs: {o: {value: x}}}
- {container: alpine, run: 'print 2', env: {EARLY: '${{ repository.name }}', LATE: '${{ outputs.o }}'}}",
        )
        .await;
    let [made] = &bench.fake.preparations(2)[..] else {
        panic!("it is made once");
    };
    assert_eq!(names(&made.env), ["EARLY"]);
    assert_eq!(made.env["GIT_CONFIG_VALUE_0"], "/work");
    let inputs = bench.fake.inputs();
    assert_eq!(inputs[1].env, [("LATE".to_owned(), "x".to_owned())].into());
    assert!(inputs[0].env.is_empty());
}
