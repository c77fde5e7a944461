//! The script's environment is what a plain `docker run -e` would have made it.

use std::collections::BTreeMap;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{AttachContainerOptions, RemoveContainerOptions};
use capstan_engine::sandbox::{Inputs, User};
use futures_util::StreamExt;

use crate::engine::{Engine, pairs};
use crate::images::{BASH, BASH_ONLY, BUSYBOX, CONFIGURED, NO_ENV};

/// Prints the environment without what must differ: the host name, and the path of the last command.
const SHOW: &str = r#"env | grep -v -e '^HOSTNAME=' -e '^container=' -e '^_=' | sort"#;

/// Runs the script as `docker run -w /work -e ... --entrypoint <shell> <image> <script>` does.
async fn plain(
    engine: &Engine,
    image: &str,
    shell: &str,
    env: &BTreeMap<String, String>,
) -> String {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    fs_err::write(&script, SHOW).unwrap();
    let mount = |source: &std::path::Path, target: &str| Mount {
        typ: Some(MountType::BIND),
        source: Some(source.display().to_string()),
        target: Some(target.to_owned()),
        ..Mount::default()
    };
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![shell.to_owned()]),
        cmd: Some(vec!["/script".to_owned()]),
        user: Some("0:0".to_owned()),
        working_dir: Some("/work".to_owned()),
        env: Some(
            env.iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        attach_stdout: Some(true),
        host_config: Some(HostConfig {
            mounts: Some(vec![
                mount(&script, "/script"),
                mount(engine.workspace.path(), "/work"),
            ]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let id = engine.api.create_container(None, body).await.unwrap().id;
    let options = AttachContainerOptions {
        stream: true,
        stdout: true,
        stderr: true,
        ..AttachContainerOptions::default()
    };
    let mut attached = engine
        .api
        .attach_container(&id, Some(options))
        .await
        .unwrap();
    engine.api.start_container(&id, None).await.unwrap();
    let mut text = String::new();
    while let Some(Ok(log)) = attached.output.next().await {
        if let LogOutput::StdOut { message } = log {
            text.push_str(&String::from_utf8_lossy(&message));
        }
    }
    let options = RemoveContainerOptions {
        force: true,
        ..RemoveContainerOptions::default()
    };
    engine
        .api
        .remove_container(&id, Some(options))
        .await
        .unwrap();
    text
}

#[tokio::test]
async fn the_environment_is_that_of_docker_run() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let plain_values = [
        ("EMPTY", ""),
        ("QUOTED", "it's \"q\" `x` $HOME \\n \\"),
        ("LINES", "a\nb\n"),
        ("UMLAUT", "ä\u{1f600}\t"),
        ("HOME", "/elsewhere"),
        ("_UNDER", "x"),
    ];
    let odd_values = [
        ("dotted.name", "1"),
        ("with-dash", "it's"),
        ("SHLVL", "41"),
        ("PWD", "/wrong"),
        ("OLDPWD", "/old"),
        ("IFS", ","),
        ("OPTIND", "nonsense"),
        ("TMOUT", "1"),
        ("BASH_ENV", "/nonexistent"),
        ("ENV", "/nonexistent"),
        ("UID", "77"),
        ("RANDOM", "5"),
        ("LC_ALL", "xx_XX"),
        ("PS4", "+"),
    ];
    let sets = [&[][..], &plain_values[..], &odd_values[..]];
    for (image, shell) in [
        (BUSYBOX, "/bin/sh"),
        (BASH, "/bin/bash"),
        (BASH_ONLY, "/bin/bash"),
        (CONFIGURED, "/bin/sh"),
    ] {
        for set in sets {
            let env = pairs(set);
            let expected = plain(&engine, image, shell, &env).await;
            assert!(expected.contains("PATH="), "{expected}");
            for late in [false, true] {
                let mut step = engine.step(image).await;
                step.user = User::Root;
                let mut inputs = Inputs {
                    script: SHOW.to_owned(),
                    ..Inputs::default()
                };
                *(if late { &mut inputs.env } else { &mut step.env }) = env.clone();
                let outcome = engine.run(step, inputs).await.unwrap();
                assert_eq!(outcome.stdout, expected, "{image}, {set:?}, late: {late}");
            }
        }
    }
    engine.close().await;
}

#[tokio::test]
async fn late_variables_win() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let mut step = engine.step(BUSYBOX).await;
    step.env = pairs(&[("A", "early"), ("B", "early")]);
    let inputs = Inputs {
        script: "echo $A $B".to_owned(),
        env: pairs(&[("B", "late")]),
        ..Inputs::default()
    };
    let outcome = engine.run(step, inputs).await.unwrap();
    assert_eq!(outcome.stdout, "early late\n");
    engine.close().await;
}

#[tokio::test]
async fn variables_are_not_in_the_engines_metadata() {
    use capstan_engine::sandbox::{Gated, Sandbox};
    let Some(engine) = Engine::start().await else {
        return;
    };
    let mut step = engine.step(BUSYBOX).await;
    step.env = pairs(&[("TOKEN", "do-not-show")]);
    let container = engine.sandbox.prepare(step).await.unwrap();
    let id = engine.containers().await.remove(0);
    let details = engine.api.inspect_container(&id, None).await.unwrap();
    assert!(!format!("{details:?}").contains("do-not-show"));
    container.discard().await;
    engine.close().await;
}

#[tokio::test]
async fn odd_names_need_the_env_utility_and_say_so() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let mut step = engine.step(NO_ENV).await;
    step.env = pairs(&[("A", "1")]);
    let show = Inputs {
        script: "echo $A".to_owned(),
        ..Inputs::default()
    };
    let outcome = engine.run(step.clone(), show.clone()).await.unwrap();
    assert_eq!(outcome.stdout, "1\n");
    step.env = pairs(&[("dotted.name", "1")]);
    let fault = engine.run(step, show).await.unwrap_err();
    assert!(fault.message.contains("has no `env` utility"), "{fault}");
    engine.close().await;
}
