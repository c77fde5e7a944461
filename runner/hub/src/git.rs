//! Serving repositories: `git upload-pack`, which reads only, in the hardened wrapper, its output streamed.

use std::path::PathBuf;

use axum::body::Body;
use axum::http::HeaderValue;
use capstan_engine::git::Invocation;
use capstan_engine::repository::{Source, discover};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use crate::api::Refusal;
use crate::hub::Shared;

/// Bytes of an answer that wait for the client.
const PIPE: usize = 256 << 10;

/// A repository on this machine's disk.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    git_dir: PathBuf,
}

impl Served {
    /// That of a source that was opened before.
    pub(crate) fn of(hub: &Shared, source: &str) -> Result<Self, Refusal> {
        let internal =
            |error: String| Refusal::Internal(format!("opening the repository: {error}"));
        let source = Source::parse(source, std::path::Path::new("/"))
            .map_err(|error| internal(error.to_string()))?;
        let git_dir = match source {
            Source::Local(path) => {
                discover(&path)
                    .map_err(|fault| internal(fault.message))?
                    .git_dir
            }
            Source::Remote { url, .. } => hub.remotes.git_dir(&url),
        };
        Ok(Self { git_dir })
    }

    fn upload_pack(&self, hub: &Shared, protocol: Protocol) -> Invocation<'static> {
        let invocation = hub
            .git
            .serving("upload-pack")
            .git_dir(&self.git_dir)
            .args(["--strict", "--stateless-rpc"]);
        match protocol {
            Protocol::V0 => invocation,
            Protocol::V1 => invocation.env("GIT_PROTOCOL", "version=1"),
            Protocol::V2 => invocation.env("GIT_PROTOCOL", "version=2"),
        }
    }
}

/// Which protocol the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    V0,
    V1,
    V2,
}

impl Protocol {
    /// That of the `Git-Protocol` header.
    pub(crate) fn of(header: Option<&HeaderValue>) -> Self {
        let text = header.and_then(|value| value.to_str().ok());
        let versions = text.unwrap_or_default().split(':');
        versions
            .filter_map(|part| part.strip_prefix("version="))
            .fold(Self::V0, |found, version| match version {
                "1" if found == Self::V0 => Self::V1,
                "2" => Self::V2,
                _ => found,
            })
    }
}

/// Says what there is.
pub(crate) async fn advertise(
    hub: &Shared,
    repository: &Served,
    protocol: Protocol,
) -> Result<Body, Refusal> {
    let invocation = repository
        .upload_pack(hub, protocol)
        .arg("--advertise-refs")
        .arg(&repository.git_dir);
    // Clients of the newest protocol are not told which service they asked for.
    let head: &[u8] = match protocol {
        Protocol::V2 => b"",
        Protocol::V0 | Protocol::V1 => b"001e# service=git-upload-pack\n0000",
    };
    Ok(stream(hub, invocation, head))
}

/// Hands out what is asked for.
pub(crate) async fn upload_pack(
    hub: &Shared,
    repository: &Served,
    protocol: Protocol,
    body: Vec<u8>,
) -> Result<Body, Refusal> {
    let invocation = repository
        .upload_pack(hub, protocol)
        .arg(&repository.git_dir)
        .input(body);
    Ok(stream(hub, invocation, b""))
}

/// The output of git as a body. A client that goes away ends git; a git that fails breaks the body off, so that no client takes it for whole.
fn stream(hub: &Shared, invocation: Invocation<'static>, head: &'static [u8]) -> Body {
    let (mut near, far) = tokio::io::duplex(PIPE);
    let git = hub.background.spawn(async move {
        near.write_all(head)
            .await
            .map_err(|error| error.to_string())?;
        let piped = invocation.pipe(&mut near).await;
        piped.map_err(|error| error.to_string())
    });
    let end = futures_util::stream::once(async move {
        let message = match git.await {
            Ok(Ok(())) => return Ok(bytes::Bytes::new()),
            Ok(Err(message)) => message,
            Err(error) => error.to_string(),
        };
        tracing::warn!("serving a repository: {message}");
        Err(std::io::Error::other(message))
    });
    Body::from_stream(ReaderStream::new(far).chain(end))
}
