//! Plugins from elsewhere: `plugin push`, `pull`, `list` and `prune` with a real registry, and what runs make of `capstan.lock`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use capstan_tests::{Capstan, Output, Registry, World, component};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::door::Door;
use crate::scene::{spec, story};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The plugin of 0.1.0 with every hook.
fn frozen() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read(root.join("frozen/0.1.0/every-hook.wasm")).unwrap()
}

/// A command, which has no hooks.
fn tool() -> Vec<u8> {
    let flags = ["--check-cfg", "cfg(second)"];
    fs::read(component("tests/e2e/components/tool.rs", &flags)).unwrap()
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A world that is signed in to the registry by a door of its own, and a repository in the registry that nobody else uses.
struct Shop {
    world: World,
    registry: Registry,
    door: Door,
    path: String,
}

impl Shop {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (number, process) = (COUNT.fetch_add(1, Ordering::SeqCst), std::process::id());
        let registry = Registry::require();
        let world = World::new();
        let door = Door::before(&registry.address);
        registry.log_in_at(&door.address, &world, &registry.password);
        world.repository("widgets", &[("README.md", "the colour\n")]);
        world.write("tool.wasm", tool());
        Self {
            world,
            registry,
            door,
            path: format!("plugins/test-{process}-{number}"),
        }
    }

    /// A tag, as it is written without `oci://`.
    fn reference(&self, tag: &str) -> String {
        format!("{}/{}:{tag}", self.door.address, self.path)
    }

    fn source(&self, tag: &str) -> String {
        format!("oci://{}", self.reference(tag))
    }

    fn plugin(&self, arguments: &[&str]) -> Capstan<'_> {
        self.world.capstan(["plugin"]).args(arguments)
    }

    /// Publishes bytes under a tag.
    fn push(&self, bytes: &[u8], tag: &str) {
        self.world.write("pushed/every-hook.wasm", bytes);
        let reference = self.reference(tag);
        let pushed = self.plugin(&["push", "pushed/every-hook.wasm", &reference]);
        pushed.run().assert_code(0);
    }

    /// Writes a settings file with one plugin, which refuses all jobs.
    fn configure(&self, source: &str) {
        let text = format!(
            "[[plugin]]\nname = \"rules\"\nsource = \"{source}\"\nconfig = {{ answer = \"refuse\" }}\ngrants = {{ workspace = \"write\" }}\n"
        );
        self.world.write("capstan.toml", text);
    }

    /// `batch run` on a machine without any container engine.
    fn batch(&self, steps: &str) -> Capstan<'_> {
        self.world.write("spec.yaml", spec(steps));
        self.world
            .capstan(["batch", "run", "--output", "out", "-f", "spec.yaml"])
            .arg("widgets")
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    }

    /// A run with a step that would be done if no plugin refused.
    fn run(&self) -> Output {
        let step = "  - container: wasm://./tool.wasm\n    run: write new text\n";
        self.batch(step).run()
    }

    /// What was said, with what is this test's own replaced.
    fn said(&self, output: &Output) -> String {
        self.shown(&output.to_string())
    }

    fn shown(&self, text: &str) -> String {
        let (_, name) = self.path.split_once('/').unwrap();
        // What a compiler makes is not the same everywhere.
        let tool = &digest(&tool())[..19];
        text.replace(tool, "sha256:<made here>")
            .replace(&self.door.address, "127.0.0.1:<port>")
            .replace(&self.registry.address, "127.0.0.1:<port>")
            .replace(name, "<name>")
    }

    /// Where the store has a component.
    fn stored(&self, bytes: &[u8]) -> PathBuf {
        let digest = digest(bytes);
        let (_, hex) = digest.split_once(':').unwrap();
        let store = self.world.home().join(".cache/capstan/components/sha256");
        store.join(format!("{hex}.wasm"))
    }

    /// Empties the store, as on another machine.
    fn forget(&self) {
        let store = self.world.home().join(".cache/capstan/components");
        fs::remove_dir_all(store).unwrap();
    }

    /// What the registry has under a tag, as any client reads it: the manifest, the configuration and the component.
    fn published(&self, tag: &str) -> (Value, Value, Vec<u8>) {
        let accept = ("Accept", MANIFEST);
        let manifest = format!("{}/manifests/{tag}", self.path);
        let answer = self.registry.ask("GET", &manifest, &[accept], b"");
        assert_eq!(answer.header("Content-Type"), Some(MANIFEST));
        assert_eq!(
            answer.header("Docker-Content-Digest"),
            Some(&*digest(&answer.body))
        );
        let manifest: Value = serde_json::from_slice(&answer.body).unwrap();
        let blob = |blob: &Value| {
            let name = blob["digest"].as_str().unwrap();
            let place = format!("{}/blobs/{name}", self.path);
            let bytes = self.registry.ask("GET", &place, &[], b"").body;
            assert_eq!(digest(&bytes), name);
            assert_eq!(Some(bytes.len() as u64), blob["size"].as_u64());
            bytes
        };
        let config = blob(&manifest["config"]);
        let layer = blob(&manifest["layers"][0]);
        (manifest, serde_json::from_slice(&config).unwrap(), layer)
    }

    /// Puts an artifact into the registry as another tool would.
    fn put(&self, tag: &str, layer_type: &str, config: &Value, layer: &[u8]) -> String {
        let config = config.to_string();
        let blobs = [config.as_bytes(), layer].map(|bytes| {
            self.registry.put_blob(&self.path, &digest(bytes), bytes);
            (digest(bytes), bytes.len())
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": blobs[0].0, "size": blobs[0].1},
            "layers": [{"mediaType": layer_type, "digest": blobs[1].0, "size": blobs[1].1}],
        })
        .to_string();
        let place = format!("{}/manifests/{tag}", self.path);
        let kind = ("Content-Type", MANIFEST);
        let bytes = manifest.as_bytes();
        self.registry.ask("PUT", &place, &[kind], bytes);
        digest(bytes)
    }
}

