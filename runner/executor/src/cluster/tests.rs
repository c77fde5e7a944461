//! Conversations with a cluster, from whose side they are scripted.

mod script;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use capstan_protocol::{DockerStep, Identity, Job, LogEntry};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::script::{Answer, Script};
use super::kept::Memory;
use super::settings::PodSettings;
use super::{ClusterJobs, Home};
use crate::client::ClientError;
use crate::job::Ending;
use crate::log::{ExecutionLog, Redaction, Sink};
use crate::metrics::Metrics;
use crate::supervisor::Work as _;

const EXECUTOR: &str = "executor-0-9f1c0b0a-0000-4000-8000-0123456789ab";

fn plain_job() -> Job {
    Job {
        identity: Identity {
            id: 7,
            queue: "codeintel".to_owned(),
            token: "t0ken".to_owned(),
        },
        docker_steps: vec![DockerStep {
            key: "indexer".to_owned(),
            image: "acme/indexer:1".to_owned(),
            commands: vec!["index".to_owned()],
            ..DockerStep::default()
        }],
        ..Job::default()
    }
}

/// Entries as a server has them, and how often each was added or updated.
#[derive(Debug, Default)]
struct Server(Mutex<BTreeMap<i64, (usize, LogEntry)>>);

impl Server {
    fn texts(&self) -> Vec<(String, Option<i32>, String)> {
        let entries = self.0.lock().unwrap();
        let entries = entries.values();
        entries
            .map(|(_, entry)| (entry.key.clone(), entry.exit_code, entry.out.clone()))
            .collect()
    }

    fn text_of(&self, key: &str) -> String {
        let texts = self.texts();
        let found = texts.iter().find(|(found, ..)| found == key);
        found
            .unwrap_or_else(|| panic!("no {key} in {texts:?}"))
            .2
            .clone()
    }
}

impl Sink for Server {
    fn add<'a>(&'a self, entry: &LogEntry) -> BoxFuture<'a, Result<i64, ClientError>> {
        let mut entries = self.0.lock().unwrap();
        // As servers do, not from 0.
        let number = 11 + i64::try_from(entries.len()).unwrap();
        entries.insert(number, (1, entry.clone()));
        Box::pin(std::future::ready(Ok(number)))
    }

    fn update<'a>(
        &'a self,
        number: i64,
        entry: &LogEntry,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        let mut entries = self.0.lock().unwrap();
        let (calls, kept) = entries.get_mut(&number).expect("an entry that was added");
        *calls += 1;
        *kept = entry.clone();
        Box::pin(std::future::ready(Ok(())))
    }
}

/// An executor with a directory of its own.
struct Executor {
    server: Arc<Server>,
    jobs: Arc<ClusterJobs>,
}

impl Executor {
    fn start(script: &Script, directory: &std::path::Path) -> Self {
        Self::with(
            script,
            directory,
            PodSettings::new("acme/capstan:1".to_owned()),
        )
    }

    fn with(script: &Script, directory: &std::path::Path, settings: PodSettings) -> Self {
        let memory = Memory::open(directory, || Ok(EXECUTOR.to_owned())).unwrap();
        let home = Home {
            frontend: "https://sourcegraph.example/".to_owned(),
            pod: Some("executor-0".to_owned()),
            memory,
        };
        Self {
            server: Arc::default(),
            jobs: ClusterJobs::new(script.cluster(), settings, home, None),
        }
    }

    async fn run(&self, job: Job, cancel: CancellationToken) -> Ending {
        let sink = self.jobs.sink(&job, Arc::clone(&self.server) as _);
        let metrics = Metrics::new(&["codeintel".to_owned()]);
        let log = Arc::new(ExecutionLog::new(sink, Redaction::default(), metrics));
        let ending = Arc::clone(&self.jobs)
            .run(job, Arc::clone(&log), cancel)
            .await;
        log.flush().await.unwrap();
        ending
    }
}

fn lines(told: &[Value]) -> Vec<u8> {
    let lines = told.iter().enumerate().map(|(number, told)| {
        let mut line = told.clone();
        line["line"] = number.into();
        format!("{line}\n")
    });
    lines.collect::<String>().into_bytes()
}

