//! Talks to a hub's API for people.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::people::wire::{
    Changed, Detail, Executor, LogEntry, Results, Retry, Submission, Submitted, Summary,
};
use crate::secret::Token;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Most of a refusal that is shown.
const MESSAGE_LIMIT: usize = 64 << 10;

/// A hub, seen from outside.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Token,
}

/// Why a hub did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It could not be reached, or what it said was cut off.
    #[error("talking to the hub at {url}: {message}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why, without anything secret.
        message: String,
    },
    /// It does not know the token.
    #[error("the hub at {url} does not accept the token")]
    Unauthorized {
        /// Where.
        url: String,
    },
    /// It refused.
    #[error("{message}")]
    Refused {
        /// The status, as a number.
        status: u16,
        /// What it says.
        message: String,
    },
}

impl Client {
    /// For the hub at `url`, such as `http://127.0.0.1:7080`.
    ///
    /// # Errors
    /// When the system's certificates cannot be used.
    pub fn new(url: &str, token: Token) -> Result<Self, ClientError> {
        let url = url.trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .build()
            .map_err(|error| unreachable(&url, &error))?;
        Ok(Self { http, url, token })
    }

    /// Sends a batch spec. It waits for its files, and then for [`Client::start`].
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn submit(&self, submission: &Submission) -> Result<i64, ClientError> {
        let submitted: Submitted = self.post("executions", submission).await?;
        Ok(submitted.id)
    }

    /// Sends a file of a submission; `path` is from the spec's directory.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn upload(
        &self,
        execution: i64,
        path: &str,
        modified_at: jiff::Timestamp,
        content: Vec<u8>,
    ) -> Result<(), ClientError> {
        let query = query(&[("path", path), ("modifiedAt", &modified_at.to_string())]);
        let call = format!("executions/{execution}/files?{query}");
        self.send(self.request(Method::PUT, &call).body(content))
            .await
            .map(drop)
    }

    /// Starts a submission.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn start(&self, execution: i64) -> Result<(), ClientError> {
        let call = format!("executions/{execution}/start");
        self.send(self.request(Method::POST, &call)).await.map(drop)
    }

    /// The newest executions; those with a smaller id than `before`, if that is given.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn executions(&self, before: Option<i64>) -> Result<Vec<Summary>, ClientError> {
        match before {
            None => self.get("executions").await,
            Some(before) => self.get(&format!("executions?before={before}")).await,
        }
    }

    /// One of them.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn execution(&self, id: i64) -> Result<Detail, ClientError> {
        self.get(&format!("executions/{id}")).await
    }

    /// What came of it until now.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn results(&self, execution: i64) -> Result<Results, ClientError> {
        self.get(&format!("executions/{execution}/changesets"))
            .await
    }

    /// The log of a job, without what its entries say.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn log(&self, job: i64) -> Result<Vec<LogEntry>, ClientError> {
        self.get(&format!("jobs/{job}/log")).await
    }

    /// Hands what an entry says from the byte `from` on to `sink`, as it comes, until that returns false.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn log_text(
        &self,
        job: i64,
        number: i64,
        from: u32,
        mut sink: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), ClientError> {
        let request = self.request(Method::GET, &format!("jobs/{job}/log/{number}?from={from}"));
        let mut response = self.send(request).await?;
        while let Some(part) = self.told(response.chunk().await)? {
            if !sink(&part) {
                break;
            }
        }
        Ok(())
    }

    /// Cancels what has not ended; false if all has.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn cancel(&self, execution: i64) -> Result<bool, ClientError> {
        let call = format!("executions/{execution}/cancel");
        let changed: Changed = self.post(&call, &()).await?;
        Ok(changed.jobs > 0)
    }

    /// Tries again what failed or was cancelled. Returns the number of jobs.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn retry(&self, execution: i64, retry: &Retry) -> Result<usize, ClientError> {
        let call = format!("executions/{execution}/retry");
        let changed: Changed = self.post(&call, retry).await?;
        Ok(changed.jobs)
    }

    /// The executors that were seen.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn executors(&self) -> Result<Vec<Executor>, ClientError> {
        self.get("executors").await
    }

    fn request(&self, method: Method, call: &str) -> RequestBuilder {
        let url = format!("{}/api/{call}", self.url);
        self.http
            .request(method, url)
            .bearer_auth(self.token.reveal())
    }

    async fn get<T: DeserializeOwned>(&self, call: &str) -> Result<T, ClientError> {
        let response = self.send(self.request(Method::GET, call)).await?;
        self.read(response).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        call: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).expect("texts and numbers can be JSON");
        let request = self
            .request(Method::POST, call)
            .header("Content-Type", "application/json")
            .body(body);
        let response = self.send(request).await?;
        self.read(response).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = self.told(request.send().await)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.as_u16() == 401 {
            return Err(ClientError::Unauthorized {
                url: self.url.clone(),
            });
        }
        Err(ClientError::Refused {
            status: status.as_u16(),
            message: self.message(response).await?,
        })
    }

    async fn message(&self, mut response: Response) -> Result<String, ClientError> {
        let status = response.status();
        let mut body = Vec::new();
        while body.len() < MESSAGE_LIMIT
            && let Some(part) = self.told(response.chunk().await)?
        {
            body.extend_from_slice(&part);
        }
        if let Some(message) = capstan_protocol::error_message(&body) {
            return Ok(message);
        }
        let text = String::from_utf8_lossy(&body).trim().to_owned();
        Ok(match text.is_empty() {
            true => format!("the hub answered {status}"),
            false => text,
        })
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let bytes = self.told(response.bytes().await)?;
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Unreachable {
            url: self.url.clone(),
            message: format!("the answer is not that of a hub: {error}"),
        })
    }

    fn told<T>(&self, result: Result<T, reqwest::Error>) -> Result<T, ClientError> {
        result.map_err(|error| unreachable(&self.url, &error))
    }
}

/// The error with its causes.
fn unreachable(url: &str, error: &reqwest::Error) -> ClientError {
    let mut message = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        if !message.is_empty() {
            message.push_str(": ");
        }
        message.push_str(&error.to_string());
        cause = error.source();
    }
    if message.is_empty() {
        message = "the request failed".to_owned();
    }
    ClientError::Unreachable {
        url: url.to_owned(),
        message,
    }
}

/// Pairs as they stand behind the `?` of a URL.
fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