#[test]
fn what_is_pushed_has_the_layout_that_was_agreed_on() {
    let shop = Shop::new();
    shop.world.write("rules.wasm", frozen());
    let reference = shop.reference("1.0");
    let push = |arguments: &[&str]| {
        let push = shop.plugin(&["push"]).args(arguments).arg(&reference);
        push.env("SOURCE_DATE_EPOCH", "1700000000").run()
    };
    let output = push(&["rules.wasm", "-a", "version=1.0", "--author", "Acme"]);
    insta::assert_snapshot!(shop.said(&output), @r#"
    --- stdout
    oci://127.0.0.1:<port>/plugins/<name>:1.0 is published; its manifest is sha256:<digest>

    In capstan.toml:

    [[plugin]]
    name = "rules"
    source = "oci://127.0.0.1:<port>/plugins/<name>:1.0"
    digest = "sha256:<digest>"
    --- exit 0
    "#);

    let (manifest, config, layer) = shop.published("1.0");
    assert!(layer == frozen());
    assert_eq!(manifest["config"]["mediaType"], CONFIG);
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1);
    assert_eq!(layers[0]["mediaType"], "application/wasm");
    let title = "org.opencontainers.image.title";
    assert_eq!(layers[0]["annotations"][title], "rules.wasm");
    let version = "org.opencontainers.image.version";
    assert_eq!(manifest["annotations"][version], "1.0");
    assert_eq!(config["layerDigests"], json!([digest(&frozen())]));
    let mut config = config;
    config["layerDigests"] = json!([]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&config).unwrap(), @r#"
    {
      "architecture": "wasm",
      "author": "Acme",
      "component": {
        "exports": [
          "capstan:plugin/diff@0.1.0",
          "capstan:plugin/output@0.1.0",
          "capstan:plugin/policy@0.1.0",
          "capstan:plugin/workspace@0.1.0"
        ],
        "imports": [
          "capstan:plugin/changes@0.1.0",
          "capstan:plugin/config@0.1.0",
          "capstan:plugin/files@0.1.0",
          "capstan:plugin/job@0.1.0",
          "capstan:plugin/log@0.1.0",
          "capstan:plugin/scratch@0.1.0",
          "capstan:plugin/step@0.1.0",
          "capstan:plugin/types@0.1.0",
          "wasi:cli/environment@0.2.6",
          "wasi:cli/exit@0.2.6",
          "wasi:cli/stderr@0.2.6",
          "wasi:cli/stdin@0.2.6",
          "wasi:cli/stdout@0.2.6",
          "wasi:cli/terminal-input@0.2.6",
          "wasi:cli/terminal-output@0.2.6",
          "wasi:cli/terminal-stderr@0.2.6",
          "wasi:cli/terminal-stdin@0.2.6",
          "wasi:cli/terminal-stdout@0.2.6",
          "wasi:clocks/wall-clock@0.2.6",
          "wasi:filesystem/preopens@0.2.6",
          "wasi:filesystem/types@0.2.6",
          "wasi:io/error@0.2.6",
          "wasi:io/poll@0.2.6",
          "wasi:io/streams@0.2.6"
        ],
        "target": null
      },
      "created": "2023-11-14T22:13:20Z",
      "layerDigests": [],
      "os": "wasip2"
    }
    "#);

    // The same again is the same artifact, and a program can read what it is.
    let again = push(&[
        "rules.wasm",
        "-a",
        "version=1.0",
        "--author",
        "Acme",
        "--format",
        "json",
    ]);
    again.assert_code(0);
    let report: Value = serde_json::from_slice(again.raw_stdout()).unwrap();
    assert_eq!(report["digest"], digest(&frozen()));
    assert_eq!(report["source"], shop.source("1.0"));
    let by_digest = format!(
        "{}/manifests/{}",
        shop.path,
        report["manifest"].as_str().unwrap()
    );
    let accept = ("Accept", MANIFEST);
    let answer = shop.registry.ask("GET", &by_digest, &[accept], b"");
    assert_eq!(
        serde_json::from_slice::<Value>(&answer.body).unwrap(),
        manifest
    );
}

