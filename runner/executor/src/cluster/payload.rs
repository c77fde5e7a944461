//! A job as a Secret holds it.

use std::io::{self, Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capstan_protocol::{DockerAuthConfig, Job};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::client::Secret;

/// Most bytes that a cluster takes for a Secret (`MaxSecretSize`), less some for its key.
const LARGEST: usize = (1 << 20) - 1024;

/// Most bytes of a payload that is read.
const LARGEST_DECODED: u64 = 256 << 20;

/// A job that is too large.
#[derive(Debug, thiserror::Error)]
#[error(
    "the job is too large for a cluster: its payload has {size} bytes when compressed, and a Secret holds {LARGEST} at most; have fewer or smaller files in it"
)]
pub(super) struct TooLarge {
    size: usize,
}

/// What its pod is handed.
pub(super) struct Payload {
    pub(super) compressed: Vec<u8>,
    /// What the repository is cloned from, if not from the server.
    pub(super) clone_from: Option<Secret>,
}

impl Payload {
    /// Of a job.
    pub(super) fn of(job: &Job, clone_from: Option<Secret>) -> Result<Self, TooLarge> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let written = encoder.write_all(&job.to_json());
        // Memory takes it all.
        let compressed = written.and_then(|()| encoder.finish()).unwrap_or_default();
        match compressed.len() {
            size if size > LARGEST => Err(TooLarge { size }),
            _ => Ok(Self {
                compressed,
                clone_from,
            }),
        }
    }
}

/// A job's credentials for registries as a kubelet takes them; `None` if there are none.
pub(super) fn pull_config(auths: &DockerAuthConfig) -> Option<Vec<u8>> {
    let entries = auths.auths.iter().map(|(host, auth)| {
        let both = STANDARD.encode(format!("{}:{}", auth.user, auth.password));
        (host.clone(), json!({ "auth": both }))
    });
    let auths: serde_json::Map<_, _> = entries.collect();
    (!auths.is_empty()).then(|| json!({ "auths": auths }).to_string().into_bytes())
}

/// Reads the payload of a pod: a job, compressed or not.
///
/// # Errors
/// If it is not complete, or too large.
pub fn uncompressed(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut all = Vec::new();
    let mut decoder = GzDecoder::new(&*bytes).take(LARGEST_DECODED + 1);
    decoder.read_to_end(&mut all)?;
    match all.len() as u64 > LARGEST_DECODED {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the job is too large",
        )),
        false => Ok(all),
    }
}
