//! `capstan batch run --engine kubernetes`, and a hub whose executor has pods.

use capstan_tests::Capstan;

use super::site::{Site, step_image};

const SPEC: &str = "\
name: hello
description: says hello
steps:
  - run: echo \"hello ${{ repository.name }}\" >> README.md; echo \"$WHO\"; cat /tmp/said >> README.md
    container: IMAGE_OF_TEST
    env:
      - WHO
    mount:
      - path: ./said
        mountpoint: /tmp/said
    outputs:
      who: {value: \"${{ step.stdout }}\"}
  - run: cat README.md; exit ${CODE:-0}
    container: IMAGE_OF_TEST
    env:
      CODE: CODE_OF_TEST
changesetTemplate:
  title: Hello ${{ outputs.who }}
  body: World
  branch: hello
  commit: {message: Say hello}
";

/// The spec, whose second step ends with this code.
fn spec(code: u8) -> String {
    let spec = SPEC.replace("CODE_OF_TEST", &format!("\"{code}\""));
    spec.replace("IMAGE_OF_TEST", &step_image())
}

fn run<'s>(site: &'s Site, spec: &str, arguments: &[&str]) -> Capstan<'s> {
    let spec = site.world.write("spec.yaml", spec);
    // When it was written is part of what results are remembered by.
    if !site.world.work().join("said").exists() {
        site.world.write("said", "said\n");
    }
    let run = ["batch", "run", "--engine", "kubernetes", "-f"];
    let command = site.world.capstan(run).arg(spec).args(arguments);
    site.in_cluster(command).env("WHO", "somebody-secret")
}

#[test]
fn a_run_whose_workspaces_are_pods() {
    let site = Site::new();
    let other = site.world.repository("other", &[("README.md", "other\n")]);
    let server = site.repositories();
    let urls = ["app", "other"].map(|name| format!("http://{}/{name}/.git", server.address));
    let spec = spec(0);
    let limits = ["--memory", "256MiB", "--cpus", "0.5"];
    let arguments = [&urls[0], &urls[1], "-o", "out", "-v"];
    let output = run(&site, &spec, &[&arguments[..], &limits].concat()).run();
    output.assert_code(0);
    let said = output.stderr();
    assert!(said.contains("step 2/2: cat README.md"), "{said}");
    assert!(said.contains("| hi"), "{said}");
    assert!(!said.contains("somebody-secret"), "{said}");
    let changesets = site.world.changesets("out");
    assert_eq!(changesets.len(), 2);
    for changeset in &changesets {
        assert_eq!(changeset["headRef"], "refs/heads/hello");
        let diff = changeset["commits"][0]["diff"].to_string();
        assert!(!diff.is_empty());
    }
    let patches: String = site
        .world
        .files("out")
        .iter()
        .filter(|file| file.ends_with(".patch"))
        .map(|file| site.world.read(std::path::Path::new("out").join(file)))
        .collect();
    assert!(patches.contains("+hello "), "{patches}");
    assert!(patches.contains("+said"), "{patches}");
    site.assert_nothing_left();
    server.stop();
    drop(other);
}

#[test]
fn a_run_that_fails_in_a_pod() {
    let site = Site::new();
    let server = site.repositories();
    let url = format!("http://{}/app/.git", server.address);
    let spec = spec(7);
    let output = run(&site, &spec, &[&url]).run();
    output.assert_code(1);
    let said = output.stderr();
    assert!(said.contains("step 2/2: failed"), "{said}");
    assert!(
        said.contains("exit code 7") || said.contains("exited with 7"),
        "{said}"
    );
    site.assert_nothing_left();
    server.stop();
}

#[test]
fn what_is_known_does_not_run_again() {
    let site = Site::new();
    let server = site.repositories();
    let url = format!("http://{}/app/.git", server.address);
    let arguments = [url.as_str(), "-o", "out", "-v"];
    run(&site, &spec(7), &arguments).run().assert_code(1);
    // Only the second step has changed.
    let output = run(&site, &spec(0), &arguments).run();
    output.assert_code(0);
    let said = output.stderr();
    assert!(!said.contains("step 1/2: echo"), "{said}");
    assert!(said.contains("step 2/2: cat"), "{said}");
    let changesets = site.world.changesets("out");
    let first = changesets[0]["commits"][0]["diff"].to_string();
    assert!(first.len() > 2, "{first}");
    let output = run(&site, &spec(0), &arguments).run();
    output.assert_code(0);
    let said = output.stderr();
    assert!(said.contains("from the cache"), "{said}");
    assert!(!said.contains("preparing the workspace"), "{said}");
    assert_eq!(site.world.changesets("out"), changesets);
    let again = [&arguments[..], &["--no-cache"]].concat();
    let output = run(&site, &spec(0), &again).run();
    output.assert_code(0);
    let said = output.stderr();
    assert!(said.contains("step 1/2: echo"), "{said}");
    site.assert_nothing_left();
    server.stop();
}

#[test]
fn a_run_that_waits_for_its_pods_says_for_what() {
    let site = Site::new();
    let server = site.repositories();
    let url = format!("http://{}/app/.git", server.address);
    let output = run(&site, &spec(0), &[&url])
        .env(
            "EXECUTOR_KUBERNETES_NODE_SELECTOR",
            "capstan.dev/nowhere=yes",
        )
        .env("EXECUTOR_KUBERNETES_START_TIMEOUT", "4s")
        .run();
    // It is the cluster that is not fit.
    output.assert_code(3);
    let said = output.stderr();
    assert!(said.contains("no node takes it: 0/"), "{said}");
    assert!(
        said.contains("failed: the pod has not started within"),
        "{said}"
    );
    site.assert_nothing_left();
    server.stop();
}

#[test]
fn what_pods_cannot_have_is_refused() {
    let site = Site::new();
    let spec = spec(0);
    let app = site.world.work().join("app");
    let output = run(&site, &spec, &[app.to_str().unwrap()]).run();
    output.assert_code(1);
    let said = output.stderr();
    assert!(said.contains("name it by its URL"), "{said}");
    let output = run(
        &site,
        &spec,
        &["--network", "none", "--pids", "9", "http://localhost/app"],
    )
    .run();
    output.assert_code(2);
    let said = output.stderr();
    assert!(
        said.contains("does not go with --network, --pids"),
        "{said}"
    );
    site.assert_nothing_left();
}
