//! What a step sees and what comes back.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use capstan_engine::fault::FaultClass;
use capstan_engine::sandbox::{BindMount, Chunk, Gated, Inputs, Sandbox, User};

use crate::engine::{Engine, inputs, open, pairs};
use crate::images::{BASH, BASH_ONLY, BUSYBOX, CONFIGURED, FOREIGN_SHELL, NO_SHELL};

#[tokio::test]
async fn exit_codes_come_back() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    for (script, code) in [
        ("true", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("no-such-command", 127),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
    ] {
        let outcome = engine.script(BUSYBOX, script).await;
        assert_eq!(outcome.exit.code, code, "{script}");
        assert!(!outcome.exit.out_of_memory);
        assert_eq!(outcome.stdout, "");
        let silent = script != "no-such-command";
        assert_eq!(
            outcome.stderr.is_empty(),
            silent,
            "{script}: {}",
            outcome.stderr
        );
    }
    engine.close().await;
}

#[tokio::test]
async fn output_comes_back_byte_for_byte() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let script = "printf 'no newline'; printf 'err\\n\\n' >&2; printf '\\036\\n\\036'";
    let outcome = engine.script(BUSYBOX, script).await;
    assert_eq!(outcome.stdout, "no newline\u{1e}\n\u{1e}");
    assert_eq!(outcome.stderr, "err\n\n");

    // Looking at everything the container shows does not fake the end of the step.
    let script = "cat /.capstan/* /proc/*/cmdline 2>/dev/null | tr '\\0' ' '; echo; echo last";
    let outcome = engine.script(BUSYBOX, script).await;
    assert!(outcome.stdout.ends_with("\nlast\n"), "{}", outcome.stdout);

    // Standard input is empty, as without `-i`.
    let outcome = engine.script(BUSYBOX, "cat; echo done").await;
    assert_eq!(outcome.stdout, "done\n");
    engine.close().await;
}

#[tokio::test]
async fn much_output_comes_in_order_through_a_slow_receiver() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let mut container = engine
        .sandbox
        .prepare(engine.step(BUSYBOX).await)
        .await
        .unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Chunk>(1);
    let check = async {
        let (mut line, mut count, mut chunks) = (Vec::new(), 0u64, 0u64);
        while let Some(chunk) = receiver.recv().await {
            chunks += 1;
            if chunks.is_multiple_of(500) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            for byte in chunk.bytes {
                if byte == b'\n' {
                    count += 1;
                    assert_eq!(String::from_utf8_lossy(&line), format!("{count:0>99}"));
                    line.clear();
                } else {
                    line.push(byte);
                }
            }
        }
        count
    };
    // 200 MB: 2 million lines of 100 bytes.
    let script = r#"awk 'BEGIN { for (i = 1; i <= 2000000; i++) printf "%099d\n", i }'"#;
    let (exit, count) = tokio::join!(container.open(inputs(script), sender), check);
    assert_eq!(exit.unwrap().code, 0);
    assert_eq!(count, 2_000_000);
    container.discard().await;
    engine.close().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_does_not_stop_the_step() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let mut container = engine
        .sandbox
        .prepare(engine.step(BUSYBOX).await)
        .await
        .unwrap();
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    drop(receiver);
    let exit = container
        .open(inputs("yes | head -n 100000; touch end; exit 3"), sender)
        .await;
    assert_eq!(exit.unwrap().code, 3);
    assert!(engine.file("end").exists());
    container.discard().await;
    engine.close().await;
}

#[tokio::test]
async fn files_and_mounts_are_readable_by_any_user() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let shared = tempfile::tempdir().unwrap();
    fs_err::set_permissions(shared.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    fs_err::write(shared.path().join("m"), "mounted\n").unwrap();
    let mut preparation = engine.step(CONFIGURED).await;
    preparation.files = vec!["/tmp/a".to_owned(), "/etc/deep/b c".to_owned()];
    for (target, read_only) in [("/mnt/ro", true), ("/mnt/rw", false)] {
        preparation.mounts.push(BindMount {
            source: shared.path().to_owned(),
            target: target.to_owned(),
            read_only,
        });
    }
    let step = Inputs {
        script: "id -u; cat /tmp/a '/etc/deep/b c' /mnt/ro/m /mnt/rw/m; ls -l /tmp/a | cut -c1-10
            echo x >/tmp/a || echo read-only; echo x >/.capstan/script || echo read-only; rm /mnt/ro/m || echo read-only"
            .to_owned(),
        files: pairs(&[("/tmp/a", "first\n"), ("/etc/deep/b c", "second\n")]),
        ..Inputs::default()
    };
    let outcome = engine.run(preparation, step).await.unwrap();
    assert_eq!(
        outcome.stdout,
        "1000\nfirst\nsecond\nmounted\nmounted\n-rw-r--r--\nread-only\nread-only\nread-only\n"
    );
    engine.close().await;
}

