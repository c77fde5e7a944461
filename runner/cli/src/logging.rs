//! Diagnostics on standard error, for those who look after Capstan itself, and traces for those who collect them.

use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::config::Environment;
use crate::printer;
use crate::telemetry::Telemetry;

/// What is logged, and how.
#[derive(Debug)]
pub(crate) struct Log {
    filter: String,
    form: Form,
    /// Whether what is done all the time is of interest.
    is_verbose: bool,
}

#[derive(Debug)]
enum Form {
    /// For somebody who looks on.
    People {
        has_colours: bool,
    },
    Lines,
    Json,
}

impl Log {
    /// Of a command that somebody waits for; `CAPSTAN_LOG` takes a filter such as `capstan_engine=debug`.
    pub(crate) fn of_commands(verbose: u8, environment: &Environment) -> Self {
        let default = match verbose {
            0 | 1 => "warn",
            2 => "info,capstan_engine=debug",
            _ => "debug",
        };
        let has_colours = printer::live() && environment.get("NO_COLOR").is_none();
        Self {
            filter: environment.get("CAPSTAN_LOG").unwrap_or(default).to_owned(),
            form: Form::People { has_colours },
            is_verbose: verbose > 2,
        }
    }

    /// Of the executor, as `SRC_LOG_LEVEL` and `SRC_LOG_FORMAT` say; `CAPSTAN_LOG` takes a finer filter.
    pub(crate) fn of_executor(environment: &Environment) -> Self {
        let level = match environment.get("SRC_LOG_LEVEL") {
            Some("dbug" | "debug") => "debug",
            Some("info") => "info",
            Some("error" | "eror" | "crit") => "error",
            _ => "warn",
        };
        Self {
            filter: environment.get("CAPSTAN_LOG").unwrap_or(level).to_owned(),
            form: match environment.get("SRC_LOG_FORMAT") {
                Some("json" | "json_gcp") => Form::Json,
                _ => Form::Lines,
            },
            is_verbose: level == "debug",
        }
    }

    /// Of the runner of a pod, whose events go the same way: each message is one line of JSON, whatever texts of others are in it.
    pub(crate) fn of_pod(environment: &Environment) -> Self {
        Self {
            filter: environment.get("CAPSTAN_LOG").unwrap_or("warn").to_owned(),
            form: Form::Json,
            is_verbose: false,
        }
    }

    /// The level of the spans that are exported: the calls that are made all the time are of the level `debug`.
    pub(crate) fn traced(&self) -> LevelFilter {
        match self.is_verbose {
            true => LevelFilter::DEBUG,
            false => LevelFilter::INFO,
        }
    }

    /// Logs from now on, and exports what `open` opens.
    pub(crate) fn start(&self, open: impl FnOnce(&Self) -> Telemetry) -> Telemetry {
        // What is wrong with the export is told in a log, too, but the real one begins with it.
        let first = tracing_subscriber::registry().with(self.layer());
        let telemetry = tracing::subscriber::with_default(first, || open(self));
        tracing_subscriber::registry()
            .with(self.layer())
            .with(telemetry.layer())
            .init();
        telemetry
    }

    fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        let layer = fmt::layer().with_writer(std::io::stderr);
        let layer = match self.form {
            Form::People { has_colours } => layer.with_ansi(has_colours).without_time().boxed(),
            Form::Lines => layer.with_ansi(false).boxed(),
            Form::Json => layer.with_ansi(false).json().flatten_event(true).boxed(),
        };
        // Spans are for traces; in the log each line says what it is about.
        let filter = EnvFilter::new(&self.filter);
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method itself would be one of a single lifetime"
        )]
        let filter = filter.and(filter_fn(|metadata| metadata.is_event()));
        layer.with_filter(filter).boxed()
    }
}
