//! A repository of a registry, over the OCI distribution protocol.
//!
//! Spoken here rather than through a library, as those that exist read answers of any length into memory, follow redirects to
//! unencrypted places, and end the process on a token with a line break in it.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use super::artifact::{ACCEPTED, Layer};
use super::challenge::Challenge;
use super::credentials::{Credential, Found};
use super::reference::{HUB, Reference};
use crate::digest::Digest;
use crate::failure::StoreError;
use crate::http::{self, Http, Trouble};
use crate::net::{clean, is_loopback};

/// Where Docker Hub's registry really is.
const HUB_HOST: &str = "registry-1.docker.io";

/// Most bytes of a manifest, as registries have it.
const MANIFEST_LIMIT: usize = 4 << 20;

/// Most bytes of an answer with a token.
const TOKEN_LIMIT: usize = 1 << 20;

/// What is to be done in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
}

/// A repository, signed in to when it asks for that.
pub(crate) struct Repository<'a> {
    http: &'a Http,
    /// `https://registry/v2/path/`.
    base: Url,
    /// The registry as people write it.
    registry: &'a str,
    path: &'a str,
    access: Access,
    found: Found,
    authorization: Mutex<Option<HeaderValue>>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

impl<'a> Repository<'a> {
    /// The repository of a reference. Plain HTTP is for registries on this machine that do not speak TLS.
    pub(crate) async fn open(
        http: &'a Http,
        reference: &'a Reference,
        found: Found,
        access: Access,
    ) -> Result<Self, StoreError> {
        let host = match reference.registry.as_str() {
            HUB => HUB_HOST,
            host => host,
        };
        let url = |scheme: &str| {
            Url::parse(&format!("{scheme}://{host}/v2/{}/", reference.path)).map_err(|error| {
                StoreError::configuration(format!("the registry {host:?}: {error}"))
            })
        };
        let mut base = url("https")?;
        if is_loopback(&base) && !speaks_tls(http, &base).await {
            base = url("http")?;
        }
        Ok(Self {
            http,
            base,
            registry: &reference.registry,
            path: &reference.path,
            access,
            found,
            authorization: Mutex::default(),
        })
    }

    /// The component that a tag or the digest of a manifest stands for, with the manifest's digest.
    pub(crate) async fn component(&self, version: &str) -> Result<(Digest, Layer), Trouble> {
        let url = self.url(&format!("manifests/{version}"))?;
        let request = || {
            let request = self.http.request(Method::GET, &url)?;
            Ok(request.header(ACCEPT, ACCEPTED))
        };
        let response = self.expect(self.send(&url, request).await?).await?;
        let announced = digest_header(response.headers());
        let manifest = http::body(response, MANIFEST_LIMIT).await?;
        let digest = Digest::of(&manifest);
        let expected = version.contains(':').then(|| version.to_owned());
        for expected in expected.into_iter().chain(announced) {
            // A digest of another algorithm cannot be compared; as a request it is refused earlier.
            if expected.starts_with("sha256:") && expected != digest.to_string() {
                return Err(StoreError::configuration(format!(
                    "{} gave a manifest with the digest {digest} for {}",
                    self.registry,
                    clean(&expected)
                ))
                .into());
            }
        }
        let layer = Layer::of(&manifest).map_err(|reason| {
            let separator = if version.contains(':') { '@' } else { ':' };
            let name = format!("{}/{}{separator}{version}", self.registry, self.path);
            StoreError::configuration(format!("{name} {reason}"))
        })?;
        Ok((digest, layer))
    }

