//! How spans reach the collector: by the HTTP client that everything else uses, on the runtime that everything else uses.

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// Bytes of an answer that are read: it says what was wrong at most.
const ANSWER: usize = 64 << 10;

/// Makes requests for an exporter that has a thread of its own.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) http: reqwest::Client,
    /// Where the requests run: the exporter's thread has no runtime.
    pub(super) runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        let answered = self.runtime.spawn(async move {
            let mut answer = http.execute(request).await?;
            let mut body = Vec::new();
            while body.len() < ANSWER
                && let Some(chunk) = answer.chunk().await?
            {
                body.extend_from_slice(&chunk);
            }
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = answer.status();
            *response.headers_mut() = std::mem::take(answer.headers_mut());
            Ok::<_, reqwest::Error>(response)
        });
        Ok(answered.await??)
    }
}
