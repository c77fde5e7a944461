//! Says in the log all that the host answers: one message `NAME=VALUE` for each getter.

use crate::capstan::plugin::changes::{Diff, File, Hunk};
use crate::capstan::plugin::job::Job;
use crate::capstan::plugin::log::{self, Level};
use crate::capstan::plugin::step::Step;
use crate::capstan::plugin::{config, scratch};

macro_rules! say {
    ($($argument:tt)*) => { log::write(Level::Info, &format!($($argument)*)) };
}

/// What belongs to no resource; and a message of every level.
pub fn host(hook: &str) {
    for level in [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
    ] {
        log::write(level, &format!("{hook}: {level:?}"));
    }
    say!("config={}", config::json());
    say!("calls={}", crate::count());
    say!("keys={}", scratch::keys().join(","));
}

pub fn job(job: &Job) {
    say!("job.batch-change={}", job.batch_change());
    say!("job.repository={}", job.repository());
    say!("job.branch={}", job.branch());
    say!("job.commit={}", job.commit());
    say!("job.path={}", job.path());
    say!("job.step-count={}", job.step_count());
    say!("job.step(1)={:?}", job.step(1).map(|step| step.image()));
    say!("job.step(0)={:?}", job.step(0).map(|step| step.image()));
    say!("job.attribute={:?}", job.attribute("nothing"));
}

pub fn step(step: &Step) {
    say!("step.number={}", step.number());
    say!("step.image={}", step.image());
    say!("step.script={}", step.script());
    say!("step.rendered={}", step.rendered());
    say!("step.condition={:?}", step.condition());
    for name in step.environment_names() {
        say!(
            "step.environment({name})={:?}",
            step.environment_value(&name)
        );
    }
    for mount in step.mounts() {
        let mode = if mount.read_only { "ro" } else { "rw" };
        say!("step.mount={}:{}:{mode}", mount.source, mount.target);
    }
    say!("step.files={}", step.files().join(","));
    say!("step.outputs={}", step.outputs().join(","));
    say!("step.network={:?}", step.network());
    say!("step.memory={:?}", step.memory());
    say!("step.cpus={:?}", step.cpus());
    say!("step.pids={:?}", step.pids());
    say!("step.timeout={:?}", step.timeout());
    say!("step.attribute={:?}", step.attribute("nothing"));
}

pub fn diff(diff: &Diff) {
    say!("diff.file-count={}", diff.file_count());
    say!("diff.added={}", diff.added());
    say!("diff.removed={}", diff.removed());
    say!("diff.size={}", diff.size());
    while let Some(next) = diff.next_file() {
        file(&next);
        while let Some(next) = next.next_hunk() {
            hunk(&next);
        }
    }
}

pub fn file(file: &File) {
    say!("file.path={}", file.path());
    say!("file.path-bytes={}", file.path_bytes().len());
    say!("file.old-path={:?}", file.old_path());
    say!("file.status={:?}", file.status());
    say!("file.old-mode={:o}", file.old_mode().unwrap_or(0));
    say!("file.new-mode={:o}", file.new_mode().unwrap_or(0));
    say!("file.binary={}", file.binary());
    say!("file.added={}", file.added());
    say!("file.removed={}", file.removed());
    say!("file.size={}", file.size());
    say!("file.slice={}", String::from_utf8_lossy(&file.slice(0, 10)));
}

pub fn hunk(hunk: &Hunk) {
    say!("hunk.old-start={}", hunk.old_start());
    say!("hunk.old-lines={}", hunk.old_lines());
    say!("hunk.new-start={}", hunk.new_start());
    say!("hunk.new-lines={}", hunk.new_lines());
    say!("hunk.size={}", hunk.size());
    say!("hunk.text={}", String::from_utf8_lossy(&hunk.text()));
    say!("hunk.slice={}", String::from_utf8_lossy(&hunk.slice(0, 1)));
}
