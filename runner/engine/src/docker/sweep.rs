//! Finds containers by their labels: those a dead process left, and those of a run that was interrupted.

use std::collections::HashMap;
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::ListContainersOptions;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::creation::{RUN, STATE};
use super::failure::fault;
use super::removal::remove;
use super::sandbox::DockerSandbox;
use crate::fault::Fault;

impl DockerSandbox {
    /// Removes the containers of this state directory whose run is dead; tells how many.
    ///
    /// # Errors
    /// When the engine does not answer or will not remove one.
    pub async fn sweep(&self, is_dead: impl Fn(&str) -> bool) -> Result<usize, Fault> {
        let found = self.labelled(STATE, &self.shared.owner.state).await?;
        let dead = found.into_iter().filter(|(_, run)| is_dead(run));
        self.remove_each(dead.map(|(id, _)| id).collect()).await
    }

    /// Removes all containers of a run, whatever they do; tells how many. For the end of an interrupted run.
    ///
    /// # Errors
    /// As [`DockerSandbox::sweep`].
    pub async fn remove_all(&self, run: &str) -> Result<usize, Fault> {
        let found = self.labelled(RUN, run).await?;
        self.remove_each(found.into_iter().map(|(id, _)| id).collect())
            .await
    }

    /// Ids and runs of the containers that carry a label.
    async fn labelled(&self, label: &str, value: &str) -> Result<Vec<(String, String)>, Fault> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([(
                "label".to_owned(),
                vec![format!("{label}={value}")],
            )])),
            ..ListContainersOptions::default()
        };
        let api = &self.shared.docker.api;
        let mut found = api.list_containers(Some(options.clone())).await;
        for _ in 0..10 {
            // Podman before 4.4 calls a container that has just ended by a state that Docker does not have.
            if !matches!(found, Err(Error::JsonDataError { .. })) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            found = api.list_containers(Some(options.clone())).await;
        }
        let found = found.map_err(|error| fault("listing containers", &error))?;
        let run = |labels: Option<HashMap<String, String>>| labels?.remove(RUN);
        Ok(found
            .into_iter()
            .filter_map(|container| Some((container.id?, run(container.labels)?)))
            .collect())
    }

    async fn remove_each(&self, ids: Vec<String>) -> Result<usize, Fault> {
        let count = ids.len();
        let api = &self.shared.docker.api;
        stream::iter(ids)
            .map(|id| async move {
                remove(api, &id).await.map_err(|reason| {
                    Fault::environment(format!("removing container {id}: {reason}"))
                        .hint("remove it with `docker rm -f`")
                })
            })
            .buffer_unordered(4)
            .try_collect::<()>()
            .await?;
        Ok(count)
    }
}
