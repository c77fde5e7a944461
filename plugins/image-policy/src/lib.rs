//! Policy: says which images and components may run.

mod component;
mod config;
mod reference;
mod rules;

use capstan_plugin::{Decision, Job, Policy, Refusal, Result, Step};

use crate::config::Config;

struct ImagePolicy;

impl Policy for ImagePolicy {
    fn check_job(job: &Job) -> Result<Decision> {
        let config = Config::load()?;
        let steps = (1..=job.step_count()).filter_map(|number| job.step(number));
        let refusal = steps
            // What a template will make of an image is known when the step is about to run.
            .filter(|step| !step.image().contains("${{"))
            .find_map(|step| refusal(&config, &step));
        Ok(refusal.into())
    }

    fn check_step(_job: &Job, step: &Step) -> Result<Decision> {
        let config = Config::load()?;
        Ok(refusal(&config, step).into())
    }
}

fn refusal(config: &Config, step: &Step) -> Option<Refusal> {
    let refusal = rules::check(config, &step.image())?;
    Some(refusal.with("step", step.number()))
}

capstan_plugin::export!(ImagePolicy: policy);

#[cfg(test)]
mod tests;
