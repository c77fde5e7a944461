//! Publishing to, and fetching from, the registry that `tests/scripts/registry` starts.

use std::collections::BTreeSet;
use std::env;
use std::path::Path;

use capstan_core::plugin::{Hook, Inspection};
use serde_json::json;

use super::Bench;
use crate::digest::Digest;
use crate::lock::{Lock, Locked};
use crate::registry::publish::{Publication, Published};
use crate::resolve::Resolver;
use crate::source::Source;

/// Its address, and a bench that is signed in; `None`, saying so, where there is none.
fn registry() -> Option<(String, Bench)> {
    let Ok(address) = env::var("CAPSTAN_TEST_REGISTRY") else {
        eprintln!("skipped: CAPSTAN_TEST_REGISTRY is not set; see tests/scripts/registry");
        return None;
    };
    let variable = |name| env::var(name).unwrap();
    let entry = json!({
        "username": variable("CAPSTAN_TEST_REGISTRY_USER"),
        "password": variable("CAPSTAN_TEST_REGISTRY_PASSWORD"),
    });
    let bench = Bench::signed_in(&json!({ "auths": { &address: entry } }));
    Some((address, bench))
}

fn publication(bytes: &[u8]) -> Publication {
    Publication {
        bytes: bytes.to_vec(),
        inspection: Inspection {
            digest: Digest::of(bytes).to_string(),
            size: bytes.len() as u64,
            hooks: BTreeSet::from([Hook::Policy]),
            command: false,
            api: Some("0.1.0".to_owned()),
            imports: vec!["capstan:plugin/log@0.1.0".to_owned()],
            exports: vec!["capstan:plugin/policy@0.1.0".to_owned()],
        },
        created: "2026-01-02T03:04:05Z".parse().unwrap(),
        author: None,
        target: None,
        file_name: "x.wasm".to_owned(),
        annotations: [("org.opencontainers.image.version", "1.0")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

async fn publish(bench: &Bench, source: &Source, bytes: &[u8]) -> Published {
    let Source::Oci(reference) = source else {
        panic!("{source} is in no registry");
    };
    let publication = publication(bytes);
    bench
        .fetcher
        .publish(reference, &publication)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_published_can_be_fetched_and_stays_locked() {
    let Some((address, bench)) = registry() else {
        return;
    };
    let source: Source = format!("oci://{address}/plugins/roundtrip:1")
        .parse()
        .unwrap();
    // More than one write to the socket, and other than what an earlier run has left.
    let stamp = std::process::id().to_le_bytes();
    let first = [&b"first"[..], &stamp].concat().repeat(200_000);
    let second = [&b"second"[..], &stamp].concat();

    let published = publish(&bench, &source, &first).await;
    assert_eq!(published, publish(&bench, &source, &first).await);
    let fetched = bench.fetcher.fetch(&source, &bench.store).await.unwrap();
    assert_eq!(fetched.digest, Digest::of(&first));
    assert_eq!(fetched.manifest.as_ref(), Some(&published.manifest));

    let by_digest = format!("oci://{address}/plugins/roundtrip@{}", published.manifest);
    assert_eq!(bench.fetch(&by_digest).await.unwrap(), fetched);

    // The tag moves on; who has the lock and an empty store still gets the first.
    let moved = publish(&bench, &source, &second).await;
    assert_ne!(moved.manifest, published.manifest);
    let locked = Locked::of(
        &publication(&first).inspection,
        fetched.digest,
        fetched.manifest,
    );
    bench.store.prune(&BTreeSet::new()).unwrap();
    let resolver = Resolver {
        store: bench.store.clone(),
        lock: Lock {
            entries: [(source.to_string(), locked)].into(),
        },
        lock_path: "capstan.lock".into(),
        pull: "capstan plugin pull".to_owned(),
        fetcher: bench.fetcher.clone(),
    };
    let resolved = resolver.resolve(&source, None, Path::new("/")).await;
    assert_eq!(resolved.unwrap().bytes, first);
}

#[tokio::test]
async fn without_the_password_nothing_is_had() {
    let Some((address, _)) = registry() else {
        return;
    };
    let error = Bench::new()
        .fetch(&format!("oci://{address}/plugins/roundtrip:1"))
        .await
        .unwrap_err();
    let hint = error.hint.unwrap();
    assert_eq!(hint, format!("sign in with `docker login {address}`"));
}

#[tokio::test]
async fn a_container_image_is_told_from_a_component() {
    let Some((_, bench)) = registry() else {
        return;
    };
    let image = env::var("CAPSTAN_TEST_REGISTRY_IMAGE").unwrap();
    let error = bench.fetch(&format!("oci://{image}")).await.unwrap_err();
    assert!(error.message.contains("is a container image"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let Some((address, bench)) = registry() else {
        return;
    };
    let source = format!("oci://{address}/plugins/none:1");
    let error = bench.fetch(&source).await.unwrap_err();
    assert!(error.message.contains("404 Not Found"), "{error}");
    assert!(
        error
            .hint
            .unwrap()
            .starts_with("check the name and the tag")
    );
}
