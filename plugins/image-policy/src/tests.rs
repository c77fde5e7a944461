use capstan_plugin::{refuse, test};

use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn step(image: &str) -> test::Step {
    test::Step {
        number: 1,
        image: image.to_owned(),
        ..test::Step::default()
    }
}

fn answer(config: &str, image: &str) -> Option<Refusal> {
    test::config(config);
    let job = test::Job::default().into();
    match ImagePolicy::check_step(&job, &step(image).into()).unwrap() {
        Decision::Keep => None,
        Decision::Refuse(refusal) => Some(refusal),
        Decision::Change(_) => panic!("this policy changes nothing"),
    }
}

#[test]
fn rules_in_their_order() {
    let library = r#"{"allow": ["docker.io/library/*", "ghcr.io/acme/**"], "deny": ["**/php*"]}"#;
    let pinned = r#"{"allow": ["**"], "require-digest": true, "exceptions": ["docker.io/library/busybox:1.*"], "wasm": ["./tools/*", "ghcr.io/**"]}"#;
    let with_digest = format!("alpine@{DIGEST}");
    let wasm_with_digest = format!("wasm://ghcr.io/acme/fix:1@{DIGEST}");
    for (config, image, rule) in [
        (library, "alpine:3", None),
        (library, "ghcr.io/acme/a/b:1", None),
        (library, with_digest.as_str(), None),
        (library, "ghcr.io/evil/a:1", Some("image-not-allowed")),
        (library, "acme/tool:1", Some("image-not-allowed")),
        (
            library,
            "evil.example/docker.io/library/alpine:3",
            Some("image-not-allowed"),
        ),
        (library, "php:8", Some("image-denied")),
        (library, "alpine", Some("image-tag-required")),
        (library, "alpine:latest", Some("image-latest")),
        (library, "alpine:", Some("image-malformed")),
        (library, DIGEST, Some("image-id")),
        (library, "cafe", Some("image-id")),
        (library, "wasm://./tools/x.wasm", Some("wasm-not-allowed")),
        (r#"{"allow": ["**"], "deny-latest": false}"#, "alpine", None),
        (pinned, "alpine:3", Some("image-digest-required")),
        (pinned, with_digest.as_str(), None),
        (pinned, "busybox:1.36", None),
        (pinned, "busybox:2", Some("image-digest-required")),
        (pinned, "wasm://./tools/x.wasm", None),
        (pinned, "wasm://./tools/../x.wasm", Some("wasm-not-allowed")),
        (
            pinned,
            "wasm://ghcr.io/acme/fix:1",
            Some("wasm-digest-required"),
        ),
        (pinned, wasm_with_digest.as_str(), None),
        (r#"{"allow": []}"#, "alpine:3", Some("image-not-allowed")),
    ] {
        let refusal = answer(config, image);
        assert_eq!(refusal.as_ref().map(|r| r.rule.as_str()), rule, "{image}");
    }
}

#[test]
fn a_refusal_says_what_would_be_accepted() {
    let config = r#"{"allow": ["docker.io/library/*", "ghcr.io/acme/**"]}"#;
    assert_eq!(
        answer(config, "quay.io/x:1").unwrap(),
        refuse(
            "image-not-allowed",
            "quay.io/x:1 is not allowed: allowed are docker.io/library/*, ghcr.io/acme/**"
        )
        .with("image", "quay.io/x:1")
        .with("step", 1)
    );
}

#[test]
fn a_job_is_refused_before_anything_is_cloned() {
    test::config(r#"{"allow": ["docker.io/library/*"]}"#);
    let job = |images: &[&str]| test::Job {
        steps: images.iter().map(|image| step(image)).collect(),
        ..test::Job::default()
    };
    let decision = ImagePolicy::check_job(&job(&["alpine:3", "quay.io/x:1"]).into()).unwrap();
    let Decision::Refuse(refusal) = decision else {
        panic!("{decision:?}");
    };
    assert_eq!(refusal.details.last().unwrap().1, "2");
    let decision = ImagePolicy::check_job(&job(&["${{ outputs.image }}"]).into()).unwrap();
    assert!(matches!(decision, Decision::Keep));
}

#[test]
fn configurations_that_cannot_be_meant_are_told() {
    for (config, message) in [
        ("{}", "missing field `allow`"),
        (
            r#"{"allow": ["alpine"]}"#,
            "write \"docker.io/library/alpine\"",
        ),
        (
            r#"{"allow": ["alpine:3"]}"#,
            "write \"docker.io/library/alpine:3\"",
        ),
        (r#"{"allow": ["acme/*"]}"#, "write \"docker.io/acme/*\""),
        (r#"{"allow": ["*"]}"#, "write \"docker.io/library/*\""),
        (r#"{"allow": ["[a"]}"#, "is malformed"),
    ] {
        test::config(config);
        let job = test::Job::default().into();
        let error = ImagePolicy::check_step(&job, &step("alpine:3").into()).unwrap_err();
        assert_eq!(error.code, "config");
        assert!(error.message.contains(message), "{}", error.message);
    }
    for config in [
        r#"{"allow": ["localhost:5000/**", "localhost/*", "*.example/**", "{a,b}.io/x"]}"#,
        r#"{"allow": ["**"]}"#,
    ] {
        test::config(config);
        assert!(Config::load().is_ok(), "{config}");
    }
}
