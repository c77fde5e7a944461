//! What a run gets, from where, and what it does not get.

use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use serde_json::json;

use super::server::{Answer, Server};
use super::{Bench, without_ports};
use crate::digest::Digest;
use crate::failure::{Class, StoreError};
use crate::lock::{Lock, Locked};
use crate::resolve::{Resolved, Resolver};

fn locked(digest: Digest) -> Locked {
    Locked {
        digest,
        manifest: None,
        api: None,
        hooks: ["policy".to_owned()].into(),
        imports: [].into(),
    }
}

fn resolver(bench: &Bench, entries: &[(&str, &[u8])]) -> Resolver {
    let entries = entries
        .iter()
        .map(|(source, bytes)| ((*source).to_owned(), locked(Digest::of(bytes))));
    Resolver {
        store: bench.store.clone(),
        lock: Lock {
            entries: entries.collect(),
        },
        lock_path: PathBuf::from("capstan.lock"),
        pull: "capstan plugin pull".to_owned(),
        fetcher: bench.fetcher.clone(),
    }
}

async fn resolve(
    resolver: &Resolver,
    source: &str,
    digest: Option<&str>,
    directory: &Path,
) -> Result<Vec<u8>, StoreError> {
    let source = source.parse().unwrap();
    let Resolved { bytes, digest } = resolver.resolve(&source, digest, directory).await?;
    assert_eq!(digest, Digest::of(&bytes).to_string());
    Ok(bytes)
}

fn told(error: &StoreError) -> String {
    let hint = error.hint.as_deref().unwrap_or("none");
    without_ports(&format!("{}\nhint: {hint}", error.message))
}

