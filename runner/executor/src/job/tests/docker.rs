//! A few jobs on a real container engine, with the images of `tests/scripts/images`.

use capstan_engine::docker::{Docker, Environment, Owner};
use capstan_engine::fault::Fault;
use capstan_engine::state::State;
use capstan_plugin_store::{Fetcher, Lock, Resolver, Store};
use serde_json::json;

use super::super::engines::{Components, Containers, DockerAndComponents};
use super::*;

/// With the engine of this machine, or `None` with a printed reason where there is none.
async fn docker() -> Option<Bench<DockerAndComponents>> {
    let environment = Environment::read(|name| std::env::var(name).ok());
    if let Err(fault) = Docker::connect(&environment).await {
        eprintln!("skipped: {fault}");
        return None;
    }
    let bench = Bench::new().await;
    let directory = bench.directory.path().to_path_buf();
    let scratch = directory.join("containers");
    fs_err::create_dir(&scratch).unwrap();
    let run = format!(
        "executor-test-{}",
        directory.file_name().unwrap().to_str().unwrap()
    );
    let owner = Owner {
        state: format!("state-{run}"),
        run,
    };
    let state = State::open(&directory.join("state")).unwrap();
    let containers = Containers::new(environment.clone(), owner, scratch, state);
    let resolver = Resolver {
        store: Store::new(&directory.join("components")),
        lock: Lock::default(),
        lock_path: directory.join("capstan.lock"),
        pull: String::new(),
        fetcher: Fetcher::new(environment.credentials(), |_: &_, _| {}),
    };
    let no_host = Arc::new(|| Err(Fault::workspace("there are no components here")));
    let components = Components::new(no_host, resolver);
    Some(bench.with(DockerAndComponents::new(containers, components)))
}

#[tokio::test]
async fn a_native_job_runs_in_containers() {
    let Some(bench) = docker().await else { return };
    let first = json!({
        "run": "pwd; cat /tmp/tool; echo $TOKEN; echo err >&2; git --version || echo no git; echo a > a", "container": "alpine:3",
        "env": ["TOKEN"], "mount": [{"mountpoint": "/tmp/tool", "path": "tool.sh"}],
    });
    let steps = json!([first, step("cat a README"), step("exit 4")]);
    let mut job = native(bench.job(), &steps, &["TOKEN=s3cret-value"], &[]);
    job.files
        .insert("workspace-files/tool.sh".to_owned(), inline("a tool\n"));
    job.redacted_values = map(&[("s3cret-value", "${{ secrets.TOKEN }}")]);
    let ended = bench.run(&job).await;
    let out = ended.out("step.docker.step.0.run");
    let stdout: Vec<_> = out
        .lines()
        .filter_map(|line| line.strip_prefix("stdout: "))
        .collect();
    assert_eq!(
        stdout[..3],
        ["/data/repository", "a tool", "${{ secrets.TOKEN }}"],
        "{:?}",
        ended.entries
    );
    assert!(out.contains("stderr: err\n"));
    assert_eq!(
        ended.out("step.docker.step.1.run"),
        "stdout: a\nstdout: hi\n"
    );
    let message = "running command \"step.docker.step.2.run\": command failed with exit code 4";
    assert_eq!(ended.ending, Ending::Errored(message.to_owned()));
    assert_eq!(
        oracle::complete(&ended.entries)
            .unwrap()
            .changed_files
            .added,
        ["a"]
    );
}

#[tokio::test]
async fn a_plain_job_runs_in_containers() {
    let Some(mut bench) = docker().await else {
        return;
    };
    bench.context.settings.memory = Some(256 << 20);
    bench.context.settings.host_gateway = true;
    let mut job = bench.job();
    let image = |image: &str, commands: &[&str]| DockerStep {
        key: format!("pre-index.{image}").replace(['/', ':'], "-"),
        image: image.to_owned(),
        commands: commands.iter().map(|line| (*line).to_owned()).collect(),
        dir: "sub".to_owned(),
        env: vec!["VM_CPUS=4".to_owned()],
    };
    job.docker_steps = vec![
        image(
            "alpine:3",
            &[
                "false",
                "pwd",
                "echo $VM_CPUS > ../made",
                "grep -c host.docker.internal /etc/hosts",
            ],
        ),
        image("alpine/git", &["cat ../made", "git log --format=%s"]),
    ];
    let ended = bench.run(&job).await;
    assert_eq!(ended.ending, Ending::Complete, "{:?}", ended.entries);
    let out = ended.out("step.docker.pre-index.alpine-3");
    assert!(
        out.contains("stdout: /data/sub\n")
            && out.contains("stdout: 1\n")
            && out.contains("stderr: + false\n"),
        "{out}"
    );
    let out = ended.out("step.docker.pre-index.alpine-git");
    assert!(
        out.contains("stdout: 4\n") && out.contains("stdout: first\n"),
        "{out}"
    );
}

#[tokio::test]
async fn a_cancelled_job_leaves_nothing_behind() {
    let Some(bench) = docker().await else { return };
    let job = native(
        bench.job(),
        &json!([step("echo begun; sleep 600")]),
        &[],
        &[],
    );
    let cancel = async {
        let has_begun = || {
            let entries = bench.log.0.lock().unwrap();
            entries
                .iter()
                .any(|entry| entry.out.contains("stdout: begun"))
        };
        while !has_begun() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        bench.cancel.cancel();
    };
    let (ended, ()) = tokio::join!(bench.run(&job), cancel);
    assert_eq!(
        ended.ending,
        Ending::Failed("the job was cancelled".to_owned())
    );
    assert_eq!(ended.entry("step.docker.step.0.run").exit_code, Some(-1));
}