    /// The beginning of a blob; its content is to be verified.
    pub(crate) async fn blob(&self, digest: &Digest) -> Result<Response, Trouble> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let request = || self.http.request(Method::GET, &url);
        self.expect(self.send(&url, request).await?).await
    }

    /// Stores a blob, unless it is there.
    pub(crate) async fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Trouble> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let there = self
            .send(&url, || self.http.request(Method::HEAD, &url))
            .await?;
        if there.status().is_success() {
            return Ok(());
        }
        let url = self.url("blobs/uploads/")?;
        let begun = self
            .send(&url, || self.http.request(Method::POST, &url))
            .await?;
        let begun = self.expect(begun).await?;
        let mut upload = begun
            .headers()
            .get(LOCATION)
            .and_then(|location| begun.url().join(location.to_str().ok()?).ok())
            .ok_or_else(|| {
                StoreError::environment(format!(
                    "{} does not say where to upload to",
                    self.registry
                ))
            })?;
        upload
            .query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let request = || {
            let request = self.http.request(Method::PUT, &upload)?;
            let request = request.header(CONTENT_TYPE, "application/octet-stream");
            Ok(request.body(bytes.to_vec()))
        };
        let stored = self.send(&upload, request).await?;
        self.expect(stored).await.map(drop)
    }

    /// Stores a manifest under a tag or its digest.
    pub(crate) async fn put_manifest(
        &self,
        version: &str,
        media_type: &'static str,
        manifest: &[u8],
    ) -> Result<(), Trouble> {
        let url = self.url(&format!("manifests/{version}"))?;
        let request = || {
            let request = self.http.request(Method::PUT, &url)?;
            Ok(request
                .header(CONTENT_TYPE, media_type)
                .body(manifest.to_vec()))
        };
        let stored = self.send(&url, request).await?;
        self.expect(stored).await.map(drop)
    }

    /// A URL of this repository. What follows its path is safe inside of one.
    fn url(&self, rest: &str) -> Result<Url, StoreError> {
        // Not `join`: for it, `sha256:` would be a scheme.
        Url::parse(&format!("{}{rest}", self.base))
            .map_err(|error| StoreError::configuration(format!("{}: {error}", self.registry)))
    }

    /// Sends a request; if the registry wants to know who asks, signs in and sends it again.
    async fn send(
        &self,
        url: &Url,
        request: impl Fn() -> Result<RequestBuilder, Trouble>,
    ) -> Result<Response, Trouble> {
        let with = |authorization: Option<HeaderValue>| {
            let request = request()?;
            // An upload may go to another host, which is not to see it.
            Ok::<_, Trouble>(match authorization {
                Some(value) if self.is_ours(url) => request.header(AUTHORIZATION, value),
                _ => request,
            })
        };
        let known = self.known().clone();
        let response = http::send(with(known)?, url).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_ours(response.url()) {
            return Ok(response);
        }
        let Some(authorization) = self.sign_in(response.headers()).await? else {
            return Ok(response);
        };
        *self.known() = Some(authorization.clone());
        http::send(with(Some(authorization))?, url).await
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<HeaderValue>> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a URL is on the registry itself.
    fn is_ours(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// What to send along, given what the registry asked for; `None` if there is nothing.
    async fn sign_in(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Trouble> {
        let credential = self.found.credential.as_ref();
        if let Some(token) = credential.and_then(|found| found.registry_token.as_ref()) {
            return self.header(&format!("Bearer {token}")).map(Some);
        }
        let offers: Vec<_> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        match Challenge::read(&offers.join(", ")) {
            Some(Challenge::Bearer { realm, service }) => {
                let token = self.token(&realm, service.as_deref()).await?;
                self.header(&format!("Bearer {token}")).map(Some)
            }
            Some(Challenge::Basic) => match credential.and_then(basic) {
                Some(value) => self.header(&value).map(Some),
                None => Ok(None),
            },
            None => Ok(None),
        }
    }

    fn header(&self, value: &str) -> Result<HeaderValue, Trouble> {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            StoreError::environment(format!(
                "what is to be sent to {} to sign in holds a character that cannot be sent",
                self.registry
            ))
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// A token for this repository, from the registry's token service.
    async fn token(&self, realm: &str, service: Option<&str>) -> Result<String, Trouble> {
        let wrong = |reason: &str| {
            StoreError::environment(format!(
                "{} wants a token of {:?}: {reason}",
                self.registry,
                clean(realm)
            ))
        };
        let mut url = Url::parse(realm).map_err(|error| wrong(&error.to_string()))?;
        if is_loopback(&url) && !is_loopback(&self.base) {
            return Err(wrong("that is this machine, which is not where it is").into());
        }
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.path);
        let credential = self.found.credential.as_ref();
        let mut fields = vec![("scope", scope.as_str())];
        fields.extend(service.map(|service| ("service", service)));
        let request = match credential.and_then(|found| found.identity_token.as_deref()) {
            Some(identity) => {
                fields.push(("grant_type", "refresh_token"));
                fields.push(("client_id", "capstan"));
                fields.push(("refresh_token", identity));
                let request = self.http.request(Method::POST, &url)?;
                request
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(encoded(&url, &fields))
            }
            None => {
                url.query_pairs_mut().extend_pairs(&fields);
                let request = self.http.request(Method::GET, &url)?;
                match credential.and_then(basic) {
                    Some(value) => request.header(AUTHORIZATION, self.header(&value)?),
                    None => request,
                }
            }
        };
        let response = self.expect(http::send(request, &url).await?).await?;
        let answer = http::body(response, TOKEN_LIMIT).await?;
        // The parser's message could quote the token.
        let token: Token =
            serde_json::from_slice(&answer).map_err(|_| wrong("its answer is not JSON"))?;
        let token = token.token.or(token.access_token);
        Ok(token.ok_or_else(|| wrong("there is none in its answer"))?)
    }

    /// The answer if it is a success, else what to do.
    async fn expect(&self, response: Response) -> Result<Response, Trouble> {
        if response.status().is_success() {
            return Ok(response);
        }
        let mut trouble = http::refusal(response).await;
        let login = match self.registry {
            HUB => "`docker login`".to_owned(),
            registry => format!("`docker login {registry}`"),
        };
        let signed_in = self.found.credential.is_some();
        let hint = match trouble.status {
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) if signed_in => {
                let what = match self.access {
                    Access::Pull => "read",
                    Access::Push => "write to",
                };
                format!(
                    "{} refused the stored credentials; renew them with {login}, and check that they may {what} {}",
                    self.registry, self.path
                )
            }
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                format!("sign in with {login}")
            }
            Some(StatusCode::NOT_FOUND) => {
                format!("check the name and the tag; if it is private, sign in with {login}")
            }
            Some(StatusCode::TOO_MANY_REQUESTS) => {
                format!(
                    "{} limits requests; sign in with {login}, or wait",
                    self.registry
                )
            }
            _ => return Err(trouble),
        };
        let hint = match &self.found.problem {
            Some(problem) => format!("{hint} (credentials: {problem})"),
            None => hint,
        };
        trouble.error = trouble.error.hint(hint);
        Err(trouble)
    }
}

/// Whether a registry on this machine answers over TLS; Docker finds out in the same way.
async fn speaks_tls(http: &Http, base: &Url) -> bool {
    match http.request(Method::GET, base) {
        Ok(request) => http::send(request, base).await.is_ok(),
        Err(_) => false,
    }
}

fn digest_header(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("docker-content-digest")?;
    value.to_str().ok().map(str::to_owned)
}

/// The header for a user name and a password.
fn basic(credential: &Credential) -> Option<String> {
    let username = credential.username.as_deref().unwrap_or_default();
    let password = credential.password.as_deref()?;
    let pair = STANDARD.encode(format!("{username}:{password}"));
    Some(format!("Basic {pair}"))
}

/// Fields as a form.
fn encoded(url: &Url, fields: &[(&str, &str)]) -> String {
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}
