//! Diagnostics on standard error, for those who look after Capstan itself.

use tracing_subscriber::EnvFilter;

use crate::config::Environment;
use crate::printer;

/// Of a command that somebody waits for; `CAPSTAN_LOG` takes a filter such as `capstan_engine=debug`.
pub(crate) fn of_commands(verbose: u8, environment: &Environment) {
    let default = match verbose {
        0 | 1 => "warn",
        2 => "info,capstan_engine=debug",
        _ => "debug",
    };
    let filter = EnvFilter::new(environment.get("CAPSTAN_LOG").unwrap_or(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(printer::live() && environment.get("NO_COLOR").is_none())
        .without_time()
        .init();
}

/// Of the executor, as `SRC_LOG_LEVEL` and `SRC_LOG_FORMAT` say; `CAPSTAN_LOG` takes a finer filter.
pub(crate) fn of_executor(environment: &Environment) {
    let level = match environment.get("SRC_LOG_LEVEL") {
        Some("dbug" | "debug") => "debug",
        Some("info") => "info",
        Some("error" | "eror" | "crit") => "error",
        _ => "warn",
    };
    let filter = EnvFilter::new(environment.get("CAPSTAN_LOG").unwrap_or(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    match environment.get("SRC_LOG_FORMAT") {
        Some("json" | "json_gcp") => log.json().flatten_event(true).init(),
        _ => log.init(),
    }
}
