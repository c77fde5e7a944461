use super::*;
use proptest::prelude::*;

fn problems(text: &str) -> Vec<String> {
    match parse(text.as_bytes(), &ParseOptions::default()) {
        Ok(_) => Vec::new(),
        Err(all) => all.iter().map(ToString::to_string).collect(),
    }
}

fn read(text: &str) -> BatchSpec {
    match parse(text.as_bytes(), &ParseOptions::default()) {
        Ok(parsed) => parsed.spec,
        Err(all) => panic!("{}", all.render("spec.yaml", text.as_bytes())),
    }
}

fn shown(text: &str) -> String {
    match parse(text.as_bytes(), &ParseOptions::default()) {
        Ok(_) => "fine".to_owned(),
        Err(all) => all.render("spec.yaml", text.as_bytes()),
    }
}

/// A valid spec with one step that has the given lines.
fn step(lines: &str) -> String {
    let lines = lines.replace('\n', "\n    ");
    format!(
        "name: x\nsteps:\n  - run: y\n    container: z\n    {lines}\nchangesetTemplate: {{title: t, branch: b, commit: {{message: m}}}}\n"
    )
}

/// A valid spec whose changeset template has the given line.
fn template(line: &str) -> String {
    format!(
        "name: x\nchangesetTemplate:\n  title: t\n  branch: b\n  commit: {{message: m}}\n  {line}\n"
    )
}

const FULL: &str = r#"version: 2
name: hello-world
description: Say hello
on:
  - repositoriesMatchingQuery: file:README.md
  - repository: github.com/acme/a
  - repository: github.com/acme/b
    branch: dev
  - repository: github.com/acme/c
    branches: [x, y]
