//! Pulls one image: progress, what went wrong, and whether trying again may help.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptions;
use capstan_plugin_store::registry::{Credential, Credentials, HUB, Reference};
use futures_util::StreamExt;

use super::connect::Docker;
use super::failure::{explain, is_disk_full, refusal};
use crate::fault::Fault;

/// How a pull goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullProgress {
    /// The image's name as it was asked for.
    pub image: String,
    /// One line for people, for example `Downloading`, or why the pull is tried again.
    pub status: String,
    /// Bytes downloaded, of all layers.
    pub done: u64,
    /// Bytes to download, as far as known; 0 while unknown.
    pub total: u64,
}

/// Who is told; called at most ten times a second for each image, and at every change of importance.
pub type Progress = Arc<dyn Fn(PullProgress) + Send + Sync>;

/// Time between two reports of the same kind.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Layers counted; an image has at most 127.
const LAYERS: usize = 512;

/// Time until the engine must have begun to answer: it looks up the registry first.
const BEGIN: Duration = Duration::from_secs(600);

/// How often a pull is tried again after 429, 5xx and broken connections: 1 s, 2 s, 4 s, 8 s, with jitter.
const TRIES_AGAIN: usize = 4;

/// Why a pull failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Missing,
    Unauthorised,
    RateLimited,
    /// The registry answers with an error of its own, or the connection broke.
    Unsteady,
    Unreachable,
    NoSuchPlatform,
    DiskFull,
    Other,
}

/// Tells apart what the engine only says in words. Docker answers 404 for both missing and forbidden
/// images, and 500 for what a registry did.
fn reason(text: &str) -> Reason {
    let text = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if is_disk_full(&text) {
        Reason::DiskFull
    } else if has(&["toomanyrequests", "too many requests", "http 429"]) {
        Reason::RateLimited
    } else if has(&[
        "no matching manifest",
        "does not match the specified platform",
    ]) {
        Reason::NoSuchPlatform
    } else if has(&[
        "no basic auth",
        "unauthorized",
        "http 401",
        "http 403",
        "403 forbidden",
        "incorrect username",
        "authentication required",
    ]) {
        Reason::Unauthorised
    } else if has(&[
        "access denied",
        "not found",
        "manifest unknown",
        "name unknown",
        "name_unknown",
        "does not exist",
        "http 404",
    ]) && !has(&["status: 5", "status code 5"])
    {
        Reason::Missing
    } else if has(&["denied"]) {
        Reason::Unauthorised
    } else if has(&[
        "no such host",
        "connection refused",
        "no route to host",
        "network is unreachable",
        "server misbehaving",
        "x509:",
        "server gave http response to https client",
    ]) {
        Reason::Unreachable
    } else if has(&[
        "500 internal",
        "502 bad gateway",
        "503 service",
        "504 gateway",
        "http status: 5",
        "status code 5",
        "status 5",
        "http 50",
        "connection reset",
        "unexpected eof",
        "broken pipe",
        "tls handshake timeout",
        "i/o timeout",
        "client.timeout",
        "request canceled",
        "http2:",
        ": eof",
    ]) {
        Reason::Unsteady
    } else {
        Reason::Other
    }
}

/// Pulls an image, again and again where that may help.
pub(super) async fn pull(
    docker: &Docker,
    credentials: &Credentials,
    progress: &Progress,
    image: &str,
    reference: &Reference,
    platform: Option<&str>,
) -> Result<(), Fault> {
    let mut delays = ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_times(TRIES_AGAIN)
        .with_jitter()
        .build();
    let mut report = Report::new(image, progress);
    loop {
        let found = credentials.find(reference).await;
        let signed_in = found.credential.is_some();
        let options = CreateImageOptions {
            from_image: Some(reference.name.clone()),
            tag: Some(reference.version().to_owned()),
            platform: platform.unwrap_or_default().to_owned(),
            ..CreateImageOptions::default()
        };
        let api = docker.api.clone().with_timeout(BEGIN);
        let mut events = api.create_image(Some(options), None, found.credential.map(for_engine));
        let mut failure = None;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => report.event(event),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let Some(error) = failure else {
            report.now("Pulled");
            return Ok(());
        };
        let text = explain(&error);
        let reason = match &error {
            Error::DockerStreamError { error } => reason(error),
            other => match refusal(other) {
                Some((_, message)) => reason(message),
                None => {
                    return Err(super::failure::lost(
                        &format!("pulling image {image:?}"),
                        &text,
                    ));
                }
            },
        };
        let text = text.trim_start_matches("Docker stream error: ");
        let delay = match reason {
            Reason::RateLimited | Reason::Unsteady => delays.next(),
            _ => None,
        };
        match delay {
            Some(delay) => {
                report.now(&format!(
                    "trying again in {} s: {}",
                    delay.as_secs().max(1),
                    one_line(text)
                ));
                tokio::time::sleep(delay).await;
            }
            None => {
                return Err(give_up(
                    image,
                    reference,
                    reason,
                    signed_in,
                    found.problem,
                    text,
                ));
            }
        }
    }
}

