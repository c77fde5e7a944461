//! How containers end: by themselves, by force, and when nobody is left to open them.

use std::time::Duration;

use capstan_engine::docker::{DockerSandbox, Owner};
use capstan_engine::sandbox::{Gated, Limits, Sandbox};
use tokio::sync::mpsc;

use crate::engine::{Engine, inputs, open};
use crate::images::BUSYBOX;

#[tokio::test]
async fn nothing_outlives_the_step() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let script =
        "(while :; do date +%N >>ticks; sleep 0.01; done) & (setsid sleep 1000 >/dev/null 2>&1 &)
        while [ ! -s ticks ]; do :; done; echo out; exit 4";
    let outcome = engine.script(BUSYBOX, script).await;
    let after = fs_err::metadata(engine.file("ticks")).unwrap().len();
    assert_eq!((outcome.exit.code, outcome.stdout.as_str()), (4, "out\n"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fs_err::metadata(engine.file("ticks")).unwrap().len(), after);
    engine.close().await;
}

#[tokio::test]
async fn a_step_that_kills_everything_ends() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let outcome = engine
        .script(BUSYBOX, "echo before; kill -9 -1; exit 1")
        .await;
    assert_ne!(outcome.exit.code, 0);
    assert_eq!(outcome.stdout, "before\n");
    let outcome = engine
        .script(BUSYBOX, "printf partial; kill -9 $PPID; sleep 2; exit 137")
        .await;
    assert_eq!(
        (outcome.exit.code, outcome.stdout.as_str()),
        (137, "partial")
    );
    engine.close().await;
}

#[tokio::test]
async fn running_out_of_memory_is_reported() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    if !engine.info.memory_limit || engine.info.podman {
        eprintln!("skipped: this engine cannot limit memory, or does not tell");
        return;
    }
    let mut step = engine.step(BUSYBOX).await;
    step.limits = Limits {
        memory: Some(32 << 20),
        ..Limits::default()
    };
    let script = "awk 'BEGIN { s = \"0123456789abcdef\"; while (1) s = s s }'";
    let outcome = engine.run(step.clone(), inputs(script)).await.unwrap();
    assert_ne!(outcome.exit.code, 0);
    assert!(outcome.exit.out_of_memory, "{outcome:?}");
    let outcome = engine.run(step, inputs("exit 1")).await.unwrap();
    assert!(!outcome.exit.out_of_memory);
    engine.close().await;
}

#[tokio::test]
async fn processes_and_processors_are_limited() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    if !engine.info.pids_limit {
        eprintln!("skipped: this engine cannot limit processes");
        return;
    }
    let mut step = engine.step(BUSYBOX).await;
    step.limits = Limits {
        pids: Some(20),
        cpus: Some(1.5),
        memory: None,
    };
    let script = "i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done; echo all";
    let outcome = engine.run(step, inputs(script)).await.unwrap();
    assert!(
        !outcome.stdout.contains("all") && outcome.exit.code != 0,
        "{outcome:?}"
    );
    engine.close().await;
}

#[tokio::test]
async fn containers_are_discarded_in_every_state() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let unopened = engine
        .sandbox
        .prepare(engine.step(BUSYBOX).await)
        .await
        .unwrap();
    unopened.discard().await;

    let mut running = engine
        .sandbox
        .prepare(engine.step(BUSYBOX).await)
        .await
        .unwrap();
    let (sender, mut receiver) = mpsc::channel(4);
    let script = inputs("echo started; while :; do echo x >>ticks; sleep 0.01; done");
    tokio::select! {
        exit = running.open(script, sender) => panic!("ended: {exit:?}"),
        chunk = receiver.recv() => assert_eq!(chunk.unwrap().bytes, b"started\n"),
    }
    running.discard().await;
    let length = || fs_err::metadata(engine.file("ticks")).map_or(0, |file| file.len());
    let after = length();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(length(), after, "nothing runs once discard has returned");

    let mut finished = engine
        .sandbox
        .prepare(engine.step(BUSYBOX).await)
        .await
        .unwrap();
    open(&mut finished, inputs("true")).await.unwrap();
    let fault = open(&mut finished, inputs("true")).await.unwrap_err();
    assert!(fault.message.contains("opened before"), "{fault}");
    finished.discard().await;

    drop(
        engine
            .sandbox
            .prepare(engine.step(BUSYBOX).await)
            .await
            .unwrap(),
    );

    let step = engine.step(BUSYBOX).await;
    let prepare = engine.sandbox.prepare(step);
    let given_up = tokio::time::timeout(Duration::from_millis(20), prepare).await;
    drop(given_up);
    engine.close().await;
}

/// What the next test runs in a process of its own, and kills.
#[tokio::test]
#[ignore = "waits to be killed by another test"]
async fn prepares_and_waits() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let _container = engine
        .sandbox
        .prepare(engine.step(BUSYBOX).await)
        .await
        .unwrap();
    fs_err::write(std::env::var("CAPSTAN_TEST_PREPARED").unwrap(), &engine.run).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn a_killed_process_leaves_what_the_next_one_sweeps() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let prepared = scratch.path().join("prepared");
    let mut process = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "ending::prepares_and_waits"])
        .env("CAPSTAN_TEST_PREPARED", &prepared)
        .env("TMPDIR", scratch.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !prepared.exists() {
        assert!(process.try_wait().unwrap().is_none());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let run = fs_err::read_to_string(&prepared).unwrap();
    let owner = Owner {
        run: "another".to_owned(),
        state: format!("state-{run}"),
    };
    let next = DockerSandbox::new(
        engine.docker.clone(),
        engine.info.clone(),
        owner,
        scratch.path().to_owned(),
    );

    // Its gate sees the end of input, so it stops by itself.
    let id = engine.containers_of(&run).await.remove(0);
    let mut running = true;
    for _ in 0..200 {
        // Podman tells of a state that Docker does not have, until it has noticed the end.
        if let Ok(details) = engine.api.inspect_container(&id, None).await {
            running = details.state.unwrap().running.unwrap();
        }
        if !running {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!running);

    assert_eq!(next.sweep(|_| false).await.unwrap(), 0);
    assert_eq!(next.sweep(|dead| dead == run).await.unwrap(), 1);
    assert!(engine.containers_of(&run).await.is_empty());
    engine.close().await;
}

#[tokio::test]
async fn all_of_a_run_is_removed() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let one = engine
        .sandbox
        .prepare(engine.step(BUSYBOX).await)
        .await
        .unwrap();
    let two = engine
        .sandbox
        .prepare(engine.step(BUSYBOX).await)
        .await
        .unwrap();
    assert_eq!(engine.sandbox.remove_all(&engine.run).await.unwrap(), 2);
    assert_eq!(engine.sandbox.remove_all(&engine.run).await.unwrap(), 0);
    one.discard().await;
    two.discard().await;
    engine.close().await;
}

#[tokio::test]
async fn a_container_removed_by_someone_else_is_told() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let mut container = engine
        .sandbox
        .prepare(engine.step(BUSYBOX).await)
        .await
        .unwrap();
    let (sender, _receiver) = mpsc::channel(4);
    let remove = async {
        while !engine.file("started").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        engine.sandbox.remove_all(&engine.run).await.unwrap();
    };
    let script = inputs("touch started; sleep 1000");
    let (exit, ()) = tokio::join!(container.open(script, sender), remove);
    // The engine may still know the container when it is asked for its end.
    match exit {
        Ok(exit) => assert_eq!(exit.code, 137),
        Err(fault) => assert!(
            fault.message.contains("running acme/repo step 1"),
            "{fault}"
        ),
    }
    container.discard().await;
    engine.close().await;
}
