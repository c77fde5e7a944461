//! Images: each looked up once, and what cannot be had is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use capstan_engine::docker::{Credentials, Environment, Images};
use capstan_engine::fault::FaultClass;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::engine::Engine;
use crate::images::{BUSYBOX, FOREIGN};

#[tokio::test]
async fn local_images_are_found_by_name_and_id() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let image = engine.image(BUSYBOX).await;
    assert!(image.id.starts_with("sha256:"), "{image:?}");
    assert_eq!(engine.image(&image.id).await.id, image.id);
}

#[tokio::test]
async fn an_image_for_another_platform_is_told() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let images = Images::new(
        engine.docker.clone(),
        &engine.info,
        Credentials::default(),
        Arc::new(|_| ()),
    );
    let fault = images.ensure(FOREIGN, None).await.unwrap_err();
    let expected = format!("this engine runs {}", engine.info.platform());
    assert!(fault.message.ends_with(&expected), "{fault}");
    let other = if engine.info.architecture == "arm64" {
        "linux/amd64"
    } else {
        "linux/arm64"
    };
    assert!(images.ensure(FOREIGN, Some(other)).await.is_ok());
}

/// A registry on this machine that answers every request with a status, and counts image requests.
async fn registry(status: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let length = connection.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let is_ping = request.starts_with("GET /v2/ ");
                if request.contains("/manifests/") {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                let line = if is_ping { "200 OK" } else { status };
                let answer = format!(
                    "HTTP/1.1 {line}\r\nContent-Length: 2\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{{}}"
                );
                let _ = connection.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, asked)
}

#[tokio::test]
async fn many_ask_and_one_pulls() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    if engine.info.podman {
        eprintln!("skipped: Podman wants TLS of a registry on this machine");
        return;
    }
    let (port, asked) = registry("404 Not Found").await;
    let images = Images::new(
        engine.docker.clone(),
        &engine.info,
        Credentials::default(),
        Arc::new(|_| ()),
    );
    let name = format!("127.0.0.1:{port}/acme/missing:1");
    let all = futures_util::future::join_all((0..20).map(|_| images.ensure(&name, None))).await;
    let first = asked.load(Ordering::Relaxed);
    assert!(first > 0);
    for result in all {
        let fault = result.unwrap_err();
        let start = format!("pulling image {name:?}: failed to pull image: ");
        assert!(fault.message.starts_with(&start), "{fault}");
        assert_eq!(fault.class, FaultClass::Workspace);
        let hint = fault.hint.unwrap();
        assert!(
            hint.contains("check the image's name and tag"),
            "{} {hint}",
            fault.message
        );
    }
    assert!(images.ensure(&name, None).await.is_err());
    assert_eq!(asked.load(Ordering::Relaxed), first, "the failure is kept");
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_a_server_error_is() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    if engine.info.podman {
        eprintln!("skipped: Podman wants TLS of a registry on this machine");
        return;
    }
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&said);
    let progress = Arc::new(move |now: capstan_engine::docker::PullProgress| {
        sink.lock().unwrap().push(now.status);
    });
    let images = Images::new(
        engine.docker.clone(),
        &engine.info,
        Credentials::default(),
        progress,
    );

    let (port, _) = registry("403 Forbidden").await;
    let name = format!("127.0.0.1:{port}/acme/secret:1");
    let fault = images.ensure(&name, None).await.unwrap_err();
    assert!(
        fault.hint.unwrap().contains("docker login"),
        "{}",
        fault.message
    );
    assert!(
        !said
            .lock()
            .unwrap()
            .iter()
            .any(|status| status.starts_with("trying again"))
    );

    let (port, asked) = registry("503 Service Unavailable").await;
    let name = format!("127.0.0.1:{port}/acme/busy:1");
    let wait = tokio::time::timeout(
        std::time::Duration::from_secs(6),
        images.ensure(&name, None),
    );
    let _ = wait.await;
    assert!(asked.load(Ordering::Relaxed) > 1);
    let said = said.lock().unwrap();
    let again: Vec<_> = said
        .iter()
        .filter(|status| status.starts_with("trying again in "))
        .collect();
    assert!(!again.is_empty(), "{said:?}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_told() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let images = Images::new(
        engine.docker.clone(),
        &engine.info,
        Credentials::default(),
        Arc::new(|_| ()),
    );
    let fault = images.ensure("127.0.0.1:1/acme/x", None).await.unwrap_err();
    assert!(
        fault.hint.unwrap().contains("cannot reach 127.0.0.1:1"),
        "{}",
        fault.message
    );
    let fault = images.ensure("Not A Name", None).await.unwrap_err();
    assert!(
        fault.message.ends_with("invalid reference format"),
        "{fault}"
    );
}

#[tokio::test]
async fn stored_credentials_reach_the_registry_unharmed() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    if engine.info.podman {
        eprintln!("skipped: Podman wants TLS of a registry on this machine");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = connection.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let sent = request
                .lines()
                .find_map(|line| line.strip_prefix("Authorization: Basic "));
            sink.lock().unwrap().extend(sent.map(str::to_owned));
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });

    // On the way to the engine these bytes are encoded with characters in which the base64 alphabets differ.
    let secret = base64("me:\u{bf}\u{ff}~~~???>>>\u{fb}\u{ef}\u{be}");
    let dir = tempfile::tempdir().unwrap();
    let config = format!(r#"{{"auths":{{"127.0.0.1:{port}":{{"auth":"{secret}"}}}}}}"#);
    fs_err::write(dir.path().join("config.json"), config).unwrap();
    let environment = Environment {
        docker_config: Some(dir.path().to_owned()),
        ..Environment::default()
    };
    let credentials = environment.credentials();
    let images = Images::new(
        engine.docker.clone(),
        &engine.info,
        credentials,
        Arc::new(|_| ()),
    );
    let name = format!("127.0.0.1:{port}/acme/secret:1");
    let fault = images.ensure(&name, None).await.unwrap_err();
    assert!(
        seen.lock().unwrap().contains(&secret),
        "{:?}",
        seen.lock().unwrap()
    );
    let hint = fault.hint.unwrap();
    assert!(
        hint.contains("refused the stored credentials"),
        "{} {hint}",
        fault.message
    );
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
