//! How a run is shown: live on a terminal, as plain lines, or as JSON lines.

mod json;
mod live;
mod plain;

use std::sync::Arc;

use capstan_engine::docker::PullProgress;
use capstan_engine::run::{Job, Report};

pub(crate) use self::json::Json;
pub(crate) use self::live::Live;
pub(crate) use self::plain::Plain;

use crate::args::Format;
use crate::{printer, text};

/// What a display needs to know of a job.
#[derive(Debug, Clone)]
pub(crate) struct JobLabel {
    /// Repository and workspace path, for people.
    pub(crate) name: String,
    /// How many steps there are.
    pub(crate) steps: usize,
}

impl JobLabel {
    pub(crate) fn of(job: &Job) -> Self {
        Self {
            name: text::name(&job.task.name()),
            steps: job.task.steps.len(),
        }
    }
}

/// A stage of the run outside its jobs.
#[derive(Debug)]
pub(crate) enum Phase<'a> {
    Parsing,
    Parsed,
    ParsingFailed {
        error: &'a str,
    },
    LoadingPlugins,
    LoadedPlugin {
        name: &'a str,
    },
    PreparingImages {
        total: usize,
    },
    PreparedImage {
        done: usize,
        total: usize,
    },
    PreparedImages,
    Resolving,
    Resolved {
        repositories: usize,
        workspaces: usize,
        ignored: usize,
    },
    CheckingCache,
    CheckedCache {
        found: usize,
        to_execute: usize,
    },
    Executed,
    Failed {
        error: &'a str,
    },
}

/// A display of a whole run.
pub(crate) trait Reporter: Report {
    /// Names the jobs, before the first of them is reported on.
    fn jobs(&self, labels: Vec<JobLabel>);

    /// A stage began or ended.
    fn phase(&self, phase: Phase<'_>);

    /// Something the user should look at.
    fn warn(&self, text: &str);

    /// Something that is neither progress nor a warning.
    fn note(&self, text: &str);

    /// A repository is being fetched; what git says of it.
    fn fetching(&self, line: &str);

    /// An image is on its way.
    fn pull(&self, progress: &PullProgress);

    /// The run is over; nothing is reported any more.
    fn finish(&self);
}

/// The display for a format.
pub(crate) fn reporter(format: Format, verbose: bool) -> Arc<dyn Reporter> {
    match format {
        Format::Json => Json::new(),
        Format::Auto if printer::live() => Arc::new(Live::new()),
        Format::Auto | Format::Plain => Arc::new(Plain::new(verbose)),
    }
}
