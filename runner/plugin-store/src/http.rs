//! Requests to others: encrypted, bounded in time and size, tried again where that may help.

use std::sync::OnceLock;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, StatusCode, Url};

use crate::failure::StoreError;
use crate::fetch::Progress;
use crate::net::{cause, clean, is_loopback, place};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(20);

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// How long one request may take, its body included: 64 MiB at 1 Mbit/s.
const WHOLE: Duration = Duration::from_secs(540);

/// How often a failed request is made again.
const TRIES_AGAIN: usize = 4;

/// The wait before the second try; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Redirects followed for one request.
const REDIRECTS: usize = 5;

/// Bytes of an answer that says what went wrong.
const EXPLANATION: usize = 8 << 10;

/// Makes requests. Proxies and certificate authorities are those of the environment: `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`,
/// `SSL_CERT_DIR`. What is on this machine is asked without a proxy.
#[derive(Debug)]
pub(crate) struct Http {
    /// Authorities beyond the system's.
    roots: Vec<Certificate>,
    first_wait: Duration,
    // Made when they are needed, as reading the system's certificates takes a while.
    outside: OnceLock<Result<Client, String>>,
    loopback: OnceLock<Result<Client, String>>,
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) error: StoreError,
    /// The status, where there was an answer.
    pub(crate) status: Option<StatusCode>,
    /// The shortest wait after which trying again may help; `None` if it will not.
    again: Option<Duration>,
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self {
            error,
            status: None,
            again: None,
        }
    }
}

impl Http {
    pub(crate) fn new() -> Self {
        Self::with(Vec::new(), FIRST_WAIT)
    }

    pub(crate) fn with(roots: Vec<Certificate>, first_wait: Duration) -> Self {
        Self {
            roots,
            first_wait,
            outside: OnceLock::new(),
            loopback: OnceLock::new(),
        }
    }

    /// A request to be sent with [`send`].
    pub(crate) fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, Trouble> {
        if !is_permitted(url) {
            return Err(StoreError::environment(format!(
                "{} is not encrypted, and is not on this machine",
                place(url)
            ))
            .into());
        }
        let client = if is_loopback(url) {
            self.loopback.get_or_init(|| self.client(true))
        } else {
            self.outside.get_or_init(|| self.client(false))
        };
        let client = client.as_ref().map_err(|reason| {
            StoreError::environment(format!("TLS cannot be set up: {reason}")).hint(
                "install the system's certificate authorities (`sudo apt-get install ca-certificates`), or name a file of them in SSL_CERT_FILE",
            )
        })?;
        Ok(client.request(method, url.clone()))
    }

    fn client(&self, loopback: bool) -> Result<Client, String> {
        let builder = Client::builder()
            .user_agent(concat!("capstan/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .timeout(WHOLE)
            .redirect(Policy::custom(redirect))
            // A referrer would tell others what is fetched, a signed query perhaps included.
            .referer(false)
            .tls_certs_merge(self.roots.iter().cloned());
        let builder = if loopback {
            builder.no_proxy()
        } else {
            builder
        };
        builder.build().map_err(|error| cause(&error))
    }

    /// Does something, again and again where that may help.
    pub(crate) async fn persistently<T, F>(
        &self,
        progress: &(dyn Fn(Progress) + Send + Sync),
        attempt: impl FnMut() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let waits = ExponentialBuilder::default()
            .with_min_delay(self.first_wait)
            .with_max_times(TRIES_AGAIN)
            .with_jitter();
        attempt
            .retry(waits)
            .when(|trouble| trouble.again.is_some())
            .adjust(|trouble, wait| Some(wait?.max(trouble.again.unwrap_or_default())))
            .notify(|trouble, wait| {
                progress(Progress::Waiting {
                    wait,
                    reason: trouble.error.message.clone(),
                });
            })
            .await
            .map_err(|trouble| trouble.error)
    }
}

/// Sends a request; the answer may have any status.
pub(crate) async fn send(request: RequestBuilder, url: &Url) -> Result<Response, Trouble> {
    request.send().await.map_err(|error| lost(url, &error))
}

/// The body of an answer, which must not be longer than `limit` bytes.
pub(crate) async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, Trouble> {
    let url = response.url().clone();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunk(&mut response).await? {
        if bytes.len() + chunk.len() > limit {
            return Err(StoreError::environment(format!(
                "{} answered with more than {limit} bytes where a short text was expected",
                place(&url)
            ))
            .into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The next piece of an answer's body.
pub(crate) async fn chunk(
    response: &mut Response,
) -> Result<Option<impl AsRef<[u8]> + std::ops::Deref<Target = [u8]>>, Trouble> {
    match response.chunk().await {
        Ok(chunk) => Ok(chunk),
        Err(error) => Err(lost(&response.url().clone(), &error)),
    }
}

/// What an answer means that is no success. Its body may hold an explanation.
pub(crate) async fn refusal(mut response: Response) -> Trouble {
    let url = response.url().clone();
    let status = response.status();
    let asked = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map_or(Duration::ZERO, Duration::from_secs)
        .min(LONGEST_WAIT);
    let again = status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
        || status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
    let mut text = Vec::new();
    while text.len() < EXPLANATION
        && let Ok(Some(chunk)) = chunk(&mut response).await
    {
        text.extend_from_slice(&chunk);
    }
    let mut message = format!("{} answered {status}", place(&url));
    if let Some(explanation) = explanation(&text) {
        message = format!("{message}: {explanation}");
    }
    Trouble {
        error: StoreError::environment(message),
        status: Some(status),
        again: again.then_some(asked),
    }
}

/// The message in a registry's error (distribution specification, "Error Codes").
fn explanation(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let error = body.get("errors")?.get(0)?;
    let text = error.get("message").or_else(|| error.get("code"))?;
    let text = clean(text.as_str()?);
    Some(text).filter(|text| !text.is_empty())
}

/// Whether a request may go there.
fn is_permitted(url: &Url) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && is_loopback(url)
}

/// Follows redirects to encrypted places; only what is on this machine may send to another place on it.
fn redirect(attempt: Attempt<'_>) -> Action {
    let on_this_machine = |url: &Url| url.scheme() == "http" && is_loopback(url);
    let from_here = attempt.previous().iter().all(on_this_machine);
    if attempt.previous().len() > REDIRECTS {
        attempt.error(format!("it redirects more than {REDIRECTS} times"))
    } else if attempt.url().scheme() == "https" || from_here && on_this_machine(attempt.url()) {
        attempt.follow()
    } else {
        let message = format!(
            "it redirects to {}, which is not encrypted",
            clean(&place(attempt.url()))
        );
        attempt.error(message)
    }
}

/// An answer that did not come, or not whole.
fn lost(url: &Url, error: &reqwest::Error) -> Trouble {
    let cause = cause(error);
    let untrusted = cause.contains("certificate");
    let again =
        (!untrusted && !error.is_redirect() && !error.is_builder()).then_some(Duration::ZERO);
    let mut failure = StoreError::environment(format!("{}: {cause}", place(url)));
    if untrusted {
        failure = failure.hint(
            "if the server's authority is your own, name a file with its certificate in SSL_CERT_FILE",
        );
    } else if error.is_connect() {
        failure = failure.hint("check the name, the network and the proxy (HTTPS_PROXY, NO_PROXY)");
    }
    Trouble {
        error: failure,
        status: None,
        again,
    }
}
