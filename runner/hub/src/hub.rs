//! The hub as a whole: opened, served, and put away.

use std::future::IntoFuture as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use capstan_engine::disk_cache::DiskCache;
use capstan_engine::git::Git;
use capstan_engine::repository::RemoteCache;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::secret::{Token, TokenDigest};
use crate::store::{Store, StoreError};
use crate::{api, janitor, submit};

/// How much of large request bodies is in memory at a time, in mebibytes. A single one may be larger.
pub(crate) const LARGE_BODIES: usize = 256;

/// How long requests may go on after the hub was asked to end.
const GRACE: Duration = Duration::from_secs(10);

/// How the hub works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory of the database and of fetched repositories; only the hub's user can look into it.
    pub data: PathBuf,
    /// The helper's image in jobs; executors of ours never pull it.
    pub helper_image: String,
    /// After so long without a heartbeat of its executor a job goes to another.
    pub lease: Duration,
    /// How long executions are kept after their end.
    pub keep: Duration,
    /// How long results of steps are kept.
    pub keep_results: Duration,
    /// Whether a submission may name repositories that the hub does not know: paths on its machine, and URLs that it fetches with its user's
    /// credentials.
    pub open_to_new_repositories: bool,
}

/// Who may talk to the hub.
#[derive(Debug, Clone)]
pub struct Access {
    /// The secret that executors share.
    pub executors: Token,
    /// The token of people.
    pub people: Token,
}

/// Why there is no hub.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The data directory cannot be used.
    #[error("the data directory {}: {source}", path.display())]
    Data {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another hub uses the data directory.
    #[error("another hub uses the data directory {}", .0.display())]
    InUse(PathBuf),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A repository cannot be registered.
    #[error("registering {repository}: {message}")]
    Repository {
        /// As it was given, without credentials.
        repository: String,
        /// Why.
        message: String,
    },
    /// Requests cannot be taken any more.
    #[error("serving requests: {0}")]
    Serve(std::io::Error),
}

/// The hub.
#[derive(Debug, Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) git: Git,
    pub(crate) remotes: RemoteCache,
    pub(crate) settings: Settings,
    pub(crate) executors: TokenDigest,
    pub(crate) people: TokenDigest,
    /// Mebibytes of large request bodies that may still be read.
    pub(crate) large_bodies: Semaphore,
    /// What goes on in the background.
    pub(crate) background: TaskTracker,
    pub(crate) ending: CancellationToken,
    /// Held as long as the hub lives, so that there is one for each data directory.
    _lock: fs_err::File,
}

impl Shared {
    /// Milliseconds since 1970.
    #[expect(clippy::unused_self, reason = "the clock belongs to the hub")]
    pub(crate) fn now(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }
}

impl Hub {
    /// Opens the data directory, making it if need be.
    ///
    /// # Errors
    /// See [`HubError`].
    pub fn open(settings: Settings, access: &Access, git: Git) -> Result<Self, HubError> {
        let data = |source| HubError::Data {
            path: settings.data.clone(),
            source,
        };
        make_private(&settings.data)?;
        let lock = lock(&settings.data)
            .map_err(data)?
            .ok_or_else(|| HubError::InUse(settings.data.clone()))?;
        let store = Store::open(&settings.data.join("hub.sqlite"))?;
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                git,
                // The jobs in the queue may need any of them, at any time.
                remotes: RemoteCache::new(&DiskCache::new(&settings.data, u64::MAX)),
                executors: access.executors.digest(),
                people: access.people.digest(),
                settings,
                large_bodies: Semaphore::new(LARGE_BODIES),
                background: TaskTracker::new(),
                ending: CancellationToken::new(),
                _lock: lock,
            }),
        })
    }

    /// Makes a repository known: a path, or a git URL. `name` is what specs call it; without it, it is called as in a run without a hub. Returns the name.
    ///
    /// # Errors
    /// When the repository cannot be opened, or its name is taken by another one.
    pub async fn register(
        &self,
        name: Option<&str>,
        repository: &str,
        directory: &Path,
    ) -> Result<String, HubError> {
        submit::register(&self.shared, name, repository, directory).await
    }

    /// Answers requests until `cancel`; then finishes what it is at.
    ///
    /// # Errors
    /// [`HubError::Serve`] and [`HubError::Store`].
    pub async fn serve(
        &self,
        listener: TcpListener,
        cancel: CancellationToken,
    ) -> Result<(), HubError> {
        let shared = &self.shared;
        submit::resume(shared).await?;
        shared.background.spawn(janitor::run(Arc::clone(shared)));
        let ending = shared.ending.clone();
        let app = api::router(Arc::clone(shared));
        let stop = cancel.clone();
        let server = axum::serve(listener, app)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .into_future();
        let late = async {
            cancel.cancelled().await;
            ending.cancel();
            // Somebody who reads a log slowly must not keep the hub alive.
            tokio::time::sleep(GRACE).await;
        };
        let served = tokio::select! {
            served = server => served.map_err(HubError::Serve),
            () = late => Ok(()),
        };
        shared.ending.cancel();
        shared.background.close();
        let _ = tokio::time::timeout(GRACE, shared.background.wait()).await;
        served
    }
}

/// Makes the data directory, if need be, which only its owner may look into.
///
/// # Errors
/// [`HubError::Data`].
pub fn make_private(path: &Path) -> Result<(), HubError> {
    create_private(path).map_err(|source| HubError::Data {
        path: path.to_owned(),
        source,
    })
}

fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    let mode = fs_err::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(std::io::Error::other(format!(
            "others can look into it (mode {:o}); make it private with chmod 700",
            mode & 0o777
        )));
    }
    Ok(())
}

fn lock(data: &Path) -> std::io::Result<Option<fs_err::File>> {
    let mut options = fs_err::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    let file = options.open(data.join("lock"))?;
    match file.file().try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}
