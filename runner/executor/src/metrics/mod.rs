//! Figures for Prometheus, under the names that Sourcegraph's dashboards look for (facts/executor-protocol.md 12.4).

mod exposition;
mod forward;
mod histogram;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::forward::Exporters;

use self::exposition::{Families, Kind};
use self::histogram::Histogram;

/// Bounds in seconds for calls to the server and commands.
const SHORT: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Bounds in seconds for whole jobs.
const LONG: &[f64] = &[
    30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 2700.0, 3600.0,
];

/// The figures of one executor. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Label of figures about jobs.
    queue: Arc<str>,
    counted: Arc<Mutex<Counted>>,
}

#[derive(Debug, Default)]
struct Counted {
    busy: u64,
    jobs: Option<Operation>,
    queue_calls: BTreeMap<&'static str, Operation>,
    files: BTreeMap<&'static str, Operation>,
    commands: BTreeMap<String, Operation>,
}

/// How often something was done, how often it failed, how long it took.
#[derive(Debug)]
struct Operation {
    failed: u64,
    durations: Histogram,
}

impl Operation {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            failed: 0,
            durations: Histogram::new(bounds),
        }
    }

    fn add(&mut self, duration: Duration, failed: bool) {
        self.failed += u64::from(failed);
        self.durations.add(duration.as_secs_f64());
    }
}

