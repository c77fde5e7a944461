//! Finds containers by their labels: those a dead process left, and those of a run that was interrupted.

use std::collections::HashMap;
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::{ListContainersOptions, ListVolumesOptions};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::creation::{ROLE, RUN, STATE};
use super::failure::fault;
use super::removal::{remove, remove_volume};
use super::sandbox::{DockerSandbox, HOLDER};
use crate::fault::Fault;

type Labels = HashMap<String, String>;

impl DockerSandbox {
    /// Removes the containers of this state directory whose run is dead; tells how many.
    ///
    /// # Errors
    /// When the engine does not answer or will not remove one.
    pub async fn sweep(&self, is_dead: impl Fn(&str) -> bool) -> Result<usize, Fault> {
        let state = &self.shared.owner.state;
        let found = self.labelled(STATE, state).await?;
        let is_of_dead = |labels: &Labels| labels.get(RUN).is_some_and(|run| is_dead(run));
        let dead = found.into_iter().filter(|(_, labels)| is_of_dead(labels));
        let count = self.remove_each(dead.map(|(id, _)| id).collect()).await?;
        self.remove_volumes(STATE, state, is_dead).await?;
        Ok(count)
    }

    /// Removes all containers of a run, whatever they do; tells how many. For the end of an interrupted run. Those that hold a network end with this
    /// process.
    ///
    /// # Errors
    /// As [`DockerSandbox::sweep`].
    pub async fn remove_all(&self, run: &str) -> Result<usize, Fault> {
        let found = self.labelled(RUN, run).await?;
        let of_steps = found
            .into_iter()
            .filter(|(_, labels)| !holds_network(labels));
        let ids = of_steps.map(|(id, _)| id).collect();
        let count = self.remove_each(ids).await?;
        self.remove_volumes(RUN, run, |_| true).await?;
        Ok(count)
    }

    /// Removes the volumes that carry a label and whose run is `unwanted`.
    async fn remove_volumes(
        &self,
        label: &str,
        value: &str,
        unwanted: impl Fn(&str) -> bool,
    ) -> Result<(), Fault> {
        let api = &self.shared.docker.api;
        let options = ListVolumesOptions {
            filters: Some(filter(label, value)),
        };
        let listed = api.list_volumes(Some(options)).await;
        let listed = listed.map_err(|error| fault("listing volumes", &error))?;
        for volume in listed.volumes.unwrap_or_default() {
            if volume.labels.get(RUN).is_some_and(|run| unwanted(run)) {
                let name = &volume.name;
                remove_volume(api, name).await.map_err(|reason| {
                    Fault::environment(format!("removing volume {name}: {reason}"))
                        .hint("remove it with `docker volume rm -f`")
                })?;
            }
        }
        Ok(())
    }

    /// Ids and labels of the containers that carry a label.
    async fn labelled(&self, label: &str, value: &str) -> Result<Vec<(String, Labels)>, Fault> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(filter(label, value)),
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
        Ok(found
            .into_iter()
            .filter_map(|container| Some((container.id?, container.labels?)))
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

fn holds_network(labels: &Labels) -> bool {
    labels.get(ROLE).is_some_and(|role| role == HOLDER)
}

/// What engines take for "carries this label".
fn filter(label: &str, value: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{label}={value}")])])
}
