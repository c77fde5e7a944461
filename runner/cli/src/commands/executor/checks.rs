//! What `executor validate` looks at. All of it is looked at, whatever is found.

use std::path::Path;

use capstan_engine::fault::Fault;
use capstan_executor::client::{Cause, Client};

use super::outpost;
use crate::config::{Config, Environment, ExecutorConfig};
use crate::failure::Failed;
use crate::{tools, workplace};

/// Checks the server, and git and the container engine, or the cluster.
pub(super) async fn all(
    client: &Client,
    executor: &ExecutorConfig,
    config: &Config,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<(), Failed> {
    let mut problems = match &executor.cluster {
        Some(cluster) => outpost::check(cluster, executor, config_file).await?,
        None => {
            let (git, engine) =
                tokio::join!(tools::open_git(environment), engine(config, environment));
            let found = [git.err(), engine.err()].into_iter().flatten();
            found.map(|failed| failed.in_one_line()).collect()
        }
    };
    problems.extend(
        client
            .test_auth()
            .await
            .err()
            .map(|error| match error.cause {
                Cause::Refused => {
                    format!("failed to authorize with frontend: {}", error.explained())
                }
                _ => format!("failed to reach the frontend: {}", error.explained()),
            }),
    );
    match problems.as_slice() {
        [] => Ok(()),
        [problem] => Err(Failed::environment(problem)),
        several => Err(Failed::environment(format_args!(
            "{} checks failed:\n  {}",
            several.len(),
            several.join("\n  ")
        ))),
    }
}

async fn engine(config: &Config, environment: &Environment) -> Result<(), Failed> {
    let docker = workplace::connect(config, environment).await?;
    docker
        .info()
        .await
        .map(drop)
        .map_err(|fault: Fault| fault.into())
}
