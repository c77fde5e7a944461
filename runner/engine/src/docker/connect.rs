//! Finds the container engine and opens a connection to it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use capstan_plugin_store::registry::Credentials;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::failure::explain;
use super::mirror::Mirror;
use super::paths::SeenAt;
use crate::fault::Fault;

/// How long the engine may take to answer the first request, as upstream's limit (`facts/batch-spec.md` 8).
const PING: Duration = Duration::from_secs(5);

/// How long the engine may take to begin its answer to any other request, in seconds.
const REQUEST: u64 = 120;

/// What the outer environment says about engines and registries. An empty value counts as unset.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// `DOCKER_TLS_VERIFY`.
    pub docker_tls_verify: Option<String>,
    /// `DOCKER_CONFIG`, the directory that holds `config.json`.
    pub docker_config: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`, Podman's credentials.
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// What the engine sees under another path. No variable says so.
    pub seen_at: Option<SeenAt>,
    /// Where images of Docker Hub are asked for first. No variable says so.
    pub mirrors: Vec<Mirror>,
}

impl Environment {
    /// Reads it through `variable`, which is `std::env::var` in the binary.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name| variable(name).filter(|value| !value.is_empty());
        let path = |name| text(name).map(PathBuf::from);
        Self {
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            docker_tls_verify: text("DOCKER_TLS_VERIFY"),
            docker_config: path("DOCKER_CONFIG"),
            registry_auth_file: path("REGISTRY_AUTH_FILE"),
            xdg_runtime_dir: path("XDG_RUNTIME_DIR"),
            home: path("HOME"),
            seen_at: None,
            mirrors: Vec::new(),
        }
    }

    /// Docker's configuration directory.
    pub(super) fn config_dir(&self) -> Option<PathBuf> {
        self.docker_config
            .clone()
            .or_else(|| Some(self.home.as_ref()?.join(".docker")))
    }

    /// Where `docker login` and `podman login` keep what they know: Docker's `config.json`, then Podman's `auth.json`.
    pub fn credentials(&self) -> Credentials {
        let podman = match &self.registry_auth_file {
            Some(file) => vec![file.clone()],
            None => {
                let runtime = self.xdg_runtime_dir.as_ref();
                let home = self.home.as_ref();
                let runtime = runtime.map(|dir| dir.join("containers/auth.json"));
                let home = home.map(|dir| dir.join(".config/containers/auth.json"));
                runtime.into_iter().chain(home).collect()
            }
        };
        let docker = self.config_dir().map(|dir| dir.join("config.json"));
        Credentials::new(docker.into_iter().chain(podman).collect())
    }
}

/// A connection to an engine that has answered.
#[derive(Debug, Clone)]
pub struct Docker {
    pub(super) api: bollard::Docker,
    address: String,
    pub(super) seen_at: Option<SeenAt>,
    pub(super) mirrors: Vec<Mirror>,
}

/// Where an engine may be, and why we look there.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    address: String,
    origin: &'static str,
}

impl Docker {
    /// Connects to the engine that the environment names, else to the first that answers at a usual place.
    ///
    /// # Errors
    /// An environment fault that lists what was tried.
    pub async fn connect(environment: &Environment) -> Result<Self, Fault> {
        let candidates = candidates(environment)?;
        let mut tried = String::new();
        let mut denied = false;
        for Candidate { address, origin } in candidates {
            match Self::open(&address).await {
                Ok(docker) => {
                    return Ok(Self {
                        seen_at: environment.seen_at.clone(),
                        mirrors: environment.mirrors.clone(),
                        ..docker
                    });
                }
                Err(reason) => {
                    denied |= reason.contains("ermission denied");
                    let _ = write!(tried, "\n  {address} ({origin}): {reason}");
                }
            }
        }
        let hint = if denied {
            "add yourself to the group that owns the socket (`sudo usermod -aG docker $USER`, then log in again), or set DOCKER_HOST"
        } else if environment.docker_host.is_some() {
            "check DOCKER_HOST and that the engine there runs (`docker version`)"
        } else {
            "install and start Docker (`sudo apt-get install docker.io`) or Podman (`systemctl --user start podman.socket`), or set DOCKER_HOST"
        };
        Err(Fault::environment(format!("no container engine answers; tried:{tried}")).hint(hint))
    }

    async fn open(address: &str) -> Result<Self, String> {
        let version = bollard::API_DEFAULT_VERSION;
        let api = if let Some(path) = address.strip_prefix("unix://") {
            if !Path::new(path).exists() {
                return Err("no such socket".to_owned());
            }
            bollard::Docker::connect_with_unix(path, REQUEST, version)
        } else {
            bollard::Docker::connect_with_http(address, REQUEST, version)
        }
        .map_err(|error| explain(&error))?
        .with_request_modifier(url_safe_credentials);
        match tokio::time::timeout(PING, api.ping()).await {
            Ok(Ok(_)) => Ok(Self {
                api,
                address: address.to_owned(),
                seen_at: None,
                mirrors: Vec::new(),
            }),
            Ok(Err(error)) => Err(explain(&error)),
            Err(_) => Err(format!(
                "failed to respond within {}s; please verify that the engine has been started and is responding normally",
                PING.as_secs()
            )),
        }
    }

    /// Where the engine is: `unix:///path` or `tcp://host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the engine may be on this machine, so that its containers' processes may be visible to us.
    pub(super) fn is_local(&self) -> bool {
        self.socket().is_some()
    }

    /// The socket of an engine that may be on this machine.
    pub(super) fn socket(&self) -> Option<&Path> {
        self.address.strip_prefix("unix://").map(Path::new)
    }
}