fn told() -> Vec<Value> {
    vec![
        json!({"begin": {"entry": 0, "key": "step.docker.indexer", "command": ["index"]}}),
        json!({"more": {"entry": 0, "text": "stdout: one\n"}}),
        json!({"more": {"entry": 0, "text": "stdout: two\n"}}),
        json!({"end": {"entry": 0, "exitCode": 0}}),
        json!({"ending": "complete"}),
    ]
}

#[tokio::test]
async fn a_job_is_made_followed_and_deleted() {
    let script = Script::new();
    script.pod_runs();
    script.answer("GET pods/log", || Answer::Bytes(lines(&told())));
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let mut job = plain_job();
    let auth = capstan_protocol::RegistryAuth {
        user: "me".to_owned(),
        password: "s3cret".to_owned(),
    };
    let auths = &mut job.docker_auth_config.auths;
    auths.insert("registry.example".to_owned(), auth);
    let ending = executor.run(job, CancellationToken::new()).await;
    assert_eq!(ending, Ending::Complete, "{:?}", executor.server.texts());
    let calls = script.calls();
    let shown: Vec<&str> = calls.iter().map(|call| call.what.as_str()).collect();
    assert_eq!(
        shown,
        [
            "POST jobs",
            "POST secrets",
            "POST secrets",
            "PATCH jobs",
            "GET pods/log",
            "DELETE jobs",
        ]
    );
    let created = &calls[0].body;
    assert_eq!(created["spec"]["suspend"], true);
    assert_eq!(
        created["metadata"]["labels"]["capstan.dev/executor"],
        "0123456789ab"
    );
    for secret in [&calls[1].body, &calls[2].body] {
        let owner = &secret["metadata"]["ownerReferences"][0];
        assert_eq!(owner["uid"], "uid-of-the-job");
        assert_eq!(owner["name"], created["metadata"]["name"]);
    }
    assert_eq!(calls[2].body["type"], "kubernetes.io/dockerconfigjson");
    assert_eq!(calls[3].body, json!({"spec": {"suspend": false}}));
    assert!(
        calls[4].query.contains("container=runner&follow=true"),
        "{}",
        calls[4].query
    );
    assert_eq!(calls[5].body["propagationPolicy"], "Background");
    let texts = executor.server.texts();
    let keys: Vec<&str> = texts.iter().map(|(key, ..)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "setup.kubernetes.job",
            "step.kubernetes.indexer",
            "teardown.kubernetes.job"
        ]
    );
    assert!(
        texts.iter().all(|(_, code, _)| *code == Some(0)),
        "{texts:?}"
    );
    assert_eq!(texts[1].2, "stdout: one\nstdout: two\n");
    assert!(
        texts[0].2.ends_with("Pod the-pod runs on node-1\n"),
        "{texts:?}"
    );
    // Nothing is left of it.
    let memory = directory.path().join("0/jobs");
    assert_eq!(std::fs::read_dir(memory).unwrap().count(), 0);
}

#[tokio::test]
async fn a_log_that_is_cut_is_read_on() {
    let script = Script::new();
    script.pod_runs();
    let all = lines(&told());
    // In the middle of a line.
    let parts = Mutex::new(vec![all.clone(), all[..170].to_vec()]);
    script.answer("GET pods/log", move || {
        Answer::Bytes(parts.lock().unwrap().pop().expect("twice"))
    });
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let ending = executor.run(plain_job(), CancellationToken::new()).await;
    assert_eq!(ending, Ending::Complete);
    assert_eq!(
        executor.server.text_of("step.kubernetes.indexer"),
        "stdout: one\nstdout: two\n"
    );
    let calls = script.calls();
    let reads = calls.iter().filter(|call| call.what == "GET pods/log");
    assert_eq!(reads.count(), 2);
}

#[tokio::test]
async fn a_watch_that_expires_is_begun_anew_and_an_eviction_is_told() {
    let script = Script::new();
    script.pods(json!({"phase": "Pending"}));
    let expired = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": "Failure", "message": "too old resource version: 1 (9)", "reason": "Expired", "code": 410}});
    let listed = script.clone();
    script.answer("WATCH pods", move || {
        listed.pods(json!({"phase": "Failed", "reason": "Evicted",
            "message": "Usage of EmptyDir volume \"job\" exceeds the limit \"5Gi\". "}));
        Answer::Bytes(format!("{expired}\n").into_bytes())
    });
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let ending = executor.run(plain_job(), CancellationToken::new()).await;
    let Ending::Errored(text) = ending else {
        panic!("{ending:?}");
    };
    assert_eq!(
        text,
        "pod the-pod: Evicted: Usage of EmptyDir volume \"job\" exceeds the limit \"5Gi\". (the job needs more disk than KUBERNETES_JOB_VOLUME_SIZE says)"
    );
    assert!(script.calls().iter().any(|call| call.what == "DELETE jobs"));
}

