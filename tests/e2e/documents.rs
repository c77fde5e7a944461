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

#[test]
fn the_examples_are_valid() {
    let world = World::new();
    let mut specs = vec![root().join("examples/demo/spec.yaml")];
    for entry in fs::read_dir(root().join("examples/batch-specs")).expect("there are examples") {
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

    let repositories = ["./widgets", "./gadgets"];
    world
        .capstan(["batch", "validate", "-f", "spec.yaml"])
        .run()
        .assert_code(0);
    world
        .capstan(["batch", "run", "-f", "spec.yaml", "--output", "out"])
        .args(repositories)
        .run()
        .assert_code(0);
    let (_, patch) = readme
        .split_once("$ cat out/widgets/hello-world.patch\n")
        .expect("the README shows the patch");
    let patch = patch.split_once("```").expect("the block ends").0;
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
