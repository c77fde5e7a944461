//! `--apply`: a branch and a commit in the user's repository, and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use capstan_tests::{Engine, Output, Repository, World};
use serde_json::json;

use crate::specs;

fn apply(world: &World, script: &str, arguments: &[&str]) -> Output {
    let spec = world.write("spec.yaml", specs::of(&[script]));
    world
        .capstan(["batch", "run", "-j", "1", "--apply", "-f"])
        .arg(spec)
        .args(arguments)
        .run()
}

/// The lines about branches, and the exit code.
fn told(output: &Output) -> String {
    let stderr = output.stderr();
    let from = stderr
        .lines()
        .skip_while(|line| !line.starts_with(['✓', '✗']));
    let lines: Vec<&str> = from.collect();
    // The time of a commit is part of its id.
    let id = regex_lite::Regex::new(r"\b[0-9a-f]{12}\b").expect("it is valid");
    let text = format!("{}\nexit {}", lines.join("\n"), output.code());
    id.replace_all(&text, "<commit>").into_owned()
}

fn widgets(world: &World) -> Repository {
    world.repository("widgets", &[("README.md", "hi\n"), ("gone", "x\n")])
}

const SCRIPT: &str = "echo more >> README.md; rm gone; echo new > new; chmod +x new";

#[test]
fn makes_a_branch_and_leaves_the_rest_alone() {
    Engine::require();
    let world = World::new();
    let widgets = widgets(&world);
    widgets.write("untracked", "stays\n");
    for name in [
        "pre-commit",
        "commit-msg",
        "post-commit",
        "reference-transaction",
        "post-checkout",
    ] {
        let hook = widgets.path().join(".git/hooks").join(name);
        fs::write(&hook, "#!/bin/sh\ntouch \"$HOME/hook-ran\"; exit 1\n").expect("it is ours");
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    let base = widgets.git(["rev-parse", "HEAD"]);
    let index = fs::read(widgets.path().join(".git/index")).expect("it is there");

    let first = apply(&world, SCRIPT, &["widgets"]);
    insta::assert_snapshot!(told(&first), @r"
    ✓ widgets: branch change: created at <commit>
    1 workspace: 1 done; 1 changeset; <time>
    exit 0
    ");
    let format = "--format=%an <%ae>%n%cn <%ce>%n%B%P";
    insta::assert_snapshot!(widgets.git(["show", format, "--stat", "--summary", "change"]), @r"
    Spec Author <spec@example.com>
    Spec Author <spec@example.com>
    Change it
    54378f44c2c0a06ea382c24c1c2927e6ec332642

     README.md | 1 +
     gone      | 1 -
     new       | 1 +
     3 files changed, 2 insertions(+), 1 deletion(-)
     delete mode 100644 gone
     create mode 100755 new
    ");
    assert_eq!(widgets.git(["status", "--porcelain"]), "?? untracked");
    assert_eq!(widgets.git(["branch", "--show-current"]), "main");
    assert_eq!(widgets.head(), base);
    assert_eq!(
        fs::read(widgets.path().join(".git/index")).expect("it is there"),
        index
    );
    assert!(!world.home().join("hook-ran").exists());
    widgets.git(["fsck", "--strict", "--no-dangling"]);

    // Again: nothing is left to do.
    let commit = widgets.git(["rev-parse", "change"]);
    insta::assert_snapshot!(told(&apply(&world, SCRIPT, &["widgets"])), @r"
    ✓ widgets: branch change: already at <commit>
    1 workspace: 1 done (1 from the cache); 1 changeset; <time>
    exit 0
    ");
    assert_eq!(widgets.git(["rev-parse", "change"]), commit);
}

#[test]
fn a_branch_with_other_content_is_replaced_only_by_force() {
    Engine::require();
    let world = World::new();
    let widgets = widgets(&world);
    widgets.git(["branch", "change"]);
    let before = widgets.git(["rev-parse", "change"]);
    insta::assert_snapshot!(told(&apply(&world, SCRIPT, &["widgets"])), @r"
    ✗ widgets: branch change: it exists with other content, at <commit>
      hint: delete it, or replace it with --force
    1 workspace: 1 done; 1 changeset, 1 not applied; <time>
    exit 1
    ");
    assert_eq!(widgets.git(["rev-parse", "change"]), before);
    insta::assert_snapshot!(told(&apply(&world, SCRIPT, &["--force", "widgets"])), @r"
    ✓ widgets: branch change: replaced, now at <commit>, was at <commit>
    1 workspace: 1 done (1 from the cache); 1 changeset; <time>
    exit 0
    ");
    assert_eq!(widgets.git(["rev-parse", "change^"]), before);
    // Force does not take a branch from under somebody.
    widgets.git(["checkout", "-q", "change"]);
    widgets.git(["commit", "-q", "--allow-empty", "-m", "Mine"]);
    let mine = widgets.head();
    let base = widgets.git(["rev-parse", "main"]);
    widgets.git(["checkout", "-q", "main"]);
    widgets.git(["worktree", "add", "-q", "../linked", "change"]);
    insta::assert_snapshot!(told(&apply(&world, SCRIPT, &["--force", "widgets"])), @r"
    ✗ widgets: branch change: it is checked out in $WORLD/work/linked
      hint: check out another branch there
    1 workspace: 1 done (1 from the cache); 1 changeset, 1 not applied; <time>
    exit 1
    ");
    assert_eq!(
        widgets.git(["rev-parse", "change", "main"]),
        format!("{mine}\n{base}")
    );
}

#[test]
fn a_dirty_repository_is_refused_unless_allowed() {
    Engine::require();
    let world = World::new();
    let widgets = widgets(&world);
    widgets.write("README.md", "mine\n");
    insta::assert_snapshot!(told(&apply(&world, SCRIPT, &["widgets"])), @r"
    ✗ widgets: branch change: there are uncommitted changes in $WORLD/work/widgets
      hint: commit or stash them, or leave them as they are with --allow-dirty
    1 workspace: 1 done; 1 changeset, 1 not applied; <time>
    exit 1
    ");
    assert_eq!(widgets.git(["branch", "--list", "change"]), "");
    apply(&world, SCRIPT, &["--allow-dirty", "widgets"]).assert_code(0);
    assert_eq!(widgets.git(["status", "--porcelain"]), " M README.md");
    assert_eq!(widgets.git(["show", "change:README.md"]), "hi\nmore");
}

#[test]
fn what_cannot_be_applied_does_not_stop_the_rest() {
    Engine::require();
    let world = World::new();
    let widgets = widgets(&world);
    let gadgets = world.repository("gadgets", &[("README.md", "hi\n"), ("gone", "x\n")]);
    gadgets.git(["branch", "change"]);
    let remote = world.repository("remote", &[("README.md", "hi\n"), ("gone", "x\n")]);
    let url = format!("file://{}", remote.path().display());
    let output = apply(&world, SCRIPT, &["gadgets", &url, "widgets"]);
    insta::assert_snapshot!(told(&output), @r"
    ✗ gadgets: branch change: it exists with other content, at <commit>
      hint: delete it, or replace it with --force
    ✗ remote: branch change: the repository is not on this machine
      hint: clone it and name the clone as REPO, or use --output
    ✓ widgets: branch change: created at <commit>
    3 workspaces: 3 done; 3 changesets, 2 not applied; <time>
    exit 1
    ");
    assert_eq!(
        widgets.git(["log", "-1", "--format=%s", "change"]),
        "Change it"
    );
    assert_eq!(remote.git(["branch", "--list"]), "* main");
}

#[test]
fn groups_and_workspaces_make_branches_of_their_own() {
    Engine::require();
    let world = World::new();
    let files = [("a/mod", ""), ("a/x", "x\n"), ("b/mod", ""), ("b/x", "x\n")];
    let mono = world.repository("mono", &files);
    let more = json!({
        "workspaces": [{"rootAtLocationOf": "mod"}],
        "transformChanges": {"group": [{"directory": "b", "branch": "all-of-b"}]},
        "changesetTemplate": {
            "title": "Change", "body": "", "branch": "change-${{ steps.path }}",
            "commit": {"message": "Change ${{ steps.path }}"},
        },
    });
    let step = json!({"run": "echo more >> x", "container": "alpine:3"});
    let spec = world.write("spec.yaml", specs::with(&[step], more));
    let output = world
        .capstan(["batch", "run", "--apply", "-f"])
        .arg(spec)
        .arg(mono.path())
        .run();
    insta::assert_snapshot!(told(&output), @r"
    ✓ mono: branch change-a: created at <commit>
    ✓ mono: branch all-of-b: created at <commit>
    2 workspaces: 2 done; 2 changesets; <time>
    exit 0
    ");
    for (branch, file) in [("change-a", "a/x"), ("all-of-b", "b/x")] {
        assert_eq!(mono.git(["diff", "--name-only", "main", branch]), file);
        assert_eq!(mono.git(["rev-parse", &format!("{branch}^")]), mono.head());
    }
}

#[test]
fn a_branch_name_that_git_refuses_is_told() {
    Engine::require();
    let world = World::new();
    let widgets = widgets(&world);
    for branch in ["two words", "-x", "a..b", "x.lock", "HEAD^"] {
        let spec = specs::of(&[SCRIPT])
            .replace(r#""branch":"change""#, &format!(r#""branch":"{branch}""#));
        let spec = world.write("spec.yaml", spec);
        let output = world
            .capstan(["batch", "run", "--apply", "-f"])
            .arg(spec)
            .arg(widgets.path())
            .run();
        output.assert_code(1);
        let stderr = output.stderr();
        assert!(
            stderr.contains("is not a valid name for a branch"),
            "{branch}: {stderr}"
        );
    }
    assert_eq!(
        widgets.git(["for-each-ref", "--format=%(refname)"]),
        "refs/heads/main"
    );
}
