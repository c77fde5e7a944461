use std::sync::Arc;

use capstan_plugin_host::{Amendment, Decision, Ending, Mount, Refusal, Verdict};
use rstest::rstest;

use crate::diff::DIFF;
use crate::fixture::{doing, session, step};

fn refused(decision: Decision) -> Refusal {
    match decision {
        Decision::Refuse(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_is_kept_or_refused() {
    assert_eq!(
        doing("keep").await.check_job().await.unwrap(),
        Decision::Keep
    );
    let refusal = refused(doing("refuse").await.check_job().await.unwrap());
    assert_eq!(
        refusal,
        Refusal {
            rule: "images".into(),
            reason: "not this one".into(),
            details: vec![("by".into(), "the guest".into())],
        }
    );
}

#[tokio::test]
async fn a_policy_sees_all_of_a_job() {
    let refusal = refused(doing("see").await.check_job().await.unwrap());
    insta::assert_snapshot!(refusal.reason, @r#"
    "tidy" "github.com/acme/widgets" "main" "0123456789012345678901234567890123456789" "sub/directory" None
    0: none
    1: 1 "alpine" "echo ${{ repository.name }}" rendered=false if=None env=[] unset=None mounts=[] files=[] outputs=[] network=None limits=[None, None, None, None] None
    2: 2 "docker.io/library/busybox:1" "make all" rendered=true if=Some("${{ true }}") env=[(Some("old"), "OLD"), (None, "TOKEN")] unset=None mounts=[Mount { source: "/home/me/x", target: "/x", read-only: true }] files=["/etc/made"] outputs=["one", "two"] network=Some("bridge") limits=[Some(512), Some(1500), None, Some(90)] None
    3: none
    "#);
}

#[tokio::test]
async fn a_policy_sees_all_of_a_step_but_its_secrets() {
    let refusal = refused(doing("see").await.check_step(&step()).await.unwrap());
    insta::assert_snapshot!(refusal.reason, @r#"github.com/acme/widgets 2 "docker.io/library/busybox:1" "make all" rendered=true if=Some("${{ true }}") env=[(Some("old"), "OLD"), (None, "TOKEN")] unset=None mounts=[Mount { source: "/home/me/x", target: "/x", read-only: true }] files=["/etc/made"] outputs=["one", "two"] network=Some("bridge") limits=[Some(512), Some(1500), None, Some(90)] None"#);
}

#[tokio::test]
async fn a_step_is_changed() {
    let everything = Decision::Change(vec![
        Amendment::Image("other".into()),
        Amendment::SetEnvironment("NEW".into(), "value".into()),
        Amendment::RemoveEnvironment("OLD".into()),
        Amendment::AddMount(Mount {
            source: "/source".into(),
            target: "/target".into(),
            read_only: true,
        }),
        Amendment::RemoveMount("/other".into()),
        Amendment::Network("none".into()),
        Amendment::Memory(64),
        Amendment::Cpus(500),
        Amendment::Pids(10),
        Amendment::Timeout(60),
    ]);
    let session = doing("change").await;
    assert_eq!(session.check_step(&step()).await.unwrap(), everything);
    assert_eq!(session.check_job().await.unwrap(), everything);
}

#[rstest]
#[case("no-change")]
#[case("forget-change")]
#[tokio::test]
async fn changes_that_are_none_or_not_answered_with_keep_a_step(#[case] task: &str) {
    let decision = doing(task).await.check_step(&step()).await.unwrap();
    assert_eq!(decision, Decision::Keep);
}

#[tokio::test]
async fn a_change_that_makes_no_sense_is_a_failure() {
    let session = session(r#"{"do": "too-little", "memory": 3}"#).await;
    let failure = session.check_step(&step()).await.unwrap_err();
    insta::assert_snapshot!(failure, @"the plugin tester failed in policy.check-step: its answer is not allowed: memory of 3 MiB is too little: 4 is the least");
    assert!(matches!(failure.ending, Ending::Contract { .. }));
}

#[rstest]
#[case(
    "change-flood",
    "it answered with more bytes than it may, more than its 262144"
)]
#[case(
    "long-refusal",
    "it answered with more bytes than it may, more than its 262144"
)]
#[case(
    "handle-flood",
    "it holds more handles than it may, more than its 1000"
)]
#[tokio::test]
async fn answers_have_bounds(#[case] task: &str, #[case] ending: &str) {
    let failure = doing(task).await.check_step(&step()).await.unwrap_err();
    assert_eq!(failure.ending.to_string(), ending);
}

