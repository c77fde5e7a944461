//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second does not wait for it.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Exit;
use crate::report::Reporter;

/// A token that is cancelled by the first signal, which `reporter` tells the user.
pub(crate) fn token(reporter: Arc<dyn Reporter>) -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let cancel = token.clone();
    tokio::spawn(async move {
        let mut again = false;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if again {
                exit_now();
            }
            again = true;
            cancel.cancel();
            reporter.note(
                "interrupted: stopping containers and removing workspaces; once more to leave at once",
            );
        }
    });
    Ok(token)
}

#[expect(
    clippy::exit,
    reason = "the user does not want to wait; the next start sweeps what is left"
)]
fn exit_now() -> ! {
    std::process::exit(Exit::Interrupted as i32)
}
