//! The executor API to the letter.

use serde_json::json;

use crate::fixture::{Job, SECRET, World, git, result_line};

const SPEC: &str = "\
name: hello
description: says it
steps:
  - run: echo hello >> README.md
    container: alpine:3
changesetTemplate:
  title: Hello
  body: World
  branch: hello
  commit: {message: Say hello}
";

const DIFF: &str = "\
diff --git README.md README.md
index 1..2 100644
--- README.md
+++ README.md
@@ -1 +1,2 @@
 hi
+hello
";

/// A hub with one job in its queue.
async fn with_a_job() -> World {
    let world = World::new().await;
    let widgets = world.repository("widgets", &[("README.md", "hi\n")]);
    let detail = world.submit(SPEC, &[&widgets]).await;
    assert_eq!(detail.jobs.len(), 1, "{detail:?}");
    world
}

fn header<'a>(name: &'a str, value: &'a str) -> (&'a str, &'a str) {
    (name, value)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_is_tested() {
    let world = World::new().await;
    let right = format!("token-executor {SECRET}");
    for (authorization, expected) in [
        (Some(right.as_str()), (200, "ok")),
        (None, (401, "invalid or missing executor secret\n")),
        (
            Some("token-executor wrong"),
            (401, "invalid or missing executor secret\n"),
        ),
        (Some(SECRET), (401, "invalid or missing executor secret\n")),
        (
            Some("Bearer x"),
            (401, "invalid or missing executor secret\n"),
        ),
    ] {
        let headers: Vec<_> = authorization
            .iter()
            .map(|a| header("Authorization", a))
            .collect();
        let answer = world
            .http("GET", "/.executors/test/auth", &headers, b"")
            .await;
        assert_eq!(
            answer.short(),
            (expected.0, expected.1.to_owned()),
            "{authorization:?}"
        );
    }
    let answer = world.http("GET", "/.api/src-cli/version", &[], b"").await;
    assert_eq!(answer.short(), (200, r#"{"version":"5.5.0"}"#.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_executors_need_the_secret() {
    let world = World::new().await;
    for path in [
        "dequeue",
        "heartbeat",
        "batches/dequeue",
        "batches/heartbeat",
        "codeintel/dequeue",
    ] {
        let path = format!("/.executors/queue/{path}");
        assert_eq!(
            world.http("POST", &path, &[], b"{}").await.status,
            401,
            "{path}"
        );
        assert_eq!(
            world.http("GET", &path, &[], b"").await.status,
            405,
            "{path}"
        );
    }
    for path in ["other/dequeue", "batches/other", "other"] {
        assert_eq!(world.call(path, json!({})).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_none_are_told_so() {
    let world = with_a_job().await;
    let job = world.take("x").await.unwrap();
    let authorization = format!("token-executor {SECRET}");
    let headers = [header("Authorization", &authorization)];
    for call in [
        "dequeue",
        "heartbeat",
        "addExecutionLogEntry",
        "updateExecutionLogEntry",
        "markComplete",
    ] {
        let path = format!("/.executors/queue/batches/{call}");
        for body in [
            &b"rubbish"[..],
            b"",
            b"[1]",
            b"{\"executorName\":1,\"jobId\":1}",
            b"\xff\xfe",
        ] {
            let answer = world.http("POST", &path, &headers, body).await;
            assert_eq!(answer.status, 400, "{call} {body:?}: {}", answer.text());
            assert!(
                answer.text().starts_with("Failed to unmarshal payload"),
                "{}",
                answer.text()
            );
        }
    }
    let large = vec![b' '; 2 << 20];
    let answer = world
        .http(
            "POST",
            "/.executors/queue/batches/dequeue",
            &headers,
            &large,
        )
        .await;
    assert_eq!(answer.status, 413);
    // Whatever was tried, the job is still the executor's.
    let answer = world
        .job_call(&job, "markFailed", json!({ "errorMessage": "no" }))
        .await;
    assert_eq!(answer.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_dequeue_is_told() {
    let world = World::new().await;
    let error = |text: &str| (500, json!({ "error": text }).to_string());
    for (path, body, expected) in [
        (
            "batches/dequeue",
            json!({"version": "dev"}),
            error("worker hostname cannot be empty"),
        ),
        (
            "batches/dequeue",
            json!({"executorName": "x", "version": "five"}),
            error("the version \"five\" cannot be read"),
        ),
        (
            "batches/dequeue",
            json!({"executorName": "x", "version": "4.2.0"}),
            (
                400,
                "executors of version \"4.2.0\" are too old for this hub: at least 4.3.0 is needed\n"
                    .to_owned(),
            ),
        ),
        (
            "batches/dequeue",
            json!({"EXECUTORNAME": "x", "version": "dev"}),
            (204, String::new()),
        ),
        (
            "codeintel/dequeue",
            json!({"executorName": "x", "version": "5.2.0", "numCPUs": 4}),
            (204, String::new()),
        ),
        (
            "dequeue",
            json!({"executorName": "x", "version": "dev"}),
            (204, String::new()),
        ),
        (
            "dequeue",
            json!({"executorName": "x", "version": "dev", "queues": null}),
            (204, String::new()),
        ),
        (
            "dequeue",
            json!({"executorName": "x", "version": "dev", "queues": ["batches", "other"]}),
            error("invalid queue name 'other': supported queue names are 'batches, codeintel'"),
        ),
    ] {
        assert_eq!(
            world.call(path, body.clone()).await.short(),
            expected,
            "{body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_several_queues_says_which() {
    let world = with_a_job().await;
    let body = json!({"executorName": "x", "version": "dev", "queues": ["codeintel", "batches"]});
    let answer = world.call("dequeue", body).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .head
            .to_ascii_lowercase()
            .contains("content-type: application/json")
    );
    let job = answer.json();
    assert_eq!(
        (job["queue"].as_str(), job["version"].as_i64()),
        (Some("batches"), Some(2))
    );
    let beat = json!({
        "version": "", "executorName": "x", "queueNames": ["batches", "codeintel"],
        "jobIdsByQueue": [{"queueName": "batches", "jobIds": [job["id"].to_string(), "99"]}],
        "os": "linux", "prometheusMetrics": "",
    });
    let answer = world.call("heartbeat", beat).await;
    let known = format!(r#"{{"knownIds":["{}-batches"],"cancelIds":[]}}"#, job["id"]);
    assert_eq!(answer.short(), (200, known));
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_tell_what_is_known_and_what_is_to_be_cancelled() {
    let world = with_a_job().await;
    let job = world.take("x").await.unwrap();
    let beat = |name: &str, ids: serde_json::Value| {
        json!({
            "version": "V2", "executorName": name, "jobIds": ids, "os": "linux", "architecture": "amd64",
            "dockerVersion": "20.10", "executorVersion": "5.2.0", "gitVersion": "2.40.0", "igniteVersion": "", "srcCliVersion": "5.2.0",
            "prometheusMetrics": "a 1\n",
        })
    };
    let expect = |known: &str, cancel: &str| {
        (
            200,
            format!(r#"{{"knownIds":[{known}],"cancelIds":[{cancel}]}}"#),
        )
    };
    let call = async |name: &str, ids| {
        world
            .call("batches/heartbeat", beat(name, ids))
            .await
            .short()
    };
    let id = format!("\"{}\"", job.id);
    assert_eq!(call("x", json!(null)).await, expect("", ""));
    assert_eq!(call("x", json!([job.id, 77])).await, expect(&id, ""));
    assert_eq!(
        call("x", json!([job.id.to_string()])).await,
        expect(&id, "")
    );
    assert_eq!(
        call("y", json!([job.id])).await,
        expect("", ""),
        "it is another's"
    );
    assert!(world.client().cancel(1).await.unwrap());
    assert_eq!(call("x", json!([job.id])).await, expect(&id, &id));
    let seen = world.client().executors().await.unwrap();
    let x = seen.iter().find(|executor| executor.name == "x").unwrap();
    assert_eq!(
        (x.telemetry["docker"].as_str(), x.queues.as_slice()),
        ("20.10", ["batches".to_owned()].as_slice())
    );

    let error = |text: &str| (500, json!({ "error": text }).to_string());
    for (path, body, expected) in [
        (
            "batches/heartbeat",
            json!({}),
            error("executor name cannot be empty"),
        ),
        (
            "heartbeat",
            json!({"executorName": "x"}),
            error("queueNames must be set for multi-queue heartbeats"),
        ),
        (
            "heartbeat",
            json!({"executorName": "x", "queueNames": ["o"]}),
            error("unknown queue name \"o\""),
        ),
        (
            "heartbeat",
            json!({"executorName": "x", "queueNames": ["batches"], "jobIdsByQueue": [{"queueName": "codeintel", "jobIds": ["1"]}]}),
            error("jobs of queue \"codeintel\", which is not among queueNames"),
        ),
    ] {
        assert_eq!(
            world.call(path, body.clone()).await.short(),
            expected,
            "{body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn job_tokens_open_one_job_only() {
    let world = with_a_job().await;
    let widgets = world.path("widgets");
    world.submit(SPEC, &[&widgets]).await;
    let job = world.take("x").await.unwrap();
    let other = world.take("x").await.unwrap();
    assert_eq!(job.token.len(), 40);
    assert_ne!(job.token, other.token);
    let (id, bearer) = (job.id.to_string(), format!("Bearer {}", job.token));
    let secret = format!("token-executor {SECRET}");
    let body = json!({"executorName": "x", "jobId": job.id, "key": "k", "startTime": "2026-03-01T10:00:00Z"});
    let body = body.to_string();
    let authorization = |value| header("Authorization", value);
    let job_id = |value| header("X-Sourcegraph-Job-ID", value);
    let name = |value| header("X-Sourcegraph-Executor-Name", value);
    let path = "/.executors/queue/batches/addExecutionLogEntry";
    let other_id = other.id.to_string();
    for (headers, path, expected) in [
        (vec![], path, 401),
        (
            vec![authorization("Bearer"), job_id(&id), name("x")],
            path,
            401,
        ),
        (
            vec![authorization("Bearer a b"), job_id(&id), name("x")],
            path,
            401,
        ),
        (
            vec![authorization("Basic eDp5"), job_id(&id), name("x")],
            path,
            401,
        ),
        (vec![authorization("token-executor wrong")], path, 403),
        (vec![authorization(&secret)], path, 200),
        (vec![authorization(&bearer), name("x")], path, 400),
        (
            vec![authorization(&bearer), job_id("one"), name("x")],
            path,
            400,
        ),
        (vec![authorization(&bearer), job_id(&id)], path, 400),
        (
            vec![authorization("Bearer 0123"), job_id(&id), name("x")],
            path,
            401,
        ),
        (
            vec![authorization(&bearer), job_id(&other_id), name("x")],
            path,
            403,
        ),
        (
            vec![authorization(&bearer), job_id(&id), name("x")],
            "/.executors/queue/codeintel/addExecutionLogEntry",
            403,
        ),
        (
            vec![authorization(&bearer), job_id(&id), name("never-heard-of")],
            path,
            401,
        ),
        (
            vec![authorization(&bearer), job_id(&id), name("x")],
            path,
            200,
        ),
    ] {
        let answer = world.http("POST", path, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, expected, "{headers:?}: {}", answer.text());
    }
    // The body is about another job than the token.
    let body = json!({"executorName": "x", "jobId": other.id, "key": "k", "startTime": "2026-03-01T10:00:00Z"});
    let headers = [authorization(&bearer), job_id(&id), name("x")];
    let answer = world
        .http("POST", path, &headers, body.to_string().as_bytes())
        .await;
    assert_eq!(answer.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_entries_are_added_and_replaced() {
    let world = with_a_job().await;
    let job = world.take("x").await.unwrap();
    let entry = json!({"key": "setup.git.init", "command": ["git", "init"], "startTime": "2026-03-01T10:00:00.5Z"});
    let add = async |body| {
        world
            .job_call(&job, "addExecutionLogEntry", body)
            .await
            .short()
    };
    let update = async |body| {
        world
            .job_call(&job, "updateExecutionLogEntry", body)
            .await
            .short()
    };
    let unknown = (500, r#"{"error":"unknown job"}"#.to_owned());
    assert_eq!(add(entry.clone()).await, (200, "1".to_owned()));
    assert_eq!(add(entry.clone()).await, (200, "2".to_owned()));
    let mut ended = entry.clone();
    ended["entryId"] = json!(2);
    ended["exitCode"] = json!(0);
    ended["out"] = json!("stdout: a\n");
    assert_eq!(update(ended.clone()).await, (204, String::new()));
    ended["entryId"] = json!(3);
    assert_eq!(update(ended.clone()).await, unknown);
    let log = world.client().log(job.id).await.unwrap();
    let codes: Vec<_> = log
        .iter()
        .map(|entry| (entry.exit_code, entry.size))
        .collect();
    assert_eq!(codes, [(None, 0), (Some(0), 10)]);
    let mut text = Vec::new();
    let keep = |bytes: &[u8]| {
        text.extend_from_slice(bytes);
        true
    };
    world.client().log_text(job.id, 2, 0, keep).await.unwrap();
    assert_eq!(text, b"stdout: a\n");

    // Under another name, and after the end.
    let secret = format!("token-executor {SECRET}");
    let headers = [header("Authorization", &secret)];
    let stranger = json!({"executorName": "y", "jobId": job.id, "key": "k", "startTime": "2026-03-01T10:00:00Z"});
    let path = "/.executors/queue/batches/addExecutionLogEntry";
    let answer = world
        .http("POST", path, &headers, stranger.to_string().as_bytes())
        .await;
    assert_eq!(answer.short(), unknown);
    let answer = world
        .job_call(&job, "markErrored", json!({"errorMessage": "no"}))
        .await;
    assert_eq!(answer.short(), (204, String::new()));
    let late = world.job_call(&job, "updateExecutionLogEntry", ended).await;
    assert_eq!(late.status, 401, "the token has died with the mark");
}

async fn mark(world: &World, job: &Job, call: &str) -> (u16, String) {
    let body = json!({"executorName": job.executor, "jobId": job.id, "errorMessage": "it broke"});
    let secret = format!("token-executor {SECRET}");
    let headers = [header("Authorization", &secret)];
    let path = format!("/.executors/queue/batches/{call}");
    let answer = world
        .http("POST", &path, &headers, body.to_string().as_bytes())
        .await;
    answer.short()
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_end_a_job_once() {
    for (call, state, failure) in [
        ("markComplete", "completed", None),
        ("markErrored", "failed", Some("it broke")),
        ("markFailed", "failed", Some("it broke")),
    ] {
        let world = with_a_job().await;
        let job = world.take("x").await.unwrap();
        world
            .log(&job, "step.docker.step.0.post", &result_line("k", 0, DIFF))
            .await;
        assert_eq!(
            mark(&world, &job, call).await,
            (204, String::new()),
            "{call}"
        );
        assert_eq!(
            mark(&world, &job, call).await,
            (404, "null".to_owned()),
            "{call}"
        );
        let detail = world.client().execution(1).await.unwrap();
        assert_eq!(
            (detail.state.as_str(), detail.jobs[0].failure.as_deref()),
            (state, failure)
        );
        let results = world.client().results(1).await.unwrap();
        assert_eq!(
            results.changesets.len(),
            usize::from(call == "markComplete"),
            "{call}"
        );
        for changeset in results.changesets {
            assert_eq!(changeset.diff, DIFF.as_bytes());
            assert_eq!(
                (changeset.head_ref.as_str(), changeset.title.as_str()),
                ("refs/heads/hello", "Hello")
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_results_is_failed_with_the_words_of_the_original() {
    let world = with_a_job().await;
    let job = world.take("x").await.unwrap();
    world
        .log(
            &job,
            "step.docker.step.0.post",
            "stderr: {}\nstdout: no JSON\n",
        )
        .await;
    // Results count in the entry after a step only.
    world
        .log(&job, "step.docker.step.0.run", &result_line("k", 0, DIFF))
        .await;
    assert_eq!(mark(&world, &job, "markComplete").await.0, 204);
    let detail = world.client().execution(1).await.unwrap();
    assert_eq!(
        (detail.state.as_str(), detail.jobs[0].failure.as_deref()),
        ("failed", Some("found no step results"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_steps_were_all_skipped_is_done() {
    let world = with_a_job().await;
    let job = world.take("x").await.unwrap();
    let skipped = r#"stdout: {"operation":"TASK_STEP_SKIPPED","timestamp":"2026-03-01T10:00:00Z","status":"PROGRESS","metadata":{"step":1}}"#;
    world.log(&job, "step.docker.step.0.pre", skipped).await;
    assert_eq!(mark(&world, &job, "markComplete").await.0, 204);
    assert_eq!(
        world.client().execution(1).await.unwrap().state,
        "completed"
    );
    assert!(
        world
            .client()
            .results(1)
            .await
            .unwrap()
            .changesets
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_is_canceled_whatever_its_executor_says() {
    for call in ["markErrored", "markFailed"] {
        let world = with_a_job().await;
        let job = world.take("x").await.unwrap();
        world.client().cancel(1).await.unwrap();
        assert_eq!(mark(&world, &job, call).await.0, 204);
        assert_eq!(
            world.client().execution(1).await.unwrap().state,
            "canceled",
            "{call}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_hub_knows_its_jobs_and_their_tokens() {
    let world = with_a_job().await;
    let job = world.take("x").await.unwrap();
    world
        .log(&job, "step.docker.step.0.post", &result_line("k", 0, DIFF))
        .await;
    let world = world.restarted().await;
    let beat = json!({"version": "V2", "executorName": "x", "jobIds": [job.id]});
    let known = format!(r#"{{"knownIds":["{}"],"cancelIds":[]}}"#, job.id);
    assert_eq!(
        world.call("batches/heartbeat", beat).await.short(),
        (200, known)
    );
    let answer = world.job_call(&job, "markComplete", json!({})).await;
    assert_eq!(answer.short(), (204, String::new()));
    assert_eq!(world.client().results(1).await.unwrap().changesets.len(), 1);
}

/// Runs git with the headers of a job, as the original's proxy adds them.
fn fetch(
    world: &World,
    job: &Job,
    directory: &std::path::Path,
    arguments: &[&str],
) -> std::process::Output {
    let mut command = std::process::Command::new("git");
    for (name, value) in job.headers() {
        command.args(["-c", &format!("http.extraHeader={name}: {value}")]);
    }
    command
        .args(["-c", "http.extraHeader=X-Sourcegraph-Actor-UID: internal"])
        .args(arguments)
        .current_dir(directory)
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("NO_PROXY", world.address.ip().to_string())
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn git_fetches_the_commit_and_nothing_of_others() {
    let world = with_a_job().await;
    let widgets = world.path("widgets");
    let others = world.repository("others", &[("secret", "s3cret\n")]);
    world.submit(SPEC, &[&others]).await;
    let job = world.take("x").await.unwrap();
    let commit = job.payload["commit"].as_str().unwrap().to_owned();
    assert_eq!(commit, git(&widgets, &["rev-parse", "HEAD"]));
    // The branch has moved on, and history was rewritten: the commit is not the tip of anything.
    fs_err::write(widgets.join("README.md"), "other\n").unwrap();
    git(
        &widgets,
        &["commit", "--quiet", "--all", "--amend", "-m", "two"],
    );

    let url = |name: &str| format!("http://{}/.executors/git/{name}", world.address);
    let name = job.payload["repositoryName"].as_str().unwrap();
    for (version, filter) in [
        ("2", None),
        ("2", Some("--filter=blob:none")),
        ("1", None),
        ("0", None),
    ] {
        let clone = tempfile::tempdir().unwrap();
        git(clone.path(), &["init", "--quiet"]);
        git(clone.path(), &["remote", "add", "origin", &url(name)]);
        let version = format!("protocol.version={version}");
        let mut arguments = vec!["-c", version.as_str(), "fetch", "--no-tags", "--depth=1"];
        arguments.extend(filter);
        arguments.extend(["origin", commit.as_str()]);
        let output = fetch(&world, &job, clone.path(), &arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{version} {filter:?}: {errors}");
        assert_eq!(git(clone.path(), &["rev-parse", "FETCH_HEAD"]), commit);
        if filter.is_none() {
            assert_eq!(git(clone.path(), &["show", "FETCH_HEAD:README.md"]), "hi");
        }
    }
    let clone = tempfile::tempdir().unwrap();
    let whole = fetch(
        &world,
        &job,
        clone.path(),
        &["clone", "--quiet", &url(name), "c"],
    );
    assert!(
        whole.status.success(),
        "{}",
        String::from_utf8_lossy(&whole.stderr)
    );
    assert_eq!(
        fs_err::read(clone.path().join("c/README.md")).unwrap(),
        b"other\n"
    );
    let stranger = fetch(&world, &job, clone.path(), &["ls-remote", &url("others")]);
    assert!(!stranger.status.success());
    let push = ["push", "--quiet", &url(name), "HEAD:refs/heads/x"];
    assert!(
        !fetch(&world, &job, &clone.path().join("c"), &push)
            .status
            .success()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn git_answers_with_the_statuses_of_the_original() {
    let world = with_a_job().await;
    let job = world.take("x").await.unwrap();
    let headers = job.headers();
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    for (method, path, expected) in [
        ("GET", "widgets/info/refs?service=git-upload-pack", 200),
        ("GET", "others/info/refs?service=git-upload-pack", 403),
        ("GET", "../widgets/info/refs?service=git-upload-pack", 403),
        (
            "GET",
            "%2e%2e/widgets/info/refs?service=git-upload-pack",
            403,
        ),
        ("GET", "widgets/info/refs?service=git-receive-pack", 403),
        ("GET", "widgets/info/refs", 403),
        ("POST", "widgets/info/refs?service=git-upload-pack", 405),
        ("GET", "widgets/git-upload-pack", 405),
        ("POST", "widgets/git-receive-pack", 404),
        ("GET", "widgets/HEAD", 404),
        ("GET", "widgets/config", 404),
    ] {
        let path = format!("/.executors/git/{path}");
        let answer = world.http(method, &path, &headers, b"").await;
        assert_eq!(
            answer.status,
            expected,
            "{method} {path}: {}",
            answer.text()
        );
        let answer = world.http(method, &path, &[], b"").await;
        assert_eq!(answer.status, 401, "{method} {path}");
    }
    let path = "/.executors/git/widgets/info/refs?service=git-upload-pack";
    let answer = world.http("GET", path, &headers, b"").await;
    assert!(
        answer
            .head
            .contains("application/x-git-upload-pack-advertisement"),
        "{}",
        answer.head
    );
    assert!(
        answer
            .text()
            .starts_with("001e# service=git-upload-pack\n0000")
    );
    let secret = format!("token-executor {SECRET}");
    let with_secret = [header("Authorization", secret.as_str())];
    assert_eq!(world.http("GET", path, &with_secret, b"").await.status, 200);
    let unknown = "/.executors/git/unknown/info/refs?service=git-upload-pack";
    assert_eq!(
        world.http("GET", unknown, &with_secret, b"").await.status,
        404
    );
    let mut packed = headers.clone();
    packed.push(("Content-Encoding", "gzip"));
    let answer = world
        .http(
            "POST",
            "/.executors/git/widgets/git-upload-pack",
            &packed,
            b"no gzip",
        )
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_ask_for_the_token_and_show_nothing_unescaped() {
    use base64::Engine as _;
    let world = World::new().await;
    let widgets = world.repository("widgets", &[("README.md", "hi\n")]);
    let spec = SPEC.replace("says it", "<script>alert(1)</script>");
    world.submit(&spec, &[&widgets]).await;
    let job = world.take("x<y>").await.unwrap();
    world
        .log(&job, "step.docker.step.0.run", "stdout: <img src=x>\n")
        .await;
    let diff = DIFF.replace("+hello", "+<b>hello");
    world
        .log(&job, "step.docker.step.0.post", &result_line("k", 0, &diff))
        .await;
    assert_eq!(mark(&world, &job, "markComplete").await.0, 204);
    let pair =
        base64::engine::general_purpose::STANDARD.encode(format!("me:{}", crate::fixture::TOKEN));
    let basic = format!("Basic {pair}");
    let page_of_job = format!("/jobs/{}", job.id);
    for (path, text) in [
        ("/", "hello"),
        ("/executors", "x&lt;y&gt;"),
        ("/executions/1", "&lt;script&gt;alert(1)"),
        ("/executions/1", "+&lt;b&gt;hello"),
        (page_of_job.as_str(), "stdout: &lt;img src=x&gt;"),
    ] {
        let answer = world.http("GET", path, &[], b"").await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(
            answer
                .head
                .to_ascii_lowercase()
                .contains("www-authenticate: basic"),
            "{}",
            answer.head
        );
        let answer = world
            .http("GET", path, &[("Authorization", &basic)], b"")
            .await;
        assert_eq!(answer.status, 200, "{path}");
        let page = answer.text();
        assert!(page.contains(text), "{path}: {page}");
        for forbidden in ["<script", "<img", "<b>h", "x<y>"] {
            assert!(!page.contains(forbidden), "{path}: {page}");
        }
        assert!(
            answer.head.contains("default-src 'none'"),
            "{}",
            answer.head
        );
    }
    // A password that a browser sends by itself does nothing.
    let answer = world
        .http(
            "POST",
            "/api/executions/1/cancel",
            &[("Authorization", &basic)],
            b"",
        )
        .await;
    assert_eq!(answer.status, 401);
    let patch = world
        .http(
            "GET",
            "/executions/1/changesets/1",
            &[("Authorization", &basic)],
            b"",
        )
        .await;
    assert_eq!(patch.short(), (200, diff));
    for path in [
        "/executions/99",
        "/jobs/99",
        "/executions/1/changesets/0",
        "/executions/1/changesets/2",
        "/jobs/1/log/9",
    ] {
        let answer = world
            .http("GET", path, &[("Authorization", &basic)], b"")
            .await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

/// How long a dequeue takes with ten thousand jobs in the queue: `cargo test -p capstan-hub speed -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures"]
async fn speed_of_a_dequeue_with_ten_thousand_queued() {
    let world = World::new().await;
    let files: Vec<String> = (0..100).map(|n| format!("d{n}/go.mod")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|path| (path.as_str(), "")).collect();
    let many = world.repository("many", &files);
    let spec = SPEC.replace(
        "steps:\n",
        "workspaces: [{rootAtLocationOf: go.mod}]\nsteps:\n",
    );
    for _ in 0..100 {
        assert_eq!(world.submit(&spec, &[&many]).await.jobs.len(), 100);
    }
    let ping = json!({ "executorName": "x" });
    assert_eq!(world.call("batches/heartbeat", ping).await.status, 200);
    let mut times = Vec::new();
    for _ in 0..2000 {
        let body = json!({"executorName": "x", "version": "dev"});
        let begun = std::time::Instant::now();
        assert_eq!(world.call("batches/dequeue", body).await.status, 200);
        times.push(begun.elapsed());
    }
    times.sort();
    println!(
        "dequeue with 10 000 queued: median {:?}, p99 {:?}, longest {:?}",
        times[1000], times[1980], times[1999]
    );
}
