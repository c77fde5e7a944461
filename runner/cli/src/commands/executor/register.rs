//! Making oneself known to the server, however long it takes.

use std::time::Duration;

use capstan_executor::client::{Cause, Client};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The wait between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// A server that is being started is not worth a word for so long.
const QUIET: Duration = Duration::from_secs(60);

/// The same trouble is told again after so long.
const AGAIN: Duration = Duration::from_secs(60);

/// Whether the server knows the executor now; not if `stop` came first.
pub(super) async fn register(client: &Client, stop: &CancellationToken) -> bool {
    let begun = Instant::now();
    let mut told: Option<(String, Instant)> = None;
    loop {
        let answer = tokio::select! {
            answer = client.ping() => answer,
            () = stop.cancelled() => return false,
        };
        let Err(error) = answer else {
            return true;
        };
        let message = error.explained();
        let is_quiet = error.cause == Cause::NotThere && begun.elapsed() < QUIET;
        let is_told = told
            .as_ref()
            .is_some_and(|(text, at)| *text == message && at.elapsed() < AGAIN);
        if is_quiet || is_told {
            tracing::debug!("{message}");
        } else {
            tracing::error!("the server does not know this executor yet: {message}");
            told = Some((message, Instant::now()));
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return false,
        }
    }
}
