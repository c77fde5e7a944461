//! The batch spec language on a real engine: what a step sees, and what becomes of what it does.

use capstan_tests::{Engine, Output, Repository, World};

const TEMPLATE: &str = "
changesetTemplate:
  title: Change ${{ repository.name }}
  body: A change
  branch: change
  commit:
    message: Change
";

fn widgets(world: &World) -> Repository {
    world.repository("widgets", &[("README.md", "hi\n")])
}

/// Runs a spec on repositories of the world, results go to `out`.
fn run(world: &World, spec: &str, repositories: &[&str]) -> Output {
    world.write("spec/spec.yaml", spec);
    let output = world
        .capstan(["batch", "run", "-f", "spec/spec.yaml", "--output", "out"])
        .arg("-j1")
        .args(repositories)
        .env("FORWARDED", "from outside")
        .env("TEMPLATED", "in ${{ repository.name }}")
        .run();
    Engine::require().assert_no_containers(world);
    output
}

/// Steps that write into one file, and what is in it in the end.
fn written(world: &World, steps: &str) -> String {
    let spec = format!("version: 2\nname: demo\ndescription: A demo\nsteps:\n{steps}{TEMPLATE}");
    widgets(world);
    run(world, &spec, &["widgets"]).assert_code(0);
    let patch = world.read("out/widgets/change.patch");
    let added = patch
        .lines()
        .filter(|line| line.starts_with('+') && !line.starts_with("+++"));
    added
        .map(|line| line[1..].trim_end())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn env_in_all_its_forms() {
    let steps = r#"
  - run: echo "static $A, forwarded ${FORWARDED-unset}" >> log
    container: alpine:3
    env: {A: "to ${{ repository.name }}"}
  - run: echo "forwarded $FORWARDED, missing [${MISSING-unset}], $TEMPLATED" >> log
    container: alpine:3
    env: [FORWARDED, MISSING, TEMPLATED]
  - run: echo "mixed $FORWARDED, $A" >> log
    container: alpine:3
    env: [FORWARDED, {A: one}, {A: two}]
  - run: echo "nothing else [$FORWARDED] [$CAPSTAN_STATE_DIR]" >> log
    container: alpine:3
"#;
    insta::assert_snapshot!(written(&World::new(), steps), @"
    static to widgets, forwarded unset
    forwarded from outside, missing [], in widgets
    mixed from outside, two
    nothing else [] []
    ");
}

#[test]
fn files_for_any_user() {
    let steps = r#"
  - run: |
      echo "user $(id -u)" >> log
      cat /tmp/a.txt /etc/deep/b.json >> log
      (echo x > /tmp/a.txt) 2>/dev/null || echo "cannot be written" >> log
    container: capstan-test/nonroot
    files:
      /tmp/a.txt: "a of ${{ repository.name }}\n"
      /etc/deep/b.json: |
        {"b": "${{ batch_change.name }}"}
"#;
    insta::assert_snapshot!(written(&World::new(), steps), @r#"
    user 1000
    a of widgets
    {"b": "demo"}
    cannot be written
    "#);
}

#[test]
fn mounts_of_files_and_directories() {
    let world = World::new();
    world.write("spec/scripts/hello.sh", "echo \"hello from $1\"\n");
    world.write("spec/scripts/sub/data.txt", "data\n");
    let steps = r#"
  - run: |
      sh /hello.sh mount >> log
      cat /scripts/sub/data.txt >> log
      (echo x > /scripts/new) 2>/dev/null || echo "read-only" >> log
    container: alpine:3
    mount:
      - {path: ./scripts/hello.sh, mountpoint: /hello.sh}
      - {path: scripts, mountpoint: /scripts}
"#;
    insta::assert_snapshot!(written(&world, steps), @"
    hello from mount
    data
    read-only
    ");
    assert_eq!(
        world.files("spec"),
        ["scripts/hello.sh", "scripts/sub/data.txt", "spec.yaml"]
    );
}

#[test]
fn outputs_feed_steps_and_the_template() {
    let world = World::new();
    widgets(&world);
    let spec = r#"
version: 2
name: demo
steps:
  - run: |
      printf '  {"version": 3, "list": ["a", "b"], "deep": {"key": "value"}}'
      echo warning >&2
    container: alpine:3
    outputs:
      text:
        value: ${{ step.stderr }}
      info:
        value: ${{ step.stdout }}
        format: json
      config:
        value: "count: 12345678\nwhen: 2024-01-02\nok: yes\n"
        format: yaml
  - run: |
      echo "text: ${{ outputs.text }}" >> log
      echo "json: ${{ outputs.info.version }} ${{ outputs.info.list }} ${{ index outputs.info.list 1 }} ${{ outputs.info.deep.key }}" >> log
      echo "yaml: ${{ outputs.config.count }} ${{ outputs.config.when }} ${{ outputs.config.ok }}" >> log
      echo "eq: ${{ eq outputs.info.version 3.0 }} ${{ eq outputs.config.count 12345678 }}" >> log
    container: alpine:3
changesetTemplate:
  title: ${{ outputs.text }} for version ${{ outputs.info.version }}
  body: |
    ${{ range $i, $x := outputs.info.list }}${{ $i }}=${{ $x }} ${{ end }}
  branch: demo-${{ outputs.info.deep.key }}
  commit:
    message: Count to ${{ outputs.config.count }}
"#;
    run(&world, spec, &["widgets"]).assert_code(0);
    insta::assert_snapshot!(world.read("out/widgets/demo-value.patch"), @"
    diff --git log log
    new file mode 100644
    index 0000000..263ec05
    --- /dev/null
    +++ log
    @@ -0,0 +1,5 @@
    +text: warning
    +
    +json: 3 [a b] b value
    +yaml: 12345678 2024-01-02 00:00:00 +0000 UTC yes
    +eq: true true
    ");
    insta::assert_snapshot!(world.read("out/changesets.json"), @r#"
    [
    {"baseRepository":"widgets","baseRev":"b490fed1abace25d1a2b01dc984148bc9dc2558e","baseRef":"refs/heads/main","headRepository":"widgets","headRef":"refs/heads/demo-value","title":"warning\n for version 3","body":"0=a 1=b","commits":[{"version":2,"message":"Count to 12345678","diff":"ZGlmZiAtLWdpdCBsb2cgbG9nCm5ldyBmaWxlIG1vZGUgMTAwNjQ0CmluZGV4IDAwMDAwMDAuLjI2M2VjMDUKLS0tIC9kZXYvbnVsbAorKysgbG9nCkBAIC0wLDAgKzEsNSBAQAordGV4dDogd2FybmluZworCitqc29uOiAzIFthIGJdIGIgdmFsdWUKK3lhbWw6IDEyMzQ1Njc4IDIwMjQtMDEtMDIgMDA6MDA6MDAgKzAwMDAgVVRDIHllcworZXE6IHRydWUgdHJ1ZQo=","authorName":"Sourcegraph","authorEmail":"batch-changes@sourcegraph.com"}]}
    ]
    "#);
}

#[test]
fn conditions_and_variables() {
    let steps = r#"
  - run: |
      echo changed >> README.md; echo new > new.txt; echo said; echo complained >&2
    container: alpine:3
    if: ${{ eq repository.name "widgets" }}
  - run: echo never >> log
    container: alpine:3
    if: ${{ matches repository.name "github.com/*" }}
  - run: echo never >> log
    container: alpine:3
    if: false
  - run: |
      echo "steps ${{ steps.modified_files }} ${{ steps.added_files }} ${{ steps.deleted_files }} path=[${{ steps.path }}]" >> log
      echo "previous ${{ previous_step.modified_files }} [${{ previous_step.stdout }}] [${{ previous_step.stderr }}]" >> log
      echo "step ${{ step.modified_files }} [${{ step.stdout }}]" >> log
      echo "branch ${{ repository.branch }}, ${{ batch_change.name }}, ${{ batch_change.description }}" >> log
      mv new.txt moved.txt
    container: alpine:3
    if: ${{ eq (join previous_step.added_files "+") "new.txt" }}
    outputs:
      seen:
        value: ${{ join step.added_files "+" }}
  - run: echo "output ${{ outputs.seen }}" >> log
    container: alpine:3
    if: ${{ eq outputs.seen "log+moved.txt" }}
  - run: echo never >> log
    container: alpine:3
    if: ${{ outputs.seen }}
"#;
    insta::assert_snapshot!(written(&World::new(), steps), @"
    changed
    steps [README.md] [new.txt] [] path=[]
    previous [README.md] [said
    ] [complained
    ]
    step [] []
    branch main, demo, A demo
    output log+moved.txt
    new
    ");
}

#[test]
fn the_container_is_a_template() {
    let world = World::new();
    world.repository("alpine", &[("README.md", "hi\n")]);
    let spec = format!(
        r#"
name: demo
steps:
  - run: printf busybox; echo one >> log
    container: ${{{{ repository.name }}}}:3
    outputs:
      image: {{value: "${{{{ step.stdout }}}}"}}
  - run: echo two >> log
    container: ${{{{ outputs.image }}}}:stable
{TEMPLATE}"#
    );
    run(&world, &spec, &["alpine"]).assert_code(0);
    assert_eq!(world.changesets("out").len(), 1);
    let blank = spec.replace("${{ outputs.image }}:stable", "${{ join_if \\\"\\\" }}");
    let blank = blank.replace("\\\"", "\"");
    let output = run(&world, &blank, &["alpine"]);
    output.assert_code(1);
    let stderr = output.stderr();
    assert!(
        stderr.contains("failed to resolve image for step 2: empty image"),
        "{stderr}"
    );
}

#[test]
fn workspaces_in_a_monorepo() {
    let world = World::new();
    let files = [
        (".gitignore", "*.tmp\n"),
        ("package.json", "{}\n"),
        ("a/package.json", "{}\n"),
        ("a/src/x.txt", "x\n"),
        ("b/c/package.json", "{}\n"),
        ("b/other.txt", "other\n"),
    ];
    world.repository("mono", &files);
    world.repository("plain", &[("README.md", "hi\n")]);
    world.repository("ignored", &[(".batchignore", ""), ("README.md", "hi\n")]);
    let spec = r#"
name: demo
workspaces:
  - rootAtLocationOf: package.json
    in: mono
    onlyFetchWorkspace: true
steps:
  - run: |
      touch x.tmp
      found=$(find /work -name .git -prune -o -type f -print | sort)
      echo "$found" > files.txt
      echo "at [${{ steps.path }}]" >> files.txt
    container: alpine:3
changesetTemplate:
  title: In ${{ steps.path }}
  body: ""
  branch: demo/${{ join_if "-" "root" (replace steps.path "/" "-") }}
  commit:
    message: Demo
"#;
    let output = run(&world, spec, &["mono", "plain", "ignored"]);
    insta::assert_snapshot!(output, @"
    --- stderr
    4 workspaces in 3 repositories
    warning: ignored: left alone, as its .batchignore asks for
    [mono] preparing the workspace
    [mono] step 1/1: touch x.tmp
    [mono] done
    [mono:a] preparing the workspace
    [mono:a] step 1/1: touch x.tmp
    [mono:a] done
    [mono:b/c] preparing the workspace
    [mono:b/c] step 1/1: touch x.tmp
    [mono:b/c] done
    [plain] preparing the workspace
    [plain] step 1/1: touch x.tmp
    [plain] done
    mono: branch demo/root
      files.txt | 8 ++++++++
      1 file changed, 8 insertions(+)
    mono:a: branch demo/root-a
      a/files.txt | 5 +++++
      1 file changed, 5 insertions(+)
    mono:b/c: branch demo/root-b-c
      b/c/files.txt | 4 ++++
      1 file changed, 4 insertions(+)
    plain: branch demo/root
      files.txt | 3 +++
      x.tmp     | 0
      2 files changed, 3 insertions(+)
    wrote out/changesets.json
    4 workspaces: 4 done; 4 changesets; <time>
    --- exit 0
    ");
    let files = world.files("out");
    insta::assert_snapshot!(files.join("\n"), @"
    changesets.json
    mono/demo/root-a.patch
    mono/demo/root-b-c.patch
    mono/demo/root.patch
    plain/demo/root.patch
    ");
    insta::assert_snapshot!(world.read("out/mono/demo/root-b-c.patch"), @"
    diff --git b/c/files.txt b/c/files.txt
    new file mode 100644
    index 0000000..f9d74ae
    --- /dev/null
    +++ b/c/files.txt
    @@ -0,0 +1,4 @@
    +/work/.gitignore
    +/work/b/c/package.json
    +/work/b/c/x.tmp
    +at [b/c]
    ");
}

#[test]
fn published_fork_and_author() {
    let world = World::new();
    for name in ["widgets", "gadgets"] {
        world.repository(name, &[("README.md", "hi\n")]);
    }
    let spec = |published: &str| {
        format!(
            r#"
name: demo
steps:
  - run: echo "${{{{ repository.name }}}}" >> README.md
    container: alpine:3
changesetTemplate:
  title: "  Change ${{{{ repository.name }}}}  "
  body: See ${{{{ batch_change_link }}}}
  branch: change-${{{{ repository.name }}}}
  fork: true
  published: {published}
  commit:
    message: Change
    author:
      name: Bot of ${{{{ repository.name }}}}
      email: bot@example.com
"#
        )
    };
    let rules = r#"[{"*": draft}, {"gad*": true}, {"gadgets@other": false}]"#;
    run(&world, &spec(rules), &["widgets", "gadgets"]).assert_code(0);
    insta::assert_snapshot!(world.read("out/changesets.json"), @r#"
    [
    {"baseRepository":"gadgets","baseRev":"b490fed1abace25d1a2b01dc984148bc9dc2558e","baseRef":"refs/heads/main","headRepository":"gadgets","headRef":"refs/heads/change-gadgets","title":"Change gadgets","body":"See ${{ batch_change_link }}","commits":[{"version":2,"message":"Change","diff":"ZGlmZiAtLWdpdCBSRUFETUUubWQgUkVBRE1FLm1kCmluZGV4IDQ1Yjk4M2IuLjFiZDMzMTEgMTAwNjQ0Ci0tLSBSRUFETUUubWQKKysrIFJFQURNRS5tZApAQCAtMSArMSwyIEBACiBoaQorZ2FkZ2V0cwo=","authorName":"Bot of gadgets","authorEmail":"bot@example.com"}],"published":true,"fork":true},
    {"baseRepository":"widgets","baseRev":"b490fed1abace25d1a2b01dc984148bc9dc2558e","baseRef":"refs/heads/main","headRepository":"widgets","headRef":"refs/heads/change-widgets","title":"Change widgets","body":"See ${{ batch_change_link }}","commits":[{"version":2,"message":"Change","diff":"ZGlmZiAtLWdpdCBSRUFETUUubWQgUkVBRE1FLm1kCmluZGV4IDQ1Yjk4M2IuLjlhNmE4OTQgMTAwNjQ0Ci0tLSBSRUFETUUubWQKKysrIFJFQURNRS5tZApAQCAtMSArMSwyIEBACiBoaQord2lkZ2V0cwo=","authorName":"Bot of widgets","authorEmail":"bot@example.com"}],"published":"draft","fork":true}
    ]
    "#);
    for (published, expected) in [
        ("false", "[false,false]"),
        ("[{\"w*@change-widgets\": draft}]", "[null,\"draft\"]"),
        ("[]", "[null,null]"),
    ] {
        run(&world, &spec(published), &["widgets", "gadgets"]).assert_code(0);
        let found: Vec<_> = world
            .changesets("out")
            .iter()
            .map(|one| one["published"].clone())
            .collect();
        assert_eq!(
            serde_json::Value::from(found).to_string(),
            expected,
            "{published}"
        );
    }
}

#[test]
fn groups_split_a_diff() {
    let world = World::new();
    let files = [
        ("go/a.go", "a\n"),
        ("go/sub/b.go", "b\n"),
        (".github/ci.yaml", "c\n"),
        ("README.md", "hi\n"),
    ];
    world.repository("mono", &files);
    let spec = format!(
        r#"
name: demo
steps:
  - run: for f in go/a.go go/sub/b.go .github/ci.yaml README.md; do echo more >> $f; done
    container: alpine:3
transformChanges:
  group:
    - {{directory: go, branch: go}}
    - {{directory: ./go/sub/, branch: go-sub}}
    - {{directory: .github, branch: ci, repository: mono}}
    - {{directory: README.md, branch: other, repository: elsewhere}}
{TEMPLATE}"#
    );
    run(&world, &spec, &["mono"]).assert_code(0);
    let files: Vec<_> = world
        .changesets("out")
        .iter()
        .map(|one| {
            let branch = one["headRef"].as_str().unwrap().replace("refs/heads/", "");
            let patch = world.read(format!("out/mono/{branch}.patch"));
            let files = patch.lines().filter_map(|line| line.strip_prefix("+++ "));
            format!("{branch}: {}", files.collect::<Vec<_>>().join(" "))
        })
        .collect();
    insta::assert_snapshot!(files.join("\n"), @"
    change: README.md
    go: go/a.go
    go-sub: go/sub/b.go
    ci: .github/ci.yaml
    ");
}

#[test]
fn imported_changesets_come_last() {
    let world = World::new();
    widgets(&world);
    let spec = format!(
        r#"
name: demo
importChangesets:
  - repository: github.com/acme/gadgets
    externalIDs: [7, "21"]
steps:
  - run: echo >> README.md
    container: alpine:3
{TEMPLATE}"#
    );
    run(&world, &spec, &["widgets"]).assert_code(0);
    let changesets = world.changesets("out");
    assert_eq!(changesets.len(), 3);
    assert_eq!(
        changesets[1].to_string(),
        r#"{"baseRepository":"github.com/acme/gadgets","externalID":"7"}"#
    );
    assert_eq!(
        changesets[2].to_string(),
        r#"{"baseRepository":"github.com/acme/gadgets","externalID":"21"}"#
    );
}

#[test]
fn two_changesets_on_one_branch_are_refused() {
    let world = World::new();
    world.repository("mono", &[("a/go.mod", "a\n"), ("b/go.mod", "b\n")]);
    let spec = format!(
        r#"
name: demo
workspaces:
  - rootAtLocationOf: go.mod
steps:
  - run: echo more >> go.mod
    container: alpine:3
{TEMPLATE}"#
    );
    insta::assert_snapshot!(run(&world, &spec, &["mono"]), @r#"
    --- stderr
    2 workspaces in 1 repository
    [mono:a] preparing the workspace
    [mono:a] step 1/1: echo more >> go.mod
    [mono:a] done
    [mono:b] preparing the workspace
    [mono:b] step 1/1: echo more >> go.mod
    [mono:b] done
    error: Multiple changeset specs have the same branch:

    	* mono: 2 changeset specs have the branch "change"

    Make changesetTemplate.branch unique within a repository. Where a repository has several workspaces, put their path into it, for example with ${{ replace steps.path "/" "-" }}.
    --- exit 1
    "#);
    assert_eq!(world.files("out"), [""; 0]);
}

#[test]
fn a_workspace_without_a_diff_gives_no_changeset() {
    let world = World::new();
    widgets(&world);
    let spec = format!("name: demo\nsteps:\n  - run: 'true'\n    container: alpine:3\n{TEMPLATE}");
    insta::assert_snapshot!(run(&world, &spec, &["widgets"]), @"
    --- stderr
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/1: true
    [widgets] done, nothing changed
    widgets: nothing changed
    wrote out/changesets.json
    1 workspace: 1 done; 0 changesets; <time>
    --- exit 0
    ");
    assert_eq!(world.changesets("out"), [""; 0]);
}
