//! The patches that capstan writes are those that git would write.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use capstan_tests::{Engine, Repository, World};

use crate::specs;

/// Runs a shell script on this machine and returns what it printed.
fn on_host(world: &World, directory: &Path, script: &str) -> Vec<u8> {
    let output = Command::new("sh")
        .args(["-ec", script])
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", world.home())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LC_ALL", "C")
        .output()
        .expect("there is a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {stderr}");
    output.stdout
}

/// Something of everything that a commit can hold, in a directory.
fn fill(repository: &Repository, directory: &str) {
    let directory = Path::new(directory);
    let write = |name: &OsStr, content: &[u8]| repository.write(directory.join(name), content);
    let lines = |word: &str| (1..40).map(|n| format!("{word} {n}\n")).collect::<String>();
    for (name, content) in [
        ("README.md", "first\nsecond\nthird\n"),
        ("long.txt", &lines("line")),
        ("other.txt", &lines("another")),
        ("no-newline", "the end"),
        ("dir/a.txt", &lines("a")),
        ("dir/b.txt", &lines("b")),
        ("dir/deep/er/c.txt", "c\n"),
        (".gitignore", "*.log\nbuild/\n"),
        ("tracked.log", "ignored, but tracked\n"),
        ("build/tracked", "the same\n"),
        (".gitattributes", "*.bat text eol=crlf\n*.gen binary\n"),
        ("run.bat", "echo one\r\necho two\r\n"),
        ("mixed.txt", "unix\nwindows\r\n"),
        ("data.gen", "generated\n"),
        ("sp ace \"and\" quote", "x\n"),
        ("ümlaut", "utf-8\n"),
        ("run.sh", "#!/bin/sh\n"),
    ] {
        write(name.as_ref(), content.as_bytes());
    }
    let bytes: Vec<u8> = (0..=255).cycle().take(3000).collect();
    write("binary".as_ref(), &bytes);
    write(OsStr::from_bytes(b"caf\xe9.txt"), b"latin-1\n");
    let path = repository.path().join(directory);
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path.join("run.sh"), executable).expect("it is ours");
    for (name, target) in [
        ("link", "README.md"),
        ("out", "/etc/passwd"),
        ("dangling", "nowhere"),
    ] {
        symlink(target, path.join(name)).expect("it is free");
    }
}

const SCRIPTS: [(&str, &str); 38] = [
    ("nothing", "true"),
    ("edit", "echo more >> README.md"),
    ("edit-in-the-middle", "sed -i s/20/twenty/ long.txt"),
    ("delete", "rm README.md"),
    ("rename", "mv long.txt renamed.txt"),
    (
        "rename-and-edit",
        "mv long.txt renamed.txt; sed -i s/20/twenty/ renamed.txt",
    ),
    (
        "swap",
        "mv long.txt x; mv other.txt long.txt; mv x other.txt",
    ),
    ("copy", "cp long.txt copy.txt"),
    (
        "copy-and-edit",
        "cp long.txt copy.txt; echo more >> long.txt",
    ),
    ("make-executable", "chmod +x README.md"),
    ("make-not-executable", "chmod -x run.sh"),
    (
        "modes-git-does-not-keep",
        "chmod 600 README.md; chmod 711 run.sh; chmod 700 dir",
    ),
    (
        "executable-and-edit",
        "chmod +x README.md; echo more >> README.md",
    ),
    (
        "symlink-retarget",
        "ln -sfn run.sh link; ln -sfn ../../x out",
    ),
    ("symlink-to-file", "rm link; echo file > link"),
    ("file-to-symlink", "rm README.md; ln -s long.txt README.md"),
    ("write-through-symlink", "echo more >> link"),
    (
        "symlink-to-directory",
        "rm link; mkdir link; echo x > link/x",
    ),
    ("directory-to-file", "rm -r dir; echo file > dir"),
    ("directory-to-symlink", "mv dir moved; ln -s moved dir"),
    (
        "file-to-directory",
        "mv README.md x; mkdir README.md; mv x README.md/README.md",
    ),
    ("move-directory", "mv dir elsewhere"),
    ("empty-file", ": > empty; : > README.md"),
    (
        "empty-directory",
        "mkdir -p new/empty; rm dir/deep/er/c.txt",
    ),
    (
        "ignored",
        "echo x > new.log; mkdir -p build; echo x > build/new; echo more >> tracked.log",
    ),
    (
        "unignored",
        "echo '!new.log' >> .gitignore; echo x > new.log; echo x > other.log",
    ),
    ("tracked-ignored-deleted", "rm tracked.log build/tracked"),
    (
        "crlf-attribute",
        r"printf 'echo three\r\n' >> run.bat; printf 'new\r\n' > new.bat",
    ),
    (
        "crlf-attribute-to-lf",
        r"printf 'echo one\necho three\n' > run.bat",
    ),
    (
        "crlf",
        r"printf 'more\r\n' >> mixed.txt; printf 'a\r\nb\n' > crlf.txt",
    ),
    (
        "attributes",
        "echo '*.txt binary' >> .gitattributes; echo more >> long.txt; echo x >> data.gen",
    ),
    (
        "no-newline",
        "printf more >> no-newline; printf x > README.md; echo >> mixed.txt",
    ),
    (
        "binary",
        r"printf '\000\001\377' >> binary; printf '\000new' > new; cp binary copied",
    ),
    ("binary-delete", "rm binary; mv data.gen moved.gen"),
    (
        "text-to-binary",
        r"printf '\000' >> README.md; echo text > binary",
    ),
    (
        "names",
        r#"echo x > "$(printf 'n\303\251w')"; echo x > "$(printf '\377\376')"; echo x > 'a "b"'; echo x > -dash; echo x > "$(printf 'tab\tnewline\nx')"; echo more >> "$(printf 'caf\351.txt')"; rm 'sp ace "and" quote'"#,
    ),
    ("deep", "d=$(seq -s / 1 60); mkdir -p $d; echo x > $d/file"),
    (
        "long-line",
        "head -c 100000 /dev/zero | tr '\\0' x > long-line; head -c 100000 /dev/zero > zeros",
    ),
];