/// The engine decodes credentials as URL-safe base64, bollard sends the standard alphabet; an engine
/// silently ignores what it cannot decode.
fn url_safe_credentials(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    if let Some(header) = request.headers_mut().get_mut("x-registry-auth") {
        let rewritten = header
            .to_str()
            .ok()
            .and_then(|text| text.replace('+', "-").replace('/', "_").parse().ok());
        if let Some(value) = rewritten {
            *header = value;
            header.set_sensitive(true);
        }
    }
    request
}

/// The places to look at, in order.
fn candidates(environment: &Environment) -> Result<Vec<Candidate>, Fault> {
    if let Some(host) = &environment.docker_host {
        return Ok(vec![explicit(host, "DOCKER_HOST", environment)?]);
    }
    if let Some(host) = context_host(environment)? {
        return Ok(vec![explicit(&host, "Docker context", environment)?]);
    }
    let socket = |path: PathBuf, origin| Candidate {
        address: format!("unix://{}", path.display()),
        origin,
    };
    let mut places = vec![socket("/var/run/docker.sock".into(), "Docker")];
    let runtime = environment.xdg_runtime_dir.as_ref();
    if let Some(dir) = runtime {
        places.push(socket(dir.join("docker.sock"), "rootless Docker"));
    }
    if let Some(home) = &environment.home {
        places.push(socket(
            home.join(".docker/run/docker.sock"),
            "Docker Desktop",
        ));
    }
    if let Some(dir) = runtime {
        places.push(socket(dir.join("podman/podman.sock"), "rootless Podman"));
    }
    places.push(socket("/run/podman/podman.sock".into(), "Podman"));
    Ok(places)
}

fn explicit(
    host: &str,
    origin: &'static str,
    environment: &Environment,
) -> Result<Candidate, Fault> {
    let unsupported = |what: &str, instead: String| {
        Err(Fault::environment(format!("{origin} is {host:?}: {what} not supported")).hint(instead))
    };
    if let Some(target) = host.strip_prefix("ssh://") {
        return unsupported(
            "connections over ssh are",
            format!(
                "forward the socket instead: `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock {target}`, then DOCKER_HOST=unix:///tmp/docker.sock"
            ),
        );
    }
    if host.starts_with("https://")
        || (host.starts_with("tcp://") && environment.docker_tls_verify.is_some())
    {
        return unsupported(
            "connections with TLS are",
            "forward the engine's socket over ssh, or use the engine's unix socket on the same machine; for tcp:// without TLS unset DOCKER_TLS_VERIFY".to_owned(),
        );
    }
    match host.split_once("://") {
        Some(("unix" | "tcp" | "http", place)) if !place.is_empty() => Ok(Candidate {
            address: host.replacen("http://", "tcp://", 1),
            origin,
        }),
        _ => unsupported(
            "this form of address is",
            "use unix:///path/to/docker.sock or tcp://host:port".to_owned(),
        ),
    }
}

