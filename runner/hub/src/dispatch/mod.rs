//! From a job in the queue to the job that an executor gets.

mod known;
mod native;

use std::collections::BTreeMap;

use capstan_core::redact::{is_known_public, is_short};
use capstan_core::spec::Step;
use capstan_core::task::{BatchChange, Repository, Task};
use capstan_protocol as protocol;

use self::known::Known;
use crate::hub::Shared;
use crate::results;
use crate::secret::Token;
use crate::store::{self, End, Execution, Job, StoreError, StoredFile};

/// Why there is no job although there may be one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DispatchError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("making a token: {0}")]
    Token(std::io::Error),
    /// The job has been failed with this.
    #[error("{0}")]
    Job(String),
}

/// All that the payload of a job is made of.
pub(crate) struct Ingredients {
    pub(crate) execution: Execution,
    pub(crate) task: Task,
    pub(crate) files: Vec<StoredFile>,
    /// Values of the variables that the spec takes from outside.
    pub(crate) secrets: BTreeMap<String, String>,
}

impl Ingredients {
    /// Reads them for a job.
    pub(crate) fn read(connection: &rusqlite::Connection, job: &Job) -> Result<Self, StoreError> {
        let execution = store::execution(connection, job.execution)?;
        let execution = execution.ok_or_else(|| {
            StoreError::Corrupt(format!("job {} belongs to no execution", job.id))
        })?;
        let secrets = store::secrets(connection, execution.id)?;
        Ok(Self {
            task: task(&execution, job)?,
            files: store::files(connection, execution.id)?,
            secrets: secrets
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            execution,
        })
    }

    /// The values among the secrets that are worth hiding, and what is shown in their place.
    fn redacted(&self) -> BTreeMap<String, String> {
        let hidden =
            |(name, value): &(&String, &String)| !is_known_public(name) && !is_short(value);
        let secrets = self.secrets.iter().filter(hidden);
        secrets
            .map(|(name, value)| (value.clone(), format!("${{{{ secrets.{name} }}}}")))
            .collect()
    }
}

/// The task that a job is about.
pub(crate) fn task(execution: &Execution, job: &Job) -> Result<Task, StoreError> {
    let steps: Vec<Step> = serde_json::from_str(&execution.draft.steps)
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let workspace = &job.workspace;
    Ok(Task {
        repository: Repository {
            // Without a server a repository's name is all the identity it has.
            id: workspace.repository_name.clone(),
            name: workspace.repository_name.clone(),
            branch: workspace.branch.clone(),
            rev: workspace.rev.clone(),
        },
        path: workspace.path.clone(),
        only_fetch_workspace: workspace.only_fetch_workspace,
        search_result_paths: Vec::new(),
        batch_change: BatchChange {
            name: execution.draft.name.clone(),
            description: execution.draft.description.clone(),
        },
        steps,
    })
}

/// Leases the next job of a queue to a worker. Jobs that turn out to be done already are ended on the way.
pub(crate) async fn next(
    hub: &Shared,
    queue: &str,
    worker: &str,
) -> Result<Option<protocol::Job>, DispatchError> {
    loop {
        let token = Token::random().map_err(DispatchError::Token)?;
        let digest = token.digest();
        let (queue_name, worker_name, now) = (queue.to_owned(), worker.to_owned(), hub.now());
        let claimed = hub.store.write(move |store| {
            store::claim(store, &queue_name, &worker_name, digest.bytes(), now)
        });
        let Some(job) = claimed.await? else {
            return Ok(None);
        };
        let prepared = prepare(hub, &job).await;
        match prepared {
            Ok(Prepared::Payload(mut payload)) => {
                payload.identity = protocol::Identity {
                    id: job.id,
                    queue: String::new(),
                    token: token.reveal().to_owned(),
                };
                return Ok(Some(*payload));
            }
            Ok(Prepared::Ended) => {}
            Err(error) => {
                // The cause may be gone at the next try only if it is in the store itself.
                let message = format!("failed to transform record: {error}");
                tracing::error!(job = job.id, "{message}");
                let failure = message.clone();
                let (queue, worker, id, now) = (job.queue, worker.to_owned(), job.id, hub.now());
                hub.store
                    .write(move |store| {
                        let end = End::Failed(&failure);
                        store::finish(store, &queue, &worker, id, end, now)
                    })
                    .await?;
                return Err(DispatchError::Job(message));
            }
        }
    }
}

/// Ends a job that waits if all of its steps are known.
pub(crate) async fn end_if_known(hub: &Shared, job: &Job) -> Result<bool, StoreError> {
    let lookup = job.clone();
    let found = hub.store.read(move |connection| {
        let ingredients = Ingredients::read(connection, &lookup)?;
        let known = known::look_up(connection, &ingredients)?;
        Ok((ingredients, known))
    });
    match found.await? {
        (ingredients, Some(known)) if known.is_last(&ingredients.task) => {
            end_known(hub, job, ingredients, known).await?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

enum Prepared {
    Payload(Box<protocol::Job>),
    Ended,
}

async fn prepare(hub: &Shared, job: &Job) -> Result<Prepared, StoreError> {
    let lookup = job.clone();
    let found = hub.store.read(move |connection| {
        let ingredients = Ingredients::read(connection, &lookup)?;
        let known = known::look_up(connection, &ingredients)?;
        Ok((ingredients, known))
    });
    let (ingredients, known) = found.await?;
    match known {
        Some(known) if known.is_last(&ingredients.task) => {
            end_known(hub, job, ingredients, known).await?;
            Ok(Prepared::Ended)
        }
        known => {
            let steps = known.as_ref().map_or(0, Known::steps);
            let key = known.as_ref().map(|known| known.key.clone());
            if key != job.known_key {
                let id = job.id;
                hub.store
                    .write(move |store| store::set_known(store, id, steps, key.as_deref()))
                    .await?;
            }
            let payload = native::job(&ingredients, known.as_ref(), &hub.settings.helper_image);
            Ok(Prepared::Payload(Box::new(payload)))
        }
    }
}

async fn end_known(
    hub: &Shared,
    job: &Job,
    ingredients: Ingredients,
    known: Known,
) -> Result<(), StoreError> {
    let (id, steps, now) = (job.id, known.steps(), hub.now());
    let Ingredients {
        execution, task, ..
    } = ingredients;
    let built = results::changesets(&execution, &task, known.result);
    hub.store
        .write(move |store| match built {
            Ok(changesets) => {
                store::insert_changesets(store, id, &changesets)?;
                store::complete_known(store, id, End::Completed, steps, now)
            }
            Err(message) => store::complete_known(store, id, End::Failed(&message), steps, now),
        })
        .await
}

#[cfg(test)]
mod tests;
