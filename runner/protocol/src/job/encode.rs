//! Writing a job in the second generation, as a server does.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::{CliStep, Content, DockerAuthConfig, DockerStep, File, Job};

/// How Go writes a time that is not set.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    version: u8,
    id: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    queue: &'a str,
    token: &'a str,
    repository_name: &'a str,
    repository_directory: &'a str,
    commit: &'a str,
    fetch_tags: bool,
    shallow_clone: bool,
    sparse_checkout: Option<&'a [String]>,
    files: BTreeMap<&'a str, WireFile<'a>>,
    docker_steps: Option<Vec<WireDockerStep<'a>>>,
    cli_steps: Option<Vec<WireCliStep<'a>>>,
    redacted_values: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    docker_auth_config: Option<WireAuthConfig<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireFile<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    modified_at: String,
}

#[derive(Serialize)]
struct WireDockerStep<'a> {
    key: &'a str,
    image: &'a str,
    commands: &'a [String],
    dir: &'a str,
    env: Option<&'a [String]>,
}

#[derive(Serialize)]
struct WireCliStep<'a> {
    key: &'a str,
    command: &'a [String],
    dir: &'a str,
    env: Option<&'a [String]>,
}

#[derive(Serialize)]
struct WireAuthConfig<'a> {
    auths: BTreeMap<&'a str, WireAuth>,
}

#[derive(Serialize)]
struct WireAuth {
    auth: String,
}

impl Job {
    /// As a server writes it, in the second generation.
    pub fn to_json(&self) -> Vec<u8> {
        let files = self.files.iter();
        let wire = Wire {
            version: 2,
            id: self.identity.id,
            queue: &self.identity.queue,
            token: &self.identity.token,
            repository_name: &self.repository_name,
            repository_directory: &self.repository_directory,
            commit: &self.commit,
            fetch_tags: self.fetch_tags,
            shallow_clone: self.shallow_clone,
            sparse_checkout: nonempty(&self.sparse_checkout),
            files: files
                .map(|(path, file)| (path.as_str(), file.wire()))
                .collect(),
            docker_steps: nonempty(&self.docker_steps)
                .map(|steps| steps.iter().map(DockerStep::wire).collect()),
            cli_steps: nonempty(&self.cli_steps)
                .map(|steps| steps.iter().map(CliStep::wire).collect()),
            redacted_values: &self.redacted_values,
            docker_auth_config: self.docker_auth_config.wire(),
        };
        serde_json::to_vec(&wire).expect("texts and numbers can be JSON")
    }
}

/// `null` for an empty list, as Go writes one that was never made.
fn nonempty<T>(list: &[T]) -> Option<&[T]> {
    Some(list).filter(|list| !list.is_empty())
}

impl File {
    fn wire(&self) -> WireFile<'_> {
        let modified_at = self.modified_at;
        let mut wire = WireFile {
            content: None,
            bucket: None,
            key: None,
            modified_at: modified_at.map_or_else(|| ZERO_TIME.to_owned(), |time| time.to_string()),
        };
        match &self.content {
            Content::Inline(bytes) if bytes.is_empty() => {}
            Content::Inline(bytes) => wire.content = Some(STANDARD.encode(bytes)),
            Content::Stored { bucket, key } => {
                wire.bucket = Some(bucket);
                wire.key = Some(key);
            }
        }
        wire
    }
}

impl DockerStep {
    fn wire(&self) -> WireDockerStep<'_> {
        WireDockerStep {
            key: &self.key,
            image: &self.image,
            commands: &self.commands,
            dir: &self.dir,
            env: nonempty(&self.env),
        }
    }
}

impl CliStep {
    fn wire(&self) -> WireCliStep<'_> {
        WireCliStep {
            key: &self.key,
            command: &self.command,
            dir: &self.dir,
            env: nonempty(&self.env),
        }
    }
}

impl DockerAuthConfig {
    fn wire(&self) -> Option<WireAuthConfig<'_>> {
        if self.auths.is_empty() {
            return None;
        }
        let auths = self.auths.iter().map(|(host, auth)| {
            let pair = format!("{}:{}", auth.user, auth.password);
            let auth = STANDARD.encode(pair);
            (host.as_str(), WireAuth { auth })
        });
        Some(WireAuthConfig {
            auths: auths.collect(),
        })
    }
}
