//! Traces: exported by a build that can, refused with a word by one that cannot. `make test` runs this for both.

#![cfg_attr(
    feature = "otel",
    expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")
)]

use capstan_tests::{Capstan, SECRET, Sourcegraph, World};

/// An executor of this very build that ends after one job.
fn executor<'w>(world: &'w World, server: &Sourcegraph) -> Capstan<'w> {
    world
        .build_of_capstan(env!("CARGO_BIN_EXE_capstan"), ["executor", "run"])
        .env("EXECUTOR_FRONTEND_URL", server.url())
        .env("EXECUTOR_FRONTEND_PASSWORD", SECRET)
        .env("EXECUTOR_QUEUE_NAME", "codeintel")
        .env("EXECUTOR_QUEUE_POLL_INTERVAL", "100ms")
        .env("EXECUTOR_JOB_NUM_CPUS", "0")
        .env("EXECUTOR_JOB_MEMORY", "0")
        .env("EXECUTOR_NUM_TOTAL_JOBS", "1")
}

/// A job that needs no container: it fails as its name is no name.
fn refused() -> serde_json::Value {
    serde_json::json!({
        "version": 2,
        "queue": "codeintel",
        "repositoryName": "github.com/acme/app",
        "repositoryDirectory": "../outside",
        "commit": "0123456789012345678901234567890123456789",
        "dockerSteps": [],
    })
}

