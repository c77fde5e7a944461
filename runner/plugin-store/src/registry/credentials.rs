//! Registry credentials, from where `docker login` and `podman login` keep them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::reference::{HUB, Reference};

/// The name under which Docker keeps its hub's credentials.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// How long a credential helper may take; some ask a cloud's service.
const HELPER: Duration = Duration::from_secs(30);

/// Most a helper may answer.
const HELPER_ANSWER: u64 = 1 << 20;

/// Where credentials are looked for. The files are read anew every time, as helpers hand out
/// tokens that expire.
#[derive(Clone, Default)]
pub struct Credentials {
    /// What somebody has handed over; counts more than the files.
    given: Option<Arc<Config>>,
    files: Vec<PathBuf>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No secret reaches a log.
        f.debug_struct("Credentials")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// What was found for a repository.
#[derive(Debug, Default)]
pub struct Found {
    /// What to sign in with.
    pub credential: Option<Credential>,
    /// Why some source could not be used; without secrets.
    pub problem: Option<String>,
}

/// What to sign in with at a registry; it holds a password or one of the tokens.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential {
    /// User name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Token that the registry's token service takes in place of a password.
    pub identity_token: Option<String>,
    /// Token that the registry itself takes.
    pub registry_token: Option<String>,
    /// The name under which stores keep it.
    pub server: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No secret reaches a log.
        f.debug_struct("Credential")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credsStore")]
    creds_store: String,
    #[serde(rename = "credHelpers")]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

#[derive(Deserialize)]
struct HelperAnswer {
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

impl Credentials {
    /// These files, each in the format of Docker's `config.json`; the first that knows a registry counts.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { given: None, files }
    }

    /// These, of which nothing is written to disk: the name under which Docker's `config.json` has a registry, the user and the password.
    pub fn given(auths: impl IntoIterator<Item = (String, String, String)>) -> Self {
        let auths = auths.into_iter().map(|(key, username, password)| {
            let auth = Auth {
                username,
                password,
                ..Auth::default()
            };
            (key, auth)
        });
        let config = Config {
            auths: auths.collect(),
            ..Config::default()
        };
        Self {
            given: Some(Arc::new(config)),
            files: Vec::new(),
        }
    }

    /// Looks for what to sign in with at the registry of a reference.
    pub async fn find(&self, reference: &Reference) -> Found {
        let mut problem = None;
        let given = self.given.as_ref();
        if let Some(credential) = given.and_then(|config| config.lookup(reference)) {
            return Found {
                credential: Some(credential),
                problem,
            };
        }
        for file in &self.files {
            let config = match fs_err::read(file) {
                Ok(bytes) => match serde_json::from_slice::<Config>(&bytes) {
                    Ok(config) => config,
                    // serde_json names the place, not the value, except for a wrong type; so the text is left out.
                    Err(error) => {
                        problem = Some(format!(
                            "{} is not valid (line {}, column {})",
                            file.display(),
                            error.line(),
                            error.column()
                        ));
                        continue;
                    }
                },
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    problem = Some(error.to_string());
                    continue;
                }
            };
            if let Some(helper) = config.helper_for(&reference.registry) {
                let key = server_key(&reference.registry);
                let program = format!("docker-credential-{helper}");
                match ask_helper(&program, key).await {
                    Ok(Some(credential)) => {
                        return Found {
                            credential: Some(credential),
                            problem,
                        };
                    }
                    Ok(None) => {}
                    Err(reason) => problem = Some(reason),
                }
            }
            if let Some(credential) = config.lookup(reference) {
                return Found {
                    credential: Some(credential),
                    problem,
                };
            }
        }
        Found {
            credential: None,
            problem,
        }
    }
}

/// The name under which stores keep a registry's credentials.
fn server_key(registry: &str) -> &str {
    if registry == HUB { HUB_KEY } else { registry }
}

