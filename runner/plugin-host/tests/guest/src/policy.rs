use crate::capstan::plugin::changes::Diff;
use crate::capstan::plugin::job::Job;
use crate::capstan::plugin::step::{Amendment, Mount, Step};
use crate::capstan::plugin::types::Error;
use crate::exports::capstan::plugin::policy::{Decision, Guest, Verdict};
use crate::{Plugin, refusal, setting, task};

impl Guest for Plugin {
    fn check_job(job: &Job) -> Result<Decision, Error> {
        decide(|| {
            let mut seen = format!(
                "{:?} {:?} {:?} {:?} {:?} {:?}\n",
                job.batch_change(),
                job.repository(),
                job.branch(),
                job.commit(),
                job.path(),
                job.attribute("anything")
            );
            for number in 0..=job.step_count() + 1 {
                match job.step(number) {
                    Some(step) => seen += &format!("{number}: {}\n", see(&step)),
                    None => seen += &format!("{number}: none\n"),
                }
            }
            seen
        })
    }

    fn check_step(job: &Job, step: &Step) -> Result<Decision, Error> {
        decide(|| format!("{} {}", job.repository(), see(step)))
    }

    fn check_diff(job: &Job, diff: &Diff) -> Result<Verdict, Error> {
        Ok(match task()?.as_str() {
            "refuse" => Verdict::Refuse(refusal("size", format!("{} files", diff.file_count()))),
            "see" => {
                let seen = format!("{}\n{}", job.repository(), crate::diff::see(diff));
                Verdict::Refuse(refusal("seen", seen))
            }
            "hoard" => {
                let mut files = Vec::new();
                while let Some(file) = diff.next_file() {
                    files.push(file);
                }
                Verdict::Keep
            }
            _ => Verdict::Keep,
        })
    }
}

fn decide(see: impl FnOnce() -> String) -> Result<Decision, Error> {
    Ok(match task()?.as_str() {
        "refuse" => Decision::Refuse(refusal("images", "not this one".to_owned())),
        "long-refusal" => Decision::Refuse(refusal("images", "x".repeat(300 * 1024))),
        "see" => Decision::Refuse(refusal("seen", see())),
        "change" => Decision::Change(everything()),
        "no-change" => Decision::Change(Amendment::new()),
        "too-little" => {
            let amendment = everything();
            amendment.set_memory(setting("memory").parse().unwrap());
            Decision::Change(amendment)
        }
        "forget-change" => {
            Amendment::new().set_memory(0);
            Decision::Keep
        }
        "change-flood" => {
            let amendment = Amendment::new();
            loop {
                amendment.set_image(&"x".repeat(1024));
            }
        }
        "handle-flood" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(Amendment::new());
            }
        }
        _ => Decision::Keep,
    })
}

fn everything() -> Amendment {
    let amendment = Amendment::new();
    amendment.set_image("other");
    amendment.set_environment("NEW", "value");
    amendment.remove_environment("OLD");
    amendment.add_mount(&Mount {
        source: "/source".to_owned(),
        target: "/target".to_owned(),
        read_only: true,
    });
    amendment.remove_mount("/other");
    amendment.set_network("none");
    amendment.set_memory(64);
    amendment.set_cpus(500);
    amendment.set_pids(10);
    amendment.set_timeout(60);
    amendment
}

fn see(step: &Step) -> String {
    let environment: Vec<_> = step
        .environment_names()
        .into_iter()
        .map(|name| (step.environment_value(&name), name))
        .collect();
    format!(
        "{} {:?} {:?} rendered={} if={:?} env={environment:?} unset={:?} mounts={:?} files={:?} outputs={:?} network={:?} limits={:?} {:?}",
        step.number(),
        step.image(),
        step.script(),
        step.rendered(),
        step.condition(),
        step.environment_value("UNSET"),
        step.mounts(),
        step.files(),
        step.outputs(),
        step.network(),
        [step.memory(), step.cpus(), step.pids(), step.timeout()],
        step.attribute("anything"),
    )
}
