//! Speaks with the server (facts/executor-protocol.md 1).

mod calls;
mod failure;
mod retry;
mod secret;
mod transport;

use std::time::Duration;

use bytes::Bytes;
use capstan_plugin_store::net::place;
use capstan_protocol::{Identity, route};
pub use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use tracing::Instrument as _;
use tracing::field::Empty;

pub use self::calls::{Beat, DequeueError};
pub use self::failure::{Cause, ClientError};
pub use self::secret::Secret;

use self::retry::Tries;
use self::transport::{Request, Transport, Trouble};
use crate::metrics::Metrics;

/// The version that is told to servers: they take it for a build of the newest kind.
pub const VERSION: &str = "0.0.0+dev";

/// The queues that an executor takes jobs from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queues {
    /// One.
    Single(String),
    /// Several, also if only one is named: servers are asked in another way.
    Multi(Vec<String>),
}

impl Queues {
    /// The queue that the path of a call names, if there is one.
    fn in_path(&self) -> Option<&str> {
        match self {
            Self::Single(queue) => Some(queue),
            Self::Multi(_) => None,
        }
    }

    /// Whether there may be several.
    pub fn is_multi(&self) -> bool {
        matches!(self, Self::Multi(_))
    }

    /// Their names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Single(queue) => std::slice::from_ref(queue),
            Self::Multi(queues) => queues,
        }
    }
}

/// What a [`Client`] is made of.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Where the server is.
    pub frontend: Url,
    /// The executor's secret.
    pub secret: Secret,
    /// The executor's name, see [`executor_name`].
    pub executor_name: String,
    /// Where jobs come from.
    pub queues: Queues,
    /// How often a call is made at most.
    pub tries: u32,
    /// Processors of this machine, told to the server; 0: nothing is told.
    pub cpus: u32,
    /// Memory for a job such as `12G`; empty: nothing is told.
    pub memory: String,
    /// Disk for a job such as `20G`; empty: nothing is told.
    pub disk: String,
}

/// The server, as one executor sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    settings: ClientSettings,
    metrics: Metrics,
}

