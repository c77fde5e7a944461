//! A policy: images must come from one registry.

use capstan_plugin::{Decision, Job, Policy, Result, Step, refuse};
use serde::Deserialize;

struct Plugin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What images must begin with, such as `docker.io/library/`.
    registry: Option<String>,
}

impl Policy for Plugin {
    fn check_step(_job: &Job, step: &Step) -> Result<Decision> {
        let config: Config = capstan_plugin::config()?;
        let image = step.image();
        Ok(match config.registry {
            Some(registry) if !image.starts_with(&registry) => {
                let reason = format!("the image {image} does not come from {registry}");
                refuse("registry", reason)
                    .with("step", step.number())
                    .into()
            }
            _ => Decision::Keep,
        })
    }
}

capstan_plugin::export!(Plugin: policy);

#[cfg(test)]
mod tests {
    use capstan_plugin::test;

    use super::*;

    #[test]
    fn images_come_from_the_registry() {
        test::config(r#"{"registry": "docker.io/library/"}"#);
        let image = "ghcr.io/acme/tool:1".to_owned();
        let step = test::Step {
            image,
            ..test::Step::default()
        };
        let decision = Plugin::check_step(&test::Job::default().into(), &step.into());
        assert!(matches!(decision, Ok(Decision::Refuse(_))));
    }
}