/// The sections of a patch.
fn sections(patch: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(patch);
    text.split_inclusive('\n')
        .fold(Vec::new(), |mut sections, line| {
            if line.starts_with("diff --git ") || sections.is_empty() {
                sections.push(String::new());
            }
            sections.last_mut().expect("there is one").push_str(line);
            sections
        })
}

#[test]
fn the_patch_is_what_git_prints() {
    Engine::require();
    let world = World::new();
    // Each script works in a directory of its own. Nothing prevents renames from one into another, all the better.
    let all = world.repository("all", &[]);
    let mut script = String::new();
    for (name, part) in SCRIPTS {
        fill(&all, name);
        script.push_str(&format!("(cd {name}; {part})\n"));
    }
    all.write("script", script);
    all.commit("Something of everything");
    let nothing_left = world.repository("nothing-left", &[]);
    fill(&nothing_left, "");
    nothing_left.write("script", "rm -r * .gitignore .gitattributes");
    nothing_left.commit("Something of everything");

    let spec = world.write("spec.yaml", specs::of(&["sh -e script"]));
    world
        .capstan(["batch", "run", "--output", "out", "-f"])
        .arg(spec)
        .args(["./all", "./nothing-left"])
        .run()
        .assert_code(0);

    let clones = world.work().join("clones");
    fs::create_dir(&clones).expect("it is new");
    for name in ["all", "nothing-left"] {
        on_host(&world, &clones, &format!("git clone -q ../{name}"));
        let clone = clones.join(name);
        on_host(&world, &clone, "umask 022; sh -e script");
        let diff = "git add --all; git -c core.abbrev=7 diff --cached --no-prefix --binary";
        let expected = on_host(&world, &clone, diff);
        let found = fs::read(world.work().join(format!("out/{name}/change.patch")));
        let found = found.expect("there is a patch");
        for (found, expected) in sections(&found).iter().zip(sections(&expected)) {
            assert_eq!(*found, expected);
        }
        assert!(found == expected, "the ends of {name} differ");
    }
}

#[test]
fn git_takes_the_patches() {
    Engine::require();
    let world = World::new();
    let widgets = world.repository("widgets", &[]);
    fill(&widgets, "");
    widgets.commit("Something of everything");
    let script = r"mv long.txt renamed.txt; printf '\000' >> binary; rm link; chmod +x README.md; echo x > new;
        printf 'three\r\n' >> run.bat; rm -r dir; echo x > dir";
    let spec = world.write("spec.yaml", specs::of(&[script]));
    world
        .capstan(["batch", "run", "--output", "out", "--apply", "-f"])
        .arg(&spec)
        .arg(widgets.path())
        .run()
        .assert_code(0);
    let printed = world
        .capstan(["batch", "run", "-f"])
        .arg(&spec)
        .arg(widgets.path())
        .run();
    world.write("printed.patch", printed.raw_stdout());

    for (number, patch) in ["out/widgets/change.patch", "printed.patch"]
        .iter()
        .enumerate()
    {
        let copy = world.work().join(format!("copy-{number}"));
        fs::create_dir(&copy).expect("it is new");
        on_host(
            &world,
            &copy,
            &format!("git clone -q ../widgets . && git apply -p0 --index ../{patch}"),
        );
        // The tree it makes is that of the commit that --apply made.
        let tree = on_host(&world, &copy, "git write-tree");
        assert_eq!(
            String::from_utf8_lossy(&tree).trim(),
            widgets.git(["rev-parse", "change^{tree}"])
        );
    }
}
