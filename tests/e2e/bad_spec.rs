//! Specs and arguments that cannot be used: the message points, nothing runs, nothing is lost.

use capstan_tests::{Engine, Output, World};

/// A valid spec; the cases below break it.
const VALID: &str = "\
version: 2
name: hello
steps:
  - run: echo hi >> README.md
    container: alpine:3
changesetTemplate:
  title: Say hello
  body: Says hello
  branch: hello
  commit:
    message: Say hello
";

/// `VALID` with one text in place of another.
fn with(old: &str, new: &str) -> String {
    assert!(VALID.contains(old), "{old}");
    VALID.replacen(old, new, 1)
}

/// What `batch run` says about a spec that it refuses. There is no engine: what is wrong with the spec is told before
/// one is looked for.
fn refused(spec: impl AsRef<[u8]>) -> String {
    let world = World::new();
    let widgets = world.repository("widgets", &[("README.md", "hi\n")]);
    world.write("spec.yaml", spec);
    let output = world
        .capstan([
            "batch",
            "run",
            "-f",
            "spec.yaml",
            "--output",
            "out",
            "widgets",
        ])
        .env("DOCKER_HOST", "unix:///nowhere.sock")
        .run();
    output.assert_code(2);
    assert_eq!(output.stdout(), "");
    assert_eq!(world.files("out"), [""; 0]);
    assert_eq!(widgets.git(["status", "--porcelain"]), "");
    output.stderr()
}

