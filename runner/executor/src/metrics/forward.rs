//! The figures that go with a heartbeat: our own, and those of the node exporters beside us.

use std::time::Duration;

use capstan_plugin_store::net::{cause, place};
use futures_util::future::join_all;
use reqwest::Url;

use super::Metrics;

/// How long one exporter may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most bytes of one exporter.
const LIMIT: usize = 8 << 20;

/// Exporters whose figures are sent along.
#[derive(Debug, Clone)]
pub struct Exporters {
    client: reqwest::Client,
    /// With the label that tells the instance, if it is another one.
    sources: Vec<(Url, Option<(&'static str, &'static str)>)>,
}

impl Exporters {
    /// Figures of the machine (`NODE_EXPORTER_URL`) and of a registry's machine (`DOCKER_REGISTRY_NODE_EXPORTER_URL`).
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn new(node: Option<&Url>, registry: Option<&Url>) -> Result<Self, String> {
        const REGISTRY: (&str, &str) = ("sg_instance", "docker-registry");
        let below = |url: &Url, path: &str, query| {
            let mut url = url.clone();
            let whole = format!("{}{path}", url.path().trim_end_matches('/'));
            url.set_path(&whole);
            url.set_query(query);
            url
        };
        let mut sources = Vec::new();
        if let Some(url) = node {
            sources.push((below(url, "/metrics", None), None));
        }
        if let Some(url) = registry {
            for query in ["module=registry", "module=node"] {
                sources.push((below(url, "/proxy", Some(query)), Some(REGISTRY)));
            }
        }
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .no_proxy()
            .build()
            .map_err(|error| cause(&error))?;
        Ok(Self { client, sources })
    }

    /// All figures in the classic text format. An exporter that does not answer is left out.
    pub async fn gather(&self, own: &Metrics) -> String {
        let texts = self
            .sources
            .iter()
            .map(async |(url, label)| match self.scrape(url).await {
                Ok(text) => Some((text, *label)),
                Err(reason) => {
                    tracing::warn!(exporter = place(url), reason, "figures cannot be had");
                    None
                }
            });
        let texts = join_all(texts).await;
        let mut families = own.families();
        for (text, label) in texts.into_iter().flatten() {
            families.merge(&text, label);
        }
        families.text()
    }

    async fn scrape(&self, url: &Url) -> Result<String, String> {
        let request = self.client.get(url.clone());
        let request = request.header("accept", "text/plain;version=0.0.4");
        let response = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let mut response = response.map_err(|error| match error.status() {
            Some(status) => format!("it answered {status}"),
            None => cause(&error),
        })?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
            if bytes.len() + chunk.len() > LIMIT {
                return Err(format!("it answered with more than {LIMIT} bytes"));
            }
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).map_err(|_| "it did not answer with text".to_owned())
    }
}
