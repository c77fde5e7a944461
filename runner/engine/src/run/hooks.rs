//! The plugins within one job: when each is called, and what its answer means.
//!
//! A "no" ends the job, unless the plugin is audited: then it is told and nothing else happens. A plugin that fails counts as a "no", too,
//! unless it is no policy and its operator chose to go on without it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use capstan_core::plugin::{Hook, OnFailure};
use capstan_core::value::Outputs;
use capstan_plugin_host::{
    self as host, Amendment, Decision, Filter, Processed, Refusal, Session, Verdict,
};

use super::failure::Failure;
use super::plugin_report::{PluginReport, Refused, Voice};
use super::shape::{self, Shape};
use super::{Job, Settings};
use crate::plugins::Plugins;
use crate::sandbox::Stream;

/// The plugins of one job. Without plugins every call is a "yes" and does nothing.
pub(super) struct Hooks {
    plugins: Plugins,
    /// In the order of the configuration; made by [`Hooks::check_job`].
    sessions: Vec<Session>,
    pub(super) voice: Arc<Voice>,
    /// What policies change about every step.
    amendments: Vec<Amendment>,
    /// The step that is due, as it is run.
    step: Arc<host::Step>,
    /// Whether a plugin that has a hand in results was passed over, and would not be called again for a result that is known.
    incomplete: AtomicBool,
}

/// What a plugin does that stops a job.
enum No {
    Refusal(Refusal),
    Failure(host::Failure),
}

type Stopped = Box<Failure>;

impl Hooks {
    pub(super) fn new(plugins: &Plugins, voice: Arc<Voice>) -> Self {
        Self {
            plugins: plugins.clone(),
            sessions: Vec::new(),
            voice,
            amendments: Vec::new(),
            step: Arc::default(),
            incomplete: AtomicBool::new(false),
        }
    }

    /// Whether results from now on lack what a plugin would have done, had it not failed.
    pub(super) fn are_incomplete(&self) -> bool {
        self.incomplete.load(Ordering::Relaxed)
    }

    /// Whether a step may turn out otherwise, or not to be run, when it is due.
    pub(super) fn have_policies(&self) -> bool {
        self.plugins.have(Hook::Policy)
    }

    pub(super) fn have(&self, hook: Hook) -> bool {
        self.plugins.have(hook)
    }

    /// `policy.check-job`, and the beginning of all sessions. Each policy sees what those before it changed.
    pub(super) async fn check_job(
        &mut self,
        job: &Job,
        settings: &Settings,
    ) -> Result<(), Stopped> {
        if self.plugins.is_empty() {
            return Ok(());
        }
        let steps = &job.task.steps;
        let mut shapes: Vec<Shape> = (0..steps.len())
            .map(|index| shape::unrendered(job, settings, index))
            .collect();
        for plugin in self.plugins.clone().iter() {
            let facts = shapes.iter().enumerate().map(|(index, shape)| {
                let step = &steps[index];
                shape.facts(step, index, &step.run, false)
            });
            let facts = facts_of(job, facts.collect());
            let log = Arc::clone(&self.voice) as Arc<dyn host::Log>;
            let session = plugin.session(Arc::new(facts), log);
            if plugin.has(Hook::Policy) {
                let decision = session.check_job().await;
                let amendments = self.decided(&session, None, decision)?;
                for shape in &mut shapes {
                    self.amend(&session, None, shape, &amendments)?;
                }
                self.amendments.extend(amendments);
            }
            self.sessions.push(session);
        }
        Ok(())
    }

    /// `policy.check-step`: makes of `shape` what policies want it to be. Remembers the step for the output hooks.
    pub(super) async fn check_step(
        &mut self,
        job: &Job,
        index: usize,
        script: &str,
        shape: &mut Shape,
    ) -> Result<(), Stopped> {
        if self.plugins.is_empty() {
            return Ok(());
        }
        self.voice.set_step(Some(index));
        let step = &job.task.steps[index];
        for amendment in &self.amendments {
            // They were tried on the step when they were made.
            let _ = shape.amend(amendment);
        }
        for session in self.with(Hook::Policy) {
            let facts = Arc::new(shape.facts(step, index, script, true));
            let decision = session.check_step(&facts).await;
            let amendments = self.decided(session, Some(index), decision)?;
            self.amend(session, Some(index), shape, &amendments)?;
        }
        self.step = Arc::new(shape.facts(step, index, script, true));
        Ok(())
    }