#[test]
fn a_plugins_directory_is_pushed_once_it_is_built() {
    let shop = Shop::new();
    let manifest = "name = \"tidy\"\nlang = \"rust\"\nhook = \"diff\"\n";
    shop.world.write("tidy/capstan-plugin.toml", manifest);
    let reference = shop.reference("1");
    let push = || shop.plugin(&["push", "tidy", &reference]).run();
    insta::assert_snapshot!(shop.said(&push()), @"
    --- stderr
    error: tidy has not been built
    hint: run `capstan plugin build` in tidy
    --- exit 2
    ");
    shop.world.write("tidy/tidy.wasm", frozen());
    push().assert_code(0);
    assert!(shop.published("1").2 == frozen());
}

#[test]
fn what_cannot_be_pushed_is_told() {
    let shop = Shop::new();
    let push =
        |file: &str, reference: &str| shop.said(&shop.plugin(&["push", file, reference]).run());
    let reference = shop.reference("1");
    shop.world.write("text.wasm", "(component)");
    shop.world.write("module.wasm", b"\0asm\x01\0\0\0");
    shop.world.write("empty.wasm", b"\0asm\x0d\0\x01\0");
    shop.world.write("cut.wasm", &frozen()[..100_000]);
    insta::assert_snapshot!(push("none.wasm", &reference), @"
    --- stderr
    error: none.wasm does not exist
    hint: name a component, or a directory with a capstan-plugin.toml
    --- exit 2
    ");
    insta::assert_snapshot!(push("text.wasm", &reference), @"
    --- stderr
    error: text.wasm is not WebAssembly
    hint: build it for wasm32-wasip2
    --- exit 2
    ");
    insta::assert_snapshot!(push("module.wasm", &reference), @"
    --- stderr
    error: module.wasm is a core module and not a component
    hint: build it for wasm32-wasip2
    --- exit 2
    ");
    insta::assert_snapshot!(push("empty.wasm", &reference), @"
    --- stderr
    error: empty.wasm has no hook and is no command, so it is of no use to Capstan
    hint: `capstan plugin inspect` shows what it exports
    --- exit 2
    ");
    assert!(push("cut.wasm", &reference).contains("cut.wasm is damaged: "));
    insta::assert_snapshot!(push("tool.wasm", "tool:1"), @r#"
    --- stderr
    error: "tool:1" names no registry; for Docker Hub write docker.io/tool:1
    --- exit 2
    "#);
    insta::assert_snapshot!(push("tool.wasm", "https://example.com/tool.wasm"), @"
    --- stderr
    error: https://example.com/tool.wasm is not in a registry
    hint: name a place like registry.example/team/plugin:1.0
    --- exit 2
    ");
    let by_digest = format!("{reference}@{}", digest(b""));
    insta::assert_snapshot!(push("tool.wasm", &by_digest), @"
    --- stderr
    error: a component is published under a tag; leave out @sha256:<digest>
    --- exit 2
    ");
}

#[test]
fn what_another_tool_published_is_pulled_and_locked() {
    let shop = Shop::new();
    // As `wkg` writes it: its configuration has a target, and its manifest no title.
    let config = json!({
        "created": "2026-01-02T03:04:05.678901234Z",
        "author": null,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [digest(&frozen())],
        "component": {
            "exports": ["capstan:plugin/policy@0.1.0"],
            "imports": ["capstan:plugin/log@0.1.0"],
            "target": "capstan:plugin/policy-plugin@0.1.0",
        },
    });
    let manifest = shop.put("1.0", "application/wasm", &config, &frozen());
    let source = shop.source("1.0");
    let output = shop.plugin(&["pull", &source]).run();
    insta::assert_snapshot!(shop.said(&output), @"
    --- stdout
    oci://127.0.0.1:<port>/plugins/<name>:1.0 is locked as sha256:<digest>
      hooks: diff, output, policy, workspace
      imports:
        capstan:plugin/changes@0.1
        capstan:plugin/config@0.1
        capstan:plugin/files@0.1
        capstan:plugin/job@0.1
        capstan:plugin/log@0.1
        capstan:plugin/scratch@0.1
        capstan:plugin/step@0.1
        capstan:plugin/types@0.1
        wasi:cli/environment@0.2
        wasi:cli/exit@0.2
        wasi:cli/stderr@0.2
        wasi:cli/stdin@0.2
        wasi:cli/stdout@0.2
        wasi:cli/terminal-input@0.2
        wasi:cli/terminal-output@0.2
        wasi:cli/terminal-stderr@0.2
        wasi:cli/terminal-stdin@0.2
        wasi:cli/terminal-stdout@0.2
        wasi:clocks/wall-clock@0.2
        wasi:filesystem/preopens@0.2
        wasi:filesystem/types@0.2
        wasi:io/error@0.2
        wasi:io/poll@0.2
        wasi:io/streams@0.2
    --- exit 0
    ");
    let lock = shop.world.read("capstan.lock");
    assert!(
        lock.contains(&format!("digest = \"{}\"", digest(&frozen()))),
        "{lock}"
    );
    assert!(
        lock.contains(&format!("manifest = \"{manifest}\"")),
        "{lock}"
    );
    let lock = lock.replace(&digest(&frozen()), "sha256:<component>");
    insta::assert_snapshot!(shop.shown(&lock.replace(&manifest, "sha256:<manifest>")), @r#"
    # Which bytes the plugins of capstan.toml and the steps in WebAssembly are, and what they may ask for.
    # Written by `capstan plugin pull`; belongs into version control.
    version = 1

    [[plugin]]
    source = "oci://127.0.0.1:<port>/plugins/<name>:1.0"
    digest = "sha256:<component>"
    manifest = "sha256:<manifest>"
    api = "0.1.0"
    hooks = [
        "diff",
        "output",
        "policy",
        "workspace",
    ]
    imports = [
        "capstan:plugin/changes@0.1",
        "capstan:plugin/config@0.1",
        "capstan:plugin/files@0.1",
        "capstan:plugin/job@0.1",
        "capstan:plugin/log@0.1",
        "capstan:plugin/scratch@0.1",
        "capstan:plugin/step@0.1",
        "capstan:plugin/types@0.1",
        "wasi:cli/environment@0.2",
        "wasi:cli/exit@0.2",
        "wasi:cli/stderr@0.2",
        "wasi:cli/stdin@0.2",
        "wasi:cli/stdout@0.2",
        "wasi:cli/terminal-input@0.2",
        "wasi:cli/terminal-output@0.2",
        "wasi:cli/terminal-stderr@0.2",
        "wasi:cli/terminal-stdin@0.2",
        "wasi:cli/terminal-stdout@0.2",
        "wasi:clocks/wall-clock@0.2",
        "wasi:filesystem/preopens@0.2",
        "wasi:filesystem/types@0.2",
        "wasi:io/error@0.2",
        "wasi:io/poll@0.2",
        "wasi:io/streams@0.2",
    ]
    "#);
    let mode = fs::metadata(shop.stored(&frozen())).unwrap().permissions();
    assert_eq!(mode.mode() & 0o077, 0, "it is readable by others");

    let again = shop.plugin(&["pull", &source]).run();
    insta::assert_snapshot!(shop.said(&again), @"
    --- stdout
    oci://127.0.0.1:<port>/plugins/<name>:1.0 is locked already as sha256:<digest>
    --- exit 0
    ");
    // What older tools write.
    let kind = "application/vnd.wasm.content.layer.v1+wasm";
    shop.put("older", kind, &config, &frozen());
    shop.plugin(&["pull", &shop.source("older")])
        .run()
        .assert_code(0);
}

#[test]
fn what_is_no_component_in_a_registry_is_told() {
    let shop = Shop::new();
    let Shop { registry, .. } = &shop;
    let pull = |source: &str| shop.said(&shop.plugin(&["pull", source]).run());
    let image = registry
        .image
        .replace(&registry.address, &shop.door.address);
    insta::assert_snapshot!(pull(&format!("oci://{image}")), @"
    --- stderr
    error: 127.0.0.1:<port>/private/tool:1 is a container image: it holds application/vnd.docker.image.rootfs.diff.tar.gzip (configuration: application/vnd.docker.container.image.v1+json), and one layer application/wasm is expected
    --- exit 2
    ");
    insta::assert_snapshot!(pull(&shop.source("none")), @"
    --- stderr
    error: http://127.0.0.1:<port>/v2/plugins/<name>/manifests/none answered 404 Not Found: manifest unknown
    hint: check the name and the tag; if it is private, sign in with `docker login 127.0.0.1:<port>`
    --- exit 3
    ");
    shop.put("module", "application/wasm", &json!({}), b"\0asm\x01\0\0\0");
    insta::assert_snapshot!(pull(&shop.source("module")), @"
    --- stderr
    error: oci://127.0.0.1:<port>/plugins/<name>:module is a core module and not a component
    hint: build it for wasm32-wasip2
    --- exit 2
    ");
    shop.put("text", "text/plain", &json!({}), b"hello");
    insta::assert_snapshot!(pull(&shop.source("text")), @"
    --- stderr
    error: 127.0.0.1:<port>/plugins/<name>:text is not a component: it holds text/plain (configuration: application/vnd.wasm.config.v0+json), and one layer application/wasm is expected
    --- exit 2
    ");
    assert!(!shop.world.work().join("capstan.lock").exists());
}

#[test]
fn without_credentials_it_is_told_how_to_sign_in() {
    let shop = Shop::new();
    shop.push(&frozen(), "1");
    fs::remove_dir_all(shop.world.home().join(".docker")).unwrap();
    let pulled = shop.plugin(&["pull", &shop.source("1")]).run();
    insta::assert_snapshot!(shop.said(&pulled), @"
    --- stderr
    error: http://127.0.0.1:<port>/v2/plugins/<name>/manifests/1 answered 401 Unauthorized: authentication required
    hint: sign in with `docker login 127.0.0.1:<port>`
    --- exit 3
    ");
    let pushed = shop
        .plugin(&["push", "tool.wasm", &shop.reference("2")])
        .run();
    insta::assert_snapshot!(shop.said(&pushed), @"
    --- stderr
    error: http://127.0.0.1:<port>/v2/plugins/<name>/blobs/uploads/ answered 401 Unauthorized: authentication required
    hint: sign in with `docker login 127.0.0.1:<port>`
    --- exit 3
    ");
}

#[test]
fn wrong_credentials_are_told_and_not_shown() {
    let shop = Shop::new();
    let Shop { registry, door, .. } = &shop;
    registry.log_in_at(&door.address, &shop.world, "wrong-but-secret");
    let pulled = shop
        .plugin(&["pull", &shop.source("1")])
        .env("CAPSTAN_LOG", "trace")
        .run();
    let pushed = shop.plugin(&["push", "tool.wasm", &shop.reference("2")]);
    let pushed = pushed.env("CAPSTAN_LOG", "trace").run();
    let told = |output: &Output| {
        let said = shop.said(output);
        // As it stands in the configuration: `user:password` in base64.
        for secret in ["wrong-but-secret", "d3JvbmctYnV0LXNlY3JldA"] {
            assert!(!said.contains(secret), "{said}");
        }
        let at = said.rfind("\nerror: ").unwrap();
        // Connections are closed in the background, and that is traced, too.
        let lines = said[at + 1..].lines();
        let told: Vec<_> = lines.filter(|line| !line.starts_with("TRACE ")).collect();
        told.join("\n")
    };
    insta::assert_snapshot!(told(&pulled), @"
    error: http://127.0.0.1:<port>/v2/plugins/<name>/manifests/1 answered 401 Unauthorized: authentication required
    hint: 127.0.0.1:<port> refused the stored credentials; renew them with `docker login 127.0.0.1:<port>`, and check that they may read plugins/<name>
    --- exit 3
    ");
    insta::assert_snapshot!(told(&pushed), @"
    error: http://127.0.0.1:<port>/v2/plugins/<name>/blobs/uploads/ answered 401 Unauthorized: authentication required
    hint: 127.0.0.1:<port> refused the stored credentials; renew them with `docker login 127.0.0.1:<port>`, and check that they may write to plugins/<name>
    --- exit 3
    ");
}

#[test]
fn more_rights_are_locked_only_once_they_are_accepted() {
    let shop = Shop::new();
    let source = shop.source("1");
    shop.configure(&source);
    shop.push(&tool(), "1");
    let pull = |arguments: &[&str]| shop.plugin(&["pull"]).args(arguments).run();
    pull(&[]).assert_code(0);
    let before = shop.world.read("capstan.lock");

    shop.push(&frozen(), "1");
    // As it is locked, whatever the tag is now.
    pull(&[]).assert_code(0);
    assert_eq!(shop.world.read("capstan.lock"), before);
    insta::assert_snapshot!(shop.said(&pull(&["--update", "rules"])), @"
    --- stderr
    warning: oci://127.0.0.1:<port>/plugins/<name>:1 asks for more than capstan.lock accepts: the hooks diff, output, policy, workspace; the imports capstan:plugin/changes@0.1, capstan:plugin/config@0.1, capstan:plugin/files@0.1, capstan:plugin/job@0.1, capstan:plugin/log@0.1, capstan:plugin/scratch@0.1, capstan:plugin/step@0.1, capstan:plugin/types@0.1
    error: 1 plugin asks for more than $WORLD/work/capstan.lock accepts, and stays as it was
    hint: if that is as it should be, accept it with --accept
    --- exit 2
    ");
    assert_eq!(shop.world.read("capstan.lock"), before);
    insta::assert_snapshot!(shop.said(&pull(&["--update", "--accept"])), @"
    --- stdout
    oci://127.0.0.1:<port>/plugins/<name>:1 is locked anew as sha256:<digest>
    --- stderr
    warning: oci://127.0.0.1:<port>/plugins/<name>:1 asks for more than capstan.lock accepts: the hooks diff, output, policy, workspace; the imports capstan:plugin/changes@0.1, capstan:plugin/config@0.1, capstan:plugin/files@0.1, capstan:plugin/job@0.1, capstan:plugin/log@0.1, capstan:plugin/scratch@0.1, capstan:plugin/step@0.1, capstan:plugin/types@0.1
    --- exit 0
    ");
    let after = shop.world.read("capstan.lock");
    assert!(after.contains(&digest(&frozen())), "{after}");

    // A lock that somebody wrote by hand, and that accepts less, stops a run, too.
    shop.world
        .write("capstan.lock", after.replace("    \"policy\",\n", ""));
    insta::assert_snapshot!(shop.said(&shop.run()), @"
    --- stderr
    error: the plugin rules cannot be used: oci://127.0.0.1:<port>/plugins/<name>:1 asks for more than capstan.lock accepts: the hook policy
    hint: if that is as it should be, accept it with `capstan plugin pull --accept oci://127.0.0.1:<port>/plugins/<name>:1`
    --- exit 2
    ");
}

#[test]
fn a_run_downloads_nothing_that_the_lock_does_not_name() {
    let shop = Shop::new();
    shop.push(&frozen(), "1");
    shop.configure(&shop.source("1"));
    shop.door.knocks();
    insta::assert_snapshot!(shop.said(&shop.run()), @"
    --- stderr
    error: the plugin rules cannot be used: oci://127.0.0.1:<port>/plugins/<name>:1 is not locked: $WORLD/work/capstan.lock does not say which bytes it stands for
    hint: look at it with `capstan plugin inspect oci://127.0.0.1:<port>/plugins/<name>:1`, and lock it with `capstan plugin pull oci://127.0.0.1:<port>/plugins/<name>:1`
    --- exit 2
    ");
    let step = format!(
        "  - container: wasm://{}\n    run: write new text\n",
        shop.reference("1")
    );
    fs::remove_file(shop.world.work().join("capstan.toml")).unwrap();
    let output = shop.batch(&step).run();
    output.assert_code(1);
    insta::assert_snapshot!(shop.shown(&story(&output)), @"
    ✗ widgets: step 1 failed
      failed to load component for step 1: wasm://127.0.0.1:<port>/plugins/<name>:1: oci://127.0.0.1:<port>/plugins/<name>:1 is not locked: $WORLD/work/capstan.lock does not say which bytes it stands for
    hint: look at it with `capstan plugin inspect oci://127.0.0.1:<port>/plugins/<name>:1`, and lock it with `capstan plugin pull oci://127.0.0.1:<port>/plugins/<name>:1`
    ");
    assert_eq!(shop.door.knocks(), 0);
}

#[test]
fn a_locked_plugin_runs_without_the_registry() {
    let shop = Shop::new();
    shop.push(&frozen(), "1");
    shop.configure(&shop.source("1"));
    shop.plugin(&["pull"]).run().assert_code(0);
    shop.door.close();
    shop.door.knocks();
    insta::assert_snapshot!(shop.said(&shop.run()), @"
    --- stderr
    1 workspace in 1 repository
    [widgets] plugin rules: warning: check-job: Level::Warn
    [widgets] plugin rules: error: check-job: Level::Error
    [widgets] failed: refused by the plugin rules (asked-to): check-job was asked to refuse
    ✗ widgets: refused
      refused by the plugin rules (asked-to): check-job was asked to refuse
      	hook: check-job
      log: $WORLD/home/.local/state/capstan/logs/<run>/0000-widgets-a0026c534aa3b7fc8a32ca0cc08dd6c812d38dea.log
    wrote out/changesets.json
    1 workspace: 0 done, 1 refused; 0 changesets; <time>
    --- exit 4
    ");
    let listed = shop.plugin(&["list"]).run();
    insta::assert_snapshot!(shop.said(&listed), @"
    --- stdout
    NAME   STATE   HOOKS                         DIGEST               SOURCE
    rules  locked  policy,workspace,output,diff  sha256:4c22eba86717  oci://127.0.0.1:<port>/plugins/<name>:1
    --- exit 0
    ");
    assert_eq!(shop.door.knocks(), 0);
}

#[test]
fn an_empty_store_gets_what_is_locked_wherever_the_tag_is_now() {
    let shop = Shop::new();
    shop.push(&frozen(), "1");
    shop.configure(&shop.source("1"));
    shop.plugin(&["pull"]).run().assert_code(0);
    // It could not be used as a plugin.
    shop.push(&tool(), "1");
    shop.forget();
    shop.door.requests();
    let output = shop.run();
    output.assert_code(4);
    let asked = shop.door.requests();
    let blob = format!("GET /v2/{}/blobs/{}", shop.path, digest(&frozen()));
    // Once without and once with the password.
    assert_eq!(asked, [&*blob, &*blob]);
}

#[test]
fn what_is_damaged_in_the_store_is_fetched_again() {
    let shop = Shop::new();
    shop.push(&frozen(), "1");
    shop.configure(&shop.source("1"));
    shop.plugin(&["pull"]).run().assert_code(0);
    let stored = shop.stored(&frozen());
    fs::set_permissions(&stored, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&stored, &frozen()[..1000]).unwrap();
    shop.run().assert_code(4);
    assert!(fs::read(&stored).unwrap() == frozen());
}

#[test]
fn a_step_comes_from_a_registry_by_the_lock() {
    let shop = Shop::new();
    shop.push(&tool(), "1");
    let reference = shop.reference("1");
    let step =
        format!("  - container: wasm://{reference}\n    run: replace colour color README.md\n");
    shop.batch(&step).run().assert_code(1);
    shop.plugin(&["pull", &shop.source("1")])
        .run()
        .assert_code(0);
    shop.door.close();
    shop.batch(&step).run().assert_code(0);
    let diff = shop.world.read("out/widgets/test.patch");
    assert!(diff.ends_with("-the colour\n+the color\n"), "{diff}");
    insta::assert_snapshot!(shop.said(&shop.plugin(&["list"]).run()), @"
    --- stdout
    NAME  STATE   HOOKS    DIGEST               SOURCE
    -     locked  command  sha256:<made here>  oci://127.0.0.1:<port>/plugins/<name>:1
    --- exit 0
    ");
}

#[test]
fn the_lock_of_a_step_lies_beside_its_spec_and_is_named_where_another_would_be_taken() {
    let shop = Shop::new();
    shop.push(&tool(), "1");
    let reference = shop.reference("1");
    let step = format!("  - container: wasm://{reference}\n    run: write new text\n");
    shop.world.write("specs/spec.yaml", spec(&step));
    let run = || {
        let batch = ["batch", "run", "--output", "out", "-f", "specs/spec.yaml"];
        shop.world.capstan(batch).arg("widgets").run()
    };
    let output = run();
    let said = shop.shown(&output.stderr());
    let hint = said.lines().find(|line| line.starts_with("hint: "));
    insta::assert_snapshot!(hint.unwrap(), @"hint: look at it with `capstan plugin inspect oci://127.0.0.1:<port>/plugins/<name>:1`, and lock it with `capstan plugin pull --lock $WORLD/work/specs/capstan.lock oci://127.0.0.1:<port>/plugins/<name>:1`");
    let lock = shop.world.work().join("specs/capstan.lock");
    let source = shop.source("1");
    let pull = shop.plugin(&["pull", &source, "--lock"]).arg(&lock);
    pull.run().assert_code(0);
    run().assert_code(0);
}

#[test]
fn the_digest_of_a_manifest_needs_no_lock() {
    let shop = Shop::new();
    let manifest = shop.put("1", "application/wasm", &json!({}), &tool());
    let reference = format!("{}/{}@{manifest}", shop.door.address, shop.path);
    let step = format!("  - container: wasm://{reference}\n    run: write new text\n");
    shop.batch(&step).run().assert_code(0);
    assert_eq!(
        shop.world.files("out"),
        ["changesets.json", "widgets/test.patch"]
    );
}

#[test]
fn plugins_are_listed_and_what_nobody_names_is_removed() {
    let shop = Shop::new();
    shop.push(&frozen(), "1");
    shop.push(&tool(), "2");
    shop.world.write("plugins/rules.wasm", frozen());
    let (one, two, three) = (shop.source("1"), shop.source("2"), shop.source("3"));
    let other = digest(b"other");
    let table = |name: &str, source: &str, rest: &str| {
        format!("[[plugin]]\nname = \"{name}\"\nsource = \"{source}\"\n{rest}\n")
    };
    let settings = [
        table("locked", &one, ""),
        table("unknown", &three, ""),
        table(
            "pinned",
            "https://example.com/rules.wasm",
            &format!("digest = \"{other}\""),
        ),
        table("here", "plugins/rules.wasm", ""),
        table("gone", "plugins/gone.wasm", ""),
        table(
            "other",
            "./plugins/rules.wasm",
            &format!("digest = \"{other}\""),
        ),
    ];
    shop.world.write("capstan.toml", settings.concat());
    shop.plugin(&["pull", "locked", &two]).run().assert_code(0);
    insta::assert_snapshot!(shop.said(&shop.plugin(&["list"]).run()), @"
    --- stdout
    NAME     STATE        HOOKS                         DIGEST               SOURCE
    locked   locked       policy,workspace,output,diff  sha256:4c22eba86717  oci://127.0.0.1:<port>/plugins/<name>:1
    unknown  not locked   -                             -                    oci://127.0.0.1:<port>/plugins/<name>:3
    pinned   not fetched  -                             sha256:d9298a10d1b0  https://example.com/rules.wasm
    here     file         policy,workspace,output,diff  sha256:4c22eba86717  $WORLD/work/plugins/rules.wasm
    gone     missing      -                             -                    $WORLD/work/plugins/gone.wasm
    other    changed      policy,workspace,output,diff  sha256:4c22eba86717  $WORLD/work/plugins/rules.wasm
    -        locked       command                       sha256:<made here>  oci://127.0.0.1:<port>/plugins/<name>:2
    --- exit 0
    ");
    let listed = shop.plugin(&["list", "--format", "json"]).run();
    let listed: Value = serde_json::from_slice(listed.raw_stdout()).unwrap();
    assert_eq!(listed[0]["digest"], digest(&frozen()));
    assert_eq!(listed[0]["state"], "locked");
    assert_eq!(listed[6]["name"], Value::Null);
    assert_eq!(listed[6]["hooks"], json!(["command"]));

    insta::assert_snapshot!(shop.said(&shop.plugin(&["prune"]).run()), @"
    --- stdout
    removed 0 components, 0 B
    --- exit 0
    ");
    assert!(shop.stored(&tool()).exists());
    let lock = shop.world.read("capstan.lock");
    let first = lock.split("\n[[plugin]]").take(2).collect::<Vec<_>>();
    shop.world.write("capstan.lock", first.join("\n[[plugin]]"));
    shop.plugin(&["prune"]).run().assert_code(0);
    assert!(!shop.stored(&tool()).exists());
    assert!(shop.stored(&frozen()).exists());
    insta::assert_snapshot!(shop.said(&shop.plugin(&["pull", "here"]).run()), @"
    --- stderr
    error: the plugin here is a file; there is nothing to get
    --- exit 2
    ");
    let hint_for = |command: &str, text: &str| {
        let output = shop.plugin(&[command, text]).run();
        output.assert_code(2);
        let said = shop.shown(&output.stderr());
        said.split_once("hint: ").unwrap().1.trim().to_owned()
    };
    let reference = shop.reference("1");
    for command in ["pull", "inspect"] {
        assert_eq!(
            hint_for(command, &reference),
            "for a registry write oci://127.0.0.1:<port>/plugins/<name>:1"
        );
    }
    assert_eq!(
        hint_for("pull", "plugins/rules.wasm"),
        "a file is used as it is, and not locked: name it as the source of a [[plugin]] in capstan.toml"
    );
    insta::assert_snapshot!(shop.said(&shop.plugin(&["pull", "nobody"]).run()), @r#"
    --- stderr
    error: the settings have no plugin "nobody"
    hint: name one of `capstan plugin list`, or a source: https://... or oci://...
    --- exit 2
    "#);
}

#[test]
fn a_plugin_in_a_registry_is_looked_at_before_it_is_locked() {
    let shop = Shop::new();
    shop.push(&tool(), "1");
    let inspect = || {
        shop.plugin(&["inspect", &shop.source("1"), "--format", "json"])
            .run()
    };
    let output = inspect();
    output.assert_code(0);
    insta::assert_snapshot!(shop.shown(&output.stderr()), @"oci://127.0.0.1:<port>/plugins/<name>:1 is not locked; this is what it stands for now");
    let report: Value = serde_json::from_slice(output.raw_stdout()).unwrap();
    assert_eq!(report["digest"], digest(&tool()));
    assert!(!shop.world.work().join("capstan.lock").exists());

    // What is locked is what is shown.
    shop.plugin(&["pull", &shop.source("1")])
        .run()
        .assert_code(0);
    shop.push(&frozen(), "1");
    let output = inspect();
    let report: Value = serde_json::from_slice(output.raw_stdout()).unwrap();
    assert_eq!(report["digest"], digest(&tool()));
    assert_eq!(output.stderr(), "");
}

/// A server that has one file.
fn server(content: Vec<u8>) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/rules.wasm?key=1", listener.local_addr().unwrap());
    let file = Arc::new(Mutex::new(content));
    let served = Arc::clone(&file);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = client.read(&mut request);
            let file = served.lock().unwrap().clone();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                file.len()
            );
            let _ = client
                .write_all(head.as_bytes())
                .and_then(|()| client.write_all(&file));
        }
    });
    (url, file)
}

#[test]
fn a_plugin_behind_a_url_is_locked_and_not_replaced() {
    let shop = Shop::new();
    let (url, file) = server(frozen());
    shop.configure(&url);
    insta::assert_snapshot!(shop.said(&shop.run()), @"
    --- stderr
    error: the plugin rules cannot be used: http://127.0.0.1:<port>/rules.wasm?key=1 is not locked: $WORLD/work/capstan.lock does not say which bytes it stands for
    hint: look at it with `capstan plugin inspect http://127.0.0.1:<port>/rules.wasm?key=1`, and lock it with `capstan plugin pull http://127.0.0.1:<port>/rules.wasm?key=1`
    --- exit 2
    ");
    shop.plugin(&["pull"]).run().assert_code(0);
    let lock = shop.world.read("capstan.lock");
    assert!(lock.contains(&digest(&frozen())), "{lock}");
    assert!(!lock.contains("manifest"), "{lock}");
    *file.lock().unwrap() = tool();
    shop.run().assert_code(4);
    shop.forget();
    insta::assert_snapshot!(shop.said(&shop.run()), @"
    --- stderr
    error: the plugin rules cannot be used: fetching http://127.0.0.1:<port>/rules.wasm?key=1: http://127.0.0.1:<port>/rules.wasm gave sha256:<digest>, which is not the sha256:<digest> that was asked for
    hint: if it was replaced, get what is there now with `capstan plugin pull --update http://127.0.0.1:<port>/rules.wasm?key=1`
    --- exit 2
    ");
}
