//! What can be asked of an executor over HTTP: whether it lives, whether it takes jobs, its figures, what it does.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::supervisor::{Phase, Queue, RunningJob, Status, Supervisor, Work};

/// What does not change while an executor lives.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Its name.
    pub executor_name: String,
    /// Its version.
    pub version: &'static str,
    /// The server.
    pub frontend: String,
    /// Where its jobs come from.
    pub queues: Vec<String>,
    /// Jobs at a time.
    pub slots: usize,
}

/// What is looked at.
pub trait Observed: Send + Sync + 'static {
    /// How it is doing.
    fn status(&self) -> &Status;
    /// The jobs that run.
    fn running(&self) -> Vec<RunningJob>;
    /// Its figures, in Prometheus' text format.
    fn figures(&self) -> String;
}

impl<Q: Queue, W: Work> Observed for Supervisor<Q, W> {
    fn status(&self) -> &Status {
        self.status()
    }

    fn running(&self) -> Vec<RunningJob> {
        self.running()
    }

    fn figures(&self) -> String {
        self.metrics().text()
    }
}

#[derive(Clone)]
struct Shared {
    about: Arc<About>,
    observed: Arc<dyn Observed>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    #[serde(flatten)]
    about: &'a About,
    phase: Phase,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    seconds_since_heartbeat: Option<u64>,
    jobs_taken: u64,
    running: Vec<RunningJob>,
}

/// Answers on `listener` until `stop`.
///
/// # Errors
///
/// What the network says.
pub async fn serve(
    listener: TcpListener,
    about: About,
    observed: Arc<dyn Observed>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(about, observed))
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

fn router(about: About, observed: Arc<dyn Observed>) -> Router {
    let shared = Shared {
        about: Arc::new(about),
        observed,
    };
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .route("/status", get(status))
        .with_state(shared)
}

async fn ready(State(shared): State<Shared>) -> Response {
    match shared.observed.status().unready() {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn figures(State(shared): State<Shared>) -> Response {
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, shared.observed.figures()).into_response()
}

async fn status(State(shared): State<Shared>) -> Response {
    let status = shared.observed.status();
    let reason = status.unready();
    Json(Report {
        about: &shared.about,
        phase: status.phase(),
        ready: reason.is_none(),
        reason,
        seconds_since_heartbeat: status.since_heartbeat().map(|age| age.as_secs()),
        jobs_taken: status.taken(),
        running: shared.observed.running(),
    })
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Idle(Status);

    impl Observed for Idle {
        fn status(&self) -> &Status {
            &self.0
        }

        fn running(&self) -> Vec<RunningJob> {
            vec![RunningJob {
                id: 42,
                queue: "batches".into(),
                repository: "github.com/acme/app".into(),
                since: "2026-01-01T00:00:00Z".into(),
                reporting: false,
            }]
        }

        fn figures(&self) -> String {
            "a 1\n".into()
        }
    }

    #[tokio::test]
    async fn what_can_be_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let about = About {
            executor_name: "host-1".into(),
            version: "0.1.0",
            frontend: "https://sourcegraph.example/".into(),
            queues: vec!["batches".into()],
            slots: 2,
        };
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(listener, about, Arc::<Idle>::default(), stop.clone()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for (path, code, text) in [
            ("healthz", 200, "ok\n"),
            ("readyz", 503, "not registered with the server yet\n"),
            ("metrics", 200, "a 1\n"),
            (
                "status",
                200,
                r#"{"executorName":"host-1","version":"0.1.0","frontend":"https://sourcegraph.example/","queues":["batches"],"slots":2,"phase":"starting","ready":false,"reason":"not registered with the server yet","secondsSinceHeartbeat":null,"jobsTaken":0,"running":[{"id":42,"queue":"batches","repository":"github.com/acme/app","since":"2026-01-01T00:00:00Z","reporting":false}]}"#,
            ),
            ("nothing", 404, ""),
        ] {
            let answer = client
                .get(format!("http://{address}/{path}"))
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), code, "{path}");
            assert_eq!(answer.text().await.unwrap(), text, "{path}");
        }
        stop.cancel();
        drop(client);
        served.await.unwrap().unwrap();
    }
}