#[tokio::test]
async fn a_diff_is_kept_or_refused() {
    let diff: Arc<[u8]> = DIFF.as_bytes().into();
    let verdict = doing("keep").await.check_diff(&diff).await.unwrap();
    assert_eq!(verdict, Verdict::Keep);
    let Verdict::Refuse(refusal) = doing("refuse").await.check_diff(&diff).await.unwrap() else {
        panic!("not refused");
    };
    assert_eq!(
        (refusal.rule.as_str(), refusal.reason.as_str()),
        ("size", "7 files")
    );
}

#[tokio::test]
async fn a_policy_sees_all_of_a_diff() {
    let diff: Arc<[u8]> = DIFF.as_bytes().into();
    let Verdict::Refuse(refusal) = doing("see").await.check_diff(&diff).await.unwrap() else {
        panic!("not refused");
    };
    insta::assert_snapshot!(refusal.reason, @r#"
    github.com/acme/widgets
    7 files, +4 -3, 796 bytes
    a.txt 5 from None Status::Modified 100644..100644 binary=false +2 -1 138 bytes: "diff --git" .. " l\n"
      -1,4 +1,5 17 bytes: " a\n+b  \n c\n d\n e\n"
      -20,5 +21,5 18 bytes: " g\n-h\n+i\n j\n k\n l\n"
    c.txt 5 from Some("b.txt") Status::Renamed 0..0 binary=false +0 -0 79 bytes: "diff --git" .. "xt\n"
    run.sh 6 from None Status::ModeChanged 100644..100755 binary=false +0 -0 57 bytes: "diff --git" .. "55\n"
    new.txt 7 from None Status::Added 0..100644 binary=false +1 -0 131 bytes: "diff --git" .. "le\n"
      -0,0 +1,1 32 bytes: "+n\t\n\\ No newline at end of file\n"
    old.txt 7 from None Status::Deleted 100644..0 binary=false +0 -1 106 bytes: "diff --git" .. "-o\n"
      -1,1 +0,0 3 bytes: "-o\n"
    pixel.png 9 from None Status::Modified 100644..100644 binary=true +0 -0 98 bytes: "diff --git" .. "Z\n\n"
    naïve� 7 from None Status::Modified 120000..120000 binary=false +1 -1 187 bytes: "diff --git" .. "le\n"
      -1,1 +1,1 62 bytes: "-x\n\\ No newline at end of file\n+y\n\\ No newline at end of file\n"
    "#);
}

#[tokio::test]
async fn a_diff_with_more_files_than_handles_cannot_be_hoarded() {
    let one = "diff --git x x\nold mode 100644\nnew mode 100755\n";
    let diff: Arc<[u8]> = one.repeat(1100).as_bytes().into();
    let failure = doing("hoard").await.check_diff(&diff).await.unwrap_err();
    insta::assert_snapshot!(failure.ending, @"it holds more handles than it may, more than its 1000");
    let read_on = doing("see").await.check_diff(&diff).await;
    assert!(matches!(read_on, Ok(Verdict::Refuse(_))), "{read_on:?}");
}

#[tokio::test]
async fn what_is_no_diff_reaches_no_plugin() {
    let failure = doing("keep").await.check_diff(&(*b"hello").into()).await;
    insta::assert_snapshot!(failure.unwrap_err(), @r#"the plugin tester failed in policy.check-diff: the diff cannot be read: not a git diff: no line begins with "diff --git ""#);
    let large: Arc<[u8]> = vec![b' '; 64 * 1024 * 1024 + 1].into();
    let failure = doing("keep").await.check_diff(&large).await;
    insta::assert_snapshot!(failure.unwrap_err(), @"the plugin tester failed in policy.check-diff: the diff has 67108865 bytes, and plugins are given 67108864 at most");
}