impl Metrics {
    /// Figures of an executor for these queues.
    pub fn new(queues: &[String]) -> Self {
        let mut names = queues.to_vec();
        names.sort_unstable();
        Self {
            queue: names.join("_").into(),
            counted: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many jobs run right now.
    pub fn busy(&self, jobs: usize) {
        self.lock().busy = jobs as u64;
    }

    /// A job has ended.
    pub fn job(&self, duration: Duration, failed: bool) {
        let mut counted = self.lock();
        let jobs = counted.jobs.get_or_insert_with(|| Operation::new(LONG));
        jobs.add(duration, failed);
    }

    pub(crate) fn queue_call(&self, name: &'static str, duration: Duration, failed: bool) {
        let mut counted = self.lock();
        let calls = counted.queue_calls.entry(name);
        calls
            .or_insert_with(|| Operation::new(SHORT))
            .add(duration, failed);
    }

    pub(crate) fn files(&self, name: &'static str, duration: Duration, failed: bool) {
        let mut counted = self.lock();
        let files = counted.files.entry(name);
        files
            .or_insert_with(|| Operation::new(SHORT))
            .add(duration, failed);
    }

    /// A command with an entry in the log has ended.
    pub(crate) fn command(&self, key: &str, duration: Duration, failed: bool) {
        let mut counted = self.lock();
        let commands = counted.commands.entry(operation(key).to_owned());
        commands
            .or_insert_with(|| Operation::new(SHORT))
            .add(duration, failed);
    }

    /// All figures in Prometheus' classic text format.
    pub fn text(&self) -> String {
        self.families().text()
    }

    fn families(&self) -> Families {
        let counted = self.lock();
        let mut families = Families::default();
        let queue = ("queue", &*self.queue);
        families.add(
            "src_executor_processor_handlers",
            Kind::Gauge,
            "Jobs that run right now.",
            &[queue],
            counted.busy as f64,
        );
        if let Some(jobs) = &counted.jobs {
            jobs.report(
                &mut families,
                "src_executor_processor",
                "jobs",
                &[queue, ("op", "Handle")],
            );
        }
        let groups = [
            (
                "src_apiworker_apiclient_queue",
                "calls to the queue",
                &counted.queue_calls,
            ),
            (
                "src_apiworker_apiclient_files",
                "calls to the file store",
                &counted.files,
            ),
        ];
        for (name, what, operations) in groups {
            for (operation, figures) in operations {
                figures.report(&mut families, name, what, &[("op", operation)]);
            }
        }
        for (operation, figures) in &counted.commands {
            figures.report(
                &mut families,
                "src_apiworker_command",
                "commands of jobs",
                &[("op", operation)],
            );
        }
        families
    }
}

impl Operation {
    fn report(&self, families: &mut Families, name: &str, what: &str, labels: &[(&str, &str)]) {
        families.add(
            &format!("{name}_total"),
            Kind::Counter,
            &format!("Number of {what}."),
            labels,
            self.durations.count() as f64,
        );
        families.add(
            &format!("{name}_errors_total"),
            Kind::Counter,
            &format!("Number of {what} that failed."),
            labels,
            self.failed as f64,
        );
        families.add_histogram(
            &format!("{name}_duration_seconds"),
            &format!("How long {what} took."),
            labels,
            &self.durations,
        );
    }
}

/// Dashboards group commands by `setup.*`, `exec.*` and `teardown.*`; the names of steps would be numbers without end.
fn operation(key: &str) -> &str {
    const KNOWN: [&str; 11] = [
        "setup.fs.workspace",
        "setup.git.init",
        "setup.git.add-remote",
        "setup.git.disable-gc",
        "setup.git.fetch",
        "setup.git.sparse-checkout-config",
        "setup.git.sparse-checkout-set",
        "setup.git.checkout",
        "setup.git.set-remote",
        "setup.fs.extras",
        "teardown.fs",
    ];
    match KNOWN.iter().find(|known| **known == key) {
        Some(known) => known,
        None if key.starts_with("setup.") => "setup.other",
        None if key.starts_with("teardown.") => "teardown.other",
        None => "exec",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_names_that_dashboards_look_for() {
        let metrics = Metrics::new(&["codeintel".into(), "batches".into()]);
        metrics.busy(2);
        metrics.job(Duration::from_secs(45), false);
        metrics.job(Duration::from_secs(7200), true);
        metrics.queue_call("Dequeue", Duration::from_millis(20), false);
        metrics.files("Get", Duration::from_millis(1), true);
        metrics.command("step.docker.step.0.run", Duration::from_secs(1), false);
        metrics.command("setup.git.fetch", Duration::from_secs(1), false);
        let text = metrics.text();
        for line in [
            "# TYPE src_executor_processor_handlers gauge",
            "src_executor_processor_handlers{queue=\"batches_codeintel\"} 2",
            "src_executor_processor_total{queue=\"batches_codeintel\",op=\"Handle\"} 2",
            "src_executor_processor_errors_total{queue=\"batches_codeintel\",op=\"Handle\"} 1",
            "# TYPE src_executor_processor_duration_seconds histogram",
            "src_executor_processor_duration_seconds_bucket{queue=\"batches_codeintel\",op=\"Handle\",le=\"30\"} 0",
            "src_executor_processor_duration_seconds_bucket{queue=\"batches_codeintel\",op=\"Handle\",le=\"60\"} 1",
            "src_executor_processor_duration_seconds_bucket{queue=\"batches_codeintel\",op=\"Handle\",le=\"+Inf\"} 2",
            "src_executor_processor_duration_seconds_sum{queue=\"batches_codeintel\",op=\"Handle\"} 7245",
            "src_apiworker_apiclient_queue_total{op=\"Dequeue\"} 1",
            "src_apiworker_apiclient_files_errors_total{op=\"Get\"} 1",
            "src_apiworker_command_total{op=\"exec\"} 1",
            "src_apiworker_command_total{op=\"setup.git.fetch\"} 1",
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line} is missing:\n{text}"
            );
        }
    }

    #[test]
    fn names_of_steps_do_not_become_labels() {
        for (key, expected) in [
            ("step.docker.step.17.run", "exec"),
            ("step.src.batch-exec", "exec"),
            ("setup.git.init", "setup.git.init"),
            ("setup.image.alpine", "setup.other"),
            ("teardown.fs", "teardown.fs"),
            ("teardown.x", "teardown.other"),
        ] {
            assert_eq!(operation(key), expected);
        }
    }
}
