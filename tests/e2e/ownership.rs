//! Files of several users: those of images, those of the runner.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use capstan_tests::{Capstan, as_root};

use crate::scene::{Scene, story};

const NONROOT: &str = "capstan-test/nonroot";
const ROOT: &str = "alpine:3";

#[test]
fn an_ordinary_user_changes_what_root_made() {
    let scene = Scene::of(&[("README.md", "hi\n"), ("dir/file", "x\n")]);
    let diff = scene.diff_of(&[
        (
            ROOT,
            "umask 077; mkdir made; echo 1 > made/a; echo 1 > made/b; chmod 400 made/b; echo 1 >> README.md",
        ),
        (
            NONROOT,
            "id -u > made/c; echo 2 >> made/a; rm made/b; echo 2 >> README.md; echo 2 >> dir/file; mv dir moved",
        ),
        (ROOT, "stat -c %a made/a >> made/a"),
    ]);
    insta::assert_snapshot!(diff, @r"
    diff --git README.md README.md
    index 45b983b..a487bf3 100644
    --- README.md
    +++ README.md
    @@ -1 +1,3 @@
     hi
    +1
    +2
    diff --git made/a made/a
    new file mode 100644
    index 0000000..00fbfd7
    --- /dev/null
    +++ made/a
    @@ -0,0 +1,3 @@
    +1
    +2
    +666
    diff --git made/c made/c
    new file mode 100644
    index 0000000..83b33d2
    --- /dev/null
    +++ made/c
    @@ -0,0 +1 @@
    +1000
    diff --git dir/file moved/file
    similarity index 50%
    rename from dir/file
    rename to moved/file
    index 587be6b..5d9404d 100644
    --- dir/file
    +++ moved/file
    @@ -1 +1,2 @@
     x
    +2
    ");
}

#[test]
fn root_changes_what_an_ordinary_user_made() {
    let scene = Scene::of(&[("README.md", "hi\n"), ("dir/file", "x\n")]);
    let diff = scene.diff_of(&[
        (
            NONROOT,
            "umask 077; mkdir made; echo 1 > made/a; chmod 400 made/a; echo 1 >> README.md; chmod 500 made",
        ),
        (ROOT, "echo 2 >> made/a; echo 2 > made/b; echo 2 >> README.md"),
        (NONROOT, "echo 3 >> README.md; chmod 700 made; echo 3 >> made/b"),
    ]);
    insta::assert_snapshot!(diff, @r"
    diff --git README.md README.md
    index 45b983b..8da0a73 100644
    --- README.md
    +++ README.md
    @@ -1 +1,4 @@
     hi
    +1
    +2
    +3
    diff --git made/a made/a
    new file mode 100644
    index 0000000..1191247
    --- /dev/null
    +++ made/a
    @@ -0,0 +1,2 @@
    +1
    +2
    diff --git made/b made/b
    new file mode 100644
    index 0000000..4792e70
    --- /dev/null
    +++ made/b
    @@ -0,0 +1,2 @@
    +2
    +3
    ");
}

/// Leaves what nobody but root may read, and nobody but its owner may remove.
const LOCKED: &str = "
mkdir -p locked/deep && echo 1 > locked/deep/file && echo 1 > closed
chmod 000 closed locked/deep/file
chmod 555 locked locked/deep
echo 1 >> README.md
";

#[test]
fn files_and_directories_without_permissions_are_diffed_and_removed() {
    for image in [ROOT, NONROOT] {
        let scene = Scene::new();
        let diff = scene.diff_of(&[(image, LOCKED), (ROOT, "cat closed >> README.md")]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(diff, @r"
            diff --git README.md README.md
            index 45b983b..bdb1e81 100644
            --- README.md
            +++ README.md
            @@ -1 +1,3 @@
             hi
            +1
            +1
            diff --git closed closed
            new file mode 100644
            index 0000000..d00491f
            --- /dev/null
            +++ closed
            @@ -0,0 +1 @@
            +1
            diff --git locked/deep/file locked/deep/file
            new file mode 100644
            index 0000000..d00491f
            --- /dev/null
            +++ locked/deep/file
            @@ -0,0 +1 @@
            +1
            ");
        }
    }
}

/// The command as an ordinary user of this machine, to whom the scene's world belongs from now on.
pub(crate) fn as_ordinary_user<'a>(scene: &Scene, command: Capstan<'a>) -> Capstan<'a> {
    const USER: u32 = 64_321;
    let root = scene.world.root();
    let owner = format!("{USER}:{USER}");
    // Git runs in a repository only for its owner.
    let status = as_root("chown").args(["-R", &owner]).arg(root).status();
    assert!(status.is_ok_and(|status| status.success()));
    let socket = std::env::var("DOCKER_HOST").unwrap_or_default();
    let socket = socket
        .strip_prefix("unix://")
        .unwrap_or("/var/run/docker.sock");
    let group = fs::metadata(socket).expect("the engine has a socket").gid();
    command.as_user(USER, group)
}

#[test]
fn a_runner_that_is_not_root_gets_its_files_back() {
    let scene = Scene::of(&[("README.md", "hi\n"), ("dir/file", "x\n")]);
    let command = scene.batch(&[
        (
            ROOT,
            "umask 077; mkdir made; echo 1 > made/a; echo 1 >> dir/file; chmod 400 made/a; chmod 500 made",
        ),
        (ROOT, LOCKED),
        (NONROOT, "echo 2 >> made/a; echo 2 > new"),
    ]);
    as_ordinary_user(&scene, command).run().assert_code(0);
    insta::assert_snapshot!(scene.diff(), @r"
    diff --git README.md README.md
    index 45b983b..c737a44 100644
    --- README.md
    +++ README.md
    @@ -1 +1,2 @@
     hi
    +1
    diff --git closed closed
    new file mode 100644
    index 0000000..d00491f
    --- /dev/null
    +++ closed
    @@ -0,0 +1 @@
    +1
    diff --git dir/file dir/file
    index 587be6b..5cb1a1e 100644
    --- dir/file
    +++ dir/file
    @@ -1 +1,2 @@
     x
    +1
    diff --git locked/deep/file locked/deep/file
    new file mode 100644
    index 0000000..d00491f
    --- /dev/null
    +++ locked/deep/file
    @@ -0,0 +1 @@
    +1
    diff --git made/a made/a
    new file mode 100644
    index 0000000..1191247
    --- /dev/null
    +++ made/a
    @@ -0,0 +1,2 @@
    +1
    +2
    diff --git new new
    new file mode 100644
    index 0000000..0cfbf08
    --- /dev/null
    +++ new
    @@ -0,0 +1 @@
    +2
    ");

    // Also after a failure, and by what a step leaves that only root may remove.
    let command = scene.batch(&[(ROOT, &format!("{LOCKED} exit 1"))]);
    let output = as_ordinary_user(&scene, command).run();
    output.assert_code(1);
    let told = story(&output);
    assert!(told.ends_with("Command failed with exit code 1."), "{told}");
}
