//! The server as the supervisor sees it.

use std::sync::Arc;

use capstan_protocol::{Identity, Job, JobKey, LogEntry, Mark, Outcome, Telemetry};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::client::{Beat, Client, ClientError, DequeueError};
use crate::log::Sink;
use crate::metrics::{Exporters, Metrics};

/// Where jobs come from and go to.
pub trait Queue: Send + Sync + 'static {
    /// Asks for a job; `None`: there is nothing to do.
    fn dequeue(&self) -> impl Future<Output = Result<Option<Job>, DequeueError>> + Send;

    /// Tells which jobs run.
    fn heartbeat(
        &self,
        running: &[JobKey],
    ) -> impl Future<Output = Result<Beat, ClientError>> + Send;

    /// Tells how a job ended.
    fn mark(
        &self,
        job: &Identity,
        outcome: Outcome,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;

    /// Tells how a job of an earlier executor ended.
    fn mark_of_former(
        &self,
        queue: &str,
        mark: &Mark,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;

    /// Where the log of a job goes.
    fn sink(&self, job: &Identity) -> Arc<dyn Sink>;

    /// The executor's name.
    fn executor_name(&self) -> &str;

    /// Secrets of the executor's own, to be taken out of logs.
    fn secrets(&self) -> Vec<&str>;
}

/// A real server.
#[derive(Debug)]
pub struct Server {
    /// Speaks with it.
    pub client: Arc<Client>,
    /// What it is told about this machine.
    pub telemetry: Telemetry,
    /// Figures that it is sent along.
    pub exporters: Exporters,
    /// Our own figures.
    pub metrics: Metrics,
}

impl Queue for Server {
    async fn dequeue(&self) -> Result<Option<Job>, DequeueError> {
        self.client.dequeue().await
    }

    async fn heartbeat(&self, running: &[JobKey]) -> Result<Beat, ClientError> {
        let figures = self.exporters.gather(&self.metrics).await;
        self.client
            .heartbeat(running, &self.telemetry, figures)
            .await
    }

    async fn mark(&self, job: &Identity, outcome: Outcome) -> Result<(), ClientError> {
        self.client.mark(job, outcome).await
    }

    async fn mark_of_former(&self, queue: &str, mark: &Mark) -> Result<(), ClientError> {
        self.client.mark_of_former(queue, mark).await
    }

    fn sink(&self, job: &Identity) -> Arc<dyn Sink> {
        Arc::new(JobSink {
            client: Arc::clone(&self.client),
            job: job.clone(),
        })
    }

    fn executor_name(&self) -> &str {
        self.client.executor_name()
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.client.secret().reveal()]
    }
}

/// The log of one job at a real server.
struct JobSink {
    client: Arc<Client>,
    job: Identity,
}

impl Sink for JobSink {
    fn add<'a>(&'a self, entry: &LogEntry) -> BoxFuture<'a, Result<i64, ClientError>> {
        self.client.add_log_entry(&self.job, entry).boxed()
    }

    fn update<'a>(
        &'a self,
        number: i64,
        entry: &LogEntry,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        self.client
            .update_log_entry(&self.job, number, entry)
            .boxed()
    }
}
