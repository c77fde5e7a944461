//! Heartbeats and pings (facts/executor-protocol.md 1.6).

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::response::Response;
use capstan_protocol::{HeartbeatRequest, HeartbeatResponse, JobIds, JobKey, route};

use super::{Refusal, auth, collect, json};
use crate::hub::Shared;
use crate::store;

/// Largest request: the metrics of an executor and of its machine are in it.
const LIMIT: usize = 32 << 20;

/// To the path of one queue.
pub(super) async fn one(
    hub: &Shared,
    queue: &'static str,
    request: Request,
) -> Result<Response, Refusal> {
    let request = read(hub, request, false).await?;
    let JobIds::Single(ids) = &request.jobs else {
        return Err(Refusal::Internal(
            "the ids are of several queues".to_owned(),
        ));
    };
    let by_queue = BTreeMap::from([(queue.to_owned(), ids.clone())]);
    beat(hub, vec![queue.to_owned()], by_queue, &request, false).await
}

/// To the path of all queues.
pub(super) async fn several(hub: &Shared, request: Request) -> Result<Response, Refusal> {
    let request = read(hub, request, true).await?;
    let JobIds::Multi {
        queue_names,
        by_queue,
    } = &request.jobs
    else {
        return Err(Refusal::Internal("the ids are of one queue".to_owned()));
    };
    if queue_names.is_empty() {
        return Err(Refusal::Internal(
            "queueNames must be set for multi-queue heartbeats".to_owned(),
        ));
    }
    if let Some(unknown) = queue_names
        .iter()
        .find(|name| !route::QUEUES.contains(&name.as_str()))
    {
        return Err(Refusal::Internal(format!("unknown queue name {unknown:?}")));
    }
    if let Some(other) = by_queue.keys().find(|queue| !queue_names.contains(queue)) {
        return Err(Refusal::Internal(format!(
            "jobs of queue {other:?}, which is not among queueNames"
        )));
    }
    beat(hub, queue_names.clone(), by_queue.clone(), &request, true).await
}

async fn read(hub: &Shared, request: Request, multi: bool) -> Result<HeartbeatRequest, Refusal> {
    auth::executor(hub, request.headers())?;
    let body = collect(hub, request, LIMIT).await?;
    let request = HeartbeatRequest::decode(&body, multi)?;
    if request.executor_name.is_empty() {
        return Err(Refusal::Internal(
            "executor name cannot be empty".to_owned(),
        ));
    }
    Ok(request)
}

async fn beat(
    hub: &Shared,
    queues: Vec<String>,
    by_queue: BTreeMap<String, Vec<i64>>,
    request: &HeartbeatRequest,
    multi: bool,
) -> Result<Response, Refusal> {
    let (name, telemetry, now) = (
        request.executor_name.clone(),
        request.telemetry.clone(),
        hub.now(),
    );
    let answer = hub
        .store
        .write(move |store| {
            store::touch(store, &name, &queues, telemetry.as_ref(), now)?;
            let (mut known, mut canceled) = (Vec::new(), Vec::new());
            for (queue, ids) in by_queue {
                let beat = store::heartbeat(store, &queue, &name, &ids, now)?;
                let text = |id: i64| {
                    let queue = queue.clone();
                    JobKey { queue, id }.text(multi)
                };
                known.extend(beat.known.into_iter().map(text));
                canceled.extend(beat.canceled.into_iter().map(text));
            }
            Ok(HeartbeatResponse {
                known_ids: known,
                cancel_ids: Some(canceled),
            })
        })
        .await?;
    Ok(json(answer.to_json()))
}