#[tokio::test]
async fn a_path_is_read_where_it_is_and_checked_where_it_is_pinned() {
    let bench = Bench::new();
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    fs_err::write(here.join("x.wasm"), "component").unwrap();
    let free = resolver(&bench, &[]);
    assert_eq!(
        resolve(&free, "./x.wasm", None, here).await.unwrap(),
        b"component"
    );
    let pin = Digest::of(b"component").to_string();
    assert!(resolve(&free, "x.wasm", Some(&pin), here).await.is_ok());
    let pin = Digest::of(b"other").to_string();
    let changed = resolve(&free, "x.wasm", Some(&pin), here)
        .await
        .unwrap_err();
    assert_eq!(changed.class, Class::Configuration);
    let place = here.display().to_string();
    assert_snapshot!(told(&changed).replace(&place, "<here>"), @"
    <here>/x.wasm has changed: it is sha256:6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa, and the configuration wants sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa
    hint: if that is as it should be, correct the digest in capstan.toml
    ");
    let missing = resolve(&free, "ghcr.io/acme/x:1", None, here).await;
    assert_snapshot!(told(&missing.unwrap_err()).replace(&place, "<here>"), @"
    failed to open file `<here>/ghcr.io/acme/x:1`: No such file or directory (os error 2)
    hint: for a registry write oci://ghcr.io/acme/x:1
    ");
    let no_digest = resolve(&free, "x.wasm", Some("sha256:1"), here).await;
    assert_snapshot!(told(&no_digest.unwrap_err()), @r#"
    the digest of x.wasm: "sha256:1" is not a digest: it has to be `sha256:` and 64 digits or letters from a to f
    hint: none
    "#);
    let large = fs_err::File::create(here.join("large.wasm")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    let large = resolve(&free, "large.wasm", None, here).await;
    assert_snapshot!(told(&large.unwrap_err()).replace(&place, "<here>"), @"
    <here>/large.wasm: it has more than 64 MiB, the most a component may have
    hint: none
    ");
}

#[tokio::test]
async fn a_remote_source_that_is_not_locked_is_not_asked_for() {
    let server = Server::new(|_| Answer::ok("component")).await;
    let bench = Bench::new();
    let resolver = resolver(&bench, &[]);
    for scheme in ["http", "oci"] {
        let source = format!("{scheme}://{}/x", server.address);
        let error = resolve(&resolver, &source, None, Path::new("/")).await;
        let error = error.unwrap_err();
        assert_eq!(error.class, Class::Configuration);
        insta::allow_duplicates! {
            assert_snapshot!(told(&error).replace(scheme, "<scheme>"), @"
            <scheme>://127.0.0.1:<port>/x is not locked: capstan.lock does not say which bytes it stands for
            hint: look at it with `capstan plugin inspect <scheme>://127.0.0.1:<port>/x`, and lock it with `capstan plugin pull <scheme>://127.0.0.1:<port>/x`
            ");
        }
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn what_is_locked_comes_from_the_store_or_is_fetched_once() {
    let blob = format!("/v2/x/blobs/{}", Digest::of(b"component"));
    let server = Server::new(move |request| {
        let known = request.line.ends_with(&blob) || request.line == "GET /x.wasm";
        match known {
            true => Answer::ok("component"),
            false => Answer::new("404 Not Found", &[], ""),
        }
    })
    .await;
    for source in ["http://<host>/x.wasm", "oci://<host>/x:1"] {
        let source = source.replace("<host>", &server.address);
        let bench = Bench::new();
        let resolver = resolver(&bench, &[(&source, b"component")]);
        let before = server.seen().len();
        for _ in 0..2 {
            let bytes = resolve(&resolver, &source, None, Path::new("/")).await;
            assert_eq!(bytes.unwrap(), b"component");
        }
        assert_eq!(server.seen().len(), before + 1, "no tag is looked up");
        // One that is damaged is fetched again.
        let path = bench.store.path(&Digest::of(b"component"));
        fs_err::remove_file(&path).unwrap();
        fs_err::write(&path, "damaged").unwrap();
        let bytes = resolve(&resolver, &source, None, Path::new("/")).await;
        assert_eq!(bytes.unwrap(), b"component");
        assert_eq!(server.seen().len(), before + 2);
    }
}

#[tokio::test]
async fn the_configuration_goes_before_the_lock() {
    let bench = Bench::new();
    bench.store.add(b"old").unwrap();
    bench.store.add(b"new").unwrap();
    let source = "https://plugins.example/x.wasm";
    let resolver = resolver(&bench, &[(source, b"old")]);
    let new = Digest::of(b"new").to_string();
    let here = Path::new("/");
    assert_eq!(
        resolve(&resolver, source, None, here).await.unwrap(),
        b"old"
    );
    assert_eq!(
        resolve(&resolver, source, Some(&new), here).await.unwrap(),
        b"new"
    );
}

#[tokio::test]
async fn what_was_replaced_at_its_source_is_not_run() {
    let server = Server::new(|_| Answer::ok("replaced")).await;
    let bench = Bench::new();
    let source = format!("http://{}/x.wasm", server.address);
    let resolver = resolver(&bench, &[(&source, b"component")]);
    let error = resolve(&resolver, &source, None, Path::new("/")).await;
    assert_snapshot!(told(&error.unwrap_err()), @"
    fetching http://127.0.0.1:<port>/x.wasm: http://127.0.0.1:<port>/x.wasm gave sha256:6c1aa50442a93e42c0eb2907cf4e017cd19547891fa190f3ea473582b0479290, which is not the sha256:6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa that was asked for
    hint: if it was replaced, get what is there now with `capstan plugin pull --update http://127.0.0.1:<port>/x.wasm`
    ");
    assert_eq!(bench.store.list().unwrap(), []);

    let gone = Server::new(|_| {
        let error = json!({"errors": [{"code": "BLOB_UNKNOWN", "message": "blob unknown"}]});
        Answer::new("404 Not Found", &[], error.to_string())
    })
    .await;
    let source = format!("oci://{}/acme/x:1", gone.address);
    let resolver = self::resolver(&bench, &[(&source, b"component")]);
    let error = resolve(&resolver, &source, None, Path::new("/")).await;
    assert_snapshot!(told(&error.unwrap_err()), @"
    fetching oci://127.0.0.1:<port>/acme/x:1: http://127.0.0.1:<port>/v2/acme/x/blobs/sha256:6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa answered 404 Not Found: blob unknown
    hint: check the name and the tag; if it is private, sign in with `docker login 127.0.0.1:<port>`
    ");
}

#[tokio::test]
async fn the_digest_of_a_manifest_pins_without_a_lock() {
    let digest = Digest::of(b"component").to_string();
    let layer = json!({"mediaType": "application/wasm", "digest": digest, "size": 9});
    let manifest = json!({ "layers": [layer] }).to_string();
    let pin = Digest::of(manifest.as_bytes());
    let server = Server::new(move |request| match request.line.contains("/manifests/") {
        true => Answer::ok(manifest.clone()),
        false => Answer::ok("component"),
    })
    .await;
    let bench = Bench::new();
    let source = format!("oci://{}/acme/x:1@{pin}", server.address);
    let bytes = resolve(&resolver(&bench, &[]), &source, None, Path::new("/")).await;
    assert_eq!(bytes.unwrap(), b"component");
    let other = Digest::of(b"other");
    let source = format!("oci://{}/acme/x:1@{other}", server.address);
    let error = resolve(&resolver(&bench, &[]), &source, None, Path::new("/")).await;
    assert!(error.unwrap_err().message.contains("gave a manifest"));
}
