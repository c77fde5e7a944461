//! A plugin of 0.1.0 with every hook, which calls every function of the host. README.md says what it does.

wit_bindgen::generate!({
    path: "wit",
    world: "every-hook",
    generate_all,
});

mod report;

use capstan::plugin::changes::{Diff as Changes, Edits, Severity};
use capstan::plugin::job::Job;
use capstan::plugin::log::{self, Level};
use capstan::plugin::step::{Amendment, Mount, Step};
use capstan::plugin::types::{Error, Refusal};
use capstan::plugin::{config, files, scratch};
use exports::capstan::plugin::diff::{self, Outcome, Shape};
use exports::capstan::plugin::output::{self, Channel, Chunks, Derived};
use exports::capstan::plugin::policy::{self, Decision, Verdict};
use exports::capstan::plugin::workspace;

struct EveryHook;

export!(EveryHook);

/// How a call is to end; the operator says so with `answer`.
fn answer(hook: &str) -> Result<Option<Refusal>, Error> {
    report::host(hook);
    match config::get("answer").as_deref() {
        Some("refuse") => Ok(Some(Refusal {
            rule: "asked-to".to_owned(),
            reason: format!("{hook} was asked to refuse"),
            details: vec![("hook".to_owned(), hook.to_owned())],
        })),
        Some("error") => Err(Error {
            code: "asked-to".to_owned(),
            message: format!("{hook} was asked to fail"),
            retryable: true,
        }),
        Some("panic") => panic!("{hook} was asked to crash"),
        _ => Ok(None),
    }
}

impl policy::Guest for EveryHook {
    fn check_job(job: &Job) -> Result<Decision, Error> {
        report::job(job);
        Ok(answer("check-job")?.map_or(Decision::Keep, Decision::Refuse))
    }

    fn check_step(job: &Job, step: &Step) -> Result<Decision, Error> {
        report::job(job);
        report::step(step);
        if let Some(refusal) = answer("check-step")? {
            return Ok(Decision::Refuse(refusal));
        }
        let amendment = Amendment::new();
        amendment.set_image("amended:1");
        amendment.set_environment("ADDED", "yes");
        amendment.remove_environment("REMOVED");
        amendment.add_mount(&Mount {
            source: "/source".to_owned(),
            target: "/target".to_owned(),
            read_only: true,
        });
        amendment.remove_mount("/removed");
        amendment.set_network("none");
        amendment.set_memory(64);
        amendment.set_cpus(500);
        amendment.set_pids(32);
        amendment.set_timeout(60);
        Ok(Decision::Change(amendment))
    }

    fn check_diff(job: &Job, diff: &Changes) -> Result<Verdict, Error> {
        report::job(job);
        report::diff(diff);
        Ok(answer("check-diff")?.map_or(Verdict::Keep, Verdict::Refuse))
    }
}

impl workspace::Guest for EveryHook {
    fn prepare(job: &Job) -> Result<(), Error> {
        report::job(job);
        answer("prepare")?;
        let written = std::fs::write("/work/prepared.sh", format!("# {}\n", job.repository()));
        written.map_err(|error| Error {
            code: "io".to_owned(),
            message: error.to_string(),
            retryable: false,
        })?;
        files::set_executable("prepared.sh", true)
    }
}

/// Puts `> ` in front of every line, and a last line below.
struct Filter {
    line_begins: std::cell::Cell<bool>,
}

impl output::Guest for EveryHook {
    type Filter = Filter;

    fn chunking(_step: &Step, channel: Channel) -> Chunks {
        match (channel, config::get("chunks").as_deref()) {
            (Channel::Stderr, _) => Chunks::None,
            (Channel::Stdout, Some("any")) => Chunks::Any,
            (Channel::Stdout, _) => Chunks::Lines,
        }
    }

    fn derive_outputs(
        step: &Step,
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    ) -> Result<Vec<Derived>, Error> {
        report::step(step);
        answer("derive-outputs")?;
        let output = |name: &str, value: usize| (name.to_owned(), value.to_string());
        Ok(vec![
            output("step", step.number() as usize),
            output("stdout", stdout.len()),
            output("stderr", stderr.len()),
        ])
    }
}

impl output::GuestFilter for Filter {
    fn new(step: &Step, _channel: Channel) -> Self {
        report::step(step);
        Self {
            line_begins: true.into(),
        }
    }

    fn push(&self, chunk: Vec<u8>) -> Result<Vec<u8>, Error> {
        answer("push")?;
        let mut filtered = Vec::new();
        for line in chunk.split_inclusive(|&b| b == b'\n') {
            if self.line_begins.replace(line.ends_with(b"\n")) {
                filtered.extend_from_slice(b"> ");
            }
            filtered.extend_from_slice(line);
        }
        Ok(filtered)
    }

    fn finish(&self) -> Result<Vec<u8>, Error> {
        answer("finish")?;
        Ok(b"> end\n".to_vec())
    }
}

impl diff::Guest for EveryHook {
    fn declare() -> Shape {
        Shape::Rewrite
    }

    fn process(job: &Job, diff: &Changes, edits: &Edits) -> Result<Outcome, Error> {
        report::job(job);
        if let Some(refusal) = answer("process")? {
            return Ok(Outcome::Refuse(refusal));
        }
        while let Some(file) = diff.next_file() {
            report::file(&file);
            edits.annotate(&file, Some(1), Severity::Notice, "seen")?;
            if file.path() == "drop.txt" {
                edits.drop_file(&file)?;
                continue;
            }
            let mut first = file.path() == "hunks.txt";
            while let Some(hunk) = file.next_hunk() {
                report::hunk(&hunk);
                if std::mem::take(&mut first) {
                    edits.drop_hunk(&hunk)?;
                } else {
                    edits.replace_hunk(&hunk, &shouted(&hunk.text()))?;
                }
            }
        }
        log::write(Level::Info, "process: done");
        Ok(Outcome::Done)
    }
}

/// The body with its added lines in capitals.
fn shouted(body: &[u8]) -> Vec<u8> {
    body.split_inclusive(|&b| b == b'\n')
        .flat_map(|line| match line.first() {
            Some(b'+') => line.to_ascii_uppercase(),
            _ => line.to_vec(),
        })
        .collect()
}

/// Counts the calls within the job, using every function of the scratch.
fn count() -> u8 {
    let calls = scratch::get("calls").and_then(|value| value.first().copied());
    let calls = calls.unwrap_or(0).saturating_add(1);
    let stored = scratch::set("calls", &[calls]).and_then(|()| scratch::set("other", b"x"));
    scratch::delete("other");
    match stored {
        Ok(()) => calls,
        Err(_) => 0,
    }
}