/// Clusters that kill all of a container's processes at once kill its gate, too.
#[tokio::test]
async fn a_gate_that_is_killed_for_lack_of_memory_is_told() {
    let script = Script::new();
    script.pod_runs();
    let ending = "running command \"step.docker.indexer\": the container ended without a word";
    let ended = json!({"ending": {"errored": ending}});
    script.answer("GET pods/log", move || {
        Answer::Bytes(lines(std::slice::from_ref(&ended)))
    });
    let killed = script.clone();
    let killed = async move {
        killed.until("GET pods/log").await;
        let container = |name: &str, state: Value| json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        killed.pods(json!({"phase": "Running", "containerStatuses": [
            container("runner", json!({"terminated": {"exitCode": 0, "reason": "Completed"}})),
            container("step-0", json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})),
        ]}));
    };
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let (ending, ()) = tokio::join!(executor.run(plain_job(), CancellationToken::new()), killed);
    let Ending::Errored(text) = ending else {
        panic!("{ending:?}");
    };
    assert!(text.contains("step.kubernetes.indexer"), "{text}");
    assert!(
        text.contains("container step-0 was killed for lack of memory"),
        "{text}"
    );
}

/// A registry that does not answer may answer before the image is needed; it is not waited for for ever.
#[tokio::test(start_paused = true)]
async fn an_image_that_does_not_come_is_waited_for() {
    let script = Script::new();
    let waiting =
        json!({"waiting": {"reason": "ImagePullBackOff", "message": "dial tcp: i/o timeout"}});
    let container = |name: &str, state: Value| json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state});
    script.pods(json!({"phase": "Pending", "containerStatuses": [
        container("runner", json!({"running": {}})),
        container("step-0", waiting),
    ]}));
    script.answer("GET pods/log", || Answer::Open(Vec::new()));
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let begun = tokio::time::Instant::now();
    let ending = executor.run(plain_job(), CancellationToken::new()).await;
    assert!(begun.elapsed().as_secs() >= 600);
    let Ending::Errored(text) = ending else {
        panic!("{ending:?}");
    };
    assert!(
        text.contains("has not started within 10m0s: pod the-pod: container step-0"),
        "{text}"
    );
    assert!(text.contains("i/o timeout"), "{text}");
}

