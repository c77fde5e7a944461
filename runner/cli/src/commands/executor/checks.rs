//! What `executor validate` looks at. All of it is looked at, whatever is found.

use capstan_engine::fault::Fault;
use capstan_executor::client::{Cause, Client};

use crate::config::{Config, Environment};
use crate::failure::Failed;
use crate::{tools, workplace};

/// Checks git, the container engine and the server.
pub(super) async fn all(
    client: &Client,
    config: &Config,
    environment: &Environment,
) -> Result<(), Failed> {
    let (git, engine, server) = tokio::join!(
        tools::open_git(environment),
        engine(config, environment),
        client.test_auth(),
    );
    let mut problems = Vec::new();
    problems.extend(git.err().map(text));
    problems.extend(engine.err().map(text));
    problems.extend(server.err().map(|error| match error.cause {
        Cause::Refused => format!("failed to authorize with frontend: {}", error.explained()),
        _ => format!("failed to reach the frontend: {}", error.explained()),
    }));
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

fn text(failed: Failed) -> String {
    match failed.hint {
        Some(hint) => format!("{}; {hint}", failed.message),
        None => failed.message,
    }
}
