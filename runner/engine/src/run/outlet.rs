//! The way of a step's output: through the filters of plugins to what templates and results keep; from there, without secrets, to
//! the log and to whoever watches.

use std::io;

use capstan_core::redact::{Redactor, Secrets};

use super::capture::Capture;
use super::failure::Failure;
use super::hooks::{Filtering, Hooks};
use super::report::{Report, Reported};
use super::step_log::StepLog;
use crate::fault::Fault;
use crate::sandbox::Stream;

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// Where a step's output goes.
pub(super) struct Outlet<'a> {
    pub(super) step: usize,
    pub(super) job: usize,
    pub(super) report: &'a dyn Report,
    pub(super) hooks: &'a Hooks,
    pub(super) log: LogSink<'a>,
    channels: [Channel<'a>; 2],
}

/// One stream.
struct Channel<'a> {
    filters: Vec<Filtering<'a>>,
    capture: Capture,
    redactor: Redactor,
}

impl<'a> Outlet<'a> {
    /// Makes the filters of both streams.
    pub(super) async fn open(
        (job, step): (usize, usize),
        report: &'a dyn Report,
        hooks: &'a Hooks,
        secrets: &Secrets,
        log: LogSink<'a>,
        capture_limit: usize,
    ) -> Result<Self, Box<Failure>> {
        let channel = async |stream| {
            Ok::<_, Box<Failure>>(Channel {
                filters: hooks.filters(step, stream).await?,
                capture: Capture::new(capture_limit),
                redactor: secrets.stream(),
            })
        };
        let channels = [
            channel(Stream::Stdout).await?,
            channel(Stream::Stderr).await?,
        ];
        Ok(Self {
            step,
            job,
            report,
            hooks,
            log,
            channels,
        })
    }

    /// Takes what the step printed.
    pub(super) async fn push(
        &mut self,
        stream: Stream,
        bytes: Vec<u8>,
    ) -> Result<(), Box<Failure>> {
        let (step, hooks) = (self.step, self.hooks);
        let channel = &mut self.channels[stream as usize];
        let filtered = channel.filter(step, hooks, bytes).await;
        self.log.plugin_lines(hooks);
        self.tell(stream, &filtered?);
        Ok(())
    }

    /// The step has ended: what filters and redaction hold back comes, too.
    pub(super) async fn end(&mut self) -> Result<(), Box<Failure>> {
        for stream in STREAMS {
            let (step, hooks) = (self.step, self.hooks);
            let channel = &mut self.channels[stream as usize];
            let rest = channel.end_filters(step, hooks).await;
            self.log.plugin_lines(hooks);
            self.tell(stream, &rest?);
        }
        Ok(())
    }

    /// No output comes any more: tells what redaction holds back, and what is not kept.
    pub(super) fn close(&mut self) {
        for stream in STREAMS {
            let mut rest = Vec::new();
            self.channels[stream as usize].redactor.finish(&mut rest);
            self.show(stream, &rest);
        }
    }

    /// What templates and results do not have of the output: nobody should wonder why.
    pub(super) fn log_what_was_dropped(&mut self) {
        let step = self.step + 1;
        for (stream, name) in [(Stream::Stdout, "stdout"), (Stream::Stderr, "stderr")] {
            let dropped = self.channels[stream as usize].capture.dropped();
            if dropped > 0 {
                self.log.write(|log| {
                    log.line(&format!(
                        "[Step {step}] templates and results have {name} without its last {dropped} bytes"
                    ))
                });
            }
        }
    }

    /// What is kept of standard output and standard error.
    pub(super) fn finish(self) -> Result<(String, String), Fault> {
        self.log
            .error
            .map_or(Ok(()), Err)
            .map_err(|error| Fault::disk("writing the log of the task", &error))?;
        let [stdout, stderr] = self.channels.map(|channel| channel.capture.into_text());
        Ok((stdout, stderr))
    }

    fn tell(&mut self, stream: Stream, bytes: &[u8]) {
        let channel = &mut self.channels[stream as usize];
        channel.capture.push(bytes);
        let mut shown = Vec::with_capacity(bytes.len());
        channel.redactor.push(bytes, &mut shown);
        self.show(stream, &shown);
    }

    fn show(&mut self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.log.write(|log| log.output(stream, bytes));
        let step = self.step;
        let what = Reported::Output {
            step,
            stream,
            bytes,
        };
        self.report.report(self.job, what);
    }
}

impl Channel<'_> {
    /// Sends `bytes` through the filters. One that fails, and may, is taken out: the chunk with which it failed, and what comes after,
    /// passes as it is.
    async fn filter(
        &mut self,
        step: usize,
        hooks: &Hooks,
        mut bytes: Vec<u8>,
    ) -> Result<Vec<u8>, Box<Failure>> {
        let mut index = 0;
        while let Some(filtering) = self.filters.get_mut(index) {
            let mut filtered = Vec::new();
            match filtering.filter.push(&bytes, &mut filtered).await {
                Ok(()) => index += 1,
                Err(failure) => {
                    hooks.filter_failed(step, filtering.session, failure)?;
                    self.filters.remove(index);
                }
            }
            bytes = filtered;
        }
        Ok(bytes)
    }

    /// Ends the filters, the first one first: what each had kept goes through those after it.
    async fn end_filters(&mut self, step: usize, hooks: &Hooks) -> Result<Vec<u8>, Box<Failure>> {
        let mut rest = Vec::new();
        while !self.filters.is_empty() {
            let Filtering { session, filter } = self.filters.remove(0);
            let mut kept = Vec::new();
            if let Err(failure) = filter.finish(&mut kept).await {
                hooks.filter_failed(step, session, failure)?;
            }
            if !kept.is_empty() {
                rest.extend(self.filter(step, hooks, kept).await?);
            }
        }
        Ok(rest)
    }
}

/// The task's log as a step writes it.
pub(super) struct LogSink<'a> {
    log: Option<&'a mut StepLog>,
    /// The first error; nothing is written afterwards.
    error: Option<io::Error>,
}

impl<'a> LogSink<'a> {
    pub(super) fn new(log: Option<&'a mut StepLog>) -> Self {
        Self { log, error: None }
    }

    pub(super) fn write(&mut self, write: impl FnOnce(&mut StepLog) -> io::Result<()>) {
        if self.error.is_none()
            && let Some(log) = &mut self.log
        {
            self.error = write(log).err();
        }
    }

    /// Writes what plugins have said.
    pub(super) fn plugin_lines(&mut self, hooks: &Hooks) {
        for line in hooks.voice.take_lines() {
            self.write(|log| log.line(&line));
        }
    }
}
