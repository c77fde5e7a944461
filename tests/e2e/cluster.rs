//! The cluster of the tests itself: what the tests of jobs in clusters rely on.

use std::thread;

use capstan_tests::Cluster;
use serde_json::{Value, json};

const JOBS: &str = "/apis/batch/v1/namespaces/capstan/jobs";
const PODS: &str = "/api/v1/namespaces/capstan/pods";
const SECRETS: &str = "/api/v1/namespaces/capstan/secrets";

/// A Job of one container that runs a script.
fn job(name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"of": "tests"}},
        "spec": {
            "backoffLimit": 0,
            "template": {"spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
                "containers": [container("main", script)],
            }},
        },
    })
}

fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "busybox:stable", "command": ["/bin/sh", "-c", script]})
}

fn create(cluster: &Cluster, path: &str, object: &Value) -> Value {
    let (status, made) = cluster.request("POST", path, object);
    assert_eq!(status, 201, "{made:#}");
    made
}

/// Whether a Job has come to a condition.
fn has(cluster: &Cluster, job: &str, condition: &str) -> bool {
    let jobs = cluster.jobs();
    let job = jobs.iter().find(|other| other["metadata"]["name"] == job);
    let conditions = job.map(|job| job["status"]["conditions"].clone());
    let conditions = conditions.and_then(|all| all.as_array().cloned());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|other| other["type"] == condition && other["status"] == "True")
}