/// Who calls.
#[derive(Clone, Copy)]
enum Caller<'a> {
    /// The executor, with its secret.
    Executor,
    /// The executor on behalf of a job, with the job's token.
    Job(&'a Identity),
    /// An executor of this name on behalf of a job, with the executor's secret.
    Former { name: &'a str, id: i64 },
}

impl Client {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up, or the secret cannot be sent.
    pub fn new(settings: ClientSettings, metrics: Metrics) -> Result<Self, ClientError> {
        let failed = |message| ClientError {
            message,
            cause: Cause::NoAnswer,
        };
        let transport = Transport::new(&settings.frontend).map_err(|reason| {
            failed(format!(
                "TLS cannot be set up: {reason}; install the system's certificate authorities (`sudo apt-get install ca-certificates`), or name a file of them in SSL_CERT_FILE"
            ))
        })?;
        if HeaderValue::from_str(settings.secret.reveal()).is_err() {
            return Err(failed(
                "EXECUTOR_FRONTEND_PASSWORD has characters that cannot be sent, such as a line break"
                    .to_owned(),
            ));
        }
        Ok(Self {
            transport,
            settings,
            metrics,
        })
    }

    /// For requests to the server that jobs make: proxies and certificate authorities are set up, redirections are not followed.
    pub(crate) fn http(&self) -> &reqwest::Client {
        self.transport.client()
    }

    /// Where the server is: the URL that other paths are joined to.
    pub fn frontend(&self) -> &Url {
        &self.settings.frontend
    }

    /// The executor's name, the same in all calls.
    pub fn executor_name(&self) -> &str {
        &self.settings.executor_name
    }

    /// The executor's secret, for what has to be handed to `src` or taken out of logs.
    pub fn secret(&self) -> &Secret {
        &self.settings.secret
    }

    /// Where jobs come from.
    pub fn queues(&self) -> &Queues {
        &self.settings.queues
    }

    /// A URL of the server: the frontend's, whatever path it has, with `path` (which begins with `/`) after it.
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.settings.frontend.clone();
        let whole = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&whole);
        url
    }

    /// The headers of job-level calls: authorization, which job, which executor.
    pub fn job_headers(&self, job: &Identity) -> HeaderMap {
        self.headers(Caller::Job(job))
    }

    fn headers(&self, caller: Caller<'_>) -> HeaderMap {
        let secret = || {
            format!(
                "{} {}",
                route::EXECUTOR_SCHEME,
                self.settings.secret.reveal()
            )
        };
        let own_name = &*self.settings.executor_name;
        let (authorization, job) = match caller {
            Caller::Executor => (secret(), None),
            Caller::Job(job) if job.token.is_empty() => (secret(), Some((job.id, own_name))),
            Caller::Job(job) => {
                let bearer = format!("{} {}", route::JOB_SCHEME, job.token);
                (bearer, Some((job.id, own_name)))
            }
            Caller::Former { name, id } => (secret(), Some((id, name))),
        };
        let mut headers = HeaderMap::new();
        // A token that cannot be sent is left out: the server then says what is missing.
        if let Ok(mut value) = HeaderValue::from_str(&authorization) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((id, name)) = job {
            headers.insert(JOB_ID, HeaderValue::from(id));
            if let Ok(name) = HeaderValue::from_str(name) {
                headers.insert(EXECUTOR_NAME, name);
            }
        }
        headers
    }

    async fn call(&self, call: Call<'_>) -> Result<Response, ClientError> {
        let url = self.url(call.path);
        let span = call.span(&url);
        let request = Request {
            method: call.method,
            url: url.clone(),
            headers: self.headers(call.caller),
            body: call.body,
            timeout: call.timeout,
            tries: call.tries,
        };
        let sent = self.transport.send(request).instrument(span.clone()).await;
        let status = match &sent {
            Ok(response) => Some(response.status().as_u16()),
            Err(Trouble::Status { status, .. }) => Some(*status),
            Err(Trouble::Failed(_)) => None,
        };
        if let Some(status) = status {
            span.record("http.response.status_code", status);
        }
        if sent.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        sent.map_err(|trouble| match trouble {
            Trouble::Failed(mut error) => {
                error.message = self.hide(&error.message, call.caller);
                error
            }
            Trouble::Status { status, text } => {
                let lost = status == 404 && call.names_a_job || transport::is_unknown_job(&text);
                let cause = match status {
                    _ if lost => Cause::Lost,
                    401 | 403 => Cause::Refused,
                    _ => Cause::Status(status),
                };
                let mut message = format!("{} answered with status code {status}", place(&url));
                if !text.is_empty() {
                    message = format!("{message}: {text}");
                }
                ClientError {
                    message: self.hide(&message, call.caller),
                    cause,
                }
            }
        })
    }

    /// What a server says may hold what it was sent.
    fn hide(&self, text: &str, caller: Caller<'_>) -> String {
        let token = match caller {
            Caller::Job(job) => &*job.token,
            Caller::Executor | Caller::Former { .. } => "",
        };
        [self.settings.secret.reveal(), token]
            .into_iter()
            .filter(|secret| !secret.is_empty() && text.contains(secret))
            .fold(text.to_owned(), |text, secret| {
                text.replace(secret, "********")
            })
    }
}

const JOB_ID: HeaderName = HeaderName::from_static("x-sourcegraph-job-id");
const EXECUTOR_NAME: HeaderName = HeaderName::from_static("x-sourcegraph-executor-name");

/// One call to the server.
struct Call<'a> {
    method: Method,
    path: &'a str,
    caller: Caller<'a>,
    body: Bytes,
    timeout: Duration,
    tries: Tries,
    /// Whether 404 means that the job is not ours.
    names_a_job: bool,
}

impl Call<'_> {
    /// The call, for traces: that of a job, or, at a lower level, one of those that are made all the time.
    fn span(&self, url: &Url) -> tracing::Span {
        macro_rules! span {
            ($level:expr) => {
                tracing::span!(
                    $level,
                    "call",
                    otel.name = format_args!("{} {}", self.method, self.path),
                    otel.kind = "client",
                    http.request.method = self.method.as_str(),
                    url.path = url.path(),
                    server.address = url.host_str(),
                    http.request.resend_count = Empty,
                    http.response.status_code = Empty,
                    otel.status_code = Empty,
                )
            };
        }
        match self.caller {
            Caller::Executor => span!(tracing::Level::DEBUG),
            Caller::Job(_) | Caller::Former { .. } => span!(tracing::Level::INFO),
        }
    }
}

/// A new name for an executor on this `host`: no two processes may have the same.
///
/// # Errors
///
/// If the system has no random numbers.
pub fn executor_name(host: &str) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut bytes = [0; 16];
    fs_err::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    // Version 4, variant 1 (RFC 9562).
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    // What is not printable could not be sent.
    let host: String = host.chars().filter(char::is_ascii_graphic).collect();
    Ok(format!("{host}-{}", parts.join("-")))
}

#[cfg(test)]
mod tests;
