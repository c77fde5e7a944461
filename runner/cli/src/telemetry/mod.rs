//! Traces of what Capstan does, for a collector that speaks OTLP. The variables are those of OpenTelemetry.
//!
//! They take a build with the feature `otel`; any other says so when it is asked for them.

#[cfg(not(feature = "otel"))]
mod absent;
#[cfg(feature = "otel")]
mod client;
#[cfg(feature = "otel")]
mod export;

#[cfg(not(feature = "otel"))]
pub(crate) use self::absent::Telemetry;
#[cfg(feature = "otel")]
pub(crate) use self::export::Telemetry;

use crate::config::Environment;

/// The variables that name a collector; the first counts more.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// The variable by which traces are asked for; `None` if they are not.
fn asked_for(environment: &Environment) -> Option<&'static str> {
    let says = |name, value: &str| {
        let found = environment.get(name);
        found.is_some_and(|found| found.eq_ignore_ascii_case(value))
    };
    if says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    let mut endpoints = ENDPOINTS.into_iter();
    endpoints.find(|name| environment.get(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_has_to_be_named() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318");
        for (variables, expected) in [
            (&[][..], None),
            (&[("OTEL_SERVICE_NAME", "x")], None),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], None),
            (&[endpoint], Some(endpoint.0)),
            (&[endpoint, of_traces], Some(of_traces.0)),
            (&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")], None),
            (
                &[endpoint, ("OTEL_SDK_DISABLED", "false")],
                Some(endpoint.0),
            ),
            (&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], None),
            (
                &[endpoint, ("OTEL_TRACES_EXPORTER", "otlp")],
                Some(endpoint.0),
            ),
        ] {
            let environment = Environment::of(variables);
            assert_eq!(asked_for(&environment), expected, "{variables:?}");
        }
    }
}