/// The name of the only pod, once there is one.
fn pod(cluster: &Cluster) -> String {
    cluster.wait_until("there is a pod", |cluster| !cluster.pods().is_empty());
    cluster.pods()[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn phase(cluster: &Cluster) -> Value {
    let pods = cluster.pods();
    pods.first()
        .map_or(Value::Null, |pod| pod["status"]["phase"].clone())
}

#[test]
fn a_job_runs_to_its_end() {
    let cluster = Cluster::start();
    let mut wanted = job("whole", "");
    let with_volume = |mut container: Value, sub: &str| {
        container["volumeMounts"] =
            json!([{"name": "shared", "mountPath": "/shared", "subPath": sub}]);
        container
    };
    let spec = &mut wanted["spec"]["template"]["spec"];
    spec["volumes"] = json!([
        {"name": "shared", "emptyDir": {"sizeLimit": "5Gi"}},
        {"name": "told", "secret": {"secretName": "told"}},
    ]);
    let mut first = with_volume(
        container("first", "cat /told/word > /shared/one; $(TWO)"),
        "",
    );
    first["env"] = json!([{"name": "TWO", "value": "mkdir -m 777 /shared/two"}]);
    first["volumeMounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "told", "mountPath": "/told"}));
    spec["initContainers"] = json!([first]);
    let mut writes = with_volume(
        container(
            "writes",
            "id -u; echo more > /shared/file; sleep 1; echo over >&2",
        ),
        "two",
    );
    let mut reads = with_volume(
        container(
            "reads",
            "until cat /shared/two/file; do sleep 0.1; done; cat /shared/one",
        ),
        "",
    );
    reads["securityContext"] = json!({"runAsUser": 1234, "capabilities": {"drop": ["ALL"]}});
    writes["securityContext"] = json!({"runAsUser": 4321});
    spec["containers"] = json!([writes, reads]);
    let made = create(&cluster, JOBS, &wanted);
    // The pod waits for its Secret, which goes with the Job.
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "told", "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "whole", "uid": made["metadata"]["uid"]}]},
        "stringData": {"word": "a secret\n"},
    });
    create(&cluster, SECRETS, &secret);
    cluster.wait_until("it is complete", |cluster| {
        has(cluster, "whole", "Complete")
    });
    let pod = pod(&cluster);
    let log = |container: &str| {
        let path = format!("{PODS}/{pod}/log?container={container}&follow=true");
        cluster.request("GET", &path, &Value::Null)
    };
    assert_eq!(log("reads"), (200, json!("more\na secret\n")));
    assert_eq!(log("writes"), (200, json!("4321\nover\n")));
    let state = &cluster.pods()[0]["status"];
    assert_eq!(state["phase"], "Succeeded");
    assert_eq!(
        state["containerStatuses"][1]["state"]["terminated"]["reason"],
        "Completed"
    );
    let path = format!("{JOBS}/whole");
    let (status, deleted) =
        cluster.request("DELETE", &path, &json!({"propagationPolicy": "Background"}));
    assert_eq!((status, &deleted["status"]), (200, &json!("Success")));
    cluster.wait_until("all is gone", |cluster| {
        cluster.pods().is_empty() && cluster.secrets().is_empty()
    });
    cluster.assert_pleased();
}

#[test]
fn a_suspended_job_has_no_pod() {
    let cluster = Cluster::start();
    let mut suspended = job("late", "true");
    suspended["spec"]["suspend"] = json!(true);
    create(&cluster, JOBS, &suspended);
    cluster.wait_until("it is seen", |cluster| has(cluster, "late", "Suspended"));
    assert!(cluster.pods().is_empty());
    let (status, patched) = cluster.request(
        "PATCH",
        &format!("{JOBS}/late"),
        &json!({"spec": {"suspend": false}}),
    );
    assert_eq!(
        (status, &patched["metadata"]["generation"]),
        (200, &json!(2))
    );
    cluster.wait_until("it is complete", |cluster| has(cluster, "late", "Complete"));
}

#[test]
fn a_job_has_a_deadline() {
    let cluster = Cluster::start();
    let mut long = job("long", "sleep 600");
    long["spec"]["activeDeadlineSeconds"] = json!(2);
    create(&cluster, JOBS, &long);
    cluster.wait_until("it has failed", |cluster| has(cluster, "long", "Failed"));
    let conditions = cluster.jobs()[0]["status"]["conditions"].to_string();
    assert!(conditions.contains("DeadlineExceeded"), "{conditions}");
    assert!(cluster.pods().is_empty());
}

#[test]
fn a_pod_that_vanishes_fails_its_job() {
    let cluster = Cluster::start();
    create(&cluster, JOBS, &job("lost", "sleep 600"));
    cluster.wait_until("it runs", |cluster| phase(cluster) == "Running");
    cluster.remove_pod(&pod(&cluster));
    cluster.wait_until("it has failed", |cluster| has(cluster, "lost", "Failed"));
    assert!(cluster.pods().is_empty());
}

#[test]
fn what_keeps_a_pod_from_running_is_in_its_status() {
    let cluster = Cluster::start();
    let mut odd = job("odd", "sleep 600");
    let mut missing = container("missing", "true");
    missing["image"] = json!("no-such-image:1");
    let containers = &mut odd["spec"]["template"]["spec"]["containers"];
    containers.as_array_mut().unwrap().push(missing);
    create(&cluster, JOBS, &odd);
    let state = |cluster: &Cluster, index: usize| {
        let pods = cluster.pods();
        pods.first().map_or(Value::Null, |pod| {
            pod["status"]["containerStatuses"][index]["state"].clone()
        })
    };
    cluster.wait_until("one runs and one waits", |cluster| {
        state(cluster, 0).get("running").is_some()
            && state(cluster, 1)["waiting"]["reason"] == "ImagePullBackOff"
    });
    assert_eq!(phase(&cluster), "Pending");
    let pod = pod(&cluster);
    let (status, refusal) = cluster.request(
        "GET",
        &format!("{PODS}/{pod}/log?container=missing"),
        &Value::Null,
    );
    let message = refusal["message"].as_str().unwrap();
    assert_eq!(status, 400);
    assert!(
        message.contains("is waiting to start: trying and failing to pull image"),
        "{message}"
    );
    cluster.evict(&pod, "The node was low on resource: memory. ");
    cluster.wait_until("it has failed", |cluster| has(cluster, "odd", "Failed"));
    let status = cluster.pods()[0]["status"].clone();
    assert_eq!(
        (&status["phase"], &status["reason"]),
        (&json!("Failed"), &json!("Evicted"))
    );
    assert_eq!(
        status["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        137
    );
}

#[test]
fn a_volume_has_a_limit() {
    let cluster = Cluster::start();
    let mut large = job(
        "large",
        "dd if=/dev/zero of=/volume/file bs=1M count=3; sleep 600",
    );
    let spec = &mut large["spec"]["template"]["spec"];
    spec["volumes"] = json!([{"name": "small", "emptyDir": {"sizeLimit": "1Mi"}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "small", "mountPath": "/volume"}]);
    create(&cluster, JOBS, &large);
    cluster.wait_until("it is driven out", |cluster| phase(cluster) == "Failed");
    let message = r#"Usage of EmptyDir volume "small" exceeds the limit "1Mi". "#;
    assert_eq!(cluster.pods()[0]["status"]["message"], message);
}

#[test]
fn watches_end() {
    let cluster = Cluster::start();
    let (_, before) = cluster.request("GET", JOBS, &Value::Null);
    let version = before["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = |version: &str| {
        format!(
            "{JOBS}?watch=true&resourceVersion={version}&labelSelector=of%20in%20(tests)&timeoutSeconds=60"
        )
    };
    thread::scope(|scope| {
        let watching = scope.spawn(|| cluster.request("GET", &path(&version), &Value::Null));
        let watch = ("watch".to_owned(), "jobs".to_owned());
        cluster.wait_until("it watches", |cluster| cluster.requests().contains(&watch));
        let mut suspended = job("seen", "true");
        suspended["spec"]["suspend"] = json!(true);
        create(&cluster, JOBS, &suspended);
        cluster.wait_until("it is seen", |cluster| has(cluster, "seen", "Suspended"));
        cluster.expire_watches();
        let (status, told) = watching.join().unwrap();
        let told: Vec<Value> = told
            .as_str()
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let kinds: Vec<&str> = told
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            (status, kinds[0], kinds[kinds.len() - 1]),
            (200, "ADDED", "ERROR"),
            "{told:#?}"
        );
    });
    let (_, again) = cluster.request("GET", &path(&version), &Value::Null);
    assert_eq!(
        (&again["type"], &again["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert_eq!(again["object"]["reason"], "Expired");
}

#[test]
fn what_is_refused_is_refused_with_a_status() {
    let cluster = Cluster::start();
    cluster.unschedulable("0/1 nodes are available: 1 Insufficient memory.");
    let wanted = job("one", "true");
    create(&cluster, JOBS, &wanted);
    let refused = |method: &str, path: &str, body: &Value| {
        let (status, refusal) = cluster.request(method, path, body);
        assert_eq!(
            (&refusal["kind"], &refusal["code"]),
            (&json!("Status"), &json!(status))
        );
        (
            refusal["reason"].as_str().unwrap().to_owned(),
            refusal["message"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(
        refused("POST", JOBS, &wanted),
        (
            "AlreadyExists".to_owned(),
            r#"jobs.batch "one" already exists"#.to_owned()
        )
    );
    assert_eq!(
        refused("GET", &format!("{PODS}/none"), &Value::Null).1,
        r#"pods "none" not found"#
    );
    let mut empty = job("Two", "true");
    empty["spec"]["template"]["spec"]["containers"] = json!([]);
    let (reason, message) = refused("POST", JOBS, &empty);
    assert_eq!(reason, "Invalid");
    assert!(
        message.contains("spec.template.spec.containers: Required value"),
        "{message}"
    );
    assert!(
        message.contains(r#"metadata.name: Invalid value: "Two""#),
        "{message}"
    );
    cluster.forbid("create", "jobs");
    let forbidden = r#"jobs.batch is forbidden: User "system:serviceaccount:capstan:executor" cannot create resource "jobs" in API group "batch" in the namespace "capstan""#;
    assert_eq!(
        refused("POST", JOBS, &wanted),
        ("Forbidden".to_owned(), forbidden.to_owned())
    );
    // Nothing can be said by a pod that is nowhere.
    let pod = pod(&cluster);
    assert_eq!(
        cluster.request("GET", &format!("{PODS}/{pod}/log"), &Value::Null),
        (200, json!(""))
    );
    cluster.wait_until("it is told", |cluster| {
        cluster.pods()[0]["status"]["conditions"][0]["reason"] == "Unschedulable"
    });
    cluster.down(true);
    assert_eq!(refused("GET", JOBS, &Value::Null).0, "ServiceUnavailable");
    cluster.assert_pleased();
}
