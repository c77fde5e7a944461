//! What registries ask for before they answer, and who gets to see a secret.

use insta::assert_snapshot;
use serde_json::json;

use super::server::{Answer, Request, Server};
use super::{Bench, without_ports};
use crate::digest::Digest;

/// Answers as a registry does that holds one component.
fn content(request: &Request) -> Answer {
    if request.line.contains("/manifests/") {
        let layer = json!({"mediaType": "application/wasm", "digest": Digest::of(b"component").to_string(), "size": 9});
        Answer::ok(json!({ "layers": [layer] }).to_string())
    } else {
        Answer::ok("component")
    }
}

fn unauthorized(challenge: &str) -> Answer {
    let body =
        r#"{"errors": [{"code": "UNAUTHORIZED", "message": "authentication\u001b required"}]}"#;
    Answer::new("401 Unauthorized", &[("WWW-Authenticate", challenge)], body)
}

/// A registry with a token service of its own. `token` answers its requests.
async fn with_tokens(token: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Server {
    Server::new(move |request| {
        if request.line.contains("/token") {
            return token(request);
        }
        match request.header("authorization") {
            Some("Bearer good") => content(request),
            _ => {
                let host = request.header("host").unwrap();
                unauthorized(&format!(
                    r#"Bearer realm="http://{host}/token",service="here",scope="x""#
                ))
            }
        }
    })
    .await
}

fn login(address: &str, entry: &serde_json::Value) -> Bench {
    Bench::signed_in(&json!({ "auths": { address: entry } }))
}

#[tokio::test]
async fn anonymous_tokens_are_fetched() {
    let server = with_tokens(|_| Answer::ok(r#"{"access_token": "good"}"#)).await;
    let bench = Bench::new();
    let source = format!("oci://{}/acme/x", server.address);
    let fetched = bench.fetch(&source).await.unwrap();
    assert_eq!(fetched.digest, Digest::of(b"component"));
    assert_eq!(
        server.lines(),
        [
            "GET /v2/acme/x/manifests/latest".to_owned(),
            "GET /token?scope=repository%3Aacme%2Fx%3Apull&service=here".to_owned(),
            "GET /v2/acme/x/manifests/latest".to_owned(),
            format!("GET /v2/acme/x/blobs/{}", Digest::of(b"component")),
        ]
    );
    assert_eq!(server.seen()[1].header("authorization"), None);
}

#[tokio::test]
async fn passwords_go_to_the_token_service() {
    let server = with_tokens(|request| match request.header("authorization") {
        Some("Basic bWU6c2VjcmV0") => Answer::ok(r#"{"token": "good"}"#),
        _ => Answer::new("401 Unauthorized", &[], ""),
    })
    .await;
    let entry = json!({"username": "me", "password": "secret"});
    let bench = login(&server.address, &entry);
    let source = format!("oci://{}/acme/x:1", server.address);
    bench.fetch(&source).await.unwrap();
}

#[tokio::test]
async fn identity_tokens_are_exchanged() {
    let server = with_tokens(|request| {
        let form = "scope=repository%3Aacme%2Fx%3Apull&service=here&grant_type=refresh_token&client_id=capstan&refresh_token=id%2B1";
        match (request.line.as_str(), request.body == form) {
            ("POST /token", true) => Answer::ok(r#"{"access_token": "good"}"#),
            _ => Answer::new("401 Unauthorized", &[], ""),
        }
    })
    .await;
    let bench = login(&server.address, &json!({"identitytoken": "id+1"}));
    let source = format!("oci://{}/acme/x:1", server.address);
    bench.fetch(&source).await.unwrap();
}

#[tokio::test]
async fn registry_tokens_are_sent_as_they_are() {
    let server = with_tokens(|_| Answer::new("500 No", &[], "")).await;
    let bench = login(&server.address, &json!({"registrytoken": "good"}));
    let source = format!("oci://{}/acme/x:1", server.address);
    bench.fetch(&source).await.unwrap();
}

#[tokio::test]
async fn without_credentials_it_is_said_how_to_sign_in() {
    let server = Server::new(|_| unauthorized("Basic realm=\"x\"")).await;
    let bench = Bench::new();
    let source = format!("oci://{}/acme/x:1", server.address);
    let error = bench.fetch(&source).await.unwrap_err();
    assert_snapshot!(without_ports(&error.message), @"http://127.0.0.1:<port>/v2/acme/x/manifests/1 answered 401 Unauthorized: authentication required");
    assert_snapshot!(without_ports(&error.hint.unwrap()), @"sign in with `docker login 127.0.0.1:<port>`");
}

#[tokio::test]
async fn credentials_that_are_refused_are_not_shown() {
    let server = Server::new(|_| unauthorized("Basic realm=\"x\"")).await;
    let entry = json!({"username": "me", "password": "secret"});
    let bench = login(&server.address, &entry);
    let source = format!("oci://{}/acme/x:1", server.address);
    let error = bench.fetch(&source).await.unwrap_err();
    assert_snapshot!(without_ports(&error.message), @"http://127.0.0.1:<port>/v2/acme/x/manifests/1 answered 401 Unauthorized: authentication required");
    assert_snapshot!(without_ports(&error.hint.unwrap()), @"127.0.0.1:<port> refused the stored credentials; renew them with `docker login 127.0.0.1:<port>`, and check that they may read acme/x");
    assert!(!format!("{:?}", bench.fetcher).contains("secret"));
}

#[tokio::test]
async fn a_token_service_that_is_not_encrypted_gets_no_password() {
    for realm in ["http://tokens.example/token", "gopher://x", "no url"] {
        let server = Server::new(move |_| unauthorized(&format!("Bearer realm=\"{realm}\""))).await;
        let entry = json!({"username": "me", "password": "secret"});
        let bench = login(&server.address, &entry);
        let source = format!("oci://{}/acme/x:1", server.address);
        let error = bench.fetch(&source).await.unwrap_err();
        let expected = match realm {
            "no url" => "relative URL without a base",
            _ => "is not encrypted, and is not on this machine",
        };
        assert!(error.message.contains(expected), "{}", error.message);
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_an_error() {
    for answer in [r#"{"token": "a\nb"}"#, "{}", "geheim", "\"geheim\""] {
        let server = with_tokens(move |_| Answer::ok(answer)).await;
        let source = format!("oci://{}/acme/x:1", server.address);
        let error = Bench::new().fetch(&source).await.unwrap_err();
        assert!(!error.message.contains("geheim"), "{}", error.message);
    }
    let server = with_tokens(|_| Answer::endless()).await;
    let source = format!("oci://{}/acme/x:1", server.address);
    let error = Bench::new().fetch(&source).await.unwrap_err();
    assert_snapshot!(without_ports(&error.message), @"http://127.0.0.1:<port>/token answered with more than 1048576 bytes where a short text was expected");
}

#[tokio::test]
async fn another_host_does_not_see_the_credentials() {
    let storage = Server::new(|_| Answer::ok("component")).await;
    let elsewhere = format!("http://{}/blob", storage.address);
    let server = Server::new(move |request| {
        if request.header("authorization") != Some("Basic bWU6c2VjcmV0") {
            return unauthorized("Basic realm=\"x\"");
        }
        if request.line.contains("/blobs/") {
            return Answer::new("307 Away", &[("Location", &elsewhere)], "");
        }
        content(request)
    })
    .await;
    let entry = json!({"username": "me", "password": "secret"});
    let bench = login(&server.address, &entry);
    let source = format!("oci://{}/acme/x:1", server.address);
    bench.fetch(&source).await.unwrap();
    assert_eq!(storage.seen()[0].header("authorization"), None);
}