#[cfg(not(feature = "otel"))]
#[test]
fn a_build_that_exports_nothing_says_so() {
    let (world, server) = (World::new(), Sourcegraph::start());
    server.enqueue(refused());
    let output = executor(&world, &server)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .run();
    output.assert_code(0);
    let expected = "OTEL_EXPORTER_OTLP_ENDPOINT is ignored: this build has no OpenTelemetry";
    assert!(output.stderr().contains(expected), "{output}");

    let help = world
        .build_of_capstan(env!("CARGO_BIN_EXE_capstan"), ["batch", "--help"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "")
        .run();
    assert_eq!(help.stderr(), "", "an empty variable counts as unset");
}

#[cfg(feature = "otel")]
mod exports {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use std::thread;

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode, Uri};
    use capstan_tests::{Engine, JobState};
    use serde_json::{Value, json};

    use super::*;

    /// One request to the collector.
    #[derive(Clone)]
    struct Export {
        path: String,
        headers: HeaderMap,
        body: Bytes,
    }

    /// What spans are exported to.
    #[derive(Clone, Default)]
    struct Collector(Arc<Mutex<Vec<Export>>>);

    impl Collector {
        /// Starts one for the rest of the test; the second is where it is.
        fn start() -> (Self, String) {
            let collector = Self::default();
            let served = collector.clone();
            let (tell, told) = std::sync::mpsc::channel();
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async move {
                    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                    tell.send(listener.local_addr().unwrap()).unwrap();
                    let router = Router::new().fallback(take).with_state(served);
                    axum::serve(listener, router).await.unwrap();
                });
            });
            (collector, format!("http://{}", told.recv().unwrap()))
        }

        fn exports(&self) -> Vec<Export> {
            self.0.lock().unwrap().clone()
        }

        /// The spans, with the resource they are of.
        fn spans(&self) -> Vec<(Value, Value)> {
            let mut spans = Vec::new();
            for export in self.exports() {
                let body: Value = serde_json::from_slice(&export.body).unwrap();
                for of_resource in body["resourceSpans"].as_array().unwrap() {
                    for of_scope in of_resource["scopeSpans"].as_array().unwrap() {
                        for span in of_scope["spans"].as_array().unwrap() {
                            spans.push((span.clone(), of_resource["resource"].clone()));
                        }
                    }
                }
            }
            spans
        }
    }

    async fn take(
        State(collector): State<Collector>,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> StatusCode {
        let path = uri.path().to_owned();
        let export = Export {
            path,
            headers,
            body,
        };
        collector.0.lock().unwrap().push(export);
        StatusCode::OK
    }

    /// Attributes by their names, as text.
    fn attributes(of: &Value) -> BTreeMap<String, String> {
        let all = of["attributes"].as_array().unwrap();
        all.iter()
            .map(|attribute| {
                let value = attribute["value"].as_object().unwrap();
                let value = value.values().next().unwrap();
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                (attribute["key"].as_str().unwrap().to_owned(), text)
            })
            .collect()
    }

    #[test]
    fn a_job_is_one_trace_of_its_steps_and_calls() {
        Engine::require();
        let (world, server) = (World::new(), Sourcegraph::start());
        let (collector, endpoint) = Collector::start();
        let id = server.enqueue(json!({
            "version": 2,
            "queue": "codeintel",
            "dockerSteps": [
                {"key": "indexer", "image": "alpine:3", "commands": ["echo s3cret-value; exit 7"], "dir": "", "env": ["TOKEN=s3cret-value"]},
            ],
            "redactedValues": {"s3cret-value": "${{ secrets.TOKEN }}"},
        }));
        let output = executor(&world, &server)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
            .env("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=k3y")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
            .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
            .env("OTEL_SERVICE_NAME", "executors-of-acme")
            .run();
        output.assert_code(0);
        assert!(matches!(server.job(id), JobState::Errored(_)));

        let exports = collector.exports();
        assert!(!exports.is_empty(), "{output}");
        for export in &exports {
            assert_eq!(export.path, "/v1/traces");
            assert_eq!(export.headers["x-api-key"], "k3y");
            assert_eq!(export.headers["content-type"], "application/json");
            let body = String::from_utf8_lossy(&export.body);
            for secret in ["s3cret-value", SECRET, "0000feee", "k3y"] {
                assert!(!body.contains(secret), "{secret} in {body}");
            }
        }
        let spans = collector.spans();
        let names: Vec<&str> = spans
            .iter()
            .map(|(span, _)| span["name"].as_str().unwrap())
            .collect();
        let named = |name: &str| {
            let found = spans.iter().find(|(span, _)| span["name"] == name);
            &found
                .unwrap_or_else(|| panic!("{name} is missing in {names:?}"))
                .0
        };
        let resource = attributes(&spans[0].1);
        assert_eq!(resource["service.name"], "executors-of-acme");
        assert_eq!(resource["deployment.environment"], "test");

        let job = named("job");
        let about = attributes(job);
        assert_eq!(about["job.id"], id.to_string());
        assert_eq!(about["job.queue"], "codeintel");
        assert_eq!(about["job.outcome"], "errored");
        assert_eq!(job["status"]["code"], 2, "{job}");
        let step = named("step");
        assert_eq!(step["parentSpanId"], job["spanId"]);
        assert_eq!(attributes(step)["step.image"], "alpine:3");
        assert_eq!(named("step.run")["parentSpanId"], step["spanId"]);
        assert_eq!(named("container.make")["parentSpanId"], step["spanId"]);
        let mark = named("POST /.executors/queue/codeintel/markErrored");
        assert_eq!(mark["parentSpanId"], job["spanId"]);
        assert_eq!(mark["kind"], 3, "a client's");
        let about = attributes(mark);
        assert_eq!(about["http.response.status_code"], "204");
        assert_eq!(about["server.address"], "127.0.0.1");
        // Nothing else: not the calls that ask for jobs.
        for (span, _) in &spans {
            assert_eq!(span["traceId"], job["traceId"], "{span}");
        }
    }

    #[test]
    fn a_run_at_a_terminal_is_exported_as_protobuf() {
        Engine::require();
        let world = World::new();
        let (collector, endpoint) = Collector::start();
        world.repository("widgets", &[("README.md", "hi\n")]);
        world.write(
            "spec.yaml",
            "version: 2\nname: x\nsteps:\n  - run: echo >> README.md\n    container: alpine:3\nchangesetTemplate:\n  title: x\n  body: x\n  branch: x\n  commit:\n    message: x\n",
        );
        let run = |sampler: &str| {
            world
                .build_of_capstan(env!("CARGO_BIN_EXE_capstan"), ["batch", "run"])
                .args(["--no-cache", "-f", "spec.yaml", "widgets"])
                .env(
                    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                    format!("{endpoint}/custom/path"),
                )
                .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
                .env("OTEL_TRACES_SAMPLER", sampler)
                .run()
                .assert_code(0);
            collector.exports()
        };
        assert_eq!(run("always_off").len(), 0);
        let exports = run("always_on");
        assert!(!exports.is_empty());
        for export in exports {
            assert_eq!(export.path, "/custom/path");
            assert_eq!(export.headers["content-type"], "application/x-protobuf");
            assert_eq!(export.headers["content-encoding"], "gzip");
        }
    }

    #[test]
    fn a_collector_that_is_away_holds_nothing_up() {
        let (world, server) = (World::new(), Sourcegraph::start());
        let id = server.enqueue(refused());
        // Port 9 discards; nothing listens there.
        let output = executor(&world, &server)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
            .run();
        output.assert_code(0);
        assert!(server.job(id).is_final());

        let wrong = executor(&world, &server)
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                server.url().replace("http", "ftp"),
            )
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .env("EXECUTOR_QUEUE_NAME", "")
            .run();
        wrong.assert_code(2);
        let expected = "no traces are exported: the protocol \"grpc\" is not supported";
        assert!(wrong.stderr().contains(expected), "{wrong}");
    }
}
