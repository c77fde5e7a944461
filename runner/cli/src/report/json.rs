//! The JSON lines of `src batch exec` and of `--format json`, on standard output (facts/batch-spec.md 7).

use std::sync::Arc;

use capstan_core::diff::Encoding;
use capstan_core::event::{Event, WorkspaceKind};
use capstan_engine::docker::PullProgress;
use capstan_engine::run::{EventLines, Report, Reported};

use super::{JobLabel, Phase, Reporter};
use crate::printer;

/// The JSON display.
pub(crate) struct Json {
    lines: Arc<EventLines>,
}

impl Json {
    /// For `batch run --format json`.
    pub(crate) fn new() -> Arc<Self> {
        Self::with(Encoding::Base64, false)
    }

    /// For `batch exec`; `encoding` is the version of the results.
    pub(crate) fn for_exec(encoding: Encoding) -> Arc<Self> {
        Self::with(encoding, true)
    }

    fn with(encoding: Encoding, cacheable: bool) -> Arc<Self> {
        let lines = EventLines::new(cacheable, move |event| {
            let mut line = event.to_json_line(jiff::Timestamp::now(), encoding);
            line.push('\n');
            if let Err(error) = printer::result(line.as_bytes()) {
                tracing::warn!(%error, "an event could not be written");
            }
        });
        Arc::new(Self { lines })
    }
}

impl Report for Json {
    fn report(&self, job: usize, what: Reported<'_>) {
        match what {
            Reported::CacheEntryDropped { path, reason } => {
                let path = path.display();
                printer::warning(format_args!(
                    "removed the unusable cache entry {path}: {reason}"
                ));
            }
            Reported::CacheGivenUp { reason } => {
                printer::warning(format_args!(
                    "results are not kept for later runs: {reason}"
                ));
            }
            what => self.lines.report(job, what),
        }
    }
}

impl Reporter for Json {
    fn jobs(&self, _labels: Vec<JobLabel>) {}

    fn phase(&self, phase: Phase<'_>) {
        let events = match phase {
            Phase::LoadingPlugins | Phase::LoadedPlugin { .. } => Vec::new(),
            Phase::Parsing => vec![Event::ParsingBatchSpecStarted],
            Phase::Parsed => vec![Event::ParsingBatchSpecSuccess],
            Phase::ParsingFailed { error } => {
                vec![Event::ParsingBatchSpecFailure {
                    error: error.to_owned(),
                }]
            }
            Phase::PreparingImages { total } => vec![
                Event::PreparingDockerImagesStarted,
                Event::PreparingDockerImagesProgress { done: 0, total },
            ],
            Phase::PreparedImage { done, total } => {
                vec![Event::PreparingDockerImagesProgress { done, total }]
            }
            Phase::PreparedImages => vec![
                Event::PreparingDockerImagesSuccess,
                Event::DeterminingWorkspaceTypeStarted,
                Event::DeterminingWorkspaceTypeSuccess {
                    kind: WorkspaceKind::Bind,
                },
            ],
            Phase::Resolving => vec![Event::DeterminingWorkspacesStarted],
            Phase::Resolved {
                repositories,
                workspaces,
                ignored,
            } => {
                vec![Event::DeterminingWorkspacesSuccess {
                    unsupported: 0,
                    ignored,
                    repositories,
                    workspaces,
                }]
            }
            Phase::CheckingCache => vec![Event::CheckingCacheStarted],
            Phase::CheckedCache { found, to_execute } => vec![Event::CheckingCacheSuccess {
                cached_specs_found: found,
                tasks_to_execute: to_execute,
            }],
            Phase::Executed => vec![Event::ExecutingTasksSuccess],
            Phase::Failed { error } => {
                vec![Event::BatchSpecExecutionFailure {
                    error: error.to_owned(),
                }]
            }
        };
        for event in &events {
            self.lines.tell(event);
        }
    }

    fn warn(&self, text: &str) {
        printer::warning(text);
    }

    fn note(&self, text: &str) {
        printer::note(text);
    }

    fn fetching(&self, line: &str) {
        tracing::debug!(line, "fetch");
    }

    fn pull(&self, progress: &PullProgress) {
        tracing::debug!(image = progress.image, status = progress.status, "pull");
    }

    fn finish(&self) {
        self.lines.flush_all();
    }
}