/// A key of a configuration file as `host[:port][/path]`; all of Docker Hub's names become one.
fn normalised(key: &str) -> String {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key)
        .trim_end_matches('/');
    let key = key
        .strip_suffix("/v1")
        .or_else(|| key.strip_suffix("/v2"))
        .unwrap_or(key);
    let (host, path) = key.split_at(key.find('/').unwrap_or(key.len()));
    match host {
        "index.docker.io" | "registry-1.docker.io" => format!("{HUB}{path}"),
        _ => key.to_owned(),
    }
}

impl Config {
    /// The helper for a registry; empty names mean none. A name that could be a path is not one.
    fn helper_for(&self, registry: &str) -> Option<&str> {
        self.cred_helpers
            .iter()
            .find(|(key, _)| normalised(key) == registry)
            .map(|(_, helper)| helper.as_str())
            .or(Some(self.creds_store.as_str()))
            .filter(|helper| {
                let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
                !helper.is_empty() && helper.bytes().all(plain)
            })
    }

    /// The longest key that stands for the reference's registry or a namespace on it.
    fn lookup(&self, reference: &Reference) -> Option<Credential> {
        let full = format!("{}/{}", reference.registry, reference.path);
        let stands_for = |key: &str| {
            full.strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('/') || rest.is_empty())
        };
        self.auths
            .iter()
            .map(|(key, auth)| (normalised(key), auth))
            .filter(|(key, _)| !key.is_empty() && stands_for(key))
            .filter_map(|(key, auth)| Some((key, auth.credentials(&reference.registry)?)))
            .max_by_key(|(key, _)| key.len())
            .map(|(_, credentials)| credentials)
    }
}

impl Auth {
    /// What to send; `None` for the empty entries that a credential store leaves behind.
    fn credentials(&self, registry: &str) -> Option<Credential> {
        let text = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
        let (username, password) = self
            .decoded()
            .unwrap_or_else(|| (self.username.clone(), self.password.clone()));
        let found = Credential {
            username: text(&username),
            password: text(&password),
            identity_token: text(&self.identitytoken),
            registry_token: text(&self.registrytoken),
            server: server_key(registry).to_owned(),
        };
        let useful = found.password.is_some()
            || found.identity_token.is_some()
            || found.registry_token.is_some();
        useful.then_some(found)
    }

