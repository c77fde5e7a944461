//! The spans of `tracing`, exported by OTLP over HTTP.

use std::time::Duration;

use capstan_plugin_store::net::{cause, is_loopback};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use super::client::Client;
use crate::config::Environment;

/// How long one request may take unless `OTEL_EXPORTER_OTLP_TIMEOUT` says something else.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the last spans may take at the end.
const LAST: Duration = Duration::from_secs(5);

/// What exports spans; nothing, if nobody has asked for it.
pub(crate) struct Telemetry {
    provider: Option<SdkTracerProvider>,
    level: LevelFilter,
}

impl Telemetry {
    /// Opens it, if the variables ask for it. Spans up to `level` are exported, by requests on `runtime`. What is wrong is told in the log;
    /// nothing is exported then.
    pub(crate) fn open(environment: &Environment, level: LevelFilter, runtime: &Handle) -> Self {
        let provider = super::asked_for(environment)
            .map(|name| (name, provider(name, environment, runtime.clone())));
        let provider = match provider {
            Some((_, Ok(provider))) => Some(provider),
            Some((name, Err(reason))) => {
                tracing::warn!("{name} is set, but no traces are exported: {reason}");
                None
            }
            None => None,
        };
        Self { provider, level }
    }

    /// Exports nothing.
    pub(crate) fn none() -> Self {
        Self {
            provider: None,
            level: LevelFilter::OFF,
        }
    }

    /// What takes note of spans.
    pub(crate) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = self.provider.as_ref()?.tracer("capstan");
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        // What the exporter itself does must not make spans.
        Some(layer.with_filter(Targets::new().with_target("capstan", self.level)))
    }

    /// Exports what is left. The runtime still has to be there.
    pub(crate) fn close(self) {
        let Some(provider) = self.provider else {
            return;
        };
        if let Err(error) = provider.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "the last traces could not be exported");
        }
    }
}

fn provider(
    endpoint: &str,
    environment: &Environment,
    runtime: Handle,
) -> Result<SdkTracerProvider, String> {
    let url = environment.get(endpoint).unwrap_or_default();
    let url = reqwest::Url::parse(url).map_err(|error| format!("{url:?} is no URL: {error}"))?;
    let http = reqwest::Client::builder()
        .timeout(timeout(environment)?)
        // What was meant for the collector alone, such as a key in a header, must not go elsewhere.
        .redirect(reqwest::redirect::Policy::none());
    let http = match is_loopback(&url) {
        true => http.no_proxy(),
        false => http,
    };
    let http = http.build().map_err(|error| cause(&error))?;
    // Endpoint, headers and compression are read from the environment in there.
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(protocol(environment)?)
        .with_http_client(Client { http, runtime })
        .build()
        .map_err(|error| error.to_string())?;
    // And sampling, limits and batches in here.
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(environment))
        .build())
}

fn protocol(environment: &Environment) -> Result<Protocol, String> {
    let of_traces = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL");
    match of_traces.or_else(|| environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")) {
        None | Some("http/protobuf") => Ok(Protocol::HttpBinary),
        Some("http/json") => Ok(Protocol::HttpJson),
        Some(other) => Err(format!(
            "the protocol {other:?} is not supported; set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf or http/json, and the endpoint to the collector's port for that, usually 4318"
        )),
    }
}

fn timeout(environment: &Environment) -> Result<Duration, String> {
    let of_traces = environment.get("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
    let Some(text) = of_traces.or_else(|| environment.get("OTEL_EXPORTER_OTLP_TIMEOUT")) else {
        return Ok(TIMEOUT);
    };
    match text.parse() {
        Ok(milliseconds @ 1..) => Ok(Duration::from_millis(milliseconds)),
        _ => Err(format!("{text:?} is no timeout in milliseconds")),
    }
}

/// Who exports: as the environment names it, or `capstan`.
fn resource(environment: &Environment) -> Resource {
    let mut resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let attributes = environment.get("OTEL_RESOURCE_ATTRIBUTES");
    let has_name = environment.get("OTEL_SERVICE_NAME").is_some()
        || attributes.is_some_and(|attributes| attributes.contains("service.name="));
    if !has_name {
        resource = resource.with_service_name("capstan");
    }
    resource.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols() {
        let of = |variables: &[(&str, &str)]| protocol(&Environment::of(variables));
        let general = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
        assert_eq!(of(&[]), Ok(Protocol::HttpBinary));
        assert_eq!(of(&[general]), Ok(Protocol::HttpJson));
        assert_eq!(of(&[general, own]), Ok(Protocol::HttpBinary));
        let error = of(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert!(error.contains("\"grpc\" is not supported"), "{error}");
    }

    #[test]
    fn timeouts() {
        let of = |text| timeout(&Environment::of(&[("OTEL_EXPORTER_OTLP_TIMEOUT", text)]));
        assert_eq!(of(""), Ok(Duration::from_secs(10)));
        assert_eq!(of("250"), Ok(Duration::from_millis(250)));
        for text in ["0", "10s", "-1"] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_service_is_named_as_the_environment_says() {
        let name = |variables: &[(&str, &str)]| {
            let resource = resource(&Environment::of(variables));
            resource.get(&opentelemetry::Key::new("service.name"))
        };
        assert_eq!(name(&[]), Some("capstan".into()));
        // What the process's own environment says is read elsewhere; here it only must not be overridden.
        assert_ne!(name(&[("OTEL_SERVICE_NAME", "x")]), Some("capstan".into()));
    }
}
