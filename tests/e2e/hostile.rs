//! Steps that mean harm, and steps that are out of luck.

use std::fs;
use std::path::PathBuf;

use capstan_tests::{World, as_root};

use crate::scene::{Scene, assert_says, story, yaml};

#[test]
fn a_flood_of_output_is_bounded_in_memory_and_in_the_log() {
    let scene = Scene::new();
    let flood = "yes | dd bs=1M count=1024 iflag=fullblock; echo x > done";
    let mut running = scene.batch(&[("alpine:3", flood)]).spawn();
    let mut peak = 0;
    while running.is_running() {
        peak = peak.max(running.peak_memory().unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = running.wait();
    output.assert_code(0);
    assert!(peak > 0 && peak < 64 << 20, "{} MiB", peak >> 20);
    let logs = scene.world.home().join(".local/state/capstan/logs");
    let log = scene.world.files(&logs).remove(0);
    let size = fs::metadata(logs.join(log)).expect("it exists").len();
    let limit = 64 << 20;
    assert!((limit / 2..limit + 10_000).contains(&size), "{size}");
    assert!(scene.logs().contains("[Step 1] output truncated: "));
    assert!(scene.diff().contains("+++ done\n"));
}

/// A small file system of its own. Takes root rights, as mounting does.
pub(crate) struct SmallDisk(pub(crate) PathBuf);

impl SmallDisk {
    pub(crate) fn new(world: &World, size: &str) -> Self {
        let path = world.root().join("small");
        fs::create_dir(&path).expect("the world is writable");
        let mount = as_root("mount")
            .args(["-t", "tmpfs", "-o", size, "capstan-test"])
            .arg(&path)
            .status();
        assert!(
            mount.is_ok_and(|status| status.success()),
            "mounting takes root rights"
        );
        Self(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = as_root("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_of_the_runner_ends_the_run() {
    let scene = Scene::new();
    let disk = SmallDisk::new(&scene.world, "size=4m,mode=777");
    let output = scene
        .batch(&[("alpine:3", "yes | head -c 8000000")])
        .arg("--state-dir")
        .arg(&disk.0)
        .run();
    output.assert_code(3);
    assert_says(
        &story(&output),
        &[
            "✗ widgets: step 1 failed\n  writing the log of the task: ",
            "No space left on device (os error 28)\nhint: free some disk space and run again",
        ],
    );
    assert_eq!(fs::read_dir(disk.0.join("runs")).unwrap().count(), 0);
}

#[test]
fn a_workspace_that_does_not_fit_on_the_disk_ends_the_run() {
    let scene = Scene::of(&[("large", &"0123456789abcdef".repeat(1 << 19))]);
    let disk = SmallDisk::new(&scene.world, "size=4m,mode=777");
    let output = scene
        .batch(&[("alpine:3", "echo x > x")])
        .args(["--state-dir".as_ref(), disk.0.as_os_str()])
        .args(["--cache-dir".as_ref(), disk.0.as_os_str()])
        .run();
    output.assert_code(3);
    insta::assert_snapshot!(story(&output), @"
    ✗ widgets: failed
      creating workspace: checking out: 'git read-tree' failed: error: unable to write file large: exit status 128: the disk is full
    hint: free some disk space and run again
    ");
    assert_eq!(fs::read_dir(disk.0.join("runs")).unwrap().count(), 0);
    // Nothing is left of what was laid out half.
    let trees = disk.0.join("checkouts/trees");
    let left = fs::read_dir(trees).into_iter().flatten().flatten();
    assert_eq!(left.filter(|entry| entry.path().is_dir()).count(), 0);
}

#[test]
fn a_full_disk_of_the_step_is_a_failing_command() {
    let scene = Scene::new();
    let disk = SmallDisk::new(&scene.world, "size=1m,mode=777");
    let output = scene
        .batch(&[("alpine:3", "dd if=/dev/zero of=/small/x bs=64k count=64")])
        .arg(format!("--mount={}:/small:rw", disk.0.display()))
        .run();
    output.assert_code(1);
    let story = story(&output);
    assert!(story.contains("No space left on device"), "{story}");
    assert!(
        story.ends_with("Command failed with exit code 1."),
        "{story}"
    );
}

#[test]
fn a_step_may_delete_all_of_its_workspace() {
    let scene = Scene::of(&[("README.md", "hi\n"), ("src/a", "a\n")]);
    let diff = scene.diff_of(&[
        (
            "alpine:3",
            "rm -rf /work/* /work/.[!.]*; rmdir /work || true",
        ),
        ("alpine:3", "ls -A > /tmp/seen; cp /tmp/seen seen"),
    ]);
    insta::assert_snapshot!(diff, @r"
    diff --git README.md README.md
    deleted file mode 100644
    index 45b983b..0000000
    --- README.md
    +++ /dev/null
    @@ -1 +0,0 @@
    -hi
    diff --git seen seen
    new file mode 100644
    index 0000000..e69de29
    diff --git src/a src/a
    deleted file mode 100644
    index 7898192..0000000
    --- src/a
    +++ /dev/null
    @@ -1 +0,0 @@
    -a
    ");
}

#[test]
fn a_step_may_delete_the_directory_it_works_in() {
    let scene = Scene::of(&[("a/project", "1\n"), ("b/other", "2\n")]);
    scene
        .yaml(
            r"
  - container: alpine:3
    run: cd / && rm -rf /work/a
  - container: alpine:3
    run: pwd > place
workspaces:
  - rootAtLocationOf: project
    in: '*'
",
        )
        .run()
        .assert_code(0);
    insta::assert_snapshot!(scene.diff(), @r"
    diff --git a/place a/place
    new file mode 100644
    index 0000000..05342f9
    --- /dev/null
    +++ a/place
    @@ -0,0 +1 @@
    +/work/a
    diff --git a/project a/project
    deleted file mode 100644
    index d00491f..0000000
    --- a/project
    +++ /dev/null
    @@ -1 +0,0 @@
    -1
    ");
}

/// A command that leaves a trace when it runs on the host.
fn trap(world: &World) -> (PathBuf, String) {
    let canary = world.root().join("canary");
    let command = format!("touch {}; cat", canary.display());
    (canary, command)
}

#[test]
fn a_steps_git_configuration_runs_nothing_on_the_host() {
    let scene = Scene::of(&[
        ("README.md", "hi\n"),
        (".gitattributes", "* filter=evil diff=evil merge=evil\n"),
        ("dir/file", "x\n"),
    ]);
    let (canary, command) = trap(&scene.world);
    let script = format!(
        r#"
mkdir -p .git/hooks
cat >> .git/config <<'END'
[core]
	fsmonitor = "{command}"
	hooksPath = /work/.git/hooks
	sshCommand = "{command}"
	pager = "{command}"
	attributesFile = /work/attributes
[filter "evil"]
	clean = "{command}"
	smudge = "{command}"
	process = "{command}"
	required = true
[diff "evil"]
	textconv = "{command}"
	command = "{command}"
[diff]
	external = "{command}"
[include]
	path = /work/more
[alias]
	add = "!{command}"
	diff = "!{command}"
END
cp .git/config more
cp .git/config .gitconfig
for hook in pre-commit post-index-change post-checkout fsmonitor-watchman reference-transaction; do
	printf '#!/bin/sh\n%s\n' "{command}" > .git/hooks/$hook
	chmod +x .git/hooks/$hook
done
rm more .gitconfig
echo changed >> README.md
"#
    );
    let diff = scene.diff_of(&[("alpine:3", &script), ("alpine:3", "echo more >> dir/file")]);
    insta::assert_snapshot!(diff, @r"
    diff --git README.md README.md
    index 45b983b..1e9aa66 100644
    --- README.md
    +++ README.md
    @@ -1 +1,2 @@
     hi
    +changed
    diff --git dir/file dir/file
    index 587be6b..aee5fdc 100644
    --- dir/file
    +++ dir/file
    @@ -1 +1,2 @@
     x
    +more
    ");
    assert!(!canary.exists(), "something of the step ran on the host");
}

#[test]
fn nested_repositories_run_nothing_on_the_host() {
    let scene = Scene::new();
    let (canary, command) = trap(&scene.world);
    let script = format!(
        r#"
set -e
git init -q nested
cd nested
git config user.name x
git config user.email x@example.com
echo inner > inner
git add .
export GIT_AUTHOR_DATE=2024-01-02T03:04:05Z GIT_COMMITTER_DATE=2024-01-02T03:04:05Z
git commit -qm x
git config core.fsmonitor "{command}"
git config filter.evil.clean "{command}"
echo '* filter=evil' > .gitattributes
mkdir -p .git/hooks
printf '#!/bin/sh\n%s\n' "{command}" > .git/hooks/post-index-change
chmod +x .git/hooks/post-index-change
cd ..
echo changed >> README.md
"#
    );
    let diff = scene.diff_of(&[
        ("alpine/git:latest", &script),
        ("alpine:3", "echo more >> README.md"),
    ]);
    insta::assert_snapshot!(diff, @r"
    diff --git README.md README.md
    index 45b983b..f75fe0a 100644
    --- README.md
    +++ README.md
    @@ -1 +1,3 @@
     hi
    +changed
    +more
    diff --git nested nested
    new file mode 160000
    index 0000000..0bf4877
    --- /dev/null
    +++ nested
    @@ -0,0 +1 @@
    +Subproject commit 0bf4877566d0cc852912317125de02fbe3445906
    ");
    assert!(!canary.exists(), "something of the step ran on the host");
}

#[test]
fn a_workspace_whose_git_directory_is_replaced_is_diffed_all_the_same() {
    let scene = Scene::new();
    let expected = scene.diff_of(&[("alpine:3", "echo changed >> README.md")]);
    for replacement in [
        "rm -rf .git",
        "rm -rf .git; echo gitdir: /etc > .git",
        "rm -rf .git; ln -s /etc .git",
        "rm -rf .git; mkfifo .git",
        "echo garbage > .git/index; echo garbage > .git/HEAD; echo garbage > .git/config",
    ] {
        let script = format!("{replacement}; echo changed >> README.md");
        let diff = scene.diff_of(&[("alpine:3", &script)]);
        assert_eq!(diff, expected, "{replacement}");
    }
}

#[test]
fn symlinks_lead_nowhere() {
    let scene = Scene::of(&[("README.md", "hi\n"), ("dir/file", "x\n")]);
    let secret = scene.world.write("secret/key", "the host's secret\n");
    let directory = secret.parent().unwrap().to_owned();
    let script = format!(
        "ln -s {} key; rm -rf dir; ln -s {} dir; ln -s / root; ln -s loop loop",
        secret.display(),
        directory.display()
    );
    let diff = scene.diff_of(&[("alpine:3", &script), ("alpine:3", "true")]);
    assert!(!diff.contains("the host's secret"), "{diff}");
    let links = diff.matches("new file mode 120000").count();
    assert_eq!(links, 4, "{diff}");
    assert!(diff.contains("deleted file mode 100644"), "{diff}");
    // Clean-up has not followed them either.
    assert_eq!(scene.world.read("secret/key"), "the host's secret\n");
}

#[test]
fn a_workspace_path_through_a_symlink_is_not_followed() {
    let scene = Scene::of(&[("a/project", "1\n")]);
    let outside = scene.world.write("outside/file", "host\n");
    let outside = outside.parent().unwrap().to_owned();
    let steps = format!(
        r"
  - container: alpine:3
    run: cd / && rm -rf /work/a && ln -s {} /work/a
  - container: alpine:3
    run: echo x > made
workspaces:
  - rootAtLocationOf: project
    in: '*'
",
        outside.display()
    );
    let output = scene.yaml(&steps).run();
    output.assert_code(1);
    insta::assert_snapshot!(story(&output), @r"
    ✗ widgets:a: step 2 failed
      running widgets:a step 2: entering /work/a failed: it is no directory, or the image's user may not enter it
    ");
    assert_eq!(scene.world.files("outside"), ["file"]);
}

#[test]
fn a_pipe_where_git_expects_a_file_does_not_stop_the_run() {
    let scene = Scene::new();
    for name in [
        ".gitignore",
        ".gitattributes",
        "dir/.gitignore",
        "README.md",
    ] {
        let script = format!("mkdir -p dir; echo x > dir/x; rm -f {name}; mkfifo {name}");
        let output = scene
            .batch(&[("alpine:3", &script)])
            .args(["--no-cache", "--timeout", "2s"])
            .run();
        output.assert_code(1);
        let told = match name {
            // Git refuses to record it.
            "README.md" => "can only add regular files",
            // Git waits for somebody to write into it.
            _ => "Timeout reached.",
        };
        assert!(output.stderr().contains(told), "{name}: {output}");
        scene.engine.assert_nothing_left(&scene.world);
    }
}

#[test]
fn names_as_long_as_they_get() {
    let scene = Scene::new();
    let script = r#"
name=$(head -c 255 /dev/zero | tr '\0' n)
echo x > "$name"
printf 'x\n' > "$(printf 'tab\there\nand a line \033[31m\377')"
"#;
    let diff = scene.diff_of(&[("alpine:3", script), ("alpine:3", "echo y > y")]);
    assert!(diff.contains(&"n".repeat(255)), "{diff}");
    assert!(
        diff.contains(r#"+++ "tab\there\nand a line \033[31m\377""#),
        "{diff}"
    );
    assert!(diff.contains("+++ y\n"), "{diff}");
}

#[test]
fn directories_deeper_than_git_can_reach_are_left_out_and_removed() {
    let scene = Scene::new();
    // Shells cannot go that deep, but directories can be moved into each other.
    let script = r#"
set -e
name=$(head -c 200 /dev/zero | tr '\0' d)
for top in a b c; do
	cd /work; mkdir $top; cd $top
	for i in $(seq 15); do mkdir $name; cd $name; done
	echo deep > file
	[ $top = a ] || mv /work/$before .
	before=$top
done
"#;
    let diff = scene.diff_of(&[("alpine:3", script)]);
    // A path has at most 4096 bytes for git. That nothing is left of the others is what the scene asserts.
    assert_eq!(diff.matches("\n+deep\n").count(), 1);
}

#[test]
fn what_outlives_the_script_is_stopped() {
    let scene = Scene::new();
    let diff = scene.diff_of(&[
        (
            "alpine:3",
            "(while :; do echo late >> late; done) & setsid sleep 1000 & until [ -s late ]; do :; done",
        ),
        ("alpine:3", "rm late; sleep 0.2; ls > seen"),
    ]);
    assert!(diff.ends_with("+README.md\n+seen\n"), "{diff}");
}

#[test]
fn how_a_script_ends_is_told() {
    let scene = Scene::new();
    for (script, code) in [
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -TERM $$; sleep 10", 143),
        ("kill -9 $PPID; sleep 10", 137),
        ("kill -9 -1; sleep 10", 137),
        ("exec no-such-command", 127),
        ("exec /etc/passwd", 126),
        ("printf 'no newline'; false", 1),
    ] {
        let output = scene
            .batch(&[("alpine:3", script)])
            .args(["--timeout", "20s"])
            .run();
        output.assert_code(1);
        let told = format!("Command failed with exit code {code}.");
        assert!(story(&output).ends_with(&told), "{script}: {output}");
    }
}

#[test]
fn values_as_large_as_they_get() {
    let scene = Scene::new();
    let steps = |size: usize| {
        format!(
            "  - container: alpine:3\n    run: echo ${{#LARGE}} > size\n    env:\n      LARGE: {}\n",
            "v".repeat(size)
        )
    };
    scene.yaml(&steps(100_000)).run().assert_code(0);
    assert!(scene.diff().ends_with("+100000\n"));
    // More than Linux lets one variable have.
    let output = scene.yaml(&steps(200_000)).run();
    output.assert_code(1);
    let told = [
        "Argument list too long",
        "Command failed with exit code 126.",
    ];
    assert_says(&story(&output), &told);
}

#[test]
fn binary_output_is_no_trouble() {
    let scene = Scene::new();
    let steps = r"
  - container: alpine:3
    run: printf 'a\000b\377c' && printf '\033[2J\033[31mred' >&2
    outputs:
      said:
        value: ${{ step.stdout }}
  - container: alpine:3
    run: echo '${{ outputs.said }}' | od -c > said
";
    let output = scene.yaml(steps).run();
    // A script cannot hold a NUL byte.
    insta::assert_snapshot!(output, @r"
    --- stderr
    1 workspace in 1 repository
    [widgets] preparing the workspace
    [widgets] step 1/2: printf 'a\000b\377c' && printf '\033[2J\033[31mred' >&2
    [widgets] step 2/2: echo 'ab�c' | od -c > said
    [widgets] done
    widgets: branch test
      said | 2 ++
      1 file changed, 2 insertions(+)
    wrote out/changesets.json
    1 workspace: 1 done; 1 changeset; <time>
    --- exit 0
    ");
}

#[test]
fn what_a_failed_step_printed_cannot_steer_the_terminal() {
    let scene = Scene::new();
    let script =
        r"printf 'one\033[2Jtwo\033]0;title\007\b\r\n\x9b31mthree\n' | tee /dev/stderr; exit 3";
    let output = on_terminal(&scene, &yaml(&[("alpine:3", script)]));
    for forbidden in ["\u{1b}[2J", "\u{1b}]0;", "\u{7}", "\u{8}", "\u{9b}"] {
        assert!(!output.contains(forbidden), "{forbidden:?} in {output:?}");
    }
    assert!(output.contains("onetwo"), "{output:?}");
}

#[test]
fn the_live_display_shows_the_last_line_without_its_escapes() {
    let scene = Scene::new();
    let script = r"printf 'first\nlast\033[2J\033]0;title\007 line'; sleep 1; echo x > x";
    let output = on_terminal(&scene, &yaml(&[("alpine:3", script)]));
    assert!(output.contains("last line"), "{output:?}");
    for forbidden in ["\u{1b}[2J", "\u{1b}]0;"] {
        assert!(!output.contains(forbidden), "{forbidden:?} in {output:?}");
    }
}

/// What a terminal is sent when these steps run.
fn on_terminal(scene: &Scene, steps: &str) -> String {
    let output = scene.yaml(steps).on_terminal().run();
    String::from_utf8_lossy(output.raw_stdout()).into_owned()
}
