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
    insta::assert_snapshot!(refusal.reason, @"");
}

#[tokio::test]
async fn a_policy_sees_all_of_a_step_but_its_secrets() {
    let refusal = refused(doing("see").await.check_step(&step()).await.unwrap());
    insta::assert_snapshot!(refusal.reason, @"");
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
    insta::assert_snapshot!(failure, @"");
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
    insta::assert_snapshot!(refusal.reason, @"");
}

#[tokio::test]
async fn a_diff_with_more_files_than_handles_cannot_be_hoarded() {
    let one = "diff --git x x\nold mode 100644\nnew mode 100755\n";
    let diff: Arc<[u8]> = one.repeat(1100).as_bytes().into();
    let failure = doing("hoard").await.check_diff(&diff).await.unwrap_err();
    insta::assert_snapshot!(failure.ending, @"");
    let read_on = doing("see").await.check_diff(&diff).await;
    assert!(matches!(read_on, Ok(Verdict::Refuse(_))), "{read_on:?}");
}

#[tokio::test]
async fn what_is_no_diff_reaches_no_plugin() {
    let failure = doing("keep").await.check_diff(&(*b"hello").into()).await;
    insta::assert_snapshot!(failure.unwrap_err(), @"");
    let large: Arc<[u8]> = vec![b' '; 64 * 1024 * 1024 + 1].into();
    let failure = doing("keep").await.check_diff(&large).await;
    insta::assert_snapshot!(failure.unwrap_err(), @"");
}
