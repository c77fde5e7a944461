//! SIGINT, SIGTERM and SIGHUP: the first lets jobs finish, the second stops them, the third waits for nothing.

use capstan_executor::supervisor::Shutdown;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Exit;

/// Listens from now on.
pub(super) fn listen(shutdown: Shutdown) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            if shutdown.abort.is_cancelled() {
                exit_now();
            } else if shutdown.drain.is_cancelled() {
                tracing::warn!("stopping running jobs; once more to leave at once");
                shutdown.abort.cancel();
            } else {
                tracing::warn!(
                    "no more jobs are taken; those that run are finished; once more to stop them"
                );
                shutdown.drain.cancel();
            }
        }
    });
    Ok(())
}

#[expect(
    clippy::exit,
    reason = "the operator does not want to wait; the next start sweeps what is left"
)]
fn exit_now() -> ! {
    std::process::exit(Exit::Interrupted as i32)
}
