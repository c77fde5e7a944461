//! Registries and servers that mean harm.

use insta::assert_snapshot;
use rstest::rstest;
use serde_json::json;

use super::server::{Answer, Server};
use super::{Bench, without_ports};
use crate::digest::Digest;
use crate::failure::{Class, StoreError};

fn manifest(digest: &Digest, size: u64) -> String {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.wasm.config.v0+json",
            "digest": Digest::of(b"{}").to_string(),
            "size": 2,
        },
        "layers": [{ "mediaType": "application/wasm", "digest": digest.to_string(), "size": size }],
    })
    .to_string()
}

/// Fetches from a registry that answers so to requests for manifests and for blobs.
async fn fetched(
    version: &str,
    on_manifest: impl Fn() -> Answer + Send + Sync + 'static,
    on_blob: impl Fn() -> Answer + Send + Sync + 'static,
) -> StoreError {
    let server = Server::new(move |request| {
        if request.line.contains("/manifests/") {
            on_manifest()
        } else {
            on_blob()
        }
    })
    .await;
    let bench = Bench::new();
    let source = format!("oci://{}/acme/x{version}", server.address);
    let mut error = bench.fetch(&source).await.unwrap_err();
    error.message = without_ports(&error.message);
    assert_eq!(bench.reasons(), [""; 0], "trying again would not help");
    error
}

fn component() -> Answer {
    Answer::ok(manifest(&Digest::of(b"component"), 9))
}

#[tokio::test]
async fn bytes_with_another_digest_are_not_taken() {
    let error = fetched(":1", component, || Answer::ok("c0mponent")).await;
    assert_eq!(error.class, Class::Configuration);
    assert_snapshot!(error.message, @"http://127.0.0.1:<port>/v2/acme/x/blobs/sha256:6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa gave sha256:6ce5b34daaf86c34cf54147d71012002f2bf0707fa51e042a97ee912e7d49f7f, which is not the sha256:6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa that was asked for");
}

#[tokio::test]
async fn a_manifest_with_another_digest_is_not_taken() {
    let asked = format!("@{}", Digest::of(b"asked for"));
    let error = fetched(&asked, component, || Answer::ok("component")).await;
    assert_snapshot!(error.message, @"127.0.0.1:<port> gave a manifest with the digest sha256:a7c79a16adce780ba900ced2187caf4bc406da9c62aed299d6bd997bf73c296d for sha256:290a21250eb30ce5f507a6939efbc28c9fb3746178e92fcc41214c1664a4e52b");
    let lying = || {
        let digest = Digest::of(b"other").to_string();
        let body = manifest(&Digest::of(b"component"), 9);
        Answer::new("200 OK", &[("Docker-Content-Digest", &digest)], body)
    };
    let error = fetched(":1", lying, || Answer::ok("component")).await;
    assert_snapshot!(error.message, @"127.0.0.1:<port> gave a manifest with the digest sha256:a7c79a16adce780ba900ced2187caf4bc406da9c62aed299d6bd997bf73c296d for sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa");
}

#[rstest]
#[case::manifest(Answer::endless, || Answer::ok("component"))]
#[case::blob(component, Answer::endless)]
#[case::large_layer(|| Answer::ok(manifest(&Digest::of(b"component"), u64::MAX)), || Answer::ok("component"))]
#[case::large_answer(component, || Answer::cut_short("", 1 << 40))]
#[case::nested(|| Answer::ok("[".repeat(1 << 20)), || Answer::ok("component"))]
#[case::not_json(|| Answer::ok("\u{1b}[2J"), || Answer::ok("component"))]
#[case::empty(|| Answer::ok(""), || Answer::ok("component"))]
#[tokio::test]
async fn what_has_no_end_or_no_sense_is_refused(
    #[case] on_manifest: impl Fn() -> Answer + Send + Sync + 'static,
    #[case] on_blob: impl Fn() -> Answer + Send + Sync + 'static,
) {
    let error = fetched(":1", on_manifest, on_blob).await;
    assert!(!error.message.contains('\u{1b}'), "{}", error.message);
    assert!(error.message.len() < 400, "{}", error.message);
}

#[tokio::test]
async fn an_endless_component_is_cut_off_at_its_limit() {
    let error = fetched(":1", component, Answer::endless).await;
    assert_snapshot!(error.message, @"oci://127.0.0.1:<port>/acme/x:1: it has more than 64 MiB, the most a component may have");
    let server = Server::new(|_| Answer::endless()).await;
    let error = Bench::new()
        .fetch(&format!("http://{}/x", server.address))
        .await
        .unwrap_err();
    assert_snapshot!(without_ports(&error.message), @"http://127.0.0.1:<port>/x: it has more than 64 MiB, the most a component may have");
}

#[tokio::test]
async fn an_index_is_refused_with_words() {
    let index = || {
        Answer::ok(
            r#"{"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [{}, {}]}"#,
        )
    };
    let error = fetched(":1", index, || Answer::ok("component")).await;
    assert_snapshot!(error.message, @"127.0.0.1:<port>/acme/x:1 is an index of several manifests (application/vnd.oci.image.index.v1+json), and a component runs everywhere; name one of them by its digest");
}

#[tokio::test]
async fn a_container_image_is_refused_with_words() {
    let layers = json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:x", "size": 1});
    let image = json!({ "layers": vec![layers; 40] }).to_string();
    let error = fetched("", move || Answer::ok(image.clone()), || Answer::ok("")).await;
    assert_snapshot!(error.message, @"127.0.0.1:<port>/acme/x:latest is a container image: it holds application/vnd.oci.image.layer.v1.tar+gzip, application/vnd.oci.image.layer.v1.tar+gzip, application/vnd.oci.image.layer.v1.tar+gzip, application/vnd.oci.image.layer.v1.tar+gzip, application/vnd.oci.image.layer.v1.tar+gzip, and 35 more (configuration: none), and one layer application/wasm is expected");
}

#[tokio::test]
async fn a_blob_that_is_elsewhere_and_not_encrypted_is_not_fetched() {
    let away = || Answer::new("307 Away", &[("Location", "http://example.com/blob")], "");
    let error = fetched(":1", component, away).await;
    assert_snapshot!(error.message, @"http://127.0.0.1:<port>/v2/acme/x/blobs/sha256:6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa: it redirects to http://example.com/blob, which is not encrypted");
}
