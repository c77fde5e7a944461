//! Requests that are made again where that may help.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use capstan_plugin_store::net::{cause, clean, is_loopback, place};
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, Url};

use super::failure::{Cause, ClientError};
use super::retry::{self, Attempt, Tries};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Bytes of an answer that says what went wrong.
const EXPLANATION: usize = 8 << 10;

/// Makes requests. Proxies and certificate authorities are those of the environment: `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`,
/// `SSL_CERT_DIR`. What is on this machine is asked without a proxy.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    client: reqwest::Client,
}

/// One call, which may be made several times.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// How long one attempt may take.
    pub(super) timeout: Duration,
    pub(super) tries: Tries,
}

/// A call that did not succeed.
pub(super) enum Trouble {
    /// There was an answer with another status.
    Status { status: u16, text: String },
    /// There was none.
    Failed(ClientError),
}

impl Transport {
    /// Sets up TLS and proxies for the server at `frontend`.
    pub(super) fn new(frontend: &Url) -> Result<Self, String> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("capstan-executor/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            // Followed, a POST would become a GET and the secret might go elsewhere.
            .redirect(Policy::none())
            .referer(false);
        let builder = match is_loopback(frontend) {
            true => builder.no_proxy(),
            false => builder,
        };
        let client = builder.build().map_err(|error| cause(&error))?;
        Ok(Self { client })
    }

    /// For requests of another kind.
    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Makes a call until it succeeds, with 200 or 204, or there is no sense in trying again.
    pub(super) async fn send(&self, request: Request) -> Result<Response, Trouble> {
        let mut made = 0;
        loop {
            let sent = self
                .client
                .request(request.method.clone(), request.url.clone())
                .headers(request.headers.clone())
                .timeout(request.timeout)
                .body(request.body.clone())
                .send()
                .await;
            made += 1;
            let (attempt, trouble) = match sent {
                Ok(response) if matches!(response.status().as_u16(), 200 | 204) => {
                    return Ok(response);
                }
                Ok(response) => refusal(response).await,
                Err(error) => lost(&request.url, &error),
            };
            let is_final = matches!(&trouble, Trouble::Status { text, .. } if is_unknown_job(text));
            match retry::wait(request.tries, made, attempt, retry::random()) {
                Some(wait) if !is_final => {
                    tracing::debug!(
                        url = place(&request.url),
                        made,
                        ?wait,
                        ?attempt,
                        "trying again"
                    );
                    tracing::Span::current().record("http.request.resend_count", made);
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(trouble),
            }
        }
    }
}

/// Whether the server says that a job is not this executor's: it does so with 500, which would be tried again for nothing.
pub(super) fn is_unknown_job(text: &str) -> bool {
    text.eq_ignore_ascii_case("unknown job")
}

/// The body of an answer, which must not be longer than `limit` bytes.
pub(super) async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, ClientError> {
    let url = response.url().clone();
    let mut bytes = Vec::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(failed(&url, &error)),
        };
        if bytes.len() + chunk.len() > limit {
            let message = format!("{} answered with more than {limit} bytes", place(&url));
            return Err(ClientError::rubbish(message));
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// What an answer means that is no success. Its body may hold an explanation.
async fn refusal(mut response: Response) -> (Attempt, Trouble) {
    let status = response.status();
    let header = |name| response.headers().get(name)?.to_str().ok();
    let asked = header(RETRY_AFTER).and_then(|text| text.parse().ok());
    let attempt = Attempt::Answered(status.as_u16(), asked.map(Duration::from_secs));
    let location = header(LOCATION).map(clean);
    let mut bytes = Vec::new();
    while bytes.len() < EXPLANATION
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend_from_slice(&chunk);
    }
    let mut text = explanation(&bytes);
    if status.is_redirection()
        && let Some(location) = location
    {
        text = format!("it sends elsewhere, to {location}");
    }
    let status = status.as_u16();
    (attempt, Trouble::Status { status, text })
}

/// What a server says about its trouble: the message of a JSON error, or a short text that is no page.
fn explanation(body: &[u8]) -> String {
    if let Some(message) = capstan_protocol::error_message(body) {
        return clean(&message);
    }
    let text = clean(&String::from_utf8_lossy(body));
    match text.starts_with(['<', '{', '[']) || text == "null" {
        true => String::new(),
        false => text,
    }
}

fn lost(url: &Url, error: &reqwest::Error) -> (Attempt, Trouble) {
    let text = cause(error);
    let attempt = if error.is_builder() || text.contains("certificate") {
        Attempt::Hopeless
    } else if is_about_a_name(error) {
        Attempt::NoSuchHost
    } else if error.is_connect() {
        Attempt::Unreached
    } else {
        Attempt::Broken
    };
    (attempt, Trouble::Failed(failed(url, error)))
}

/// Whether there is no such host.
fn is_about_a_name(error: &reqwest::Error) -> bool {
    let mut at = error.source();
    while let Some(level) = at {
        if level.to_string().contains("dns error") {
            return !cause(error).contains("Temporary failure");
        }
        at = level.source();
    }
    false
}

/// An answer that did not come, or not whole.
pub(super) fn failed(url: &Url, error: &reqwest::Error) -> ClientError {
    let text = cause(error);
    let message = if text.contains("certificate") {
        format!(
            "{}: {text}; if the server's authority is your own, name a file with its certificate in SSL_CERT_FILE",
            place(url)
        )
    } else {
        format!("{}: {text}", place(url))
    };
    let cause = match error.is_connect() && text.contains("refused") {
        true => Cause::NotThere,
        false => Cause::NoAnswer,
    };
    ClientError { message, cause }
}

#[cfg(test)]
mod tests {
    use super::explanation;

    #[test]
    fn explanations_are_short_texts() {
        for (body, expected) in [
            (r#"{"error":"unknown job"}"#, "unknown job"),
            (
                "Failed to unmarshal payload: x\n",
                "Failed to unmarshal payload: x",
            ),
            ("null", ""),
            ("<html>502 Bad Gateway</html>", ""),
            ("{\"other\":1}", ""),
            ("", ""),
        ] {
            assert_eq!(explanation(body.as_bytes()), expected, "{body}");
        }
    }
}