#[tokio::test]
async fn what_the_cluster_does_not_allow_is_told_with_a_hint() {
    let script = Script::new();
    script.answer("POST secrets", || {
        Answer::Refused(
            403,
            "secrets is forbidden: User \"x\" cannot create resource \"secrets\"",
        )
    });
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let ending = executor.run(plain_job(), CancellationToken::new()).await;
    let Ending::Errored(text) = ending else {
        panic!("{ending:?}");
    };
    assert!(
        text.contains("cannot create resource \"secrets\""),
        "{text}"
    );
    assert!(text.contains("examples/deploy/kubernetes"), "{text}");
    // The Job that was made is not left.
    assert!(script.calls().iter().any(|call| call.what == "DELETE jobs"));
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_job() {
    let script = Script::new();
    script.pod_runs();
    script.answer("GET pods/log", || Answer::Bytes(lines(&told())));
    let tries = Mutex::new(0);
    script.answer("POST jobs", move || {
        let mut tries = tries.lock().unwrap();
        *tries += 1;
        match *tries {
            1 => Answer::Refused(504, "the request was lost on its way back"),
            _ => Answer::Refused(409, "jobs.batch already exists"),
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let ending = executor.run(plain_job(), CancellationToken::new()).await;
    assert_eq!(ending, Ending::Complete, "{:?}", executor.server.texts());
    let calls = script.calls();
    let made: Vec<&str> = calls[..3].iter().map(|call| call.what.as_str()).collect();
    assert_eq!(made, ["POST jobs", "POST jobs", "GET jobs"]);
}

#[tokio::test]
async fn a_cancelled_job_is_deleted() {
    let script = Script::new();
    script.pod_runs();
    script.answer("GET pods/log", || Answer::Open(lines(&told()[..2])));
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let cancel = CancellationToken::new();
    let cancelling = async {
        script.until("GET pods/log").await;
        cancel.cancel();
    };
    let (ending, ()) = tokio::join!(executor.run(plain_job(), cancel.clone()), cancelling);
    assert_eq!(ending, Ending::Failed("the job was cancelled".to_owned()));
    assert_eq!(script.calls().last().unwrap().what, "DELETE jobs");
}

#[tokio::test]
async fn a_job_that_is_kept_is_nobodys_any_more() {
    let script = Script::new();
    script.pod_runs();
    script.answer("GET pods/log", || Answer::Bytes(lines(&told())));
    let directory = tempfile::tempdir().unwrap();
    let settings = PodSettings {
        keep: true,
        ..PodSettings::new("acme/capstan:1".to_owned())
    };
    let executor = Executor::with(&script, directory.path(), settings);
    executor.run(plain_job(), CancellationToken::new()).await;
    let calls = script.calls();
    let last = calls.last().unwrap();
    assert_eq!(last.what, "PATCH jobs");
    assert_eq!(
        last.body["metadata"]["labels"]["capstan.dev/executor"],
        Value::Null
    );
    assert!(calls.iter().all(|call| call.what != "DELETE jobs"));
}

#[tokio::test]
async fn the_next_start_goes_on_where_the_last_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Arc::<Server>::default();
    let script = Script::new();
    script.pod_runs();
    script.answer("GET pods/log", || Answer::Open(lines(&told()[..2])));
    let first = Executor {
        server: Arc::clone(&server),
        ..Executor::start(&script, directory.path())
    };
    let running = first.run(plain_job(), CancellationToken::new());
    let killed = async {
        while !server
            .texts()
            .iter()
            .any(|(key, ..)| key == "step.kubernetes.indexer")
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ending = running => panic!("{ending:?}"),
        () = killed => {}
    }
    let payload = script.calls()[1].body["data"].clone();
    drop(first);

    let script = Script::new();
    script.pod_runs();
    script.answer("GET secrets", move || {
        Answer::Json(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": payload,
        }))
    });
    script.answer("GET pods/log", || Answer::Bytes(lines(&told())));
    let second = Executor {
        server: Arc::clone(&server),
        ..Executor::start(&script, directory.path())
    };
    assert_eq!(second.jobs.maker.executor, EXECUTOR);
    let left = second.jobs.left().await;
    assert_eq!(left, [plain_job()]);
    let job = left.into_iter().next().unwrap();
    let ending = second.run(job, CancellationToken::new()).await;
    assert_eq!(ending, Ending::Complete);
    let texts = server.texts();
    let keys: Vec<&str> = texts.iter().map(|(key, ..)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "setup.kubernetes.job",
            "step.kubernetes.indexer",
            "teardown.kubernetes.job"
        ]
    );
    assert_eq!(texts[1].2, "stdout: one\nstdout: two\n");
    // It was not made again.
    assert!(
        script
            .calls()
            .iter()
            .all(|call| !call.what.starts_with("POST"))
    );
}

