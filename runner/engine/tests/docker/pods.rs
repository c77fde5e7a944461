//! Steps in the containers of a pod.

use std::time::Duration;

use bollard::query_parameters::KillContainerOptions;
use capstan_engine::run::Outcome as RunOutcome;
use capstan_engine::sandbox::{
    Chunk, Engine as _, Exit, Gated as _, Inputs, Preparation, Sandbox as _,
};
use tokio::sync::mpsc;

use crate::engine::{inputs, pairs};
use crate::images::{BASH, BUSYBOX, CONFIGURED};
use crate::pod::{Part, Pod};

#[tokio::test(flavor = "multi_thread")]
async fn a_step_runs_as_it_would_elsewhere() {
    const SCRIPT: &str = "echo out; echo err >&2; cat /etc/f; echo \"$odd\"; pwd; env | sort | grep -v HOSTNAME; echo x >> file; exit 3";
    let part = Part {
        files: &["/etc/f"],
        ..Part::of(BASH)
    };
    let Some(pod) = Pod::start(&[part]).await else {
        return;
    };
    let given = Inputs {
        script: SCRIPT.to_owned(),
        env: pairs(&[("odd", "it's \"odd\"\n"), ("dotted.name", "1")]),
        files: pairs(&[("/etc/f", "content\n")]),
    };
    let elsewhere = Preparation {
        files: vec!["/etc/f".to_owned()],
        ..pod.docker.step(BASH).await
    };
    let elsewhere = pod.docker.run(elsewhere, given.clone()).await.unwrap();
    let outcome = pod.run(part, given).await;
    assert_eq!(outcome.stdout, elsewhere.stdout);
    assert!(outcome.stdout.contains("it's \"odd\"\n"));
    assert!(outcome.stdout.contains("\ndotted.name=1\n"));
    assert_eq!(outcome.stderr, "err\n");
    let expected = Exit {
        code: 3,
        out_of_memory: false,
    };
    assert_eq!(outcome.exit, expected);
    let file = pod.docker.workspace.path().join("file");
    assert_eq!(fs_err::read_to_string(file).unwrap(), "x\nx\n");
    // Who looks at the pod sees how it ended, too.
    assert_eq!(pod.exit_code(0).await, 3);
    pod.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_image_with_a_shell_will_do() {
    let images = [BUSYBOX, BASH, CONFIGURED];
    let Some(pod) = Pod::start(&images.map(Part::of)).await else {
        return;
    };
    for image in images {
        let elsewhere = pod
            .docker
            .script(image, "echo $0; id -u; pwd; kill -9 $$")
            .await;
        let outcome = pod.script(image, "echo $0; id -u; pwd; kill -9 $$").await;
        assert_eq!(outcome.stdout, elsewhere.stdout, "{image}");
        assert_eq!(outcome.exit, elsewhere.exit, "{image}");
    }
    pod.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_comes_while_the_step_runs() {
    let Some(pod) = Pod::start(&[Part::of(BUSYBOX)]).await else {
        return;
    };
    let step = pod.step(Part::of(BUSYBOX)).await;
    let mut container = pod.engine.prepare(step).await.unwrap();
    let (sender, mut receiver) = mpsc::channel::<Chunk>(1);
    let go_on = pod.docker.workspace.path().join("go-on");
    let script = "echo first; while [ ! -e go-on ]; do sleep 0.01; done; echo second";
    let follow = async {
        let first = receiver.recv().await.unwrap();
        assert_eq!(first.bytes, b"first\n");
        fs_err::write(go_on, "").unwrap();
        receiver.recv().await.unwrap().bytes
    };
    let (exit, second) = tokio::join!(container.open(inputs(script), sender), follow);
    assert_eq!((exit.unwrap().code, &*second), (0, &b"second\n"[..]));
    pod.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_step_lives_on() {
    const SCRIPT: &str =
        "(trap '' TERM HUP; while :; do echo x >> /work/grows; done) >/dev/null 2>&1 & sleep 0.1";
    let users = [None, Some("1234:1234")];
    let parts = users.map(|user| Part {
        user,
        ..Part::of(BUSYBOX)
    });
    let Some(pod) = Pod::start(&parts).await else {
        return;
    };
    let grows = pod.docker.workspace.path().join("grows");
    for part in parts {
        let outcome = pod.run(part, inputs(SCRIPT)).await;
        assert_eq!(outcome.exit.code, 0);
        let size = || fs_err::metadata(&grows).unwrap().len();
        let before = size();
        assert_ne!(before, 0);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(size(), before);
        fs_err::remove_file(&grows).unwrap();
    }
    pod.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_wants_too_much_memory_is_told_from_one_that_is_killed() {
    const HUNGRY: &str = "x=0123456789abcdef; while :; do x=$x$x; done";
    let part = Part {
        memory: Some(16 << 20),
        ..Part::of(BUSYBOX)
    };
    let Some(pod) = Pod::start(&[part, part]).await else {
        return;
    };
    for (script, out_of_memory) in [(HUNGRY, true), ("kill -9 $$", false)] {
        let outcome = pod.run(part, inputs(script)).await;
        let expected = Exit {
            code: 137,
            out_of_memory,
        };
        assert_eq!(outcome.exit, expected, "{script}");
    }
    pod.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_stopped_when_nobody_waits_for_it() {
    let Some(pod) = Pod::start(&[Part::of(BASH), Part::of(BUSYBOX)]).await else {
        return;
    };
    let step = pod.step(Part::of(BUSYBOX)).await;
    let mut container = pod.engine.prepare(step).await.unwrap();
    let (sender, mut receiver) = mpsc::channel::<Chunk>(1);
    let begun = async { receiver.recv().await.unwrap() };
    tokio::select! {
        exit = container.open(inputs("echo begun; sleep 600"), sender) => panic!("{exit:?}"),
        _ = begun => {}
    }
    container.discard().await;
    assert_eq!(pod.exit_code(1).await, 137);
    pod.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_not_needed_ends() {
    let Some(pod) = Pod::start(&[Part::of(BUSYBOX)]).await else {
        return;
    };
    let step = pod.step(Part::of(BUSYBOX)).await;
    let container = pod.engine.prepare(step.clone()).await.unwrap();
    container.discard().await;
    assert_eq!(pod.exit_code(0).await, 0);
    let fault = pod.engine.prepare(step).await.map(drop).unwrap_err();
    assert!(
        fault.message.contains("has no container of image"),
        "{fault}"
    );
    pod.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_killed_is_told() {
    let Some(pod) = Pod::start(&[Part::of(BUSYBOX)]).await else {
        return;
    };
    let step = pod.step(Part::of(BUSYBOX)).await;
    let mut container = pod.engine.prepare(step).await.unwrap();
    let (sender, mut receiver) = mpsc::channel::<Chunk>(1);
    let kill = async {
        receiver.recv().await.unwrap();
        let id = &pod.containers[0];
        let kill = pod
            .docker
            .api
            .kill_container(id, None::<KillContainerOptions>);
        kill.await.unwrap();
    };
    let (exit, ()) = tokio::join!(
        container.open(inputs("echo begun; sleep 600"), sender),
        kill
    );
    let fault = exit.unwrap_err();
    assert!(fault.message.contains("ended without a word"), "{fault}");
    pod.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_no_container_has_is_refused() {
    let Some(pod) = Pod::start(&[Part::of(BUSYBOX)]).await else {
        return;
    };
    let fault = pod.engine.image("other:1", None).await.unwrap_err();
    assert!(fault.message.contains("other:1"), "{fault}");
    pod.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_different_users_share_a_workspace() {
    let other = Part {
        user: Some("1234:1234"),
        ..Part::of(BASH)
    };
    let Some(pod) = Pod::start(&[Part::of(BUSYBOX), other, Part::of(BUSYBOX)]).await else {
        return;
    };
    let steps = format!(
        "  - run: umask 077; mkdir -p new; echo one > new/file; echo ${{{{ repository.name }}}} > name
    container: {BUSYBOX}
  - run: id -u >> new/file; echo two >> README
    container: {BASH}
  - run: echo three >> new/file; cat README
    container: {BUSYBOX}
    outputs: {{said: {{value: '${{{{ step.stdout }}}}'}}}}
"
    );
    let outcome = pod.run_steps(&steps).await;
    let RunOutcome::Done {
        result: Some(result),
        ..
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    insta::assert_snapshot!(String::from_utf8_lossy(&result.diff), @"
    diff --git README README
    index ce01362..44c4fc3 100644
    --- README
    +++ README
    @@ -1 +1,2 @@
     hello
    +two
    diff --git name name
    new file mode 100644
    index 0000000..4fc05ac
    --- /dev/null
    +++ name
    @@ -0,0 +1 @@
    +widgets
    diff --git new/file new/file
    new file mode 100644
    index 0000000..2d03f63
    --- /dev/null
    +++ new/file
    @@ -0,0 +1,3 @@
    +one
    +1234
    +three
    ");
    let said = capstan_core::value::Value::String("hello\ntwo\n".to_owned());
    assert_eq!(result.outputs["said"], said);
    pod.close().await;
}