/// A credential as the engine's API takes it.
fn for_engine(credential: Credential) -> DockerCredentials {
    DockerCredentials {
        username: credential.username,
        password: credential.password,
        identitytoken: credential.identity_token,
        registrytoken: credential.registry_token,
        serveraddress: Some(credential.server),
        ..DockerCredentials::default()
    }
}

/// The fault of a pull, in upstream's words (`facts/batch-spec.md` 8) with what to do next.
fn give_up(
    image: &str,
    reference: &Reference,
    reason: Reason,
    signed_in: bool,
    problem: Option<String>,
    text: &str,
) -> Fault {
    let registry = &reference.registry;
    let login = if registry == HUB {
        "`docker login`".to_owned()
    } else {
        format!("`docker login {registry}`")
    };
    let message = format!("pulling image {image:?}: failed to pull image: {text}");
    let mut hint = match reason {
        Reason::Missing => format!(
            "check the image's name and tag; if it is private, sign in with {login}"
        ),
        Reason::Unauthorised if signed_in => format!(
            "{registry} refused the stored credentials; renew them with {login}, and check that they may read the image"
        ),
        Reason::Unauthorised => format!("sign in with {login}"),
        Reason::RateLimited => format!(
            "{registry} limits pulls; sign in with {login}, use a mirror, or wait"
        ),
        Reason::Unsteady => format!("{registry} keeps failing; try again later"),
        Reason::Unreachable => format!(
            "the engine cannot reach {registry}; check the name, the network, and the engine's proxy and CA settings"
        ),
        Reason::NoSuchPlatform => {
            "the image is not built for this platform; choose another image, or another platform with --platform".to_owned()
        }
        Reason::DiskFull => {
            "free disk space where the engine keeps its data (`docker system df`)".to_owned()
        }
        Reason::Other => {
            "try `docker pull` with the same name to see whether the engine can get it".to_owned()
        }
    };
    if let Some(problem) = problem {
        hint = format!("{hint} (credentials: {problem})");
    }
    match reason {
        Reason::DiskFull => Fault::environment(message),
        _ => Fault::workspace(message),
    }
    .hint(hint)
}

fn one_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Adds up the layers' progress and passes it on, not too often.
struct Report<'a> {
    image: &'a str,
    progress: &'a Progress,
    layers: HashMap<String, (u64, u64)>,
    status: String,
    told: Option<Instant>,
}

impl<'a> Report<'a> {
    fn new(image: &'a str, progress: &'a Progress) -> Self {
        Self {
            image,
            progress,
            layers: HashMap::new(),
            status: String::new(),
            told: None,
        }
    }

    fn event(&mut self, event: CreateImageInfo) {
        let status = event.status.unwrap_or_default();
        if let Some(id) = event.id
            && (self.layers.len() < LAYERS || self.layers.contains_key(&id))
        {
            let bytes = |value: Option<i64>| value.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
            match status.as_str() {
                "Downloading" => {
                    let detail = event.progress_detail.unwrap_or_default();
                    let total = bytes(detail.total);
                    self.layers
                        .insert(id, (bytes(detail.current).min(total), total));
                }
                "Verifying Checksum" | "Download complete" | "Pull complete" => {
                    if let Some((done, total)) = self.layers.get_mut(&id) {
                        *done = *total;
                    }
                }
                _ => {}
            }
        }
        self.status = one_line(&status).to_owned();
        if self.told.is_none_or(|told| told.elapsed() >= REPORT_EVERY) {
            self.tell();
        }
    }

