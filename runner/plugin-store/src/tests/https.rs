//! Components over HTTPS, and over HTTP on this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use insta::assert_snapshot;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::server::{Answer, Server};
use super::{Bench, without_ports};
use crate::digest::Digest;
use crate::failure::Class;
use crate::fetch::Progress;

#[tokio::test]
async fn a_component_is_fetched_and_its_progress_told() {
    let server = Server::new(|_| Answer::ok("component")).await;
    let bench = Bench::new();
    let source = format!("http://{}/x.wasm?key=1", server.address);
    let fetched = bench.fetch(&source).await.unwrap();
    assert_eq!(fetched.digest, Digest::of(b"component"));
    assert_eq!(fetched.manifest, None);
    let bytes = bench.store.read(&fetched.digest).unwrap();
    assert_eq!(bytes.unwrap(), b"component");
    let told = bench.told.lock().unwrap().pop();
    let all = Progress::Received {
        done: 9,
        total: Some(9),
    };
    assert_eq!(told, Some(all));
    let seen = server.seen();
    assert_eq!(seen[0].line, "GET /x.wasm?key=1");
    let agent = seen[0].header("user-agent").unwrap();
    assert!(agent.starts_with("capstan/"), "{agent}");
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let count = AtomicUsize::new(0);
    let server = Server::new(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::new("503 Service Unavailable", &[], ""),
        1 => Answer::new("429 Too Many Requests", &[("Retry-After", "0")], ""),
        2 => Answer::cut_short("comp", 9),
        _ => Answer::ok("component"),
    })
    .await;
    let bench = Bench::new();
    let source = format!("http://{}/x.wasm", server.address);
    let fetched = bench.fetch(&source).await.unwrap();
    assert_eq!(fetched.digest, Digest::of(b"component"));
    assert_eq!(server.seen().len(), 4);
    let reasons = without_ports(&bench.reasons().join("\n"));
    assert_snapshot!(reasons, @"
    http://127.0.0.1:<port>/x.wasm answered 503 Service Unavailable
    http://127.0.0.1:<port>/x.wasm answered 429 Too Many Requests
    http://127.0.0.1:<port>/x.wasm: end of file before message length reached
    ");
}

#[tokio::test]
async fn trying_again_ends() {
    let server = Server::new(|_| Answer::new("500 Internal Server Error", &[], "")).await;
    let bench = Bench::new();
    let source = format!("http://{}/x.wasm", server.address);
    let error = bench.fetch(&source).await.unwrap_err();
    assert_eq!(server.seen().len(), 5);
    assert_eq!(error.class, Class::Environment);
    assert_snapshot!(without_ports(&error.message), @"http://127.0.0.1:<port>/x.wasm answered 500 Internal Server Error");
}

#[tokio::test]
async fn a_refusal_is_told_without_the_query_and_not_repeated() {
    let server = Server::new(|_| Answer::new("403 Forbidden", &[], "<html>\u{1b}[31m")).await;
    let bench = Bench::new();
    let source = format!("http://{}/x.wasm?signature=geheim", server.address);
    let error = bench.fetch(&source).await.unwrap_err();
    assert_eq!(server.seen().len(), 1);
    assert_snapshot!(without_ports(&error.message), @"http://127.0.0.1:<port>/x.wasm answered 403 Forbidden");
    assert_snapshot!(error.hint.unwrap(), @"components behind a password can come from a registry (oci://...)");
}

#[tokio::test]
async fn redirects_stay_on_this_machine_or_are_encrypted() {
    let server = Server::new(|request| {
        let to = request.line.split("?to=").nth(1);
        match to {
            Some(to) => Answer::new("302 Found", &[("Location", to)], ""),
            None => Answer::ok("component"),
        }
    })
    .await;
    let bench = Bench::new();
    let address = &server.address;
    let from = |to: &str| format!("http://{address}/x?to={to}");
    let fetched = bench.fetch(&from("/y")).await.unwrap();
    assert_eq!(fetched.digest, Digest::of(b"component"));
    assert_eq!(server.seen()[1].header("referer"), None);
    bench
        .store
        .prune(&std::collections::BTreeSet::new())
        .unwrap();

    let plain = bench
        .fetch(&from("http://example.com/x"))
        .await
        .unwrap_err();
    assert_snapshot!(without_ports(&plain.message), @"http://127.0.0.1:<port>/x: it redirects to http://example.com/x, which is not encrypted");
    let circle = Server::new(|_| Answer::new("302 Found", &[("Location", "/x")], "")).await;
    let circle = bench.fetch(&format!("http://{}/x", circle.address)).await;
    assert_snapshot!(without_ports(&circle.unwrap_err().message), @"http://127.0.0.1:<port>/x: it redirects more than 5 times");
}

/// An authority, and a server's side of TLS with a certificate of it.
fn authority() -> (reqwest::Certificate, TlsAcceptor) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], key)
        .unwrap();
    let root = reqwest::Certificate::from_pem(issuer.pem().as_bytes()).unwrap();
    (root, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn certificates_are_checked() {
    let (root, acceptor) = authority();
    let server = Server::tls(acceptor, |_| Answer::ok("component")).await;
    let source = format!("https://{}/x.wasm", server.address);

    let strange = Bench::new();
    let error = strange.fetch(&source).await.unwrap_err();
    assert_snapshot!(without_ports(&error.message), @"https://127.0.0.1:<port>/x.wasm: invalid peer certificate: UnknownIssuer");
    assert_snapshot!(error.hint.unwrap(), @"if the server's authority is your own, name a file with its certificate in SSL_CERT_FILE");
    assert_eq!(strange.reasons(), [""; 0], "that does not pass");

    let known = Bench::with(crate::registry::Credentials::default(), vec![root]);
    let fetched = known.fetch(&source).await.unwrap();
    assert_eq!(fetched.digest, Digest::of(b"component"));
}

#[tokio::test]
async fn an_encrypted_server_does_not_send_to_plain_ones_of_this_machine() {
    let plain = Server::new(|_| Answer::ok("component")).await;
    let (root, acceptor) = authority();
    let target = format!("http://{}/", plain.address);
    let server = Server::tls(acceptor, move |_| {
        Answer::new("307 Temporary Redirect", &[("Location", &target)], "")
    })
    .await;
    let bench = Bench::with(crate::registry::Credentials::default(), vec![root]);
    let source = format!("https://{}/x.wasm", server.address);
    let error = bench.fetch(&source).await.unwrap_err();
    assert_snapshot!(without_ports(&error.message), @"https://127.0.0.1:<port>/x.wasm: it redirects to http://127.0.0.1:<port>/, which is not encrypted");
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn nobody_there_is_told() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let bench = Bench::new();
    let error = bench.fetch(&format!("http://{address}/x")).await;
    let error = error.unwrap_err();
    assert_snapshot!(without_ports(&error.message), @"http://127.0.0.1:<port>/x: Connection refused (os error 111)");
    assert_snapshot!(error.hint.unwrap(), @"check the name, the network and the proxy (HTTPS_PROXY, NO_PROXY)");
    assert_eq!(bench.reasons().len(), 4);
}
