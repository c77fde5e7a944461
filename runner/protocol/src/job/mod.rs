//! The job that a dequeue answers.

mod decode;
mod encode;
mod identity;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

pub use self::decode::Undecodable;
pub use self::identity::{Identity, JobKey};

/// The form in which a job was written; it also decides about the form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Generation {
    /// Contents of files are plain text.
    V1,
    /// Contents of files are base64; registries may have credentials.
    #[default]
    V2,
}

/// A job, whatever generation it was written in.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Job {
    /// The form it was written in.
    pub generation: Generation,
    /// Its number in its queue, the queue's name, and its token.
    pub identity: Identity,
    /// Name of the repository to clone; empty: none.
    pub repository_name: String,
    /// Directory of the workspace to clone into; empty: its root.
    pub repository_directory: String,
    /// Commit to check out.
    pub commit: String,
    /// Whether tags are fetched.
    pub fetch_tags: bool,
    /// Whether only the commit itself is fetched.
    pub shallow_clone: bool,
    /// Patterns of what is checked out; empty: everything.
    pub sparse_checkout: Vec<String>,
    /// Files of the workspace, by path from its root. The paths are as the server sent them: not checked.
    pub files: BTreeMap<String, File>,
    /// Steps that run in a container.
    pub docker_steps: Vec<DockerStep>,
    /// Steps that call `src`. A job with such steps is a legacy one.
    pub cli_steps: Vec<CliStep>,
    /// Secrets, and what to show in place of each.
    pub redacted_values: BTreeMap<String, String>,
    /// Credentials for registries.
    pub docker_auth_config: DockerAuthConfig,
}

impl Job {
    /// Its number in its queue.
    pub fn id(&self) -> i64 {
        self.identity.id
    }
}

/// Shows which job it is and how large, nothing of what is in it.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("identity", &self.identity)
            .field("repository", &self.repository_name)
            .field("commit", &self.commit)
            .field("files", &self.files.len())
            .field("docker_steps", &self.docker_steps.len())
            .field("cli_steps", &self.cli_steps.len())
            .finish_non_exhaustive()
    }
}

/// A file of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What is in it.
    pub content: Content,
    /// When it was last changed; `None`: does not matter.
    pub modified_at: Option<Timestamp>,
}

/// What is in a file.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Inline(Vec<u8>),
    /// What the server's file store has.
    Stored {
        /// Bucket, `batch-changes`.
        bucket: String,
        /// Key in the bucket.
        key: String,
    },
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Stored { bucket, key } => write!(f, "{bucket}/{key}"),
        }
    }
}

/// A step that runs in a container.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DockerStep {
    /// Its name; empty with old servers.
    pub key: String,
    /// Image.
    pub image: String,
    /// Lines of the shell script.
    pub commands: Vec<String>,
    /// Directory to run in, from the workspace's root.
    pub dir: String,
    /// Environment, each `NAME=VALUE`.
    pub env: Vec<String>,
}

/// A step that calls `src`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct CliStep {
    /// Its name; empty with old servers.
    pub key: String,
    /// Arguments of `src`.
    pub command: Vec<String>,
    /// Directory to run in, from the workspace's root.
    pub dir: String,
    /// Environment, each `NAME=VALUE`.
    pub env: Vec<String>,
}

/// Scripts and environments may hold secrets.
impl fmt::Debug for DockerStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerStep")
            .field("key", &self.key)
            .field("image", &self.image)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CliStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CliStep")
            .field("key", &self.key)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Credentials for registries, as in Docker's `config.json`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DockerAuthConfig {
    /// By the registry's host.
    pub auths: BTreeMap<String, RegistryAuth>,
}

/// Credentials for one registry.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryAuth {
    /// Who.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for DockerAuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.auths.keys()).finish()
    }
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryAuth")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
