//! What the documents and examples promise holds.

use std::fs;
use std::path::{Path, PathBuf};

use capstan_tests::{Engine, World};

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the tests lie in the repository").to_owned()
}

/// The fenced block of a Markdown text that begins with this line.
fn block<'a>(text: &'a str, fence: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("```{fence}\n")).expect(fence);
    rest.split_once("```").expect("the block ends").0
}

/// What a document shows as the output of a command.
fn after<'a>(text: &'a str, command: &str) -> &'a str {
    let (_, rest) = text
        .split_once(&format!("$ {command}\n"))
        .unwrap_or_else(|| panic!("{command} is not shown"));
    let end = rest.find("```").expect("the block ends");
    // An empty line stands before the next command.
    let next = rest.find("\n$ ").unwrap_or(end);
    &rest[..end.min(next)]
}

#[test]
fn the_examples_are_valid() {
    let world = World::new();
    let examples = root().join("examples");
    let mut specs = ["demo", "wasm-steps"]
        .map(|name| examples.join(name).join("spec.yaml"))
        .to_vec();
    for entry in fs::read_dir(examples.join("batch-specs")).expect("there are examples") {
        let path = entry.expect("it can be read").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            specs.push(path);
        }
    }
    assert!(specs.len() > 5, "{specs:?}");
    for spec in specs {
        let output = world.capstan(["batch", "validate", "-f"]).arg(&spec).run();
        assert_eq!(output.code(), 0, "{}\n{output}", spec.display());
    }
}

#[test]
fn the_tour_of_the_readme_works() {
    Engine::require();
    let world = World::new();
    let readme = fs::read_to_string(root().join("README.md")).expect("there is a README");
    world.write("spec.yaml", block(&readme, "yaml"));
    let made = ["widgets", "gadgets"].map(|name| world.repository(name, &[("README.md", "hi\n")]));

    let shown = |command: &str| {
        let text = after(&readme, command);
        let seconds = regex_lite::Regex::new(r"\b\d+\.\ds\b").expect("it is one");
        seconds.replace_all(text, "<time>").into_owned()
    };
    let valid = world
        .capstan(["batch", "validate", "-f", "spec.yaml"])
        .run();
    assert_eq!(valid.stdout(), shown("capstan batch validate -f spec.yaml"));

    let repositories = ["./widgets", "./gadgets"];
    let run = world
        .capstan(["batch", "run", "-f", "spec.yaml", "--output", "out"])
        .args(repositories)
        .run();
    run.assert_code(0);
    // The README shows what stays on a terminal: the summary without the lines of progress before it.
    let summary = shown("capstan batch run -f spec.yaml --output out ./widgets ./gadgets");
    assert!(run.stderr().ends_with(&summary), "{run}\nis not\n{summary}");
    let patch = shown("cat out/widgets/hello-world.patch");
    assert_eq!(world.read("out/widgets/hello-world.patch"), patch);

    world
        .capstan(["batch", "run", "-f", "spec.yaml", "--apply"])
        .args(repositories)
        .run()
        .assert_code(0);
    for repository in made {
        let message = repository.git(["log", "--format=%s", "-1", "hello-world"]);
        assert_eq!(message, "Append a greeting to the README");
    }
}

#[test]
fn the_page_on_the_command_line_has_every_flag() {
    let world = World::new();
    let page = fs::read_to_string(root().join("docs/command-line.md")).expect("there is a page");
    let flag = regex_lite::Regex::new(r"(?m)^ +(?:-\w, )?(--?[A-Za-z-]+)").expect("it is one");
    for command in [
        &["batch", "run"][..],
        &["batch", "exec"],
        &["batch", "validate"],
        &["batch", "render"],
        &["plugin", "new"],
        &["plugin", "build"],
        &["plugin", "test"],
        &["plugin", "inspect"],
        &["plugin", "bench"],
        &["doctor"],
    ] {
        let help = world.capstan(command).arg("--help").run();
        let help = help.stdout();
        let flags: Vec<_> = flag
            .captures_iter(&help)
            .filter_map(|found| found.get(1))
            .collect();
        assert!(flags.len() > 3, "{help}");
        for flag in flags {
            assert!(
                page.contains(flag.as_str()),
                "{command:?}: {}",
                flag.as_str()
            );
        }
    }
}

#[test]
fn the_page_on_the_hub_has_every_flag() {
    let world = World::new();
    let page = fs::read_to_string(root().join("docs/hub.md")).expect("there is a page");
    let flag = regex_lite::Regex::new(r"(?m)^ +(?:-\w, )?(--[A-Za-z-]+)").expect("it is one");
    for command in ["serve", "submit", "list", "show", "logs", "cancel", "retry"] {
        let help = world.capstan(["hub", command, "--help"]).run();
        let help = help.stdout();
        let own = ["--help", "--version", "--config", "--verbose"];
        let flags: Vec<_> = flag
            .captures_iter(&help)
            .filter_map(|found| found.get(1))
            .filter(|flag| !own.contains(&flag.as_str()))
            .collect();
        assert!(flags.len() > 1, "{help}");
        for flag in flags {
            assert!(page.contains(flag.as_str()), "{command}: {}", flag.as_str());
        }
    }
}

#[test]
fn the_page_on_the_command_line_shows_a_real_message() {
    let world = World::new();
    let page = fs::read_to_string(root().join("docs/command-line.md")).expect("there is a page");
    world.write(
        "spec.yaml",
        "version: 2
name: hello
steps:
  - run: echo ${{ repositry.name }} >> README.md
    contaner: alpine:3
    container: alpine:3
changesetTemplate: {title: a, body: b, branch: c, commit: {message: d}}
",
    );
    let output = world.capstan(["batch", "validate", "spec.yaml"]).run();
    let shown = after(&page, "capstan batch validate spec.yaml");
    assert_eq!(output.stderr(), shown);
}
