use std::sync::Arc;
use std::time::Duration;

use capstan_core::plugin::{Hook, Limits};
use rstest::rstest;

use super::*;
use crate::fixture::{self, Heard};

fn limits() -> CallLimits {
    CallLimits {
        memory: 1024 * 1024,
        cpu: Some(Duration::from_millis(50)),
        ..CallLimits::of(Hook::Policy, &Limits::default())
    }
}

async fn run(core: &str, limits: CallLimits) -> Result<(), Failure> {
    let component = fixture::component(core);
    let heard = Arc::new(Heard::default());
    // Spawned, as every call is: the future must be free to move between threads.
    let result = tokio::spawn(async move {
        call(
            &component,
            fixture::caller(&heard),
            &Surroundings::default(),
            limits,
            "policy.check-step",
            async |store, instance| {
                let run = instance.get_typed_func::<(), ()>(&mut *store, "run")?;
                run.call_async(&mut *store, ()).await?;
                Ok(Ok(()))
            },
        )
        .await
    });
    result.await.unwrap()
}

#[rstest]
#[case::answer("(func (export \"run\"))", None)]
#[case::trap(
    "(func $deep (export \"run\") unreachable)",
    Some("it crashed: it panicked, or aborted, in deep")
)]
#[case::endless(
    "(func (export \"run\") (loop (br 0)))",
    Some("it computed for more than 50ms: raise its limit `cpu`, or give it less to do")
)]
#[case::memory(
    "(memory 1) (func (export \"run\") (if (i32.eq (memory.grow (i32.const 32)) (i32.const -1)) (then unreachable)))",
    Some(
        "it needs 2162688 bytes of memory and may have 1048576: raise its limit `memory`, or give it less to do"
    )
)]
#[case::large_from_the_start(
    "(memory 17) (func (export \"run\"))",
    Some(
        "it needs 1114112 bytes of memory and may have 1048576: raise its limit `memory`, or give it less to do"
    )
)]
#[tokio::test]
async fn every_way_to_end_has_a_name(#[case] core: &str, #[case] expected: Option<&str>) {
    let failure = run(core, limits()).await.err();
    assert_eq!(
        failure.as_ref().map(|failure| failure.ending.to_string()),
        expected.map(str::to_owned)
    );
    if let Some(failure) = failure {
        assert_eq!(failure.plugin, "tester");
        assert_eq!(failure.call, "policy.check-step");
        assert!(failure.digest.starts_with("sha256:"), "{}", failure.digest);
    }
}

#[tokio::test]
async fn what_waits_runs_out_of_time() {
    let limits = CallLimits {
        cpu: None,
        wall: Some(Duration::from_millis(30)),
        ..limits()
    };
    let failure = run("(func (export \"run\") (loop (br 0)))", limits)
        .await
        .unwrap_err();
    assert_eq!(
        failure.ending,
        Ending::OutOfTime {
            limit: Duration::from_millis(30)
        }
    );
}
