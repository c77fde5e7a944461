//! The log of a pod's runner, followed to its end over cut connections.
//!
//! After a cut it is read from the beginning: what was heard is passed over by the numbers of lines, and a kubelet hands out no more than its newest file,
//! 10 MiB unless its node says otherwise.

use std::io;
use std::time::Duration;

use futures_util::{AsyncBufReadExt as _, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use tokio::sync::watch;

use super::manifest::RUNNER;
use super::pods::Seen;
use crate::job::Ending;
use crate::pod::Replay;

/// Longest line that is read. What the runner tells is far shorter.
const LONGEST_LINE: usize = 1 << 20;

/// The wait before the log is asked for anew.
const PAUSE: Duration = Duration::from_millis(500);

/// A log that says nothing for longer is asked for anew: the connection may be dead.
const SILENCE: Duration = Duration::from_secs(300);

/// How long the last lines of a runner that has ended may take to come.
const LAST_LINES: Duration = Duration::from_secs(10);

/// How often the log of a runner that has ended is asked for if it cannot be had.
const LAST_TRIES: u32 = 6;

/// So many failures in a row are worth a word.
const FAILURES: u32 = 5;

/// Follows the log of a pod that has begun; how its job ended. If it was not told before the runner ended: why the log could not be read, if that is why.
pub(super) async fn follow(
    api: &Api<Pod>,
    pod: &str,
    seen: &mut watch::Receiver<Seen>,
    replay: &mut Replay,
) -> Result<Ending, Option<String>> {
    let (mut failures, mut last_tries) = (0, 0);
    loop {
        let had_ended = has_ended(&seen.borrow());
        let late = async {
            // Nobody changes it any more: its value counts.
            if seen.wait_for(has_ended).await.is_err() && !had_ended {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(LAST_LINES).await;
        };
        let read = tokio::select! {
            read = read(api, pod, replay) => read,
            () = late => Err(io::ErrorKind::TimedOut.into()),
        };
        match read {
            Ok(Some(ending)) => return Ok(ending),
            // Everything was read after its end.
            Ok(None) if had_ended => return Err(None),
            Ok(None) => failures = 0,
            Err(error) => {
                tracing::debug!(pod, %error, "the log of a pod was cut; it is followed anew");
                failures += 1;
                if failures == FAILURES {
                    tracing::warn!(pod, %error, "the log of a pod cannot be read; it is tried again");
                }
                last_tries += u32::from(had_ended);
                if last_tries >= LAST_TRIES {
                    return Err(Some(error.to_string()));
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
async fn read(api: &Api<Pod>, pod: &str, replay: &mut Replay) -> io::Result<Option<Ending>> {
    let silent = |_| io::Error::from(io::ErrorKind::TimedOut);
    let params = LogParams {
        container: Some(RUNNER.to_owned()),
        follow: true,
        ..LogParams::default()
    };
    // There is no answer before there is a line.
    let log = tokio::time::timeout(SILENCE, api.log_stream(pod, &params)).await;
    let log = log.map_err(silent)?.map_err(io::Error::other)?;
    pin_mut!(log);
    let mut line = Vec::new();
    let mut is_too_long = false;
    loop {
        let filled = tokio::time::timeout(SILENCE, log.fill_buf()).await;
        let bytes = filled.map_err(silent)??;
        if bytes.is_empty() {
            return Ok(None);
        }
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
