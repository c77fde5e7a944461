//! Pulls from a private registry.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use capstan_tests::{Capstan, Registry};

use crate::scene::{Scene, assert_says, story, yaml};

/// A scene whose engine does not have the registry's image. One at a time, as the tests share the image.
struct Private {
    scene: Scene,
    registry: Registry,
    _turn: MutexGuard<'static, ()>,
}

impl Private {
    fn new() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = Registry::require();
        let scene = Scene::new();
        scene.engine.remove_image(&registry.image);
        Self {
            scene,
            registry,
            _turn: turn,
        }
    }

    fn batch(&self) -> Capstan<'_> {
        let steps = yaml(&[(&self.registry.image, "echo pulled > made")]);
        self.scene.yaml(&steps)
    }

    fn configuration(&self, config: &serde_json::Value) {
        let path = self.scene.world.home().join(".docker/config.json");
        self.scene.world.write(path, config.to_string());
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.scene.engine.remove_image(&self.registry.image);
    }
}

#[test]
fn an_image_is_pulled_once_however_many_ask_for_it() {
    let private = Private::new();
    let Private {
        scene, registry, ..
    } = &private;
    registry.log_in(&scene.world, &registry.password);
    let names = ["gadgets", "gizmos", "sprockets"];
    for name in names {
        scene.world.repository(name, &[("README.md", "hi\n")]);
    }
    let output = private.batch().args(names).args(["--jobs", "4"]).run();
    output.assert_code(0);
    let stderr = output.stderr();
    // Progress is shown by its changes of state.
    let about_image: Vec<_> = stderr
        .lines()
        .filter(|line| line.contains("/private/tool:1] "))
        .collect();
    assert!(about_image.len() >= 2, "{stderr}");
    let pulled = about_image.iter().filter(|line| line.ends_with("] Pulled"));
    assert_eq!(pulled.count(), 1, "{stderr}");
    assert!(
        about_image.last().unwrap().ends_with("] Pulled"),
        "{stderr}"
    );
    assert_eq!(scene.world.changesets("out").len(), 4);
    assert_nowhere(&scene.world.root().join("home/.local"), registry);
}

#[test]
fn docker_config_names_the_credentials() {
    let private = Private::new();
    let Private {
        scene, registry, ..
    } = &private;
    registry.log_in(&scene.world, &registry.password);
    let elsewhere = scene.world.root().join("elsewhere");
    fs::rename(scene.world.home().join(".docker"), &elsewhere).expect("both are in the world");
    private
        .batch()
        .env("DOCKER_CONFIG", &elsewhere)
        .run()
        .assert_code(0);
}

#[test]
fn a_credential_helper_is_asked() {
    let private = Private::new();
    let Private {
        scene, registry, ..
    } = &private;
    let helper = scene.world.write(
        "bin/docker-credential-test",
        format!(
            r#"#!/bin/sh
read -r server
echo "$1 $server" >> {asked}
echo '{{"ServerURL": "", "Username": "{user}", "Secret": "{password}"}}'
"#,
            asked = scene.world.work().join("asked").display(),
            user = registry.user,
            password = registry.password,
        ),
    );
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("it is ours");
    private.configuration(&serde_json::json!({ "credHelpers": { &registry.address: "test" } }));
    let bin = helper.parent().expect("it is in a directory");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    private.batch().env("PATH", &path).run().assert_code(0);
    assert_eq!(
        scene.world.read("asked"),
        format!("get {}\n", registry.address)
    );

    // One that is not there is told, with what came of it.
    scene.engine.remove_image(&registry.image);
    let output = private.batch().arg("--no-cache").run();
    output.assert_code(1);
    assert_says(
        &story(&output),
        &["no basic auth credentials", "docker-credential-test"],
    );
}

#[test]
fn without_credentials_it_is_told_how_to_sign_in() {
    let private = Private::new();
    let output = private.batch().run();
    output.assert_code(1);
    assert_says(
        &story(&output),
        &[
            "✗ widgets: step 1 failed\n  failed to pull image for step 1: 127.0.0.1:<port>/private/tool:1: ",
            "hint: sign in with `docker login 127.0.0.1:<port>`",
        ],
    );
}