#[test]
fn not_yaml() {
    insta::assert_snapshot!(refused(""), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:1:1: Invalid type. Expected: object, given: null
      hint: the batch spec is empty: it needs at least a `name`
    ");
    insta::assert_snapshot!(refused("# nothing but a comment\n"), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:1:1: Invalid type. Expected: object, given: null
      1 | # nothing but a comment
        | ^
      hint: the batch spec is empty: it needs at least a `name`
    ");
    insta::assert_snapshot!(refused("hello there: : x\n"), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:1:14: mapping values are not allowed in this context
      1 | hello there: : x
        |              ^
      hint: text that contains `: ` has to be quoted; or the line is indented too far
    ");
    insta::assert_snapshot!(refused("just text\n"), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:1:1: Invalid type. Expected: object, given: string
      1 | just text
        | ^^^^^^^^^
      hint: a batch spec is made of fields, for example `name: my-change`
    ");
    insta::assert_snapshot!(refused("- name: hello\n"), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:1:1: Invalid type. Expected: object, given: array
      1 | - name: hello
        | ^^^^^^^^^^^^^
      hint: a batch spec is made of fields, for example `name: my-change`
    ");
    insta::assert_snapshot!(refused(b"name: hello\ndescription: \xff\n"), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:2:14: invalid UTF-8
      2 | description: �
        |              ^
      hint: a batch spec is text in UTF-8
    ");
    insta::assert_snapshot!(refused("name: \"hello\nsteps: []\n"), @r#"
    error: the batch spec is not valid (1 problem):

    spec.yaml:1:7: invalid indentation in quoted scalar
      1 | name: "hello
        |       ^
      hint: a quote is not closed
    "#);
}

#[test]
fn tabs() {
    insta::assert_snapshot!(refused("name: hello\nsteps:\n\t- run: x\n"), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:3:1: found a tab character that violates indentation
      3 |     - run: x
        | ^^^^
      hint: indent with spaces: YAML does not allow tabs here
    ");
}

#[test]
fn duplicate_keys() {
    insta::assert_snapshot!(refused(with("name: hello\n", "name: hello\nname: other\n")), @r#"
    error: the batch spec is not valid (1 problem):

    spec.yaml:3:1: mapping key "name" already defined at line 2
      3 | name: other
        | ^^^^
      hint: a key can be given once; remove one of the two
    "#);
}

#[test]
fn alias_bomb() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ('b'..='j').zip('a'..) {
        let ten = vec![format!("*{of}"); 10].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{ten}]\n"));
    }
    insta::assert_snapshot!(refused(bomb), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:1:4: document contains excessive aliasing
      1 | a: &a [x, x, x, x, x, x, x, x, x, x]
        |    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: a document this large or this nested is refused; write less of it with anchors and aliases
    ");
}

#[test]
fn ten_megabytes() {
    let long = with("Says hello", &"x".repeat(10 << 20));
    insta::assert_snapshot!(refused(long), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:1:1: the document is larger than 8 MiB
      1 | version: 2
        | ^
      hint: keep long texts and scripts in files beside the spec, and show them to steps with `mount`
    ");
}

#[test]
fn wrong_types() {
    let spec = VALID
        .replace("version: 2", "version: two")
        .replace(
            "container: alpine:3",
            "container: 3\n    env: {COUNT: 2}\n    if: 1",
        )
        .replace("title: Say hello", "title: [Say hello]");
    insta::assert_snapshot!(refused(spec), @r#"
    error: the batch spec is not valid (5 problems):

    spec.yaml:1:10: version: Invalid type. Expected: number, given: string
      1 | version: two
        |          ^^^
      hint: write 1 or 2, without quotes
    spec.yaml:5:16: steps.0.container: Invalid type. Expected: string, given: integer
      5 |     container: 3
        |                ^
      hint: put it in quotes to make it text
    spec.yaml:6:18: steps.0.env.COUNT: Invalid type. Expected: string, given: integer
      6 |     env: {COUNT: 2}
        |                  ^
      hint: put it in quotes to make it text
    spec.yaml:7:9: steps.0.if: Invalid type. Expected: boolean, given: integer
      7 |     if: 1
        |         ^
      hint: `if` is true, false, or a text such as "${{ eq repository.name \"x\" }}"
    spec.yaml:9:10: changesetTemplate.title: Invalid type. Expected: string, given: array
      9 |   title: [Say hello]
        |          ^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(refused(with("steps:\n  - run", "steps:\n    run")), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:4:5: steps: Invalid type. Expected: [array,null], given: object
      4 |     run: echo hi >> README.md
        |     ^^^
      hint: write a list: start each entry with `- `
    ");
    insta::assert_snapshot!(refused(with("hello", "hello world")), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:2:7: The batch change name can only contain word characters, dots and dashes. No whitespace or newlines allowed.
      2 | name: hello world
        |       ^^^^^^^^^^^
    ");
}

#[test]
fn unknown_and_missing_fields() {
    let spec = VALID
        .replace("name: hello", "nmae: hello")
        .replace("container", "contaner")
        .replace("branch:", "brunch:");
    insta::assert_snapshot!(refused(spec), @"
    error: the batch spec is not valid (6 problems):

    spec.yaml:1:1: name is required
      1 | version: 2
        | ^^^^^^^
    spec.yaml:2:1: Additional property nmae is not allowed
      2 | nmae: hello
        | ^^^^
      hint: did you mean `name`?
    spec.yaml:4:5: steps.0: container is required
      4 |   - run: echo hi >> README.md
        |     ^^^
    spec.yaml:5:5: steps.0: Additional property contaner is not allowed
      5 |     contaner: alpine:3
        |     ^^^^^^^^
      hint: did you mean `container`?
    spec.yaml:7:3: changesetTemplate: branch is required
      7 |   title: Say hello
        |   ^^^^^
    spec.yaml:9:3: changesetTemplate: Additional property brunch is not allowed
      9 |   brunch: hello
        |   ^^^^^^
      hint: did you mean `branch`?
    ");
    let (spec, _) = VALID.split_once("changesetTemplate").unwrap();
    insta::assert_snapshot!(refused(spec), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:3:1: batch spec includes steps but no changesetTemplate
      3 | steps:
        | ^^^^^
      hint: add `changesetTemplate` with `title`, `branch` and `commit.message`
    ");
}

#[test]
fn templates_that_do_not_parse() {
    let spec = VALID
        .replace("echo hi", "echo ${{ if }}")
        .replace("Says hello", "${{ repository.name")
        .replace(
            "branch: hello",
            "branch: ${{ join steps.modified_files \"-\" ) }}",
        );
    insta::assert_snapshot!(refused(spec), @r#"
    error: the batch spec is not valid (3 problems):

    spec.yaml:4:22: steps.0.run: template: step-run:1: missing value for if
      4 |   - run: echo ${{ if }} >> README.md
        |                      ^
    spec.yaml:8:28: changesetTemplate.body: template: body:1: unclosed action
      8 |   body: ${{ repository.name
        |                            ^
    spec.yaml:9:45: changesetTemplate.branch: template: branch:1: unexpected right paren
      9 |   branch: ${{ join steps.modified_files "-" ) }}
        |                                             ^
    "#);
    let block = with(
        "run: echo hi >> README.md",
        "run: |\n      set -e\n      echo ${{ repository.name ) }} >> README.md",
    );
    insta::assert_snapshot!(refused(block), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:6:32: steps.0.run: template: step-run:2: unexpected right paren
      6 |       echo ${{ repository.name ) }} >> README.md
        |                                ^
    ");
}

#[test]
fn unknown_names_in_templates() {
    let spec = VALID
        .replace("echo hi", "echo ${{ jion steps.modified_files \",\" }}")
        .replace("title: Say hello", "title: ${{ repositry.name }}")
        .replace("Says hello", "After ${{ previous_step.stdout }}")
        .replace("branch: hello", "branch: ${{ repository.nam }}")
        .replace("message: Say hello", "message: ${{ .Repository.Name }}");
    insta::assert_snapshot!(refused(spec), @r#"
    error: the batch spec is not valid (5 problems):

    spec.yaml:4:19: steps.0.run: template: step-run:1: function "jion" not defined
      4 |   - run: echo ${{ jion steps.modified_files "," }} >> README.md
        |                   ^^^^
      hint: did you mean `join`?
    spec.yaml:7:14: changesetTemplate.title: template: title:1: function "repositry" not defined
      7 |   title: ${{ repositry.name }}
        |              ^^^^^^^^^^^^^^
      hint: did you mean `repository`?
    spec.yaml:8:19: changesetTemplate.body: template: body:1: function "previous_step" not defined
      8 |   body: After ${{ previous_step.stdout }}
        |                   ^^^^^^^^^^^^^^^^^^^^
    spec.yaml:9:15: changesetTemplate.branch: template: branch:1:4: executing "branch" at <repository>: map has no entry for key "nam"
      9 |   branch: ${{ repository.nam }}
        |               ^^^^^^^^^^^^^^
      hint: did you mean `repository.name`?
    spec.yaml:11:18: changesetTemplate.commit.message: template: message:1: .Repository.Name stands for nothing outside range, with and define: variables are written without a leading dot, such as repository.name
      11 |     message: ${{ .Repository.Name }}
         |                  ^^^^^^^^^^^^^^^^
      hint: did you mean `repository.name`?
    "#);
}

#[test]
fn outputs_that_nobody_sets() {
    let spec = with("echo hi", "echo ${{ outputs.later }}").replace(
        "changesetTemplate:",
        "    outputs:\n      later: {value: x}\nchangesetTemplate:",
    );
    let spec = spec.replace("Says hello", "Says ${{ outputs.latre }}");
    insta::assert_snapshot!(refused(spec), @r#"
    error: the batch spec is not valid (2 problems):

    spec.yaml:4:19: steps.0.run: template: step-run:1:9: executing "step-run" at <outputs>: map has no entry for key "later"
      4 |   - run: echo ${{ outputs.later }} >> README.md
        |                   ^^^^^^^^^^^^^
      hint: no step before this one sets an output
    spec.yaml:10:18: changesetTemplate.body: template: body:1:9: executing "body" at <outputs>: map has no entry for key "latre"
      10 |   body: Says ${{ outputs.latre }}
         |                  ^^^^^^^^^^^^^
      hint: did you mean `outputs.later`?
    "#);
}

#[test]
fn files_and_mounts() {
    let step = |more: &str| {
        with(
            "container: alpine:3",
            &format!("container: alpine:3\n{more}"),
        )
    };
    insta::assert_snapshot!(refused(step("    files:\n      etc/x: abc")), @r#"
    error: the batch spec is not valid (1 problem):

    spec.yaml:7:7: step 1 files target path "etc/x" is not absolute
      7 |       etc/x: abc
        |       ^^^^^
      hint: the path is one in the container and has to start with `/`, for example /tmp/file
    "#);
    insta::assert_snapshot!(refused(step("    mount:\n      - path: ../x\n        mountpoint: /x")), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:7:15: handling mount: step 1 mount path is not in the same directory or subdirectory as the batch spec
      7 |       - path: ../x
        |               ^^^^
      hint: only what is in the spec's directory, $WORLD/work, can be mounted; --mount shows other paths to every step
    ");
    insta::assert_snapshot!(refused(step("    mount:\n      - path: /etc/passwd\n        mountpoint: /x")), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:7:15: handling mount: step 1 mount path is not in the same directory or subdirectory as the batch spec
      7 |       - path: /etc/passwd
        |               ^^^^^^^^^^^
      hint: only what is in the spec's directory, $WORLD/work, can be mounted; --mount shows other paths to every step
    ");
    insta::assert_snapshot!(refused(step("    mount:\n      - path: ./scripts\n        mountpoint: /x")), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:7:15: handling mount: step 1 mount path ./scripts does not exist
      7 |       - path: ./scripts
        |               ^^^^^^^^^
      hint: relative paths start at the spec's directory, $WORLD/work
    ");
    insta::assert_snapshot!(refused(step("    mount:\n      - path: ./widgets\n        mountpoint: x")), @r#"
    error: the batch spec is not valid (1 problem):

    spec.yaml:8:21: step 1 mount mountpoint "x" is not absolute
      8 |         mountpoint: x
        |                     ^
      hint: the mountpoint is a path in the container and has to start with `/`
    "#);
    insta::assert_snapshot!(refused(step("    mount:\n      - path: a,b\n        mountpoint: /x")), @"
    error: the batch spec is not valid (1 problem):

    spec.yaml:7:15: step 1 mount path contains invalid characters
      7 |       - path: a,b
        |               ^^^
      hint: the path must not contain a comma
    ");
}

#[test]
fn a_mount_over_a_symbolic_link_does_not_lead_out() {
    let world = World::new();
    std::os::unix::fs::symlink("/etc", world.work().join("link")).unwrap();
    let step = "container: alpine:3\n    mount:\n      - path: link/passwd\n        mountpoint: /x";
    world.write("spec.yaml", with("container: alpine:3", step));
    let output = world
        .capstan(["batch", "validate", "-f", "spec.yaml"])
        .run();
    insta::assert_snapshot!(output, @"
    --- stderr
    error: the batch spec is not valid (1 problem):

    spec.yaml:7:15: handling mount: step 1 mount path is not in the same directory or subdirectory as the batch spec
      7 |       - path: link/passwd
        |               ^^^^^^^^^^^
      hint: only what is in the spec's directory, $WORLD/work, can be mounted; --mount shows other paths to every step
    --- exit 2
    ");
}

#[test]
fn published_rules_and_groups() {
    let spec = with(
        "changesetTemplate:",
        "changesetTemplate:\n  published:\n    - \"a[\": true\n    - \"*\": perhaps",
    );
    insta::assert_snapshot!(refused(spec), @r#"
    error: the batch spec is not valid (2 problems):

    spec.yaml:8:7: building rule for array entry 0: unexpected end of input
      8 |     - "a[": true
        |       ^^^^
    spec.yaml:9:12: changesetTemplate.published.1.*: Does not match pattern '^draft$'
      9 |     - "*": perhaps
        |            ^^^^^^^
      hint: published is true, false, draft, or a list whose entries are one `repository-glob: true`, `false` or `draft`
    "#);
}

#[test]
fn version_3_is_for_servers() {
    let spec = VALID
        .replace("version: 2", "version: 3")
        .replace("container:", "image:");
    insta::assert_snapshot!(refused(&spec), @"
    error: batch spec version 3 is not supported for local execution, please run server-side
    hint: versions 1 and 2 run here; they have `container` in place of `image`
    ");
    // It is valid, though.
    let world = World::new();
    world.write("spec.yaml", spec);
    world
        .capstan(["batch", "validate", "-f", "spec.yaml"])
        .run()
        .assert_code(0);
}

/// `batch run` with these arguments, in a world with a repository and an empty one.
fn run(world: &World, arguments: &[&str]) -> Output {
    world.repository("widgets", &[("README.md", "hi\n")]);
    std::fs::create_dir(world.work().join("plain")).unwrap();
    world.write("spec.yaml", VALID);
    world.capstan(["batch", "run"]).args(arguments).run()
}

#[test]
fn spec_files_that_are_not_there() {
    let world = World::new();
    insta::assert_snapshot!(run(&world, &["-f", "nowhere.yaml", "widgets"]), @"
    --- stderr
    error: cannot open file nowhere.yaml: no such file or directory
    hint: name the batch spec with -f, or pipe it in with -f -
    --- exit 2
    ");
    let directory = world.capstan(["batch", "run", "-f", ".", "widgets"]).run();
    insta::assert_snapshot!(directory, @"
    --- stderr
    error: . is a directory
    hint: name the batch spec in it, for example batch.yaml
    --- exit 2
    ");
    let none = world.capstan(["batch", "run", "widgets"]).run();
    insta::assert_snapshot!(none, @"
    --- stderr
    error: the following required arguments were not provided:
      --file <SPEC>

    Usage: capstan batch run --file <SPEC> <REPO>...

    For more information, try '--help'.
    --- exit 2
    ");
}

#[test]
fn a_spec_on_standard_input() {
    Engine::require();
    let world = World::new();
    world.repository("widgets", &[("README.md", "hi\n")]);
    let output = world
        .capstan(["batch", "run", "-f", "-", "--output", "out", "widgets"])
        .stdin(VALID)
        .run();
    output.assert_code(0);
    assert_eq!(
        world.files("out"),
        ["changesets.json", "widgets/hello.patch"]
    );
    let wrong = world
        .capstan(["batch", "validate", "-f", "-"])
        .stdin("nmae: x\n")
        .run();
    insta::assert_snapshot!(wrong, @"
    --- stderr
    error: the batch spec is not valid (2 problems):

    standard input:1:1: name is required
      1 | nmae: x
        | ^^^^
    standard input:1:1: Additional property nmae is not allowed
      1 | nmae: x
        | ^^^^
      hint: did you mean `name`?
    --- exit 2
    ");
}

#[test]
fn repositories_that_cannot_be_used() {
    let engine = Engine::require();
    let world = World::new();
    let spec = ["-f", "spec.yaml", "--output", "out"];
    let several = run(
        &world,
        &[&spec[..], &["./nowhere", "widgets", "plain", "spec.yaml"]].concat(),
    );
    insta::assert_snapshot!(several, @"
    --- stderr
    error: 3 repositories cannot be used:
      repository $WORLD/work/nowhere does not exist
        hint: name a directory that holds a git repository, or a git URL
      $WORLD/work/plain is not in a git repository
        hint: run `git init` and commit there, or name another directory
      repository $WORLD/work/spec.yaml is not a directory
    --- exit 2
    ");
    widgets_without_commit(&world);
    let bare = |arguments: &[&str]| {
        world
            .capstan(["batch", "run"])
            .args(spec)
            .args(arguments)
            .run()
    };
    insta::assert_snapshot!(bare(&["empty", "widgets"]), @"
    --- stderr
    error: repository empty has no commit yet
    hint: commit something there first
    --- exit 2
    ");
    insta::assert_snapshot!(bare(&[]), @"
    --- stderr
    error: there is no repository to work on
    hint: name repositories after the spec: capstan batch run -f SPEC ./repo-a ./repo-b
    --- exit 2
    ");
    insta::assert_snapshot!(bare(&["ext::sh -c touch% /tmp/x"]), @"
    --- stderr
    error: ext::sh -c touch% /tmp/x: ext URLs are not supported: use https, http, ssh, git or file, or user@host:path
    --- exit 2
    ");
    assert_eq!(world.files("out"), [""; 0]);
    engine.assert_no_containers(&world);
}

fn widgets_without_commit(world: &World) {
    let made = world.repository("empty", &[]);
    made.git(["update-ref", "-d", "HEAD"]);
}

#[test]
fn a_query_needs_a_server() {
    Engine::require();
    let world = World::new();
    let on = "on:\n  - repositoriesMatchingQuery: lang:go fmt.Println\nsteps:";
    world.write("query.yaml", with("steps:", on));
    let output = run(&world, &["-f", "query.yaml"]);
    insta::assert_snapshot!(output, @r#"
    --- stderr
    error: repositoriesMatchingQuery "lang:go fmt.Println" needs a Sourcegraph instance to search
    hint: name repositories after the spec: capstan batch run -f SPEC ./repo-a ./repo-b
    --- exit 2
    "#);
    // Repositories on the command line replace it.
    let output = world
        .capstan(["batch", "render", "-f", "query.yaml", "widgets"])
        .run();
    output.assert_code(0);
}

/// Runs a spec whose first step is changed, on one repository that fails.
fn fails(old: &str, new: &str) -> String {
    Engine::require();
    let world = World::new();
    let widgets = world.repository("widgets", &[("README.md", "hi\n")]);
    world.write("spec.yaml", with(old, new));
    let output = world
        .capstan([
            "batch",
            "run",
            "-f",
            "spec.yaml",
            "--output",
            "out",
            "widgets",
        ])
        .run();
    output.assert_code(1);
    assert_eq!(world.changesets("out"), [0; 0]);
    assert_eq!(widgets.git(["status", "--porcelain"]), "");
    // The name of the log's directory is made up anew for each run.
    let stderr = output.stderr();
    let lines = stderr.lines().filter(|line| !line.starts_with("  log: "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn outputs_that_are_not_what_they_are_declared_to_be() {
    let step = |value: &str, format: &str| {
        let new = format!(
            "container: alpine:3\n    outputs:\n      info: {{value: {value}, format: {format}}}"
        );
        fails("container: alpine:3", &new)
    };
    insta::assert_snapshot!(step("nope", "json"), @r#"
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/1: echo hi >> README.md
    [widgets] step 1/1: failed: setting step outputs: invalid character 'o' in literal null (expecting 'u')
    ✗ widgets: step 1 failed
      setting step outputs: invalid character 'o' in literal null (expecting 'u')
    hint: the output "info" is declared as json, but its value is "nope"
    wrote out/changesets.json
    1 workspace: 0 done, 1 failed; 0 changesets; <time>
    "#);
    insta::assert_snapshot!(step("\"${{ step.stdout }}\"", "json"), @r#"
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/1: echo hi >> README.md
    [widgets] step 1/1: failed: setting step outputs: EOF
    ✗ widgets: step 1 failed
      setting step outputs: EOF
    hint: the output "info" is declared as json, but its value is empty
    wrote out/changesets.json
    1 workspace: 0 done, 1 failed; 0 changesets; <time>
    "#);
    insta::assert_snapshot!(step("\"a: [\"", "yaml"), @r#"
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/1: echo hi >> README.md
    [widgets] step 1/1: failed: setting step outputs: yaml: line 1: while parsing a node, did not find expected node content
    ✗ widgets: step 1 failed
      setting step outputs: yaml: line 1: while parsing a node, did not find expected node content
    hint: the output "info" is declared as yaml, but its value is "a: ["
    wrote out/changesets.json
    1 workspace: 0 done, 1 failed; 0 changesets; <time>
    "#);
}

#[test]
fn templates_that_fail_when_they_are_rendered() {
    insta::assert_snapshot!(fails("echo hi", "echo ${{ index steps.modified_files 3 }}"), @r#"
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/1: failed: parsing step run: template: step-run:1:9: executing "step-run" at <index steps.modified_files 3>: er…
    ✗ widgets: step 1 failed
      parsing step run: template: step-run:1:9: executing "step-run" at <index steps.modified_files 3>: error calling index: index out of range: 3
    wrote out/changesets.json
    1 workspace: 0 done, 1 failed; 0 changesets; <time>
    "#);
    insta::assert_snapshot!(fails("branch: hello", "branch: ${{ matches repository.name \"[\" }}"), @r#"
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/1: echo hi >> README.md
    [widgets] done
    ✗ widgets: failed
      template: branch:1:4: executing "branch" at <matches repository.name "[">: error calling matches: unexpected end of input
    wrote out/changesets.json
    1 workspace: 0 done, 1 failed; 0 changesets; <time>
    "#);
}
