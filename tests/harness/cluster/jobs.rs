//! The controller of Jobs: gives each its pod, and says how it ended.

use serde_json::{Value, json};

use super::chance;
use super::clock;
use super::conditions;
use super::deletion::{self, Propagation};
use super::events;
use super::resource::Kind;
use super::state::State;
use super::store::{self, NAMESPACE};

/// What a Job is told by.
const SOURCE: &str = "job-controller";

/// How the pods of a Job are.
struct Pods {
    /// At work, or soon.
    active: Vec<Value>,
    /// On their way out.
    terminating: usize,
    ready: usize,
    succeeded: usize,
    failed: usize,
}

/// Brings all Jobs one step further.
pub(super) fn control(state: &mut State) {
    for job in state.store.all(Kind::Job) {
        if store::is_going(&job) {
            continue;
        }
        match conditions::holds(&job, "Complete") || conditions::holds(&job, "Failed") {
            true => expire(state, &job),
            false => advance(state, &job),
        }
    }
}

/// Removes a Job that has been over for long enough.
fn expire(state: &mut State, job: &Value) {
    let Some(lasting) = job["spec"]["ttlSecondsAfterFinished"].as_i64() else {
        return;
    };
    let end = ["Complete", "Failed"]
        .into_iter()
        .find_map(|kind| conditions::find(job, kind));
    let end = end.and_then(|end| end["lastTransitionTime"].as_str());
    if clock::age(end.unwrap_or_default()) >= lasting {
        let name = store::name(job);
        deletion::delete(state, Kind::Job, name, Propagation::Background, None);
    }
}

fn pods(state: &State, job: &Value) -> Pods {
    let mut pods = Pods {
        active: Vec::new(),
        terminating: 0,
        ready: 0,
        succeeded: 0,
        failed: 0,
    };
    let ids = state.pods_of.get(store::uid(job)).into_iter().flatten();
    let all = state.store.all(Kind::Pod);
    for id in ids {
        let pod = all.iter().find(|pod| store::uid(pod) == id);
        let phase = pod.and_then(|pod| pod["status"]["phase"].as_str());
        match (pod, phase) {
            (Some(_), Some("Succeeded")) => pods.succeeded += 1,
            (Some(_), Some("Failed")) | (None, _) => pods.failed += 1,
            (Some(pod), _) if store::is_going(pod) => {
                pods.terminating += 1;
                pods.failed += 1;
            }
            (Some(pod), _) => {
                pods.ready += usize::from(conditions::holds(pod, "Ready"));
                pods.active.push(pod.clone());
            }
        }
    }
    pods
}

fn advance(state: &mut State, job: &Value) {
    let pods = pods(state, job);
    let mut after = job.clone();
    let (name, uid) = (store::name(job), store::uid(job));
    if let Some(target) = conditions::find(job, "FailureTarget") {
        // It has failed when nothing of it runs any more.
        if pods.active.is_empty() && pods.terminating == 0 {
            let text = |field: &str| target[field].as_str().unwrap_or_default();
            conditions::set(&mut after, "Failed", true, text("reason"), text("message"));
            events::tell(state, job, SOURCE, text("reason"), text("message"));
        }
        stop(state, &pods);
    } else if job["spec"]["suspend"] == true {
        stop(state, &pods);
        state.pods_of.remove(uid);
        if let Some(status) = after["status"].as_object_mut() {
            status.remove("startTime");
        }
        conditions::set(
            &mut after,
            "Suspended",
            true,
            "JobSuspended",
            "Job suspended",
        );
    } else {
        if conditions::holds(job, "Suspended") {
            conditions::set(&mut after, "Suspended", false, "JobResumed", "Job resumed");
        }
        if after["status"].get("startTime").is_none() {
            after["status"]["startTime"] = json!(clock::now());
        }
        let (deadline, limit) = (
            &job["spec"]["activeDeadlineSeconds"],
            &job["spec"]["backoffLimit"],
        );
        let start = after["status"]["startTime"].as_str().unwrap_or_default();
        let is_late = deadline
            .as_i64()
            .is_some_and(|deadline| clock::age(start) >= deadline);
        if pods.succeeded > 0 {
            let (reason, message) = (
                "CompletionsReached",
                "Reached expected number of succeeded pods",
            );
            conditions::set(&mut after, "SuccessCriteriaMet", true, reason, message);
            conditions::set(&mut after, "Complete", true, reason, message);
            after["status"]["completionTime"] = json!(clock::now());
            events::tell(state, job, SOURCE, "Completed", "Job completed");
        } else if pods.failed as u64 > limit.as_u64().unwrap_or(6) {
            let message = "Job has reached the specified backoff limit";
            conditions::set(
                &mut after,
                "FailureTarget",
                true,
                "BackoffLimitExceeded",
                message,
            );
        } else if is_late {
            let message = "Job was active longer than specified deadline";
            conditions::set(
                &mut after,
                "FailureTarget",
                true,
                "DeadlineExceeded",
                message,
            );
            stop(state, &pods);
        } else if pods.active.is_empty() {
            let pod = new_pod(job);
            let pod = state.store.insert(Kind::Pod, pod);
            let message = format!("Created pod: {}", store::name(&pod));
            events::tell(state, job, SOURCE, "SuccessfulCreate", &message);
            let ids = state.pods_of.entry(uid.to_owned()).or_default();
            ids.push(store::uid(&pod).to_owned());
        }
    }
    count(state, &mut after);
    state.store.update(Kind::Job, name, |job| {
        job["status"] = after["status"].clone();
    });
}

/// Deletes the pods that are at work.
fn stop(state: &mut State, pods: &Pods) {
    for pod in &pods.active {
        let name = store::name(pod);
        deletion::delete(state, Kind::Pod, name, Propagation::Background, None);
    }
}

/// Writes into a Job how many pods it has.
fn count(state: &State, job: &mut Value) {
    let pods = pods(state, job);
    let status = &mut job["status"];
    status["ready"] = json!(pods.ready);
    status["terminating"] = json!(pods.terminating);
    status["uncountedTerminatedPods"] = json!({});
    let numbers = [
        ("active", pods.active.len()),
        ("succeeded", pods.succeeded),
        ("failed", pods.failed),
    ];
    // A number that is nothing is left out.
    for (field, number) in numbers {
        match (number, status.as_object_mut()) {
            (0, Some(status)) => {
                status.remove(field);
            }
            _ => status[field] = json!(number),
        }
    }
}

/// The pod that a Job asks for.
fn new_pod(job: &Value) -> Value {
    let name = store::name(job);
    let name = format!("{}-{}", &name[..name.len().min(57)], chance::letters(5));
    let template = &job["spec"]["template"];
    let mut metadata = json!({
        "name": name,
        "generateName": format!("{}-", store::name(job)),
        "namespace": NAMESPACE,
        "labels": template["metadata"]["labels"],
        "ownerReferences": [{
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": store::name(job),
            "uid": store::uid(job),
            "controller": true,
            "blockOwnerDeletion": true,
        }],
    });
    if let Some(annotations) = template["metadata"].get("annotations") {
        metadata["annotations"] = annotations.clone();
    }
    json!({
        "metadata": metadata,
        "spec": template["spec"],
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    })
}
