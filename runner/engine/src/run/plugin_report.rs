//! What plugins do and say, for people: told at once, and kept for the task's log.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use capstan_core::plugin::Hook;
use capstan_core::redact::Secrets;
use capstan_plugin_host::{Annotation, Failure, Level, Log, Refusal, Severity, Usage};

use super::report::{Report, Reported};

/// Something that a plugin did or said. Its `Display` is for logs; what follows `the plugin <name>`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum PluginReport<'a> {
    /// It wrote a message.
    Said {
        /// In this hook.
        hook: Hook,
        /// How much it matters.
        level: Level,
        /// The message.
        text: &'a str,
    },
    /// A call of it ended.
    Called {
        /// The function: `policy.check-step`.
        call: &'static str,
        /// What it used.
        usage: Usage,
    },
    /// A policy changed the step, or all steps.
    Changed {
        /// The changes, in words.
        changes: &'a [String],
        /// Whether it only would have.
        audit: bool,
    },
    /// It has something to say of a file of the diff.
    Annotated(&'a Annotation),
    /// It refused.
    Refused {
        /// What, and why.
        refused: &'a Refused,
        /// Whether it only would have.
        audit: bool,
    },
    /// It failed, and the run goes on without it.
    PassedOver {
        /// Why.
        reason: &'a str,
    },
}

impl PluginReport<'_> {
    /// Whether it changes what comes of the job, or would have: nobody should wonder why.
    pub fn changes_the_result(&self) -> bool {
        match self {
            Self::Said { level, .. } => *level >= Level::Warn,
            Self::Called { .. } => false,
            // The failure of the job says it.
            Self::Refused { audit, .. } => *audit,
            _ => true,
        }
    }
}

/// Why a plugin stops a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Name of the plugin.
    pub plugin: String,
    /// The rule, as the plugin names it; `None` if the plugin failed.
    pub rule: Option<String>,
    /// For people.
    pub reason: String,
    /// Further facts, in order.
    pub details: Vec<(String, String)>,
    /// Whether its operator could have the run go on without it.
    pub dispensable: bool,
}

impl Refused {
    pub(super) fn by(plugin: &str, refusal: Refusal) -> Self {
        Self {
            plugin: plugin.to_owned(),
            rule: Some(refusal.rule),
            reason: refusal.reason,
            details: refusal.details,
            dispensable: false,
        }
    }

    pub(super) fn by_failure(failure: Failure, dispensable: bool) -> Self {
        let mut details = Vec::new();
        let said = failure.last_lines.lines();
        let said: Vec<_> = said.filter(|line| !line.trim().is_empty()).collect();
        if !said.is_empty() {
            details.push(("its last messages".to_owned(), said.join("\n")));
        }
        Self {
            rule: None,
            reason: failure.reason(),
            details,
            plugin: failure.plugin,
            dispensable,
        }
    }

    pub(super) fn failed(plugin: &str, reason: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            rule: None,
            reason: format!("the plugin {plugin} failed: its answer is not allowed: {reason}"),
            details: Vec::new(),
            dispensable: false,
        }
    }

    fn redacted(&self, secrets: &Secrets) -> Self {
        let clean = |text: &String| secrets.redact(text).into_owned();
        Self {
            plugin: self.plugin.clone(),
            rule: self.rule.as_ref().map(clean),
            reason: clean(&self.reason),
            details: self
                .details
                .iter()
                .map(|(name, value)| (clean(name), clean(value)))
                .collect(),
            dispensable: self.dispensable,
        }
    }
}

/// What it says to people: `refused by the plugin image-policy (digest-required): the image has no digest`, then the details.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => write!(
                f,
                "refused by the plugin {} ({rule}): {}",
                self.plugin, self.reason
            )?,
            None => write!(f, "refused, as {}", self.reason)?,
        }
        for (name, value) in &self.details {
            write!(f, "\n\t{name}: ")?;
            for (index, line) in value.trim_end().lines().enumerate() {
                if index > 0 {
                    f.write_str("\n\t\t")?;
                }
                f.write_str(line)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for PluginReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said { level, text, .. } => {
                let level = match level {
                    Level::Trace => "trace",
                    Level::Debug => "debug",
                    Level::Info => "info",
                    Level::Warn => "warning",
                    Level::Error => "error",
                };
                write!(f, "{level}: {text}")
            }
            Self::Called { call, usage } => {
                let (wall, cpu) = (usage.wall, usage.cpu);
                let mebibytes = usage.memory.div_ceil(1 << 20);
                write!(
                    f,
                    "{call} took {:.1} ms, computed {} ms, used {mebibytes} MiB",
                    wall.as_secs_f64() * 1000.0,
                    cpu.as_millis()
                )
            }
            Self::Changed { changes, audit } => {
                let would = if *audit {
                    "would have changed"
                } else {
                    "changed"
                };
                write!(f, "{would}: {}", changes.join("; "))
            }
            Self::Annotated(annotation) => {
                let severity = match annotation.severity {
                    Severity::Notice => "notice",
                    Severity::Warning => "warning",
                    Severity::Failure => "failure",
                };
                write!(f, "{severity}: {}", annotation.path)?;
                if let Some(line) = annotation.line {
                    write!(f, ":{line}")?;
                }
                write!(f, ": {}", annotation.message)
            }
            Self::Refused { refused, audit } => {
                if *audit {
                    f.write_str("audit, would have been ")?;
                }
                refused.fmt(f)
            }
            Self::PassedOver { reason } => write!(f, "passed over: {reason}"),
        }
    }
}