/// The engine's address in the current Docker context; `None` for the default one.
fn context_host(environment: &Environment) -> Result<Option<String>, Fault> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "currentContext")]
        current_context: Option<String>,
    }
    #[derive(Deserialize)]
    struct Meta {
        #[serde(rename = "Endpoints")]
        endpoints: Endpoints,
    }
    #[derive(Deserialize)]
    struct Endpoints {
        docker: Option<Endpoint>,
    }
    #[derive(Deserialize)]
    struct Endpoint {
        #[serde(rename = "Host")]
        host: Option<String>,
    }

    let Some(dir) = environment.config_dir() else {
        return Ok(None);
    };
    let current = || {
        let bytes = fs_err::read(dir.join("config.json")).ok()?;
        serde_json::from_slice::<Config>(&bytes)
            .ok()?
            .current_context
    };
    let name = match environment.docker_context.clone().or_else(current) {
        Some(name) if !name.is_empty() && name != "default" => name,
        _ => return Ok(None),
    };
    let id = Sha256::digest(name.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    let path = dir.join("contexts/meta").join(id).join("meta.json");
    let broken = |reason: String| {
        Fault::environment(format!("reading the Docker context {name:?}: {reason}"))
            .hint("choose another with `docker context use default`, or set DOCKER_HOST")
    };
    let bytes = fs_err::read(path).map_err(|error| broken(error.to_string()))?;
    let meta: Meta = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
    meta.endpoints
        .docker
        .and_then(|endpoint| endpoint.host)
        .filter(|host| !host.is_empty())
        .map(Some)
        .ok_or_else(|| broken("it names no Docker endpoint".to_owned()))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use rstest::rstest;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::read(|name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn addresses(environment: &Environment) -> Vec<String> {
        let found = candidates(environment).unwrap();
        found.into_iter().map(|place| place.address).collect()
    }

    #[test]
    fn usual_places_are_tried_in_order() {
        let environment = environment(&[
            ("XDG_RUNTIME_DIR", "/run/user/7"),
            ("HOME", "/nonexistent"),
            ("DOCKER_HOST", ""),
        ]);
        assert_eq!(
            addresses(&environment),
            [
                "unix:///var/run/docker.sock",
                "unix:///run/user/7/docker.sock",
                "unix:///nonexistent/.docker/run/docker.sock",
                "unix:///run/user/7/podman/podman.sock",
                "unix:///run/podman/podman.sock",
            ]
        );
    }

    #[test]
    fn docker_host_stands_alone() {
        let host = |host| addresses(&environment(&[("DOCKER_HOST", host)]));
        assert_eq!(host("unix:///x.sock"), ["unix:///x.sock"]);
        assert_eq!(host("tcp://a:2375"), ["tcp://a:2375"]);
        assert_eq!(host("http://a:2375"), ["tcp://a:2375"]);
    }

    #[rstest]
    #[case("ssh://me@far", "connections over ssh are not supported")]
    #[case("tcp://far:2376", "connections with TLS are not supported")]
    #[case("https://far", "connections with TLS are not supported")]
    #[case("npipe:////./pipe/x", "this form of address is not supported")]
    #[case("far:2375", "this form of address is not supported")]
    fn what_is_not_supported_is_said(#[case] host: &str, #[case] message: &str) {
        let environment = environment(&[("DOCKER_HOST", host), ("DOCKER_TLS_VERIFY", "1")]);
        let fault = candidates(&environment).unwrap_err();
        assert!(fault.message.ends_with(message), "{}", fault.message);
        assert!(fault.hint.is_some());
    }

    #[test]
    fn the_current_context_names_the_engine() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(
            dir.path().join("config.json"),
            r#"{"currentContext":"far"}"#,
        )
        .unwrap();
        let mut environment = Environment {
            docker_config: Some(dir.path().to_owned()),
            ..Environment::default()
        };
        let fault = candidates(&environment).unwrap_err();
        assert!(
            fault
                .message
                .starts_with("reading the Docker context \"far\"")
        );

        let id: String = Sha256::digest(b"far")
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let meta = dir.path().join("contexts/meta").join(id);
        fs_err::create_dir_all(&meta).unwrap();
        fs_err::write(
            meta.join("meta.json"),
            r#"{"Name":"far","Endpoints":{"docker":{"Host":"unix:///far.sock","SkipTLSVerify":false}}}"#,
        )
        .unwrap();
        assert_eq!(addresses(&environment), ["unix:///far.sock"]);

        environment.docker_context = Some("default".to_owned());
        assert_eq!(addresses(&environment)[0], "unix:///var/run/docker.sock");
    }

    #[tokio::test]
    async fn failure_tells_what_was_tried() {
        let environment = environment(&[("DOCKER_HOST", "unix:///nonexistent/docker.sock")]);
        let fault = Docker::connect(&environment).await.unwrap_err();
        assert_snapshot!(fault.message, @r"
        no container engine answers; tried:
          unix:///nonexistent/docker.sock (DOCKER_HOST): no such socket
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_does_not_answer_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mute.sock");
        let _listener = tokio::net::UnixListener::bind(&path).unwrap();
        let address = format!("unix://{}", path.display());
        let fault = Docker::connect(&environment(&[("DOCKER_HOST", &address)]))
            .await
            .unwrap_err();
        assert!(fault.message.contains("failed to respond within 5s"));
    }
}