    /// Calls `workspace.prepare` of one plugin after the other, but not of those in `without`. Stops at the first that fails and may:
    /// what was done has to be undone, and then done again without it. Where that cannot be, no failure may.
    pub(super) async fn prepare(
        &self,
        workspace: &Path,
        without: &[usize],
        can_undo: bool,
    ) -> Result<Option<usize>, Stopped> {
        for (index, session) in self.sessions.iter().enumerate() {
            if !session.plugin().has(Hook::Workspace) || without.contains(&index) {
                continue;
            }
            if let Err(failure) = session.prepare(workspace).await {
                if !can_undo {
                    let refused = Refused::by_failure(failure, false);
                    return Err(self.refuse(session, None, &refused, false));
                }
                self.do_without(session, None, failure)?;
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// `diff.process`, then `policy.check-diff` on what came of it. `None`: the diff stays as it is.
    pub(super) async fn process_diff(
        &self,
        step: usize,
        diff: &[u8],
    ) -> Result<Option<Vec<u8>>, Stopped> {
        if !self.have(Hook::Diff) && !self.have(Hook::Policy) {
            return Ok(None);
        }
        self.voice.set_step(Some(step));
        let mut current: Arc<[u8]> = diff.into();
        for session in self.with(Hook::Diff) {
            if current.is_empty() {
                break;
            }
            let no = match session.process_diff(&current).await {
                Ok(Processed::Diff { diff, annotations }) => {
                    for annotation in &annotations {
                        let name = &session.plugin().entry().name;
                        self.voice.tell(name, PluginReport::Annotated(annotation));
                    }
                    if let Some(diff) = diff {
                        current = diff.into();
                    }
                    continue;
                }
                Ok(Processed::Refused(refusal)) => No::Refusal(refusal),
                Err(failure) => No::Failure(failure),
            };
            self.pass(session, Some(step), no, self.may_go_on(session))?;
        }
        for session in self.with(Hook::Policy) {
            let no = match session.check_diff(&current).await {
                Ok(Verdict::Keep) => continue,
                Ok(Verdict::Refuse(refusal)) => No::Refusal(refusal),
                Err(failure) => No::Failure(failure),
            };
            self.pass(session, Some(step), no, false)?;
        }
        Ok((*current != *diff).then(|| current.to_vec()))
    }

    /// The filters of one stream of the step that is due, in order.
    pub(super) async fn filters(
        &self,
        step: usize,
        stream: Stream,
    ) -> Result<Vec<Filtering<'_>>, Stopped> {
        let mut filters = Vec::new();
        for session in self.with(Hook::Output) {
            let stream = match stream {
                Stream::Stdout => host::Stream::Stdout,
                Stream::Stderr => host::Stream::Stderr,
            };
            match session.filter(&self.step, stream).await {
                Ok(filter) => filters.extend(filter.map(|filter| Filtering { session, filter })),
                Err(failure) => self.do_without(session, Some(step), failure)?,
            }
        }
        Ok(filters)
    }

    /// A filter failed.
    pub(super) fn filter_failed(
        &self,
        step: usize,
        session: &Session,
        failure: host::Failure,
    ) -> Result<(), Stopped> {
        self.do_without(session, Some(step), failure)
    }

    /// `output.derive-outputs`: sets outputs of a step that succeeded. Those of later plugins win.
    pub(super) async fn derive_outputs(
        &self,
        step: usize,
        stdout: &str,
        stderr: &str,
        outputs: &mut Outputs,
    ) -> Result<(), Stopped> {
        for session in self.with(Hook::Output) {
            let (stdout, stderr) = (stdout.as_bytes(), stderr.as_bytes());
            match session.derive_outputs(&self.step, stdout, stderr).await {
                Ok(derived) => outputs.extend(derived),
                Err(failure) => self.do_without(session, Some(step), failure)?,
            }
        }
        Ok(())
    }

    fn with(&self, hook: Hook) -> impl Iterator<Item = &Session> {
        self.sessions
            .iter()
            .filter(move |session| session.plugin().has(hook))
    }

    /// Whether the job goes on when this plugin, which is no policy, fails.
    fn may_go_on(&self, session: &Session) -> bool {
        session.plugin().entry().on_failure == OnFailure::Skip
    }

    /// A plugin failed to do its part of a result. Results without it are not what a later run should find.
    fn do_without(
        &self,
        session: &Session,
        step: Option<usize>,
        failure: host::Failure,
    ) -> Result<(), Stopped> {
        let no = No::Failure(failure);
        self.pass(session, step, no, self.may_go_on(session))?;
        self.incomplete.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The changes that a policy decided on; none if it said "no" and is audited.
    fn decided(
        &self,
        session: &Session,
        step: Option<usize>,
        decision: Result<Decision, host::Failure>,
    ) -> Result<Vec<Amendment>, Stopped> {
        let no = match decision {
            Ok(Decision::Keep) => return Ok(Vec::new()),
            Ok(Decision::Change(amendments)) => {
                let entry = session.plugin().entry();
                let changes: Vec<String> = amendments.iter().map(shape::describe).collect();
                let told = PluginReport::Changed {
                    changes: &changes,
                    audit: entry.audit,
                };
                self.voice.tell(&entry.name, told);
                return Ok(if entry.audit { Vec::new() } else { amendments });
            }
            Ok(Decision::Refuse(refusal)) => No::Refusal(refusal),
            Err(failure) => No::Failure(failure),
        };
        self.pass(session, step, no, false)?;
        Ok(Vec::new())
    }

    fn amend(
        &self,
        session: &Session,
        step: Option<usize>,
        shape: &mut Shape,
        amendments: &[Amendment],
    ) -> Result<(), Stopped> {
        for amendment in amendments {
            if let Err(reason) = shape.amend(amendment) {
                let refused = Refused::failed(&session.plugin().entry().name, &reason);
                return self.stop(session, step, &refused);
            }
        }
        Ok(())
    }

    /// What a "no" means: an error that ends the job, unless the plugin is audited or, having failed, may be passed over.
    fn pass(
        &self,
        session: &Session,
        step: Option<usize>,
        no: No,
        may_skip: bool,
    ) -> Result<(), Stopped> {
        let name = &session.plugin().entry().name;
        match no {
            No::Failure(failure) if may_skip => {
                let reason = failure.to_string();
                self.voice
                    .tell(name, PluginReport::PassedOver { reason: &reason });
                Ok(())
            }
            No::Failure(failure) => {
                let dispensable = !session.plugin().has(Hook::Policy);
                self.stop(session, step, &Refused::by_failure(failure, dispensable))
            }
            No::Refusal(refusal) => self.stop(session, step, &Refused::by(name, refusal)),
        }
    }

    fn stop(
        &self,
        session: &Session,
        step: Option<usize>,
        refused: &Refused,
    ) -> Result<(), Stopped> {
        let audit = session.plugin().entry().audit;
        let failure = self.refuse(session, step, refused, audit);
        if audit { Ok(()) } else { Err(failure) }
    }

    /// Tells of a "no", and makes of it what ends the job.
    fn refuse(
        &self,
        session: &Session,
        step: Option<usize>,
        refused: &Refused,
        audit: bool,
    ) -> Stopped {
        let name = &session.plugin().entry().name;
        self.voice
            .tell(name, PluginReport::Refused { refused, audit });
        Box::new(Failure::refused(step, refused))
    }
}

/// A filter on its way, and whose it is.
pub(super) struct Filtering<'a> {
    pub(super) session: &'a Session,
    pub(super) filter: Filter,
}

fn facts_of(job: &Job, steps: Vec<host::Step>) -> host::Job {
    let task = &job.task;
    host::Job {
        batch_change: task.batch_change.name.clone(),
        repository: task.repository.name.clone(),
        branch: task.repository.short_branch().to_owned(),
        commit: task.repository.rev.clone(),
        path: task.path.clone(),
        steps,
    }
}