    /// User name and password out of `auth`, which is base64 of `name:password`.
    fn decoded(&self) -> Option<(String, String)> {
        let encoded = self.auth.trim();
        let bytes = STANDARD
            .decode(encoded)
            .or_else(|_| STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')))
            .ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (username, password) = text.split_once(':')?;
        Some((
            username.to_owned(),
            password.trim_end_matches('\0').to_owned(),
        ))
    }
}

/// Asks a credential helper; `None` when it knows nothing about the server.
async fn ask_helper(program: &str, server: &str) -> Result<Option<Credential>, String> {
    let exchange = async {
        let mut child = tokio::process::Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that answers without reading is fine.
            let _ = stdin.write_all(format!("{server}\n").as_bytes()).await;
        }
        let mut answer = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(HELPER_ANSWER).read_to_end(&mut answer).await?;
        }
        let status = child.wait().await?;
        Ok::<_, std::io::Error>((status, answer))
    };
    let (status, answer) = tokio::time::timeout(HELPER, exchange)
        .await
        .map_err(|_| format!("{program} did not answer within {} s", HELPER.as_secs()))?
        .map_err(|error| format!("running {program}: {error}"))?;
    if !status.success() {
        // The only text of the helpers' protocol that means "no entry".
        let text = String::from_utf8_lossy(&answer);
        if text.contains("credentials not found") {
            return Ok(None);
        }
        return Err(format!("{program} failed with {status} for {server}"));
    }
    let answer: HelperAnswer = serde_json::from_slice(&answer)
        .map_err(|_| format!("{program} answered something that is not its protocol's JSON"))?;
    if answer.secret.is_empty() {
        return Ok(None);
    }
    let mut credential = Credential {
        server: server.to_owned(),
        ..Credential::default()
    };
    if answer.username == "<token>" {
        credential.identity_token = Some(answer.secret);
    } else {
        credential.username = Some(answer.username);
        credential.password = Some(answer.secret);
    }
    Ok(Some(credential))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn parse(text: &str) -> Option<Reference> {
        Reference::parse(text)
    }

    fn config(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    fn password(text: &str, image: &str) -> Option<String> {
        config(text).lookup(&parse(image).unwrap())?.password
    }

    #[rstest]
    #[case("https://index.docker.io/v1/", "docker.io")]
    #[case("index.docker.io", "docker.io")]
    #[case("registry-1.docker.io", "docker.io")]
    #[case("docker.io", "docker.io")]
    #[case("https://registry.example:5000/v2/", "registry.example:5000")]
    #[case("http://localhost:5000", "localhost:5000")]
    #[case("quay.io/acme", "quay.io/acme")]
    fn keys_are_normalised(#[case] key: &str, #[case] expected: &str) {
        assert_eq!(normalised(key), expected);
    }

    #[rstest]
    #[case("https://index.docker.io/v1/", "alpine", true)]
    #[case("docker.io", "acme/tool", true)]
    #[case("https://index.docker.io/v1/", "ghcr.io/acme/tool", false)]
    #[case("ghcr.io", "ghcr.io/acme/tool:1", true)]
    #[case("https://ghcr.io/v2/", "ghcr.io/acme/tool", true)]
    #[case("ghcr.io", "ghcr.io.evil.example/acme/tool", false)]
    #[case("ghcr.io:443", "ghcr.io/acme/tool", false)]
    #[case("localhost:5000", "localhost:5000/x", true)]
    #[case("localhost", "localhost:5000/x", false)]
    #[case("quay.io/acme", "quay.io/acme/tool", true)]
    #[case("quay.io/acme", "quay.io/acmetool/x", false)]
    fn an_entry_is_for_its_registry_only(
        #[case] key: &str,
        #[case] image: &str,
        #[case] found: bool,
    ) {
        let text = format!(r#"{{"auths":{{"{key}":{{"auth":"bWU6c2U6Y3JldA=="}}}}}}"#);
        assert_eq!(password(&text, image), found.then(|| "se:cret".to_owned()));
    }

    #[test]
    fn the_longest_namespace_wins() {
        let text = r#"{"auths":{
            "quay.io":{"username":"u","password":"wide"},
            "quay.io/acme":{"username":"u","password":"narrow"}}}"#;
        assert_eq!(password(text, "quay.io/acme/x").as_deref(), Some("narrow"));
        assert_eq!(password(text, "quay.io/other/x").as_deref(), Some("wide"));
    }

    #[test]
    fn empty_and_broken_entries_are_no_credentials() {
        let of =
            |auth: &str| password(&format!(r#"{{"auths":{{"ghcr.io":{auth}}}}}"#), "ghcr.io/x");
        assert_eq!(of("{}"), None);
        assert_eq!(of(r#"{"auth":"%%%"}"#), None);
        assert_eq!(of(r#"{"auth":"bm9jb2xvbg=="}"#), None);
        assert_eq!(
            of(r#"{"auth":"bWU6eA"}"#).as_deref(),
            Some("x"),
            "no padding"
        );
    }

    #[test]
    fn identity_tokens_are_passed_on() {
        let text = r#"{"auths":{"ghcr.io":{"auth":"MDAwMDo=","identitytoken":"tok"}}}"#;
        let found = config(text).lookup(&parse("ghcr.io/x").unwrap()).unwrap();
        assert_eq!(found.identity_token.as_deref(), Some("tok"));
        assert_eq!(found.server, "ghcr.io");
    }

    #[test]
    fn helpers_are_chosen_by_registry() {
        let config = config(
            r#"{"credsStore":"desktop","credHelpers":{"gcr.io":"gcloud","https://index.docker.io/v1/":"pass","plain.io":""}}"#,
        );
        assert_eq!(config.helper_for("gcr.io"), Some("gcloud"));
        assert_eq!(config.helper_for("docker.io"), Some("pass"));
        assert_eq!(config.helper_for("ghcr.io"), Some("desktop"));
        assert_eq!(config.helper_for("plain.io"), None);
    }

    #[tokio::test]
    async fn a_helper_that_is_missing_is_told_and_the_file_still_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        fs_err::write(
            &file,
            r#"{"credsStore":"capstan-test-missing","auths":{"ghcr.io":{"auth":"bWU6c2VjcmV0"}}}"#,
        )
        .unwrap();
        let credentials = Credentials::new(vec![file]);
        let found = credentials.find(&parse("ghcr.io/x").unwrap()).await;
        assert_eq!(
            found.credential.unwrap().password.as_deref(),
            Some("secret")
        );
        let problem = found.problem.unwrap();
        assert!(problem.starts_with("running docker-credential-capstan-test-missing: "));
    }

    #[tokio::test]
    async fn a_broken_file_is_told_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        fs_err::write(&file, r#"{"auths":{"ghcr.io":"TOPSECRET"}}"#).unwrap();
        let credentials = Credentials::new(vec![file]);
        let found = credentials.find(&parse("ghcr.io/x").unwrap()).await;
        let problem = found.problem.unwrap();
        assert!(problem.contains("is not valid (line 1"), "{problem}");
        assert!(!problem.contains("TOPSECRET"), "{problem}");
    }

    #[test]
    fn helper_names_cannot_be_paths() {
        assert_eq!(
            config(r#"{"credsStore":"../x"}"#).helper_for("ghcr.io"),
            None
        );
    }

    /// Writes a credential helper that runs `body`.
    fn helper(dir: &tempfile::TempDir, body: &str) -> String {
        let path = dir.path().join("docker-credential-test");
        // Another process writes it: were it open for writing here while another test starts a program, running it
        // would fail ("text file busy").
        let status = std::process::Command::new("sh")
            .args([
                "-c",
                r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#,
            ])
            .args(["sh", body])
            .arg(&path)
            .status();
        assert!(status.unwrap().success());
        path.display().to_string()
    }

    #[tokio::test]
    async fn helpers_are_asked_over_standard_input() {
        let dir = tempfile::tempdir().unwrap();
        let echo = helper(
            &dir,
            r#"read -r server; printf '{"ServerURL":"x","Username":"%s-%s","Secret":"s"}' "$1" "$server""#,
        );
        let found = ask_helper(&echo, "ghcr.io").await.unwrap().unwrap();
        assert_eq!(found.username.as_deref(), Some("get-ghcr.io"));
        assert_eq!(found.password.as_deref(), Some("s"));

        let token = helper(&dir, r#"echo '{"Username":"<token>","Secret":"t"}'"#);
        let found = ask_helper(&token, "ghcr.io").await.unwrap().unwrap();
        assert_eq!(found.identity_token.as_deref(), Some("t"));
        assert_eq!(found.username, None);

        let none = helper(
            &dir,
            "echo credentials not found in native keychain; exit 1",
        );
        assert_eq!(ask_helper(&none, "ghcr.io").await.unwrap(), None);
        let broken = helper(&dir, "echo secret; exit 3");
        let reason = ask_helper(&broken, "ghcr.io").await.unwrap_err();
        assert!(
            reason.ends_with("failed with exit status: 3 for ghcr.io"),
            "{reason}"
        );
    }

    #[tokio::test]
    async fn what_was_handed_over_is_found_and_never_shown() {
        let given = [("ghcr.io".to_owned(), "me".to_owned(), "hunter2".to_owned())];
        let credentials = Credentials::given(given);
        let found = credentials
            .find(&parse("ghcr.io/acme/tool:1").unwrap())
            .await;
        assert_eq!(found.credential.unwrap().password.unwrap(), "hunter2");
        let other = credentials.find(&parse("alpine").unwrap()).await;
        assert_eq!(other.credential, None);
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
