//! Uploads of code intelligence indexes, to a server that keeps the requests.

use std::io::Read as _;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use flate2::read::GzDecoder;

use super::*;

/// A request: its query, its headers, its body.
type Request = (String, HeaderMap, Vec<u8>);

#[derive(Default)]
struct Uploads {
    requests: Mutex<Vec<Request>>,
    /// Statuses of the next answers.
    troubles: Mutex<Vec<u16>>,
}

async fn receive(
    State(uploads): State<Arc<Uploads>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let request = (uri.to_string(), headers, body.to_vec());
    uploads.requests.lock().unwrap().push(request);
    match uploads.troubles.lock().unwrap().pop() {
        Some(status) => (StatusCode::from_u16(status).unwrap(), "no".to_owned()),
        None => (StatusCode::ACCEPTED, "{\"id\":\"17\"}".to_owned()),
    }
}

async fn served() -> (Bench, Arc<Uploads>) {
    let uploads = Arc::<Uploads>::default();
    let router = axum::Router::new()
        .fallback(receive)
        .with_state(Arc::clone(&uploads));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::at(directory, &format!("http://{address}/sourcegraph")).await;
    (bench, uploads)
}

fn job(bench: &Bench, file: &str, content: &[u8]) -> Job {
    let mut job = bench.job();
    job.repository_name.clear();
    job.files.insert(file.to_owned(), inline(content));
    let command = format!(
        "src code-intel upload -no-progress -repo 'github.com/acme/app' -commit {} -root . -upload-route /.executors/lsif/upload -file {file} -associated-index-id 42",
        bench.commit
    );
    job.docker_steps = vec![DockerStep {
        key: "upload".to_owned(),
        image: "sourcegraph/src-cli:5".to_owned(),
        commands: vec![command],
        env: vec![
            "SRC_ENDPOINT=https://elsewhere.example".to_owned(),
            "SRC_HEADER_AUTHORIZATION=token-executor hunter2hunter2".to_owned(),
        ],
        ..DockerStep::default()
    }];
    job
}

#[tokio::test]
async fn an_index_is_compressed_and_posted_without_a_container() {
    let (bench, uploads) = served().await;
    let lsif =
        b"{\"label\":\"metaData\",\"toolInfo\":{\"name\":\"lsif-go\",\"version\":\"1.9\"}}\n{}\n";
    uploads.troubles.lock().unwrap().push(503);
    let ended = bench.run(&job(&bench, "dump.lsif", lsif)).await;
    assert_eq!(ended.ending, Ending::Complete, "{:?}", ended.entries);
    let said = ended.out("step.docker.upload");
    assert!(
        said.contains("503: no; trying again\n")
            && said.ends_with("stdout: uploaded dump.lsif; the server calls it 17\n"),
        "{said}"
    );
    let requests = uploads.requests.lock().unwrap();
    let [_, (uri, headers, body)] = &requests[..] else {
        panic!("{} requests", requests.len());
    };
    let commit = &bench.commit;
    assert_eq!(
        *uri,
        format!(
            "/sourcegraph/.executors/lsif/upload?repository=github.com%2Facme%2Fapp&commit={commit}&root=.&associatedIndexId=42&indexerName=lsif-go&indexerVersion=1.9"
        )
    );
    assert_eq!(headers["authorization"], "token-executor hunter2hunter2");
    assert_eq!(headers["x-uncompressed-size"], lsif.len().to_string());
    let mut unpacked = Vec::new();
    GzDecoder::new(&body[..])
        .read_to_end(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, lsif);
    assert_eq!(bench.images(), Vec::<String>::new());
    assert!(!format!("{:?}", ended.entries).contains("hunter2"));
}

#[tokio::test]
async fn a_scip_index_says_who_made_it() {
    let (bench, uploads) = served().await;
    // metadata { version: 0, tool_info { name: "scip-go", version: "0.1" } }
    let scip = b"\x0a\x12\x08\x00\x12\x0e\x0a\x07scip-go\x12\x030.1";
    let ended = bench.run(&job(&bench, "index.scip", scip)).await;
    assert_eq!(ended.ending, Ending::Complete, "{:?}", ended.entries);
    let requests = uploads.requests.lock().unwrap();
    assert!(
        requests[0]
            .0
            .ends_with("&indexerName=scip-go&indexerVersion=0.1"),
        "{}",
        requests[0].0
    );
    assert_eq!(requests[0].1["content-type"], "application/x-protobuf+scip");
}

#[tokio::test]
async fn what_cannot_be_uploaded_fails_the_job() {
    let (bench, uploads) = served().await;
    uploads.troubles.lock().unwrap().push(401);
    let refused = bench.run(&job(&bench, "dump.lsif", b"{}")).await;
    let message = "running command \"step.docker.upload\": command failed with exit code 1";
    assert_eq!(refused.ending, Ending::Errored(message.to_owned()));
    assert!(
        refused
            .out("step.docker.upload")
            .contains("the server does not accept the executor's secret (401)")
    );
    assert_eq!(uploads.requests.lock().unwrap().len(), 1);
    let mut missing = job(&bench, "dump.lsif", b"{}");
    missing.files.clear();
    let missing = bench.run(&missing).await;
    assert!(
        missing
            .out("step.docker.upload")
            .contains("stderr: error: reading dump.lsif: ")
    );
}
