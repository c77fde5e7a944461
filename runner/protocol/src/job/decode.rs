//! Reading a job, of either generation.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::{
    CliStep, Content, DockerAuthConfig, DockerStep, File, Generation, Identity, Job, RegistryAuth,
};
use crate::fields::{self, DecodeError, Fields};

/// Standard base64, with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A job that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the job cannot be read: {reason}")]
pub struct Undecodable {
    /// Which job it is, so that the server can be told; `None` if not even that can be read.
    pub identity: Option<Identity>,
    /// What is wrong.
    pub reason: DecodeError,
}

impl Job {
    /// Reads the answer to a dequeue call.
    ///
    /// # Errors
    ///
    /// If it is no JSON, has no id, or a field is of another kind. Which job it is is told where it can be.
    pub fn decode(body: &[u8]) -> Result<Self, Undecodable> {
        let nobody = |reason| Undecodable {
            identity: None,
            reason,
        };
        let mut fields = Fields::parse(body).map_err(nobody)?;
        let identity = identity(&mut fields).map_err(nobody)?;
        contents(&mut fields, identity.clone()).map_err(|reason| Undecodable {
            identity: Some(identity),
            reason,
        })
    }
}

fn identity(fields: &mut Fields) -> Result<Identity, DecodeError> {
    Ok(Identity {
        id: fields
            .integer("id")?
            .ok_or_else(|| DecodeError::kind("id", "a whole number"))?,
        queue: fields.text("queue")?,
        token: fields.text("token")?,
    })
}

fn contents(fields: &mut Fields, identity: Identity) -> Result<Job, DecodeError> {
    let generation = match fields.integer("version")? {
        Some(2..) => Generation::V2,
        _ => Generation::V1,
    };
    let auth = fields.take("dockerAuthConfig");
    Ok(Job {
        generation,
        identity,
        repository_name: fields.text("repositoryName")?,
        repository_directory: fields.text("repositoryDirectory")?,
        commit: fields.text("commit")?,
        fetch_tags: fields.flag("fetchTags")?,
        shallow_clone: fields.flag("shallowClone")?,
        sparse_checkout: fields.texts("sparseCheckout")?,
        files: fields.map("files", |value| file(value, generation))?,
        docker_steps: fields.list("dockerSteps", docker_step)?,
        cli_steps: fields.list("cliSteps", cli_step)?,
        redacted_values: fields.map("redactedValues", |value| fields::text(value, ""))?,
        docker_auth_config: match auth {
            Some(value) => auth_config(value).map_err(|error| error.within("dockerAuthConfig"))?,
            None => DockerAuthConfig::default(),
        },
    })
}

fn file(value: Value, generation: Generation) -> Result<File, DecodeError> {
    let mut fields = Fields::of(value)?;
    let (bucket, key) = (fields.text("bucket")?, fields.text("key")?);
    let content = if bucket.is_empty() || key.is_empty() {
        let text = fields.text("content")?;
        Content::Inline(match generation {
            Generation::V1 => text.into_bytes(),
            Generation::V2 => base64(text, "content")?,
        })
    } else {
        Content::Stored { bucket, key }
    };
    Ok(File {
        content,
        modified_at: fields.time("modifiedAt")?,
    })
}

fn base64(text: String, place: &str) -> Result<Vec<u8>, DecodeError> {
    let mut text = text.into_bytes();
    // Go's decoder looks past line breaks.
    text.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    BASE64
        .decode(text)
        .map_err(|_| DecodeError::kind(place, "base64"))
}

fn docker_step(value: Value) -> Result<DockerStep, DecodeError> {
    let mut fields = Fields::of(value)?;
    Ok(DockerStep {
        key: fields.text("key")?,
        image: fields.text("image")?,
        commands: fields.texts("commands")?,
        dir: fields.text("dir")?,
        env: fields.texts("env")?,
    })
}

fn cli_step(value: Value) -> Result<CliStep, DecodeError> {
    let mut fields = Fields::of(value)?;
    let command = fields.texts("command")?;
    let commands = fields.texts("commands")?;
    Ok(CliStep {
        key: fields.text("key")?,
        command: if command.is_empty() {
            commands
        } else {
            command
        },
        dir: fields.text("dir")?,
        env: fields.texts("env")?,
    })
}

impl DockerAuthConfig {
    /// Reads `{"auths":{"registry.example.com":{"auth":"<base64 of user:password>"}}}`, also with `username` and `password`.
    ///
    /// # Errors
    ///
    /// If it is no JSON, or is made otherwise. Entries without credentials are left out.
    pub fn decode(text: &[u8]) -> Result<Self, DecodeError> {
        auth_config(fields::parse(text)?)
    }
}

fn auth_config(value: Value) -> Result<DockerAuthConfig, DecodeError> {
    let mut fields = Fields::of(value)?;
    let auths = fields.map("auths", registry_auth)?;
    let auths = auths.into_iter();
    Ok(DockerAuthConfig {
        auths: auths
            .filter_map(|(host, auth)| Some((host, auth?)))
            .collect(),
    })
}

fn registry_auth(value: Value) -> Result<Option<RegistryAuth>, DecodeError> {
    const PAIR: &str = "base64 of USER:PASSWORD";
    let mut fields = Fields::of(value)?;
    let (user, password) = (fields.text("username")?, fields.text("password")?);
    let auth = fields.text("auth")?;
    if auth.is_empty() {
        let known = !user.is_empty() && !password.is_empty();
        return Ok(known.then_some(RegistryAuth { user, password }));
    }
    let bytes = base64(auth, "auth").map_err(|_| DecodeError::kind("auth", PAIR))?;
    let pair = String::from_utf8(bytes).map_err(|_| DecodeError::kind("auth", PAIR))?;
    let (user, password) = pair
        .split_once(':')
        .ok_or_else(|| DecodeError::kind("auth", PAIR))?;
    Ok(Some(RegistryAuth {
        user: user.to_owned(),
        // Docker itself pads with zero bytes.
        password: password.trim_end_matches('\0').to_owned(),
    }))
}
