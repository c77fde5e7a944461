//! What is done from time to time: taking jobs back from silent executors, and forgetting what is old.

use std::sync::Arc;
use std::time::Duration;

use crate::hub::Shared;
use crate::store;

/// How often jobs of silent executors are looked for (facts/executor-protocol.md 1.9).
const RESET_INTERVAL: Duration = Duration::from_secs(1);

/// How often old things are looked for, in resets.
const FORGET_EVERY: u32 = 60;

/// How long a submission may take to send its files.
const DRAFTS_KEPT: Duration = Duration::from_secs(60 * 60);

/// How many executions are removed in one transaction: executors wait for it.
const AT_ONCE: i64 = 1;

pub(crate) async fn run(hub: Arc<Shared>) {
    let mut round = 0_u32;
    // Executors could not reach a hub that was down; what they run is not lost for that.
    let mut pause = hub.settings.lease;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = hub.ending.cancelled() => return,
        }
        pause = RESET_INTERVAL;
        let now = hub.now();
        let before = now - milliseconds(hub.settings.lease);
        let reset = hub
            .store
            .write(move |store| store::reset_stalled(store, before, now));
        match reset.await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "jobs whose executors went silent were taken back"),
            Err(error) => tracing::error!(%error, "jobs could not be taken back"),
        }
        if round.is_multiple_of(FORGET_EVERY)
            && let Err(error) = forget(&hub, now).await
        {
            tracing::error!(%error, "old executions could not be removed");
        }
        round = round.wrapping_add(1);
    }
}

/// Removes what is older than the settings say.
pub(crate) async fn forget(hub: &Shared, now: i64) -> Result<(), store::StoreError> {
    let finished = now - milliseconds(hub.settings.keep);
    let drafted = now - milliseconds(DRAFTS_KEPT);
    loop {
        let removed = hub
            .store
            .write(move |store| store::forget(store, finished, drafted, AT_ONCE))
            .await?;
        if removed == 0 {
            break;
        }
        tracing::info!(removed, "old executions were removed");
    }
    let results = now - milliseconds(hub.settings.keep_results);
    hub.store
        .write(move |store| {
            store::forget_executors(store, finished)?;
            store::forget_step_results(store, results)
        })
        .await?;
    Ok(())
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}
