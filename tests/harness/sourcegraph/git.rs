//! Git over HTTP: git's own program for it.

use std::path::Path;
use std::process::Stdio;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, StatusCode};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Hands a request to `git http-backend` for the repository at `repository`; `rest` is what follows its name in the path.
pub(super) async fn serve(
    repository: &Path,
    rest: &str,
    method: &Method,
    query: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    };
    let root = repository.join(".git");
    let root = if root.is_dir() {
        root
    } else {
        repository.to_path_buf()
    };
    let mut command = Command::new("git");
    command
        .args(["-c", "uploadpack.allowAnySHA1InWant=true"])
        .args(["-c", "uploadpack.allowFilter=true"])
        .args(["-c", "safe.directory=*"])
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", rest)
        .env("REQUEST_METHOD", method.as_str())
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("git is installed");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    let body = body.to_vec();
    tokio::spawn(async move {
        // It may not read everything.
        let _ = stdin.write_all(&body).await;
    });
    let output = child
        .wait_with_output()
        .await
        .expect("it can be waited for");
    let out = output.stdout;
    let end = out.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let Some(end) = end else {
        return plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "git http-backend said nothing",
        );
    };
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&out[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap_or(500)),
            _ => response.header(name, value),
        };
    }
    let content = Body::from(out[end + 4..].to_vec());
    response.body(content).expect("git writes proper headers")
}

pub(super) fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response
}
