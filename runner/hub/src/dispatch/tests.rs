//! From a spec to what an executor gets, and back.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::{Client, ClientError};
use crate::fixture::{World, result_line};
use crate::people::wire::{Retry, Submission};

const SPEC: &str = "\
name: hello
description: d
workspaces: [{rootAtLocationOf: go.mod, onlyFetchWorkspace: true}]
steps:
  - run: make ${{ repository.name }}
    container: alpine:3
    env: [TOKEN, {A: b}]
    mount: [{path: ./tools, mountpoint: /tools}]
  - run: skipped
    container: alpine:3
    if: ${{ eq repository.name \"no\" }}
  - run: echo done
    container: golang:1
changesetTemplate:
  title: Hello in ${{ steps.path }}
  body: ${{ join steps.modified_files \" \" }}
  branch: hello-${{ replace steps.path \"/\" \"-\" }}
  commit: {message: Say hello}
";

fn diff(line: &str) -> String {
    format!(
        "diff --git a/b/x a/b/x\nindex 1..2 100644\n--- a/b/x\n+++ a/b/x\n@@ -1 +1 @@\n-x\n+{line}\n"
    )
}

/// Submits it, with the files that the spec mounts.
async fn started(client: &Client, submission: &Submission) -> i64 {
    let id = client.submit(submission).await.unwrap();
    let modified = "2023-03-01T10:00:00.5Z".parse().unwrap();
    for path in ["tools/b.py", "tools/a/x.py"] {
        client
            .upload(id, path, modified, b"print(1)\n".to_vec())
            .await
            .unwrap();
    }
    client.start(id).await.unwrap();
    id
}

async fn submit(world: &World, repository: &Path) -> i64 {
    let client = world.client();
    let submission = Submission {
        spec: SPEC.to_owned(),
        repositories: vec![repository.to_str().unwrap().to_owned()],
        secrets: BTreeMap::from([
            ("TOKEN".to_owned(), "s3cret-value".to_owned()),
            ("OTHER".to_owned(), "nobody asked".to_owned()),
        ]),
        ..Submission::default()
    };
    let id = started(&client, &submission).await;
    let detail = world.resolved(id).await;
    assert_eq!((detail.state.as_str(), detail.failure), ("running", None));
    id
}

fn content(payload: &Value, file: &str) -> String {
    let content = payload["files"][file]["content"].as_str().unwrap();
    String::from_utf8(STANDARD.decode(content).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_job_to_the_letter() {
    let world = World::new().await;
    let widgets = world.repository("widgets", &[("a/b/go.mod", ""), ("a/b/x", "x\n")]);
    submit(&world, &widgets).await;
    let job = world.take("x").await.unwrap();
    let payload = &job.payload;
    let mut names: Vec<&str> = payload["files"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "input.json",
            "workspace-files/tools/a/x.py",
            "workspace-files/tools/b.py"
        ]
    );
    let stored = &payload["files"]["workspace-files/tools/b.py"];
    assert_eq!(
        (
            stored["bucket"].as_str(),
            stored["modifiedAt"].as_str(),
            &stored["content"]
        ),
        (
            Some("batch-changes"),
            Some("2023-03-01T10:00:00.5Z"),
            &Value::Null
        )
    );
    let headers = job.headers();
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let path = format!(
        "/.executors/files/batch-changes/{}",
        stored["key"].as_str().unwrap()
    );
    let answer = world.http("GET", &path, &headers, b"").await;
    assert_eq!(answer.short(), (200, "print(1)\n".to_owned()));
    assert_eq!(
        world.http("HEAD", &path, &headers, b"").await.short(),
        (200, String::new())
    );
    for (path, status) in [
        (format!("{path}0"), 404),
        ("/.executors/files/batch-changes/a/b".to_owned(), 404),
        ("/.executors/files/other/a/b".to_owned(), 404),
        ("/.executors/files/batch-changes/a/..%2fb".to_owned(), 400),
    ] {
        assert_eq!(
            world.http("GET", &path, &headers, b"").await.status,
            status,
            "{path}"
        );
    }
    assert_eq!(world.http("GET", &path, &[], b"").await.status, 401);

    let input: Value = serde_json::from_str(&content(payload, "input.json")).unwrap();
    assert_eq!(
        input["BatchChangeAttributes"],
        json!({"Name": "hello", "Description": "d"})
    );
    assert_eq!(
        input["branch"],
        json!({"name": "main", "target": {"oid": payload["commit"]}})
    );
    assert_eq!(
        (&input["path"], &input["onlyFetchWorkspace"]),
        (&json!("a/b"), &json!(true))
    );
    assert_eq!(input["skippedSteps"], json!({"1": {}}));
    assert_eq!(input["steps"][0]["env"], json!(["TOKEN", {"A": "b"}]));

    let steps: Vec<String> = payload["dockerSteps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            let commands: Vec<&str> = step["commands"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c.as_str().unwrap())
                .collect();
            format!(
                "{} {} in {} with {}: {}",
                step["key"].as_str().unwrap(),
                step["image"].as_str().unwrap(),
                step["dir"].as_str().unwrap(),
                step["env"],
                commands.join("; ")
            )
        })
        .collect();
    insta::assert_snapshot!(steps.join("\n"), @r#"
    step.0.pre helper:1 in . with ["TOKEN=s3cret-value"]: batcheshelper pre 0
    step.0.run alpine:3 in repository/a/b with null: { set +x; } 2>/dev/null; { set -eo pipefail; } 2>/dev/null; (../../../step0.sh | tee ../../../stdout0.log) 3>&1 1>&2 2>&3 | tee ../../../stderr0.log
    step.0.post helper:1 in . with ["TOKEN=s3cret-value"]: batcheshelper post 0
    step.2.pre helper:1 in . with ["TOKEN=s3cret-value"]: batcheshelper pre 2
    step.2.run golang:1 in repository/a/b with null: { set +x; } 2>/dev/null; { set -eo pipefail; } 2>/dev/null; (../../../step2.sh | tee ../../../stdout2.log) 3>&1 1>&2 2>&3 | tee ../../../stderr2.log
    step.2.post helper:1 in . with ["TOKEN=s3cret-value"]: batcheshelper post 2
    "#);
    for (field, expected) in [
        ("version", json!(2)),
        ("repositoryName", json!("widgets")),
        ("repositoryDirectory", json!("repository")),
        ("fetchTags", json!(false)),
        ("shallowClone", json!(true)),
        ("sparseCheckout", json!(["a/b/*"])),
        ("cliSteps", json!(null)),
        (
            "redactedValues",
            json!({"s3cret-value": "${{ secrets.TOKEN }}"}),
        ),
    ] {
        assert_eq!(payload[field], expected, "{field}");
    }
}

/// The key under which the result of a step of the job has to be kept.
fn key(payload: &Value, step: usize) -> String {
    use capstan_core::{cache_key, environment, exec_input, mounts::MountedFile};
    let task = exec_input::parse(&content(payload, "input.json"))
        .unwrap()
        .task;
    let outer = |name: &str| (name == "TOKEN").then(|| "s3cret-value".to_owned());
    let environments: Vec<_> = task
        .steps
        .iter()
        .map(|step| environment::resolve_environment(&step.env, &outer))
        .collect();
    let mounted = ["tools/a/x.py", "tools/b.py"].map(|path| MountedFile {
        path: path.to_owned(),
        size: 9,
        modified: "2023-03-01T10:00:00.5Z".parse().unwrap(),
    });
    cache_key::cache_key(&task, step, &environments, &mounted, &BTreeMap::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_after_the_last_step_that_is_known() {
    let world = World::new().await;
    let widgets = world.repository("widgets", &[("a/b/go.mod", ""), ("a/b/x", "x\n")]);
    let id = submit(&world, &widgets).await;
    let job = world.take("x").await.unwrap();
    let first = result_line(&key(&job.payload, 0), 0, &diff("one"));
    world.log(&job, "step.docker.step.0.post", &first).await;
    let broken = json!({"errorMessage": "step 3 broke"});
    assert_eq!(
        world.job_call(&job, "markErrored", broken).await.status,
        204
    );
    assert_eq!(world.client().execution(id).await.unwrap().state, "failed");

    // The values of secrets are gone with the end.
    let error = world
        .client()
        .retry(id, &Retry::default())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused { status: 409, message } if message.contains("TOKEN")),
        "{error}"
    );
    let secrets = BTreeMap::from([("TOKEN".to_owned(), "s3cret-value".to_owned())]);
    assert_eq!(
        world.client().retry(id, &Retry { secrets }).await.unwrap(),
        1
    );

    let job = world.take("y").await.unwrap();
    let keys: Vec<_> = job.payload["dockerSteps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["key"].as_str().unwrap())
        .collect();
    assert_eq!(
        keys,
        ["apply-diff", "step.2.pre", "step.2.run", "step.2.post"]
    );
    assert_eq!(content(&job.payload, "state.diff"), diff("one"));
    let known: Value = serde_json::from_str(&content(&job.payload, "step0.json")).unwrap();
    assert_eq!(
        (&known["stepIndex"], &known["version"]),
        (&json!(0), &json!(2))
    );
    let last = result_line(&key(&job.payload, 2), 2, &diff("two"));
    world.log(&job, "step.docker.step.2.post", &last).await;
    assert_eq!(
        world.job_call(&job, "markComplete", json!({})).await.status,
        204
    );
    let results = world.client().results(id).await.unwrap();
    let changeset = &results.changesets[0];
    assert_eq!(changeset.diff, diff("two").as_bytes());
    assert_eq!(
        [&changeset.title, &changeset.body, &changeset.head_ref],
        ["Hello in a/b", "a/b/x", "refs/heads/hello-a-b"]
    );

    // Now all is known: no executor is asked.
    let again = submit_known(&world, &widgets).await;
    assert_eq!(
        world
            .client()
            .results(again)
            .await
            .unwrap()
            .changesets
            .len(),
        1
    );
    assert!(world.take("z").await.is_none());
}

async fn submit_known(world: &World, repository: &Path) -> i64 {
    let client = world.client();
    let submission = Submission {
        spec: SPEC.to_owned(),
        repositories: vec![repository.to_str().unwrap().to_owned()],
        secrets: BTreeMap::from([("TOKEN".to_owned(), "s3cret-value".to_owned())]),
        ..Submission::default()
    };
    let id = started(&client, &submission).await;
    loop {
        let detail = client.execution(id).await.unwrap();
        match detail.state.as_str() {
            "completed" => return id,
            "resolving" | "running" => {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            other => panic!("{other}: {detail:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_resolved_is_told() {
    let world = World::new().await;
    let client = world.client();
    for (spec, repositories, expected) in [
        ("name: [", vec![], None),
        (
            "name: x\nsteps: [{run: a, container: b}]\nchangesetTemplate: {title: t, body: b, branch: b, commit: {message: m}}\n",
            vec![],
            Some("there is no repository to work on"),
        ),
        (
            "name: x\non: [{repository: github.com/acme/a}]\nsteps: [{run: a, container: b}]\nchangesetTemplate: {title: t, body: b, branch: b, commit: {message: m}}\n",
            vec![],
            Some("the hub does not know github.com/acme/a: it knows none yet"),
        ),
        (
            "name: x\non: [{repositoriesMatchingQuery: foo}]\nsteps: [{run: a, container: b}]\nchangesetTemplate: {title: t, body: b, branch: b, commit: {message: m}}\n",
            vec![],
            Some("needs a Sourcegraph instance"),
        ),
        (
            SPEC,
            vec!["/nowhere/at/all".to_owned()],
            Some("no file was sent for the mount path"),
        ),
        (
            "name: x\nsteps: [{run: a, container: b}]\nchangesetTemplate: {title: t, body: b, branch: b, commit: {message: m}}\n",
            vec!["/nowhere/at/all".to_owned()],
            Some("repository /nowhere/at/all does not exist"),
        ),
    ] {
        let submission = Submission {
            spec: spec.to_owned(),
            repositories,
            ..Submission::default()
        };
        let submitted = client.submit(&submission).await;
        let Some(expected) = expected else {
            let error = submitted.unwrap_err();
            assert!(
                matches!(error, ClientError::Refused { status: 422, .. }),
                "{error}"
            );
            continue;
        };
        let id = match submitted {
            Ok(id) => id,
            Err(error) => panic!("{spec}: {error}"),
        };
        client.start(id).await.unwrap();
        let detail = world.resolved(id).await;
        let failure = detail.failure.unwrap_or_default();
        assert!(failure.contains(expected), "{spec}: {failure}");
        assert_eq!(detail.state, "failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_stay_below_the_directory_and_small() {
    let world = World::new().await;
    let client = world.client();
    let submission = Submission {
        spec: SPEC.to_owned(),
        ..Submission::default()
    };
    let id = client.submit(&submission).await.unwrap();
    let now = jiff::Timestamp::now();
    for path in [
        "",
        "/etc/passwd",
        "../x",
        "a/../x",
        "./a",
        "a//b",
        "a/",
        "a\nb",
        "a\0b",
    ] {
        let error = client.upload(id, path, now, Vec::new()).await.unwrap_err();
        assert!(
            matches!(error, ClientError::Refused { status: 422, .. }),
            "{path:?}: {error}"
        );
    }
    let large = vec![0; (10 << 20) + 1];
    let error = client.upload(id, "large", now, large).await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Refused { status: 413, .. } | ClientError::Unreachable { .. }
        ),
        "{error}"
    );
    client
        .upload(id, "tools/ok", now, vec![0; 10 << 20])
        .await
        .unwrap();
    let error = client.upload(99, "x", now, Vec::new()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Refused { status: 404, .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn registered_repositories_are_found_by_their_names() {
    let world = World::new().await;
    let widgets = world.repository("widgets", &[("README.md", "hi\n")]);
    let other = world.repository("else/widgets", &[("README.md", "hi\n")]);
    let here = Path::new("/");
    let register = async |name, path: &Path| {
        world
            .hub
            .register(name, path.to_str().unwrap(), here)
            .await
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        register(Some("github.com/acme/widgets"), &widgets)
            .await
            .unwrap(),
        "github.com/acme/widgets"
    );
    assert_eq!(register(None, &other).await.unwrap(), "widgets");
    let error = register(Some("widgets"), &widgets).await.unwrap_err();
    assert!(error.contains("is taken by another repository"), "{error}");
    let spec = "\
name: x
on: [{repository: github.com/acme/widgets, branches: [main]}]
steps: [{run: a, container: b}]
changesetTemplate: {title: t, body: b, branch: b, commit: {message: m}}
";
    let detail = world.submit(spec, &[]).await;
    assert_eq!(detail.failure, None);
    let job = world.take("x").await.unwrap();
    assert_eq!(job.payload["repositoryName"], "github.com/acme/widgets");
    assert_eq!(detail.jobs[0].branch, "main");
}
