//! `capstan batch run`: from a spec and repositories to diffs and changeset specs.

use capstan_tests::{Engine, World};

const HELLO: &str = r#"
version: 2
name: hello
description: Says hello
steps:
  - run: echo "hello from ${{ repository.name }}" >> README.md
    container: alpine:3
changesetTemplate:
  title: Say hello
  body: In ${{ join steps.modified_files ", " }}
  branch: hello
  commit:
    message: Say hello
"#;

#[test]
fn one_step_gives_a_diff_and_a_changeset_spec() {
    let engine = Engine::require();
    let world = World::new();
    let widgets = world.repository("widgets", &[("README.md", "hi\n")]);
    let spec = world.write("spec.yaml", HELLO);

    world
        .capstan(["batch", "run", "--output", "out", "-f"])
        .arg(spec)
        .arg(widgets.path())
        .run()
        .assert_code(0);

    insta::assert_snapshot!(world.read("out/widgets/hello.patch"), @r"
    diff --git README.md README.md
    index 45b983b..87b94fb 100644
    --- README.md
    +++ README.md
    @@ -1 +1,2 @@
     hi
    +hello from widgets
    ");
    let changesets = world.changesets("out");
    assert_eq!(changesets.len(), 1);
    let changeset = &changesets[0];
    assert_eq!(changeset["baseRev"], widgets.head());
    assert_eq!(changeset["baseRef"], "refs/heads/main");
    assert_eq!(changeset["headRef"], "refs/heads/hello");
    assert_eq!(changeset["title"], "Say hello");
    assert_eq!(changeset["body"], "In README.md");
    assert_eq!(changeset["commits"][0]["message"], "Say hello");

    // The repository itself is as it was, and nothing is left in the engine.
    assert_eq!(widgets.git(["status", "--porcelain"]), "");
    engine.assert_no_containers(&world);
}