/// The server gives a job away that it has not heard of for too long, and may give it to the same executor.
#[tokio::test]
async fn a_job_that_comes_back_is_another_one() {
    let script = Script::new();
    script.pod_runs();
    script.answer("GET pods/log", || Answer::Open(lines(&told()[..2])));
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let cancel = CancellationToken::new();
    let again = async {
        script.until("GET pods/log").await;
        let first = script.calls()[0].body["metadata"]["name"].clone();
        script.answer("GET pods/log", || Answer::Bytes(lines(&told())));
        let mut job = plain_job();
        job.identity.token = "another".to_owned();
        let second = executor.run(job, CancellationToken::new());
        let (ending, ()) = tokio::join!(second, async { cancel.cancel() });
        (first, ending)
    };
    let (lost, (first, ending)) = tokio::join!(executor.run(plain_job(), cancel.clone()), again);
    assert_eq!(lost, Ending::Failed("the job was cancelled".to_owned()));
    assert_eq!(ending, Ending::Complete, "{:?}", executor.server.texts());
    let calls = script.calls();
    let made = calls.iter().filter(|call| call.what == "POST jobs");
    let made: Vec<&Value> = made.map(|call| &call.body["metadata"]["name"]).collect();
    assert_eq!(made.len(), 2);
    assert_eq!(made[0], &first);
    assert_ne!(made[1], &first);
    let deleted = calls.iter().filter(|call| call.what == "DELETE jobs");
    assert_eq!(deleted.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_full_is_waited_for() {
    let script = Script::new();
    script.pod_runs();
    script.answer("GET pods/log", || Answer::Bytes(lines(&told())));
    let tries = Mutex::new(0);
    script.answer_all("POST jobs", move |call| {
        let mut tries = tries.lock().unwrap();
        *tries += 1;
        match *tries {
            ..8 => Answer::Refused(
                403,
                "jobs.batch is forbidden: exceeded quota: jobs, used: 10",
            ),
            _ => script::made(call),
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let ending = executor.run(plain_job(), CancellationToken::new()).await;
    assert_eq!(ending, Ending::Complete, "{:?}", executor.server.texts());
    let told = executor.server.text_of("setup.kubernetes.job");
    assert_eq!(told.matches("exceeded quota").count(), 1, "{told}");
}

#[tokio::test]
async fn jobs_that_nobody_follows_are_deleted() {
    let script = Script::new();
    let job = |name: &str, executor: &str, pod: &str| {
        json!({"metadata": {"name": name, "labels": {"capstan.dev/executor": executor},
            "annotations": {"capstan.dev/executor-pod": pod}}})
    };
    let mut forgotten = job("never-begun", "dddd", "executor-1");
    forgotten["spec"] = json!({"suspend": true, "template": {}});
    forgotten["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    let jobs = json!({"apiVersion": "batch/v1", "kind": "JobList", "metadata": {}, "items": [
        job("forgotten", "0123456789ab", "executor-0"),
        job("of-one-that-lives", "aaaa", "executor-1"),
        job("of-one-that-is-gone", "bbbb", "executor-2"),
        job("of-one-that-had-this-pod", "cccc", "executor-0"),
        forgotten,
    ]});
    script.answer("LIST jobs", move || Answer::Json(jobs.clone()));
    script.answer("GET jobs", || {
        Answer::Json(json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "forgotten", "labels": {"capstan.dev/executor": "0123456789ab"}}}))
    });
    script.answer_each("GET pods", |path| match path.ends_with("/executor-1") {
        true => Answer::Json(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "executor-1"}}),
        ),
        false => Answer::Refused(404, "pods not found"),
    });
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let deleted = || {
        let calls = script.calls();
        let calls = calls.iter().filter(|call| call.what == "DELETE jobs");
        let names = calls.map(|call| call.path.rsplit('/').next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    while deleted().len() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let at_once = ["forgotten", "of-one-that-had-this-pod", "never-begun"];
    assert_eq!(deleted(), at_once);
    // A pod of a StatefulSet may be away for a moment.
    let mut away = BTreeMap::new();
    for _ in 0..3 {
        assert!(!deleted().contains(&"of-one-that-is-gone".to_owned()));
        super::sweep::sweep(&executor.jobs, &mut away)
            .await
            .unwrap();
    }
    let deleted = deleted();
    assert!(
        deleted.contains(&"of-one-that-is-gone".to_owned()),
        "{deleted:?}"
    );
    assert!(
        !deleted.contains(&"of-one-that-lives".to_owned()),
        "{deleted:?}"
    );
}

#[tokio::test]
async fn a_job_that_fits_into_no_secret_is_refused() {
    let script = Script::new();
    let directory = tempfile::tempdir().unwrap();
    let executor = Executor::start(&script, directory.path());
    let mut job = plain_job();
    // What does not get smaller.
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    });
    let file = capstan_protocol::File {
        content: capstan_protocol::Content::Inline(noise.take(2 << 20).collect()),
        modified_at: None,
    };
    job.files.insert("noise".to_owned(), file);
    let ending = executor.run(job, CancellationToken::new()).await;
    let Ending::Errored(text) = ending else {
        panic!("{ending:?}");
    };
    assert!(text.contains("too large for a cluster"), "{text}");
    assert!(script.calls().iter().all(|call| call.what != "POST jobs"));
}

/// A job with all that a manifest can have: a user of its own, files, credentials.
#[test]
fn the_manifest_of_a_plain_job() {
    insta::assert_snapshot!(manifest(&PodSettings::new("acme/capstan:1".to_owned())));
}