#[test]
fn wrong_credentials_are_told_and_not_shown() {
    let private = Private::new();
    let Private {
        scene, registry, ..
    } = &private;
    registry.log_in(&scene.world, "wrong-but-secret");
    let output = private.batch().arg("-v").run();
    output.assert_code(1);
    assert_says(
        &story(&output),
        &[
            "✗ widgets: step 1 failed\n  failed to pull image for step 1: ",
            "hint: 127.0.0.1:<port> refused the stored credentials; renew them with `docker login 127.0.0.1:<port>`, and check that they may read the image",
        ],
    );
    // "wrong-but-secret" as it stands in the configuration is `user:password` in base64.
    for text in [output.raw_stdout(), output.raw_stderr()] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains("wrong-but-secret"), "{text}");
        assert!(!text.contains("d3JvbmctYnV0LXNlY3JldA"), "{text}");
    }
    assert!(!scene.logs().contains("wrong-but-secret"));
}

#[test]
fn an_image_that_the_registry_does_not_have_is_told() {
    let private = Private::new();
    let Private {
        scene, registry, ..
    } = &private;
    registry.log_in(&scene.world, &registry.password);
    let image = format!("{}/private/none:1", registry.address);
    let story = scene.failure_of(1, &[(&image, "true")]);
    assert_says(
        &story,
        &[
            "✗ widgets: step 1 failed\n  failed to pull image for step 1: 127.0.0.1:<port>/private/none:1: ",
            "hint: check the image's name and tag; if it is private, sign in with `docker login 127.0.0.1:<port>`",
        ],
    );
}

#[test]
fn a_registry_that_is_overloaded_is_asked_again() {
    let private = Private::new();
    let Private {
        scene, registry, ..
    } = &private;
    let front = Front::before(
        &registry.address,
        &[
            "503 Service Unavailable",
            "503 Service Unavailable",
            "429 Too Many Requests",
        ],
    );
    let secret = serde_json::json!({
        "username": &registry.user,
        "password": &registry.password,
    });
    private.configuration(&serde_json::json!({ "auths": { &front.address: secret } }));
    let image = format!("{}/private/tool:1", front.address);
    let output = scene.batch(&[(&image, "echo pulled > made")]).run();
    scene.engine.remove_image(&image);
    output.assert_code(0);
    assert_says(&output.stderr(), &["trying again in ", "] Pulled"]);
    assert!(scene.diff().ends_with("+pulled\n"));
}

/// A door before a registry that answers the first requests for manifests with errors, and lets all others through.
struct Front {
    address: String,
}

impl Front {
    fn before(registry: &str, errors: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
        let address = listener.local_addr().expect("it is bound").to_string();
        let registry = registry.to_owned();
        let given = Arc::new(AtomicUsize::new(0));
        // Ends with the test program.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (registry, given) = (registry.clone(), Arc::clone(&given));
                thread::spawn(move || serve(client, &registry, errors, &given));
            }
        });
        Self { address }
    }
}

/// Serves one request.
fn serve(mut client: TcpStream, registry: &str, errors: &[&str], given: &AtomicUsize) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") {
        match client.read(&mut buffer) {
            Ok(length @ 1..) => request.extend_from_slice(&buffer[..length]),
            _ => return,
        }
        // The engine tries TLS first.
        if !request.starts_with(b"GET ") && !request.starts_with(b"HEAD ") {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request);
    if request.contains("/manifests/")
        && let Some(error) = errors.get(given.fetch_add(1, Ordering::SeqCst))
    {
        let end = "Content-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = write!(client, "HTTP/1.1 {error}\r\n{end}");
        return;
    }
    let mut upstream = TcpStream::connect(registry).expect("the registry is up");
    let closing = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    if upstream.write_all(closing.as_bytes()).is_ok() {
        let _ = std::io::copy(&mut upstream, &mut client);
    }
}

/// Asserts that no file below a directory contains the registry's password.
fn assert_nowhere(directory: &Path, registry: &Registry) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            assert_nowhere(&path, registry);
        } else if let Ok(bytes) = fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(&registry.password), "{}", path.display());
        }
    }
}