/// The mouth of the plugins of one job. All that they say passes the redaction of secrets.
pub(super) struct Voice {
    report: Arc<dyn Report>,
    job: usize,
    secrets: Secrets,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    step: Option<usize>,
    /// For the task's log. Bounded, as what a call may say is.
    lines: Vec<String>,
}

impl Voice {
    pub(super) fn new(report: Arc<dyn Report>, job: usize, secrets: Secrets) -> Self {
        Self {
            report,
            job,
            secrets,
            state: Mutex::default(),
        }
    }

    /// What follows is about this step.
    pub(super) fn set_step(&self, step: Option<usize>) {
        self.with(|state| state.step = step);
    }

    /// The lines for the log since the last time.
    pub(super) fn take_lines(&self) -> Vec<String> {
        self.with(|state| std::mem::take(&mut state.lines))
    }

    /// Tells what the plugin `name` did.
    pub(super) fn tell(&self, name: &str, what: PluginReport<'_>) {
        let secrets = &self.secrets;
        match what {
            PluginReport::Said { hook, level, text } => {
                let text = &secrets.redact(text);
                self.tell_clean(name, PluginReport::Said { hook, level, text });
            }
            PluginReport::Changed { changes, audit } => {
                let clean = changes.iter().map(|text| secrets.redact(text).into_owned());
                let changes = &clean.collect::<Vec<_>>();
                self.tell_clean(name, PluginReport::Changed { changes, audit });
            }
            PluginReport::Annotated(annotation) => {
                let mut annotation = annotation.clone();
                for text in [&mut annotation.path, &mut annotation.message] {
                    *text = secrets.redact(text).into_owned();
                }
                self.tell_clean(name, PluginReport::Annotated(&annotation));
            }
            PluginReport::Refused { refused, audit } => {
                let refused = &refused.redacted(secrets);
                self.tell_clean(name, PluginReport::Refused { refused, audit });
            }
            PluginReport::PassedOver { reason } => {
                let reason = &secrets.redact(reason);
                self.tell_clean(name, PluginReport::PassedOver { reason });
            }
            PluginReport::Called { .. } => self.tell_clean(name, what),
        }
    }

    fn tell_clean(&self, name: &str, what: PluginReport<'_>) {
        let text = what.to_string();
        let step = self.with(|state| {
            let lines = text.lines().map(|line| format!("[Plugin {name}] {line}"));
            state.lines.extend(lines);
            state.step
        });
        let reported = Reported::Plugin {
            plugin: name,
            step,
            what,
        };
        self.report.report(self.job, reported);
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Log for Voice {
    fn message(&self, plugin: &str, hook: Hook, level: Level, text: &str) {
        // A panic begins with an empty line.
        if text.trim().is_empty() {
            return;
        }
        self.tell(plugin, PluginReport::Said { hook, level, text });
    }

    fn called(&self, plugin: &str, call: &'static str, usage: Usage) {
        self.tell(plugin, PluginReport::Called { call, usage });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::run::failure;

    /// Writes down what plugins are reported to do.
    #[derive(Default)]
    struct Heard(Mutex<BTreeMap<usize, Vec<String>>>);

    impl Report for Heard {
        fn report(&self, job: usize, what: Reported<'_>) {
            if let Reported::Plugin { plugin, step, what } = what {
                let line = format!("{plugin} {step:?} {what}");
                self.0.lock().unwrap().entry(job).or_default().push(line);
            }
        }
    }

    fn refusal() -> Refused {
        let refusal = Refusal {
            rule: "digest-required".to_owned(),
            reason: "alpine has no digest".to_owned(),
            details: vec![
                ("image".to_owned(), "alpine".to_owned()),
                ("allowed".to_owned(), "a\nb\n".to_owned()),
            ],
        };
        Refused::by("image-policy", refusal)
    }

    #[test]
    fn a_refusal_names_plugin_rule_reason_and_details() {
        let failure = failure::Failure::refused(Some(1), &refusal());
        insta::assert_snapshot!(failure.message, @"
        refused by the plugin image-policy (digest-required): alpine has no digest
        	image: alpine
        	allowed: a
        		b
        ");
        assert_eq!(
            failure.summary,
            "refused by the plugin image-policy (digest-required): alpine has no digest"
        );
        assert_eq!(
            (failure.cause, failure.hint),
            (failure::Cause::Refused, None)
        );
    }

    #[test]
    fn what_plugins_say_has_no_secrets_wherever_it_goes() {
        let heard = Arc::new(Heard::default());
        let secrets = Secrets::new(["hunter2"]).unwrap();
        let voice = Voice::new(Arc::clone(&heard) as _, 3, secrets);
        voice.message("p", Hook::Policy, Level::Warn, "one hunter2\ntwo");
        voice.set_step(Some(0));
        let mut refused = refusal();
        refused.details = vec![("key".to_owned(), "hunter2".to_owned())];
        let audit = PluginReport::Refused {
            refused: &refused,
            audit: true,
        };
        voice.tell("image-policy", audit);
        let reason = "hunter2 is wrong";
        voice.tell("p", PluginReport::PassedOver { reason });
        insta::assert_snapshot!(heard.0.lock().unwrap()[&3].join("\n"), @"
        p None warning: one ********
        two
        image-policy Some(0) audit, would have been refused by the plugin image-policy (digest-required): alpine has no digest
        	key: ********
        p Some(0) passed over: ******** is wrong
        ");
        insta::assert_snapshot!(voice.take_lines().join("\n"), @"
        [Plugin p] warning: one ********
        [Plugin p] two
        [Plugin image-policy] audit, would have been refused by the plugin image-policy (digest-required): alpine has no digest
        [Plugin image-policy] 	key: ********
        [Plugin p] passed over: ******** is wrong
        ");
        assert_eq!(voice.take_lines(), Vec::<String>::new());
    }
}
