//! The log of a pod's runner, followed to its end over cut connections.

use std::io;
use std::time::Duration;

use futures_util::{AsyncBufReadExt as _, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use tokio::sync::watch;
use tokio::time::Instant;

use super::manifest::RUNNER;
use super::pods::Seen;
use crate::job::Ending;
use crate::pod::Replay;

/// Longest line that is read. What the runner tells is far shorter.
const LONGEST_LINE: usize = 4 << 20;

/// The wait before the log is asked for anew.
const PAUSE: Duration = Duration::from_millis(500);

/// A log that says nothing for longer is asked for anew: the connection may be dead.
const SILENCE: Duration = Duration::from_secs(300);

/// So many seconds of what was read already are read again: clocks and kubelets differ.
const OVERLAP: u64 = 15;

/// How often the log of a runner that has ended is asked for if it cannot be had.
const LAST_TRIES: u32 = 6;

/// Follows the log of a pod that has begun; how its job ended, if it was told before the runner ended.
pub(super) async fn follow(
    api: &Api<Pod>,
    pod: &str,
    seen: &watch::Receiver<Seen>,
    replay: &mut Replay,
) -> Option<Ending> {
    let mut heard = None;
    let mut tries = 0;
    loop {
        let had_ended = has_ended(&seen.borrow());
        let seconds = |at: Instant| i64::try_from(at.elapsed().as_secs() + OVERLAP);
        let params = LogParams {
            container: Some(RUNNER.to_owned()),
            follow: true,
            since_seconds: heard.and_then(|at| seconds(at).ok()),
            ..LogParams::default()
        };
        match read(api, pod, &params, replay, &mut heard).await {
            Ok(Some(ending)) => return Some(ending),
            // Everything was read after its end.
            Ok(None) if had_ended => return None,
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(pod, %error, "the log of a pod was cut; it is followed anew");
                tries += u32::from(had_ended);
                if tries >= LAST_TRIES {
                    return None;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn has_ended(seen: &Seen) -> bool {
    match seen {
        Seen::NotYet => false,
        Seen::There(status) => status.has_ended(),
        Seen::Gone => true,
    }
}

/// Reads the log once, until it ends.
async fn read(
    api: &Api<Pod>,
    pod: &str,
    params: &LogParams,
    replay: &mut Replay,
    heard: &mut Option<Instant>,
) -> io::Result<Option<Ending>> {
    let log = api
        .log_stream(pod, params)
        .await
        .map_err(io::Error::other)?;
    pin_mut!(log);
    let mut line = Vec::new();
    let mut is_too_long = false;
    loop {
        let filled = tokio::time::timeout(SILENCE, log.fill_buf()).await;
        let bytes = filled.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if bytes.is_empty() {
            return Ok(None);
        }
        *heard = Some(Instant::now());
        let end = memchr::memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |end| end + 1);
        let part = &bytes[..end.unwrap_or(taken)];
        if line.len() + part.len() > LONGEST_LINE {
            is_too_long = true;
            line.clear();
        }
        if !is_too_long {
            line.extend_from_slice(part);
        }
        log.consume_unpin(taken);
        if end.is_some() {
            let ending = replay.line(&line);
            line.clear();
            is_too_long = false;
            if ending.is_some() {
                return Ok(ending);
            }
        }
    }
}