workspaces:
  - rootAtLocationOf: package.json
    in: github.com/acme/*
    onlyFetchWorkspace: true
steps:
  - run: |
      echo "<hi> & bye"
    container: alpine:3
    env:
      - HOME_DIR
      - A: b
    files:
      /tmp/f: hi
    outputs:
      o: {value: v, format: json}
      p: {value: w, extra: 1}
    mount:
      - path: ./m
        mountpoint: /mnt
    if: true
  - run: make
    container: alpine:3
    env: {Z: z, A: a}
    if: ${{ eq repository.name "x" }}
transformChanges:
  group:
    - directory: a
      branch: b
      repository: github.com/acme/a
importChangesets:
  - repository: github.com/acme/a
    externalIDs: [1, "2", 3.0]
changesetTemplate:
  title: T
  body: B
  branch: c
  fork: false
  commit:
    message: M
    author: {name: N, email: n@example.com}
  published:
    - "*": false
    - github.com/acme/*@dev: draft
"#;

#[test]
fn a_whole_spec() {
    let spec = read(FULL);
    assert_eq!(spec.version, 2);
    assert_eq!(
        spec.on,
        [
            On::Query("file:README.md".to_owned()),
            On::Repository {
                name: "github.com/acme/a".to_owned(),
                branches: Vec::new()
            },
            On::Repository {
                name: "github.com/acme/b".to_owned(),
                branches: vec!["dev".to_owned()]
            },
            On::Repository {
                name: "github.com/acme/c".to_owned(),
                branches: vec!["x".to_owned(), "y".to_owned()]
            },
        ]
    );
    assert_eq!(spec.import_changesets[0].external_ids, ["1", "2", "3"]);
    let published = spec.changeset_template.unwrap().published.unwrap();
    assert_eq!(published.rules[1].pattern, "github.com/acme/*");
    assert_eq!(published.rules[1].branch.as_deref(), Some("dev"));
    assert_eq!(published.rules[1].value, PublishedValue::Draft);
}

#[test]
fn the_spec_as_json() {
    let json = serde_json::to_string_pretty(&read(FULL)).unwrap();
    insta::assert_snapshot!(json, @r#"
    {
      "version": 2,
      "name": "hello-world",
      "description": "Say hello",
      "on": [
        {
          "repositoriesMatchingQuery": "file:README.md"
        },
        {
          "repository": "github.com/acme/a"
        },
        {
          "repository": "github.com/acme/b",
          "branch": "dev"
        },
        {
          "repository": "github.com/acme/c",
          "branches": [
            "x",
            "y"
          ]
        }
      ],
      "workspaces": [
        {
          "rootAtLocationOf": "package.json",
          "in": "github.com/acme/*",
          "onlyFetchWorkspace": true
        }
      ],
      "steps": [
        {
          "run": "echo \"<hi> & bye\"\n",
          "container": "alpine:3",
          "env": [
            "HOME_DIR",
            {
              "A": "b"
            }
          ],
          "files": {
            "/tmp/f": "hi"
          },
          "outputs": {
            "o": {
              "value": "v",
              "format": "json"
            },
            "p": {
              "value": "w"
            }
          },
          "mount": [
            {
              "mountpoint": "/mnt",
              "path": "./m"
            }
          ],
          "if": true
        },
        {
          "run": "make",
          "container": "alpine:3",
          "env": {
            "A": "a",
            "Z": "z"
          },
          "if": "${{ eq repository.name \"x\" }}"
        }
      ],
      "transformChanges": {
        "group": [
          {
            "directory": "a",
            "branch": "b",
            "repository": "github.com/acme/a"
          }
        ]
      },
      "importChangesets": [
        {
          "repository": "github.com/acme/a",
          "externalIDs": [
            "1",
            "2",
            "3"
          ]
        }
      ],
      "changesetTemplate": {
        "title": "T",
        "body": "B",
        "branch": "c",
        "fork": false,
        "commit": {
          "message": "M",
          "author": {
            "name": "N",
            "email": "n@example.com"
          }
        },
        "published": [
          {
            "*": false
          },
          {
            "github.com/acme/*": "draft"
          }
        ]
      }
    }
    "#);
}

#[test]
fn what_is_accepted() {
    for text in [
        "name: x",
        "name: a.b-c_9\nversion: 1.0\n",
        "name: x\non: null\nsteps: ~\nworkspaces:\ntransformChanges:\nimportChangesets:\n",
        "name: x\ndescription: 2024-01-02\n",
        r#"{"name": "x", "steps": []}"#,
        &step("env: null\nfiles: null\noutputs: null\nmount: null\nif: null"),
        &step("image: ignored"),
        &step("if: false"),
        &step("if: ''"),
        &step("env: [A, {B: c}, A]"),
        &step("env: []"),
        &template("published: true"),
        &template("published: draft"),
        &template("published: null"),
        &template("published: []"),
        "name: x\ntransformChanges: {group: null}\n",
        "name: x\nimportChangesets: [{repository: r, externalIDs: null}]\n",
        "version: 3\nname: x\nsteps: [{run: a, image: b}, {buildImage: {run: a, baseImage: b}}, {codingAgent: {type: codex, prompt: p}}]\nchangesetTemplate: {title: t, branch: b, commit: {message: m}}\nchangesetHooks: {onCIFailure: {steps: [{run: x, maxAttempts: 2}]}}\n",
    ] {
        assert_eq!(problems(text), [""; 0], "{text}");
    }
}

#[test]
fn values_are_converted() {
    let spec = read("name: x\nversion: 1.0\ndescription: 2024-01-02\n");
    assert_eq!(spec.version, 1);
    assert_eq!(spec.description, "2024-01-02T00:00:00Z");
    assert_eq!(
        read(&step("if: yes")).steps[0].if_,
        Condition::Text("yes".to_owned())
    );
    assert_eq!(read(&step("if:")).steps[0].if_, Condition::Absent);
}

#[test]
fn schema_texts() {
    const NAME: &str = "The batch change name can only contain word characters, dots and dashes. No whitespace or newlines allowed.";
    let cases: &[(&str, &[&str])] = &[
        ("", &["Invalid type. Expected: object, given: null"]),
        ("---\n", &["Invalid type. Expected: object, given: null"]),
        (
            "just text",
            &["Invalid type. Expected: object, given: string"],
        ),
        ("[]", &["Invalid type. Expected: object, given: array"]),
        ("{}", &["name is required"]),
        (
            "Name: x",
            &[
                "name is required",
                "Additional property Name is not allowed",
            ],
        ),
        ("name: ''", &[NAME]),
        ("name: a b", &[NAME]),
        ("name: é", &[NAME]),
        ("name: \"a\\n\"", &[NAME]),
        (
            "name: 1",
            &["name: Invalid type. Expected: string, given: integer"],
        ),
        (
            "name: 1.5",
            &["name: Invalid type. Expected: string, given: number"],
        ),
        (
            "name: x\nversion: 4",
            &["version: version must be one of the following: 1, 2, 3"],
        ),
        (
            "name: x\nversion: 1.5",
            &["version: version must be one of the following: 1, 2, 3"],
        ),
        (
            "name: x\nversion: '1'",
            &["version: Invalid type. Expected: number, given: string"],
        ),
        (
            "name: x\ndescription: null",
            &["description: Invalid type. Expected: string, given: null"],
        ),
        (
            "name: x\nfoo: 1",
            &["Additional property foo is not allowed"],
        ),
        (
            "name: x\nsteps: {}",
            &["steps: Invalid type. Expected: [array,null], given: object"],
        ),
        (
            "name: x\non: [{}]",
            &["on.0: repositoriesMatchingQuery is required"],
        ),
        (
            "name: x\non: [x]",
            &["on.0: Invalid type. Expected: object, given: string"],
        ),
        (
            "name: x\non: [{repository: x, repositoriesMatchingQuery: y}]",
            &["on.0: Additional property repository is not allowed"],
        ),
        (
            "name: x\non: [{repositoriesMatchingQuery: y, branch: b}]",
            &["on.0: Additional property branch is not allowed"],
        ),
        (
            "name: x\non: [{repository: x, branch: a, branches: [b]}]",
            &["on.0: both branch and branches specified"],
        ),
        (
            "name: x\non: [{branch: a}]",
            &["on.0: repository is required"],
        ),
        (
            "name: x\non: [{repository: x, branches: [1]}]",
            &["on.0.branches.0: Invalid type. Expected: string, given: integer"],
        ),
        (
            "name: x\nworkspaces: [{in: x}]",
            &["workspaces.0: rootAtLocationOf is required"],
        ),
        (
            "name: x\nworkspaces: [{rootAtLocationOf: x, onlyFetchWorkspace: yes}]",
            &["workspaces.0.onlyFetchWorkspace: Invalid type. Expected: boolean, given: string"],
        ),
        (
            "name: x\nsteps: [{run: a}]\nchangesetTemplate: {title: t, branch: b, commit: {message: m}}",
            &["steps.0: container is required"],
        ),
        (
            "name: x\nversion: 3\nsteps: [{run: a, container: c}]\nchangesetTemplate: {title: t, branch: b, commit: {message: m}}",
            &["steps.0: image is required"],
        ),
        (
            &step("env: {B: 2}"),
            &["steps.0.env.B: Invalid type. Expected: string, given: integer"],
        ),
        (
            &step("env: {B: true}"),
            &["steps.0.env.B: Invalid type. Expected: string, given: boolean"],
        ),
        (
            &step("env: [{A: a, B: b}]"),
            &["steps.0.env.0: Must have at most 1 properties"],
        ),
        (
            &step("env: [{}]"),
            &["steps.0.env.0: Must have at least 1 properties"],
        ),
        (
            &step("env: [1]"),
            &["steps.0.env.0: Invalid type. Expected: string, given: integer"],
        ),
        (
            &step("env: x"),
            &["steps.0.env: Invalid type. Expected: [null,object,array], given: string"],
        ),
        (
            &step("env: {1: x}"),
            &["steps.0.env: mapping keys have to be strings, this one is integer"],
        ),
        (
            &step("if: 1"),
            &["steps.0.if: Invalid type. Expected: boolean, given: integer"],
        ),
        (
            &step("files: [x]"),
            &["steps.0.files: Invalid type. Expected: [object,null], given: array"],
        ),
        (
            &step("outputs: {o: {}}"),
            &["steps.0.outputs.o: value is required"],
        ),
        (
            &step("outputs: {o: {value: x, format: xml}}"),
            &[
                r#"steps.0.outputs.o.format: steps.0.outputs.o.format must be one of the following: "json", "yaml", "text""#,
            ],
        ),
        (
            &step("mount: [{path: x}]"),
            &["steps.0.mount.0: mountpoint is required"],
        ),
        (
            &step("codingAgent: {type: codex, prompt: p}"),
            &["steps.0: codingAgent requires version: 3"],
        ),
        (
            &step("maxAttempts: 1"),
            &["steps.0: Additional property maxAttempts is not allowed"],
        ),
        (
            "name: x\nchangesetTemplate: {}",
            &[
                "changesetTemplate: title is required",
                "changesetTemplate: branch is required",
                "changesetTemplate: commit is required",
            ],
        ),
        (
            "name: x\nchangesetTemplate: null",
            &["changesetTemplate: Invalid type. Expected: object, given: null"],
        ),
        (
            &template("fork: null"),
            &["changesetTemplate.fork: Invalid type. Expected: boolean, given: null"],
        ),
        (
            &template("published: yes-please"),
            &["changesetTemplate.published: Does not match pattern '^draft$'"],
        ),
        (
            &template("published: 1"),
            &["changesetTemplate.published: Invalid type. Expected: boolean, given: integer"],
        ),
        (
            &template("published: [{a: true, b: false}]"),
            &["changesetTemplate.published.0: Must have at most 1 properties"],
        ),
        (
            &template("published: [{a: 1}]"),
            &["changesetTemplate.published.0.a: Invalid type. Expected: boolean, given: integer"],
        ),
        (
            "name: x\nchangesetTemplate: {title: t, branch: b, commit: {message: m, author: {name: n, email: '${{ outputs.email }}'}}}",
            &["changesetTemplate.commit.author.email: Does not match format 'email'"],
        ),
        (
            "name: x\ntransformChanges: {group: [{directory: '', branch: b}]}",
            &[
                "transformChanges.group.0.directory: String length must be greater than or equal to 1",
            ],
        ),
        (
            "name: x\nimportChangesets: [{repository: r, externalIDs: [1, '1', 1]}]",
            &["importChangesets.0.externalIDs: array items[0,2] must be unique"],
        ),
        (
            "name: x\nimportChangesets: [{repository: r, externalIDs: [true]}]",
            &["importChangesets.0.externalIDs.0: Invalid type. Expected: string, given: boolean"],
        ),
        (
            "name: x\nchangesetHooks: {}",
            &["batch spec hooks require version: 3"],
        ),
        (
            "name: x\nversion: 2\nchangesetHooks: {}",
            &["version: version does not match: 3"],
        ),
        (
            "name: x\nversion: 3\nchangesetHooks: {onCIFailure: {}, onMergeConflict: {steps: [{maxAttempts: 0, container: c}]}}",
            &[
                "changesetHooks.onCIFailure: steps is required",
                "changesetHooks.onMergeConflict.steps.0.maxAttempts: Must be greater than or equal to 1",
                "changesetHooks.onMergeConflict.steps.0: Additional property container is not allowed",
            ],
        ),
    ];
    for (text, want) in cases {
        assert_eq!(problems(text), *want, "{text}");
    }
}

#[test]
fn semantic_texts() {
    let v3 = |step: &str| {
        format!(
            "version: 3\nname: x\nsteps: [{step}]\nchangesetTemplate: {{title: t, branch: b, commit: {{message: m}}}}"
        )
    };
    let cases: &[(&str, &[&str])] = &[
        (
            "name: x\nsteps: [{run: a, container: c}]",
            &["batch spec includes steps but no changesetTemplate"],
        ),
        (
            &format!("version: 3\n{}", template("published: true")),
            &[
                "changesetTemplate.published is not supported in batch spec version 3; drive publication via the publish_changesets tool instead",
            ],
        ),
        (
            &step("mount: [{path: 'a,b', mountpoint: /m}]"),
            &["step 1 mount path contains invalid characters"],
        ),
        (
            &step("mount: [{path: a, mountpoint: '/m,n'}]"),
            &["step 1 mount mountpoint contains invalid characters"],
        ),
        (
            &step("mount: [{path: a, mountpoint: m}]"),
            &["step 1 mount mountpoint \"m\" is not absolute"],
        ),
        (
            &step("files: {'/a,b': x}"),
            &["step 1 files target path contains invalid characters"],
        ),
        (
            &step("files: {a/b: x}"),
            &["step 1 files target path \"a/b\" is not absolute"],
        ),
        (
            &v3("{codingAgent: {type: codex, prompt: p}, run: x}"),
            &["step 1: codingAgent and run cannot be combined in the same step"],
        ),
        (
            &v3("{buildImage: {run: r, baseImage: b}, run: x}"),
            &["step 1: buildImage and run cannot be combined in the same step"],
        ),
        (
            "version: 3\nname: x\nchangesetHooks: {onCIFailure: {steps: [{mount: [{path: 'a,b', mountpoint: /m}]}]}}",
            &["hooks.onCIFailure step 1 mount path contains invalid characters"],
        ),
    ];
    for (text, want) in cases {
        assert_eq!(problems(text), *want, "{text}");
    }
}

#[test]
fn version_3_is_parsed_but_not_run() {
    let spec = read(
        "version: 3\nname: x\nsteps: [{run: a, image: b, container: c}]\nchangesetTemplate: {title: t, branch: b, commit: {message: m}}",
    );
    assert_eq!(spec.steps[0].container, "b");
    assert_eq!(
        spec.check_local_version().unwrap_err().to_string(),
        "batch spec version 3 is not supported for local execution, please run server-side"
    );
    assert_eq!(read("name: x").check_local_version(), Ok(()));
}

#[test]
fn everything_wrong_is_shown_in_document_order() {
    insta::assert_snapshot!(shown(r#"version: 2
nmae: hello
on:
  - repository: github.com/acme/a
    query: x
steps:
  - run: echo
    image: alpine:3
    mounts: []
  - run: make
    container: alpine:3
    env:
      LEVEL: 3
    files:
      etc/conf: x
changesetTemplate:
  title: t
  branch: b
  message: m
  commit: {message: m, author: {name: n, email: "${{ outputs.email }}"}}
  published: maybe
"#), @r#"
    spec.yaml:1:1: name is required
      1 | version: 2
        | ^^^^^^^
    spec.yaml:2:1: Additional property nmae is not allowed
      2 | nmae: hello
        | ^^^^
      hint: did you mean `name`?
    spec.yaml:5:5: on.0: Additional property query is not allowed
      5 |     query: x
        |     ^^^^^
      hint: known here: repository, branch, branches
    spec.yaml:7:5: steps.0: container is required
      7 |   - run: echo
        |     ^^^
      hint: `image` belongs to version 3; write `container`
    spec.yaml:9:5: steps.0: Additional property mounts is not allowed
      9 |     mounts: []
        |     ^^^^^^
      hint: did you mean `mount`?
    spec.yaml:13:14: steps.1.env.LEVEL: Invalid type. Expected: string, given: integer
      13 |       LEVEL: 3
         |              ^
      hint: put it in quotes to make it text
    spec.yaml:15:7: step 2 files target path "etc/conf" is not absolute
      15 |       etc/conf: x
         |       ^^^^^^^^
      hint: the path is one in the container and has to start with `/`, for example /tmp/file
    spec.yaml:19:3: changesetTemplate: Additional property message is not allowed
      19 |   message: m
         |   ^^^^^^^
      hint: `message` belongs under `commit`
    spec.yaml:20:49: changesetTemplate.commit.author.email: Does not match format 'email'
      20 |   commit: {message: m, author: {name: n, email: "${{ outputs.email }}"}}
         |                                                 ^^^^^^^^^^^^^^^^^^^^^^
      hint: the format is checked before templates are rendered: write `${{outputs.x}}@example.com`, without spaces and with a literal `@`
    spec.yaml:21:14: changesetTemplate.published: Does not match pattern '^draft$'
      21 |   published: maybe
         |              ^^^^^
      hint: published is true, false, draft, or a list whose entries are one `repository-glob: true`, `false` or `draft`
    "#);
}

#[test]
fn bad_documents_are_shown() {
    insta::assert_snapshot!(shown(""), @"
    spec.yaml:1:1: Invalid type. Expected: object, given: null
      hint: the batch spec is empty: it needs at least a `name`
    ");
    insta::assert_snapshot!(shown("name: x\n\tdescription: y\n"), @"
    spec.yaml:2:1: found a tab character that violates indentation
      2 |     description: y
        | ^^^^
      hint: indent with spaces: YAML does not allow tabs here
    ");
    insta::assert_snapshot!(shown("name: x\nname: y\n"), @r#"
    spec.yaml:2:1: mapping key "name" already defined at line 1
      2 | name: y
        | ^^^^
      hint: a key can be given once; remove one of the two
    "#);
    insta::assert_snapshot!(shown("name: x: y\n"), @"
    spec.yaml:1:8: mapping values are not allowed in this context
      1 | name: x: y
        |        ^
      hint: text that contains `: ` has to be quoted; or the line is indented too far
    ");
    insta::assert_snapshot!(shown("name: \"x\n"), @r#"
    spec.yaml:1:7: while scanning a quoted scalar, found unexpected end of stream
      1 | name: "x
        |       ^
      hint: a quote is not closed
    "#);
    insta::assert_snapshot!(shown("name: @x\n"), @"
    spec.yaml:1:7: unexpected character: `@'
      1 | name: @x
        |       ^
      hint: text that starts with this character has to be quoted
    ");
    insta::assert_snapshot!(shown("name: [a, b\n"), @"
    spec.yaml:1:11: while parsing a flow sequence, expected ',' or ']'
      1 | name: [a, b
        |           ^
      hint: a bracket or brace is not closed, or a comma is missing
    ");
    insta::assert_snapshot!(shown(&"# padding\n".repeat(1 << 20)), @"
    spec.yaml:1:1: the document is larger than 8 MiB
      1 | # padding
        | ^
      hint: keep long texts and scripts in files beside the spec, and show them to steps with `mount`
    ");
    let error = parse(b"name: \xffx", &ParseOptions::default()).unwrap_err();
    insta::assert_snapshot!(error.render("spec.yaml", b"name: \xffx"), @"
    spec.yaml:1:7: invalid UTF-8
      1 | name: �x
        |       ^
      hint: a batch spec is text in UTF-8
    ");
}

#[test]
fn a_spec_full_of_problems_is_refused_without_effort() {
    let mut text = "name: x\nsteps:\n  - run: r\n    container: c\n    files:\n".to_owned();
    for n in 0..50_000 {
        text.push_str(&format!("      rel{n}: x\n"));
    }
    for n in 0..50_000 {
        text.push_str(&format!("nane{n}: x\n"));
    }
    let error = parse(text.as_bytes(), &ParseOptions::default()).unwrap_err();
    assert_eq!(error.len(), 100_001);
    let shown = error.render("spec.yaml", text.as_bytes());
    assert!(shown.ends_with("and 99981 more\n"), "{shown}");
}

#[test]
fn many_problems_print_as_a_list() {
    let error = parse(b"nam: x\nfoo: 1\n", &ParseOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "3 errors occurred:\n\t* name is required\n\t* Additional property nam is not allowed\n\t* Additional property foo is not allowed"
    );
    let error = parse(b"{}", &ParseOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "name is required");
}

#[test]
fn templates_and_globs_are_listed() {
    let spec = read(FULL);
    let shown: Vec<_> = spec
        .templates()
        .map(|f| format!("{} {:?} {} {:?}", f.path, f.scope, f.name, f.text))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    steps.0.container Step step-container "alpine:3"
    steps.0.run Step step-run "echo \"<hi> & bye\"\n"
    steps.0.env.A Step A "b"
    steps.0.files./tmp/f Step /tmp/f "hi"
    steps.0.outputs.o.value Step outputs-o "v"
    steps.0.outputs.p.value Step outputs-p "w"
    steps.1.if Step step-condition "${{ eq repository.name \"x\" }}"
    steps.1.container Step step-container "alpine:3"
    steps.1.run Step step-run "make"
    steps.1.env.Z Step Z "z"
    steps.1.env.A Step A "a"
    changesetTemplate.title Changeset title "T"
    changesetTemplate.body Changeset body "B"
    changesetTemplate.branch Changeset branch "c"
    changesetTemplate.commit.message Changeset message "M"
    changesetTemplate.commit.author.name Changeset authorName "N"
    changesetTemplate.commit.author.email Changeset authorEmail "n@example.com"
    "#);
    let globs: Vec<_> = spec.globs().map(|g| (g.path, g.pattern)).collect();
    assert_eq!(
        globs,
        [
            ("workspaces.0.in".to_owned(), "github.com/acme/*"),
            ("changesetTemplate.published.0".to_owned(), "*"),
            (
                "changesetTemplate.published.1".to_owned(),
                "github.com/acme/*"
            ),
        ]
    );
}

#[test]
fn every_template_has_a_place() {
    let parsed = parse(FULL.as_bytes(), &ParseOptions::default()).unwrap();
    for field in parsed.spec.templates() {
        let span = parsed.spans.get(&field.path);
        let span = span.unwrap_or_else(|| panic!("no place for {}", field.path));
        let written = &FULL[span.start as usize..span.end as usize];
        let first = field.text.lines().next().unwrap();
        assert!(written.contains(first), "{}: {written:?}", field.path);
    }
    assert_eq!(
        parsed.spans.nearest("steps.1.nope.x"),
        parsed.spans.get("steps.1").unwrap()
    );
}

#[test]
fn problems_in_templates_and_globs_are_placed_inside_them() {
    let text = r#"name: x
steps:
  - run: |
      echo one
        echo ${{ nope }}
    container: "a ${{ nope }}"
    env:
      - É: é ${{ nope }}
changesetTemplate:
  title: "esc\"aped ${{ nope }}"
  branch: b
  commit: {message: m}
  published:
    - "a[": true
workspaces:
  - rootAtLocationOf: f
    in: "["
"#;
    let check = |field: &TemplateField<'_>| match field.text.find("nope") {
        None => Ok(()),
        Some(offset) => Err(FieldError {
            message: format!("template: {}:1: function \"nope\" not defined", field.name),
            hint: None,
            offset: Some(offset),
        }),
    };
    let glob = |pattern: &str| match pattern.contains('[') {
        true => Err("unexpected end of input".to_owned()),
        false => Ok(()),
    };
    let options = ParseOptions {
        check_template: Some(&check),
        check_glob: Some(&glob),
    };
    let error = parse(text.as_bytes(), &options).unwrap_err();
    insta::assert_snapshot!(error.render("spec.yaml", text.as_bytes()), @r#"
    spec.yaml:5:18: steps.0.run: template: step-run:1: function "nope" not defined
      5 |         echo ${{ nope }}
        |                  ^^^^
    spec.yaml:6:23: steps.0.container: template: step-container:1: function "nope" not defined
      6 |     container: "a ${{ nope }}"
        |                       ^^^^
    spec.yaml:8:18: steps.0.env.É: template: É:1: function "nope" not defined
      8 |       - É: é ${{ nope }}
        |                  ^^^^
    spec.yaml:10:10: changesetTemplate.title: template: title:1: function "nope" not defined
      10 |   title: "esc\"aped ${{ nope }}"
         |          ^^^^^^^^^^^^^^^^^^^^^^^
    spec.yaml:14:7: building rule for array entry 0: unexpected end of input
      14 |     - "a[": true
         |       ^^^^
    spec.yaml:17:9: workspaces.0.in: compiling glob "[": unexpected end of input
      17 |     in: "["
         |         ^^^
    "#);
}

#[test]
fn steps_as_json() {
    let spec = read(
        r#"name: x
steps:
  - run: echo "<hi> & bye" >> x
    container: alpine:3
  - run: make
    container: alpine:3
    env: [HOME_DIR, {A: b}]
    files: {/tmp/f: hi, /tmp/a: yo}
    outputs: {o: {value: v, format: json}, b: {value: w}}
    if: true
    mount: [{path: ./m, mountpoint: /mnt}]
  - run: x
    container: y
    env: [{Z: a}, {A: b}, {Z: c}]
    if: ${{ x }}
  - {run: x, container: y, env: {B: b, A: a}, if: false}
changesetTemplate: {title: t, branch: b, commit: {message: m}}
"#,
    );
    let json = |n: usize| serde_json::to_string(&spec.steps[n]).unwrap();
    assert_eq!(
        json(0),
        r#"{"run":"echo \"<hi> & bye\" >> x","container":"alpine:3","env":{}}"#
    );
    assert_eq!(
        json(1),
        r#"{"run":"make","container":"alpine:3","env":["HOME_DIR",{"A":"b"}],"files":{"/tmp/a":"yo","/tmp/f":"hi"},"outputs":{"b":{"value":"w"},"o":{"value":"v","format":"json"}},"mount":[{"mountpoint":"/mnt","path":"./m"}],"if":true}"#
    );
    assert_eq!(
        json(2),
        r#"{"run":"x","container":"y","env":{"A":"b","Z":"c"},"if":"${{ x }}"}"#
    );
    assert_eq!(
        json(3),
        r#"{"run":"x","container":"y","env":{"A":"a","B":"b"},"if":false}"#
    );
}

#[test]
fn published_as_json() {
    for (published, want) in [
        ("null", "null"),
        ("true", "true"),
        ("draft", "\"draft\""),
        ("[]", "false"),
        ("[{'*': true}]", "true"),
        (
            "[{'a@b': true}, {c: draft}]",
            r#"[{"a":true},{"c":"draft"}]"#,
        ),
        ("[{'a/b@y@z': false}]", r#"[{"a/b":false}]"#),
    ] {
        let spec = read(&template(&format!("published: {published}")));
        let json = serde_json::to_value(&spec).unwrap();
        assert_eq!(
            json["changesetTemplate"]["published"].to_string(),
            want,
            "{published}"
        );
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let text = "[a-z$\\{\\} é\n\"<]{0,8}";
    let name = "[A-Z]{1,3}";
    let var = prop_oneof![
        (name, text).prop_map(|(name, value)| EnvVar::Static { name, value }),
        name.prop_map(|name| EnvVar::Forwarded { name }),
    ];
    let format = prop_oneof![
        Just(None),
        Just(Some(OutputFormat::Text)),
        Just(Some(OutputFormat::Json)),
        Just(Some(OutputFormat::Yaml))
    ];
    let output = ("[a-z{} ]{1,4}", format).prop_map(|(value, format)| Output { value, format });
    let condition = prop_oneof![
        Just(Condition::Absent),
        any::<bool>().prop_map(Condition::Bool),
        text.prop_map(Condition::Text)
    ];
    (
        text,
        text,
        proptest::collection::vec(var, 0..4),
        proptest::collection::btree_map("/[a-z]{1,3}", text, 0..3),
        proptest::collection::btree_map("[a-z-]{1,3}", output, 0..3),
        proptest::collection::vec((text, text), 0..3),
        condition,
    )
        .prop_map(|(run, container, vars, files, outputs, mounts, if_)| Step {
            run,
            container,
            env: Environment { vars },
            files,
            outputs,
            mount: mounts
                .into_iter()
                .map(|(path, target)| Mount {
                    path,
                    mountpoint: format!("/{target}"),
                })
                .collect(),
            if_,
        })
}

proptest! {
    /// JSON is YAML: a step survives as JSON, and as a document of its own.
    #[test]
    fn a_step_survives_its_json(step in any_step()) {
        let json = serde_json::to_string(&step).unwrap();
        let back: Step = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(serde_json::to_string(&back).unwrap(), json.clone());
        prop_assert_eq!(&back.run, &step.run);
        prop_assert_eq!(&back.if_, &step.if_);

        let mut full = step.clone();
        full.run.push('r');
        full.container.push('c');
        let json = serde_json::to_string(&full).unwrap();
        let text = format!(r#"{{"name":"x","steps":[{json}],"changesetTemplate":{{"title":"t","branch":"b","commit":{{"message":"m"}}}}}}"#);
        let spec = read(&text);
        prop_assert_eq!(serde_json::to_string(&spec.steps[0]).unwrap(), json);
    }

    #[test]
    fn never_panics_on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Err(all) = parse(&bytes, &ParseOptions::default()) {
            let _ = all.render("spec.yaml", &bytes);
        }
    }

    /// Any damage to a good spec gives problems that can be shown, never a panic.
    #[test]
    fn never_panics_on_a_damaged_spec(
        at in 0..FULL.len(), length in 0usize..40, put in "[ -~\n\t é日]{0,6}"
    ) {
        let mut text = FULL.to_owned();
        text.replace_range(at..(at + length).min(FULL.len()), &put);
        let fail = |field: &TemplateField<'_>| Err(FieldError {
            message: "bad".to_owned(),
            hint: None,
            offset: Some(field.text.len() / 2),
        });
        let options = ParseOptions { check_template: Some(&fail), check_glob: None };
        if let Err(all) = parse(text.as_bytes(), &options) {
            let shown = all.render("spec.yaml", text.as_bytes());
            prop_assert!(shown.lines().all(|line| line.chars().count() < 600));
        }
    }
}
