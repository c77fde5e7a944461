//! Ctrl-C, SIGTERM and a closed terminal: the first asks for an orderly end, the second does not wait for it.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Exit;
use crate::report::Reporter;

/// A token that is cancelled by the first signal, which `reporter` tells the user.
pub(crate) fn token(reporter: Arc<dyn Reporter>) -> std::io::Result<CancellationToken> {
    token_with(move || {
        reporter.note(
            "interrupted: stopping containers and removing workspaces; once more to leave at once",
        );
    })
}

/// A token that is cancelled by the first signal, which `tell` tells the user.
pub(crate) fn token_with(tell: impl Fn() + Send + 'static) -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Who starts us with `nohup` wants the run to outlive the terminal.
    let mut hangup = match ignores_hangup() {
        true => None,
        false => Some(signal(SignalKind::hangup())?),
    };
    let cancel = token.clone();
    tokio::spawn(async move {
        let mut again = false;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = closed(hangup.as_mut()) => {}
            }
            if again {
                exit_now();
            }
            again = true;
            cancel.cancel();
            tell();
        }
    });
    Ok(token)
}

/// Waits for the terminal to be closed; for ever if that does not matter.
async fn closed(hangup: Option<&mut Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether the process was started with SIGHUP ignored.
fn ignores_hangup() -> bool {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signals are counted from 1, bits from 0.
    ignored.is_some_and(|mask| mask & 1 != 0)
}

#[expect(
    clippy::exit,
    reason = "the user does not want to wait; the next start sweeps what is left"
)]
fn exit_now() -> ! {
    std::process::exit(Exit::Interrupted as i32)
}