/// Only what the operator gives is in the Secret, so nothing else may be taken from there.
#[test]
fn a_path_that_looks_like_a_password_stays_one() {
    let settings = PodSettings {
        authorities: Some("/etc/ca@site/ca.pem".to_owned()),
        ..PodSettings::new("acme/capstan:1".to_owned())
    };
    let manifest = manifest(&settings);
    assert!(manifest.contains("/etc/ca@site/ca.pem"), "{manifest}");
    assert!(!manifest.contains("secretKeyRef"), "{manifest}");
}

#[test]
fn the_manifest_of_a_job_that_is_told_much() {
    use super::settings::{Placement, Resources, Storage, affinity, json, quantity};
    let quantity = |text| quantity(text).ok();
    let requirement = r#"[{"key":"pool","operator":"In","values":["batch"]}]"#;
    let settings = PodSettings {
        config: Some("/etc/capstan/capstan.toml".to_owned()),
        environment: [(
            "HTTPS_PROXY".to_owned(),
            "http://me:s3cret@proxy:3128".to_owned(),
        )]
        .into(),
        limits: Resources {
            cpu: quantity("4"),
            memory: quantity("12Gi"),
        },
        requests: Resources {
            cpu: None,
            memory: quantity("1Gi"),
        },
        placement: Placement {
            node_name: Some("node-1".to_owned()),
            node_selector: [("disk".to_owned(), "ssd".to_owned())].into(),
            node_expressions: json(requirement).unwrap(),
            node_fields: json(requirement).unwrap(),
            pod_affinity: affinity(r#"[{"topologyKey":"zone"}]"#).unwrap(),
            pod_anti_affinity: affinity(r#"[{"topologyKey":"host"}]"#).unwrap(),
            tolerations: json(r#"[{"key":"batch","operator":"Exists"}]"#).unwrap(),
        },
        volumes: json(r#"[{"name":"ca","configMap":{"name":"ca"}}]"#).unwrap(),
        mounts: json(r#"[{"name":"ca","mountPath":"/etc/ca","readOnly":true}]"#).unwrap(),
        job_annotations: [("a".to_owned(), "b".to_owned())].into(),
        pod_annotations: [("c".to_owned(), "d".to_owned())].into(),
        pull_secrets: vec!["registry".to_owned()],
        user: Some(1000),
        group: Some(1001),
        fs_group: Some(1002),
        storage: Storage::Claim,
        authorities: Some("/etc/ca/ca.pem".to_owned()),
        host_network: true,
        keep: true,
        ..PodSettings::new("acme/capstan:1".to_owned())
    };
    insta::assert_snapshot!(manifest(&settings));
}

fn manifest(settings: &PodSettings) -> String {
    use super::manifest::{Maker, Manifest, VOLUME};
    let mut job = plain_job();
    let auth = capstan_protocol::RegistryAuth {
        user: "me".to_owned(),
        password: "s3cret".to_owned(),
    };
    job.docker_auth_config
        .auths
        .insert("registry.example".to_owned(), auth);
    let inside = crate::job::Settings {
        volume: Some(VOLUME.into()),
        ..crate::job::Settings::default()
    };
    let gates = crate::job::gates(&job, &inside).unwrap();
    let maker = Maker {
        executor: EXECUTOR.to_owned(),
        label: "0123456789ab".to_owned(),
        pod: Some("executor-0".to_owned()),
        frontend: "https://sourcegraph.example/".to_owned(),
    };
    let manifest = Manifest {
        name: "capstan-codeintel-7-00000000",
        maker: &maker,
        settings,
        key: &job.identity.key(),
        repository: "github.com/acme/app",
        gates: &gates,
        payload: &super::payload::Payload {
            compressed: b"payload".to_vec(),
            clone_from: None,
        },
        auths: &job.docker_auth_config,
        timeout: Some(std::time::Duration::from_secs(1800)),
    };
    let mut job = manifest.job();
    job.metadata.uid = Some("uid-of-the-job".to_owned());
    // More may look at pods than at Secrets.
    let shown = serde_json::to_string(&job).unwrap();
    assert!(!shown.contains("s3cret"), "{shown}");
    let secrets = manifest.secrets(&job);
    let all = serde_json::json!([job, secrets]);
    serde_json::to_string_pretty(&all).unwrap()
}
