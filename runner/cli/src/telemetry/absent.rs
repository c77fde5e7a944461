//! A build without OpenTelemetry.

use tokio::runtime::Handle;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Identity;

use crate::config::Environment;

/// There is none.
pub(crate) struct Telemetry;

impl Telemetry {
    /// Says that there is none where it is asked for.
    pub(crate) fn open(environment: &Environment, _: LevelFilter, _: &Handle) -> Self {
        if let Some(name) = super::asked_for(environment) {
            tracing::warn!(
                "{name} is ignored: this build has no OpenTelemetry; build with `--features otel`, or take the Debian package"
            );
        }
        Self
    }

    /// There is none, and nobody asks for it.
    pub(crate) fn none() -> Self {
        Self
    }

    /// Nothing to add to the log.
    pub(crate) fn layer(&self) -> Identity {
        Identity::new()
    }

    /// Nothing to wait for.
    pub(crate) fn close(self) {}
}
