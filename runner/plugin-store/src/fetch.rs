//! Brings components of others into the store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode, Url};

use crate::COMPONENT_LIMIT;
use crate::digest::Digest;
use crate::failure::StoreError;
use crate::http::{self, Http, Trouble, chunk};
use crate::net::place;
use crate::registry::publish::{Publication, Published};
use crate::registry::{Access, Credentials, Reference, Repository};
use crate::source::Source;
use crate::store::{Store, too_large};

/// How a transfer goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are here.
    Received {
        /// Bytes until now.
        done: u64,
        /// Bytes in all, where the server said so.
        total: Option<u64>,
    },
    /// It failed, and is tried again.
    Waiting {
        /// After this time.
        wait: Duration,
        /// What went wrong.
        reason: String,
    },
}

/// Who is told, with the source that it is about.
type Listener = dyn Fn(&Source, Progress) + Send + Sync;

/// Fetches components over HTTPS and from registries, and publishes them. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    http: Arc<Http>,
    credentials: Credentials,
    progress: Arc<Listener>,
}

/// What a source stands for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Digest of the component's bytes.
    pub digest: Digest,
    /// Digest of the manifest, for a registry.
    pub manifest: Option<Digest>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Signs in to registries with these credentials, and tells `progress` how transfers go on.
    pub fn new(
        credentials: Credentials,
        progress: impl Fn(&Source, Progress) + Send + Sync + 'static,
    ) -> Self {
        Self::over(Http::new(), credentials, progress)
    }

    pub(crate) fn over(
        http: Http,
        credentials: Credentials,
        progress: impl Fn(&Source, Progress) + Send + Sync + 'static,
    ) -> Self {
        Self {
            http: Arc::new(http),
            credentials,
            progress: Arc::new(progress),
        }
    }

    /// Brings what a remote source stands for now into the store.
    ///
    /// # Errors
    ///
    /// If it cannot be had, is too large, or a registry has something else than a component there; also for a path.
    pub async fn fetch(&self, source: &Source, store: &Store) -> Result<Fetched, StoreError> {
        match source {
            Source::Path(path) => Err(StoreError::configuration(format!(
                "{} is a file; there is nothing to fetch",
                path.display()
            ))),
            Source::Https(url) => {
                let digest = self.get(source, url, None, store).await?;
                Ok(Fetched {
                    digest,
                    manifest: None,
                })
            }
            Source::Oci(reference) => {
                let repository = self.repository(reference, Access::Pull).await?;
                let (manifest, layer) = self
                    .persistently(source, || repository.component(reference.version()))
                    .await?;
                if !store.contains(&layer.digest) {
                    self.blob(source, &repository, &layer.digest, store).await?;
                }
                Ok(Fetched {
                    digest: layer.digest,
                    manifest: Some(manifest),
                })
            }
        }
    }

    /// Brings exactly these bytes into the store. No tag is looked up for it.
    ///
    /// # Errors
    ///
    /// If they cannot be had, or the source has others.
    pub async fn fetch_exactly(
        &self,
        source: &Source,
        digest: &Digest,
        store: &Store,
    ) -> Result<(), StoreError> {
        match source {
            Source::Path(_) => self.fetch(source, store).await.map(drop),
            Source::Https(url) => self.get(source, url, Some(digest), store).await.map(drop),
            Source::Oci(reference) => {
                let repository = self.repository(reference, Access::Pull).await?;
                self.blob(source, &repository, digest, store).await
            }
        }
    }

    /// Publishes a component in a registry.
    ///
    /// # Errors
    ///
    /// If the registry refuses it or cannot be reached.
    pub async fn publish(
        &self,
        reference: &Reference,
        publication: &Publication,
    ) -> Result<Published, StoreError> {
        let source = Source::Oci(reference.clone());
        let repository = self.repository(reference, Access::Push).await?;
        self.persistently(&source, || publication.push(&repository, reference))
            .await
    }

    async fn repository<'a>(
        &'a self,
        reference: &'a Reference,
        access: Access,
    ) -> Result<Repository<'a>, StoreError> {
        let found = self.credentials.find(reference).await;
        Repository::open(&self.http, reference, found, access).await
    }

    async fn persistently<T, F>(
        &self,
        source: &Source,
        attempt: impl FnMut() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let progress = |progress| (self.progress)(source, progress);
        self.http.persistently(&progress, attempt).await
    }

    /// Downloads a URL.
    async fn get(
        &self,
        source: &Source,
        url: &Url,
        expected: Option<&Digest>,
        store: &Store,
    ) -> Result<Digest, StoreError> {
        self.persistently(source, || async {
            let request = self.http.request(Method::GET, url)?;
            let response = http::send(request, url).await?;
            if !response.status().is_success() {
                let mut trouble = http::refusal(response).await;
                if matches!(
                    trouble.status,
                    Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
                ) {
                    trouble.error = trouble
                        .error
                        .hint("components behind a password can come from a registry (oci://...)");
                }
                return Err(trouble);
            }
            self.receive(source, response, expected, store).await
        })
        .await
    }

    /// Downloads a blob of a repository.
    async fn blob(
        &self,
        source: &Source,
        repository: &Repository<'_>,
        digest: &Digest,
        store: &Store,
    ) -> Result<(), StoreError> {
        self.persistently(source, || async {
            let response = repository.blob(digest).await?;
            self.receive(source, response, Some(digest), store).await
        })
        .await
        .map(drop)
    }

    /// Writes the body of an answer into the store, if it is what was expected.
    async fn receive(
        &self,
        source: &Source,
        mut response: Response,
        expected: Option<&Digest>,
        store: &Store,
    ) -> Result<Digest, Trouble> {
        let total = response.content_length();
        if total.is_some_and(|total| total > COMPONENT_LIMIT) {
            return Err(unfit(source, &too_large()).into());
        }
        let mut incoming = store.incoming()?;
        while let Some(chunk) = chunk(&mut response).await? {
            incoming
                .write(&chunk)
                .map_err(|error| unfit(source, &error))?;
            let done = incoming.size();
            (self.progress)(source, Progress::Received { done, total });
        }
        let actual = incoming.digest();
        if let Some(expected) = expected
            && actual != *expected
        {
            return Err(StoreError::configuration(format!(
                "{} gave {actual}, which is not the {expected} that was asked for",
                place(response.url())
            ))
            .into());
        }
        Ok(incoming.keep()?)
    }
}

/// What was received cannot be a component.
fn unfit(source: &Source, error: &StoreError) -> StoreError {
    let mut error = error.clone();
    error.message = format!("{source}: {}", error.message);
    error
}