#[tokio::test]
async fn files_below_the_workspace_do_not_touch_it_before_the_gate_opens() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let mut preparation = engine.step(BUSYBOX).await;
    preparation.files = vec!["/work/new/file".to_owned()];
    let mut container = engine.sandbox.prepare(preparation).await.unwrap();
    assert!(!engine.file("new").exists());
    let step = Inputs {
        script: "cat new/file".to_owned(),
        files: pairs(&[("/work/new/file", "content")]),
        ..Inputs::default()
    };
    let outcome = open(&mut container, step).await.unwrap();
    assert_eq!(outcome.stdout, "content");
    container.discard().await;
    engine.close().await;
}

#[tokio::test]
async fn the_directory_may_come_late_or_not_at_all() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let below = |directory: &str| {
        let directory = directory.to_owned();
        let engine = &engine;
        async move {
            let mut preparation = engine.step(BUSYBOX).await;
            preparation.directory = directory;
            engine.sandbox.prepare(preparation).await.unwrap()
        }
    };
    let mut late = below("made/later on").await;
    let mut missing = below("not/there").await;
    let mut file = below("file").await;
    fs_err::create_dir_all(engine.file("made/later on")).unwrap();
    fs_err::write(engine.file("file"), "").unwrap();
    let outcome = open(&mut late, inputs("pwd")).await.unwrap();
    assert_eq!(outcome.stdout, "/work/made/later on\n");
    let outcome = open(&mut missing, inputs("pwd; touch x")).await.unwrap();
    assert_eq!(outcome.stdout, "/work/not/there\n");
    assert!(engine.file("not/there/x").exists());
    let fault = open(&mut file, inputs("pwd")).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Workspace);
    assert!(
        fault.message.contains("entering /work/file failed"),
        "{fault}"
    );
    for container in [late, missing, file] {
        container.discard().await;
    }
    engine.close().await;
}

#[tokio::test]
async fn bash_runs_the_script_where_it_exists() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let script = "echo \"$0 ${BASH_VERSION:+bash}\"; readlink /proc/$$/exe";
    let outcome = engine.script(BASH, script).await;
    assert_eq!(outcome.stdout, "/.capstan/script bash\n/bin/bash\n");
    let outcome = engine.script(BASH_ONLY, script).await;
    assert_eq!(outcome.stdout, "/.capstan/script bash\n/bin/bash\n");
    let outcome = engine.script(BUSYBOX, script).await;
    assert_eq!(outcome.stdout, "/.capstan/script \n/bin/busybox\n");
    engine.close().await;
}

#[tokio::test]
async fn an_image_without_a_shell_is_told() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let step = engine.step(NO_SHELL).await;
    let fault = engine.run(step, inputs("true")).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Workspace);
    let start = "probing image \"capstan-test/no-shell:4\" for shell: 2 errors occurred:\n\t* probing shell \"/bin/sh\":\n";
    assert!(fault.message.starts_with(start), "{fault}");
    assert!(fault.hint.unwrap().contains("/bin/sh or /bin/bash"));
    engine.close().await;
}

#[tokio::test]
async fn programs_for_another_processor_are_told() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let step = engine.step(FOREIGN_SHELL).await;
    let fault = engine.run(step, inputs("true")).await.unwrap_err();
    assert!(fault.message.contains("for another platform"), "{fault}");
    engine.close().await;
}

#[tokio::test]
async fn the_user_is_the_images_or_root() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let mut step = engine.step(CONFIGURED).await;
    assert_eq!(step.image.user, "1000");
    let outcome = engine
        .run(step.clone(), inputs("id -u; pwd; touch mine"))
        .await
        .unwrap();
    assert_eq!(outcome.stdout, "1000\n/work\n");
    step.user = User::Root;
    let outcome = engine
        .run(step, inputs("id -u; id -g; touch roots"))
        .await
        .unwrap();
    assert_eq!(outcome.stdout, "0\n0\n");
    assert!(!engine.file("health").exists(), "health checks do not run");
    engine.close().await;
}

#[tokio::test]
async fn files_of_other_users_are_reclaimed() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let mut step = engine.step(BUSYBOX).await;
    step.user = User::Root;
    let script = "mkdir -p d/.e './-x'; touch d/.e/f .h ..hh './-x/y z'; ln -s /etc/passwd l; ln -s nowhere d/b; chmod 700 d";
    engine.run(step, inputs(script)).await.unwrap();
    let image = engine.image(BUSYBOX).await;
    let directory = engine.workspace.path();
    engine
        .sandbox
        .chown(&image, directory, 1234, 4321)
        .await
        .unwrap();
    for name in ["d", "d/.e/f", "-x/y z", ".h", "l", "d/b"] {
        let metadata = fs_err::symlink_metadata(engine.file(name)).unwrap();
        if !engine.info.rootless {
            assert_eq!((metadata.uid(), metadata.gid()), (1234, 4321), "{name}");
        }
    }

    let none = engine.image(NO_SHELL).await;
    let fault = engine
        .sandbox
        .chown(&none, directory, 1, 1)
        .await
        .unwrap_err();
    assert!(fault.message.contains("for shell"), "{fault}");
    engine.close().await;
}