    /// Reports a status whatever the time.
    fn now(&mut self, status: &str) {
        status.clone_into(&mut self.status);
        self.tell();
    }

    fn tell(&mut self) {
        let sum = |part: fn(&(u64, u64)) -> u64| {
            self.layers.values().map(part).fold(0, u64::saturating_add)
        };
        (self.progress)(PullProgress {
            image: self.image.to_owned(),
            status: self.status.clone(),
            done: sum(|layer| layer.0),
            total: sum(|layer| layer.1),
        });
        self.told = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bollard::models::ProgressDetail;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "pull access denied for acme/x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
        Reason::Missing
    )]
    #[case(
        "manifest for busybox:nope not found: manifest unknown: manifest unknown",
        Reason::Missing
    )]
    #[case(
        "Get \"https://r.example/v2/x/manifests/1\": no basic auth credentials",
        Reason::Unauthorised
    )]
    #[case("unauthorized: authentication required", Reason::Unauthorised)]
    #[case("Error response from daemon: denied", Reason::Unauthorised)]
    #[case(
        "toomanyrequests: You have reached your pull rate limit",
        Reason::RateLimited
    )]
    #[case(
        "received unexpected HTTP status: 503 Service Unavailable",
        Reason::Unsteady
    )]
    #[case("error pulling image configuration: unexpected EOF", Reason::Unsteady)]
    #[case(
        "read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer",
        Reason::Unsteady
    )]
    #[case(
        "Get \"https://nowhere.example/v2/\": dial tcp: lookup nowhere.example: no such host",
        Reason::Unreachable
    )]
    #[case(
        "Get \"http://localhost:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
        Reason::Unreachable
    )]
    #[case(
        "no matching manifest for linux/s390x in the manifest list entries",
        Reason::NoSuchPlatform
    )]
    #[case(
        "write /var/lib/docker/tmp/GetImageBlob1: no space left on device",
        Reason::DiskFull
    )]
    #[case(
        "filesystem layer verification failed for digest sha256:00",
        Reason::Other
    )]
    fn reasons_are_told_apart(#[case] text: &str, #[case] expected: Reason) {
        assert_eq!(reason(text), expected);
    }

    #[test]
    fn giving_up_says_what_to_do() {
        let reference = Reference::parse("ghcr.io/acme/x").unwrap();
        let fault = give_up(
            "ghcr.io/acme/x",
            &reference,
            Reason::Unauthorised,
            false,
            Some("docker-credential-x failed".to_owned()),
            "no basic auth credentials",
        );
        insta::assert_snapshot!(
            format!("{}\n{}", fault.message, fault.hint.unwrap()),
            @r#"
        pulling image "ghcr.io/acme/x": failed to pull image: no basic auth credentials
        sign in with `docker login ghcr.io` (credentials: docker-credential-x failed)
        "#
        );
    }

    #[test]
    fn layers_are_added_up() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let progress: Progress = Arc::new(move |now| sink.lock().unwrap().push(now));
        let mut report = Report::new("x", &progress);
        let mut layer = |id: &str, status: &str, current, total| {
            report.event(CreateImageInfo {
                id: Some(id.to_owned()),
                status: Some(status.to_owned()),
                progress_detail: Some(ProgressDetail {
                    current: Some(current),
                    total: Some(total),
                }),
                ..CreateImageInfo::default()
            });
        };
        layer("a", "Downloading", 10, 100);
        layer("b", "Downloading", 5, -1);
        layer("b", "Downloading", 50, 50);
        layer("a", "Download complete", 0, 0);
        layer("a", "Extracting", 1, 100);
        report.now("Pulled");
        let seen = seen.lock().unwrap();
        assert_eq!(seen.last().map(|p| (p.done, p.total)), Some((150, 150)));
        assert!(seen.len() < 6, "reports are throttled");
    }
}
