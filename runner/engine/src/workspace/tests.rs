use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::disk_cache::DiskCache;
use crate::git::fixture::{Fixture, git_in};
use crate::git::tests::git;
use crate::repository::{RemoteCache, Source, open};

pub(crate) struct Laid {
    pub(crate) workspace: Workspace,
    home: tempfile::TempDir,
    /// Where containers see it, if that is not the workspace's own directory.
    seen: Option<PathBuf>,
}

/// What all tests that have to do with workspaces share in `directory`: the fastest way that is possible.
pub(crate) fn checkouts(directory: &Path) -> Checkouts {
    made(None, directory)
}

pub(crate) fn made(wanted: Option<Method>, directory: &Path) -> Checkouts {
    let cache = DiskCache::new(&directory.join("cache"), u64::MAX);
    let place = Place {
        cache: cache.directory(),
        workspaces: directory,
        engine: Some(Sight::default()),
    };
    // Only root can do what a container engine does.
    let by_engine = wanted == Some(Method::Volume);
    let wanted = wanted.filter(|_| !by_engine || rustix::process::geteuid().is_root());
    let chosen = choose(wanted, place).or_else(|fault| {
        eprintln!("tested in another way: {fault}");
        choose(None, place)
    });
    Checkouts::new(&chosen.unwrap(), &cache)
}

pub(crate) async fn origin(fixture: &Fixture) -> Origin {
    let cache = RemoteCache::new(&DiskCache::new(Path::new("/nonexistent"), 0));
    let source = Source::Local(fixture.path.clone());
    open(&git().await, &cache, &source, None, |_| {})
        .await
        .unwrap()
}

async fn lay_out(method: Method, fixture: &Fixture, only: &str) -> Laid {
    // Not every file system can share blocks.
    let shares_blocks =
        std::env::var_os("CAPSTAN_TEST_REFLINK").filter(|_| method == Method::Reflink);
    let home = match shares_blocks {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    };
    lay_out_in(home.unwrap(), method, fixture, only).await
}

async fn lay_out_in(
    home: tempfile::TempDir,
    method: Method,
    fixture: &Fixture,
    only: &str,
) -> Laid {
    let layout = Layout {
        only,
        patterns: &[],
        visible_git: VisibleGit::Borrowing,
        by_runner: false,
    };
    let origin = origin(fixture).await;
    let place = home.path().join("w");
    let checkouts = made(Some(method), home.path());
    let made = Workspace::make(&git().await, place, &origin, layout, &checkouts).await;
    let mut workspace = made.unwrap();
    let mounts = workspace.mounts().to_vec();
    workspace.check_out(&origin, layout).await.unwrap();
    // Containers are made from them before the files are there.
    assert_eq!(workspace.mounts(), mounts);
    let seen = mount_as_an_engine(&workspace, home.path());
    Laid {
        workspace,
        home,
        seen,
    }
}

/// Does for a workspace what a container engine does; tells where it is then seen.
fn mount_as_an_engine(workspace: &Workspace, home: &Path) -> Option<PathBuf> {
    let Files::Overlay(overlay) = workspace.files() else {
        return None;
    };
    let seen = home.join("seen");
    fs_err::create_dir(&seen).unwrap();
    let options = format!(
        "lowerdir={},upperdir={},workdir={},userxattr,redirect_dir=nofollow,metacopy=off,index=off",
        overlay.lower.display(),
        overlay.upper.display(),
        overlay.work.display()
    );
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "overlay", "overlay", "-o", &options]);
    assert!(mount.arg(&seen).status().unwrap().success());
    Some(seen)
}

/// What is mounted does not go with its directory.
impl Drop for Laid {
    fn drop(&mut self) {
        let _ = overlay::unmount_below(self.home.path());
    }
}

impl Laid {
    pub(crate) fn root(&self) -> PathBuf {
        let root = self.workspace.root();
        self.seen.as_deref().unwrap_or(root).to_owned()
    }

    async fn diff(&mut self) -> String {
        let diff = self.workspace.diff(DIFF_LIMIT).await.unwrap();
        String::from_utf8_lossy(&diff).into_owned()
    }
}

fn text_of(directory: &Path, arguments: &[&str]) -> String {
    let output = String::from_utf8(git_in(directory, arguments)).unwrap();
    output.trim().to_owned()
}

fn mode(path: &Path) -> u32 {
    fs_err::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[rstest]
#[tokio::test]
async fn a_fresh_workspace_has_all_files_for_everybody_and_no_diff(
    #[values(Method::Overlay, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[("a", "1\n"), ("dir/b", "2\n")]);
    symlink("dir/b", fixture.path.join("link")).unwrap();
    fixture.write("run.sh", "#!/bin/sh\n");
    fs_err::set_permissions(
        fixture.path.join("run.sh"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    fixture.commit("second");
    let mut laid = lay_out(method, &fixture, "").await;
    let root = laid.root();
    for (path, expected) in [
        ("a", 0o666),
        ("dir", 0o777),
        ("dir/b", 0o666),
        ("run.sh", 0o777),
    ] {
        assert_eq!(mode(&root.join(path)), expected, "{path}");
    }
    assert_eq!(mode(&root), 0o777);
    assert_eq!(mode(root.parent().unwrap()), 0o700);
    assert_eq!(
        fs_err::read_link(root.join("link")).unwrap(),
        Path::new("dir/b")
    );
    assert_eq!(laid.diff().await, "");
    // Also when it is looked at.
    laid.workspace.forget_diff();
    assert_eq!(laid.diff().await, "");
    assert_eq!(laid.workspace.base_rev(), fixture.rev("HEAD"));
}

#[rstest]
#[tokio::test]
async fn the_diff_is_cumulative_and_applies_to_a_fresh_workspace(
    #[values(Method::Overlay, Method::Reflink, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[("a", "1\n"), ("b", "2\n"), ("bin", "\0\x01")]);
    let mut first = lay_out(method, &fixture, "").await;
    fs_err::write(first.root().join("a"), "changed\n").unwrap();
    let diff = first.diff().await;
    insta::allow_duplicates! {
        insta::assert_snapshot!(diff, @r"
        diff --git a a
        index d00491f..5ea2ed4 100644
        --- a
        +++ a
        @@ -1 +1 @@
        -1
        +changed
        ");
    }
    fs_err::remove_file(first.root().join("b")).unwrap();
    fs_err::write(first.root().join("bin"), b"\0\xff\0").unwrap();
    fs_err::write(first.root().join("new file"), "x").unwrap();
    let diff = first.workspace.diff(DIFF_LIMIT).await.unwrap();

    let mut second = lay_out(method, &fixture, "").await;
    second.workspace.apply(&diff).await.unwrap();
    assert_eq!(second.workspace.diff(DIFF_LIMIT).await.unwrap(), diff);
    assert_eq!(mode(&second.root().join("new file")), 0o666);
    let fault = second.workspace.apply(&diff).await.unwrap_err();
    assert!(
        fault.message.starts_with(
            "applying diff of cache result: applying cached diff: 'git apply' failed: "
        ),
        "{fault}"
    );
}

#[rstest]
#[tokio::test]
async fn the_diff_follows_every_change_and_the_lack_of_one(
    #[values(Method::Overlay, Method::Volume, Method::Reflink, Method::Checkout)] method: Method,
) {
    type Change = fn(&Path);
    let fixture = Fixture::with(&[("a", "1\n"), ("b", "2\n")]);
    let mut laid = lay_out(method, &fixture, "").await;
    let root = laid.root();
    let nothing: Change = |_| {};
    let changes: [(Change, &[&str]); 9] = [
        (nothing, &[]),
        // As long as before, and perhaps in the same moment.
        (
            |root| fs_err::write(root.join("a"), "3\n").unwrap(),
            &["+3"],
        ),
        (nothing, &["+3"]),
        (
            |root| {
                let executable = std::fs::Permissions::from_mode(0o777);
                fs_err::set_permissions(root.join("b"), executable).unwrap();
            },
            &["+3", "new mode 100755"],
        ),
        (
            |root| fs_err::remove_file(root.join("b")).unwrap(),
            &["+3", "-2"],
        ),
        (nothing, &["+3", "-2"]),
        (
            |root| {
                fs_err::write(root.join("a"), "1\n").unwrap();
                fs_err::write(root.join("b"), "2\n").unwrap();
            },
            &[],
        ),
        (nothing, &[]),
        (
            |root| fs_err::write(root.join("c"), "4\n").unwrap(),
            &["+4"],
        ),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        change(&root);
        let diff = laid.diff().await;
        let told: Vec<&str> = diff
            .lines()
            .filter(|line| {
                let is_content = line.starts_with(['+', '-']) && line.len() == 2;
                is_content && *line != "-1" || line.starts_with("new mode")
            })
            .collect();
        assert_eq!(told, expected, "{number}: {diff}");
    }
}

#[rstest]
#[tokio::test]
async fn a_diff_beyond_the_limit_is_refused(
    #[values(Method::Overlay, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[("a", "1\n")]);
    let mut laid = lay_out(method, &fixture, "").await;
    fs_err::write(laid.root().join("big"), "x\n".repeat(1000)).unwrap();
    let fault = laid.workspace.diff(1000).await.unwrap_err();
    let expected = "getting diff produced by step: 'git diff' printed more than 1000 bytes";
    assert_eq!(fault.to_string(), expected);
    assert!(laid.workspace.diff(10_000).await.is_ok());
}

#[rstest]
#[tokio::test]
async fn only_a_directory_can_be_laid_out(
    #[values(Method::Overlay, Method::Volume, Method::Reflink, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[
        (".gitignore", "*.log\n"),
        ("README", "r\n"),
        ("a/.gitattributes", "*.txt text eol=crlf\n"),
        ("a/other/x", "x\n"),
        ("a/b/c.txt", "c\n"),
        ("a/b/d/e", "e\n"),
        ("a/bc", "no\n"),
    ]);
    let mut laid = lay_out(method, &fixture, "a/b").await;
    let root = laid.root();
    for (path, there) in [
        (".gitignore", true),
        ("a/.gitattributes", true),
        ("a/b/d/e", true),
        ("README", false),
        ("a/other", false),
        ("a/bc", false),
    ] {
        assert_eq!(root.join(path).exists(), there, "{path}");
    }
    assert_eq!(mode(&root.join("a/b/d")), 0o777);
    assert_eq!(fs_err::read(root.join("a/b/c.txt")).unwrap(), b"c\r\n");
    assert_eq!(laid.diff().await, "");
    fs_err::write(root.join("a/b/x.log"), "").unwrap();
    fs_err::write(root.join("a/b/new"), "n\n").unwrap();
    let diff = laid.diff().await;
    insta::allow_duplicates! {
        insta::assert_snapshot!(diff, @r"
        diff --git a/b/new a/b/new
        new file mode 100644
        index 0000000..8ba3a16
        --- /dev/null
        +++ a/b/new
        @@ -0,0 +1 @@
        +n
        ");
    }
    assert_eq!(visible_status(&laid), "?? a/b/new\n");

    let home = tempfile::tempdir().unwrap();
    let layout = Layout {
        only: "a/none",
        patterns: &[],
        visible_git: VisibleGit::None,
        by_runner: false,
    };
    let origin = origin(&fixture).await;
    let place = home.path().join("w");
    let (git, checkouts) = (git().await, made(Some(method), home.path()));
    let laid_out = async {
        let mut workspace = Workspace::make(&git, place, &origin, layout, &checkouts).await?;
        workspace.check_out(&origin, layout).await
    };
    let fault = laid_out.await.unwrap_err();
    assert!(
        fault.message.contains("there is no directory \"a/none\""),
        "{fault}"
    );
}

/// What a git in a container says: its object directories are where the mounts would put them.
fn visible_status(laid: &Laid) -> String {
    let root = laid.root();
    let alternates = root.join(".git/objects/info/alternates");
    let sources: Vec<PathBuf> = laid
        .workspace
        .mounts()
        .iter()
        .filter(|mount| !mount.target.ends_with("alternates"))
        .map(|mount| mount.source.clone())
        .collect();
    let kept = fs_err::read(&alternates).unwrap();
    fs_err::write(&alternates, crate::git::alternates(&sources)).unwrap();
    let status = git_in(&root, &["status", "--porcelain", "--untracked-files=all"]);
    fs_err::write(&alternates, kept).unwrap();
    String::from_utf8(status).unwrap()
}

#[rstest]
#[tokio::test]
async fn steps_find_a_clean_repository(
    #[values(Method::Overlay, Method::Volume, Method::Reflink, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[("a", "1\n")]);
    fixture.git(&[
        "remote",
        "add",
        "origin",
        "https://u:secret@github.com/acme/widgets.git",
    ]);
    let laid = lay_out(method, &fixture, "").await;
    assert_eq!(mode(&laid.root().join(".git/index")), 0o666);
    assert_eq!(visible_status(&laid), "");
    let text = |arguments: &[&str]| text_of(&laid.root(), arguments);
    assert_eq!(text(&["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(text(&["rev-parse", "HEAD"]), fixture.rev("HEAD"));
    assert_eq!(
        text(&["config", "remote.origin.url"]),
        "https://github.com/acme/widgets.git"
    );
    assert_eq!(
        laid.workspace.mounts(),
        [BindMount {
            source: fixture.path.join(".git/objects"),
            target: "/.capstan-objects/0".into(),
            read_only: true
        }]
    );
    assert_eq!(
        fs_err::read_to_string(laid.root().join(".git/objects/info/alternates")).unwrap(),
        "/.capstan-objects/0\n"
    );
}

#[rstest]
#[tokio::test]
async fn borrowed_objects_are_mounted_too(
    #[values(Method::Overlay, Method::Checkout)] method: Method,
) {
    let lender = Fixture::with(&[("a", "1\n")]);
    let borrower = Fixture::new();
    fs_err::remove_dir_all(&borrower.path).unwrap();
    let path = lender.path.to_str().unwrap();
    git_in(
        lender.path.parent().unwrap(),
        &[
            "clone",
            "--quiet",
            "--shared",
            path,
            borrower.path.to_str().unwrap(),
        ],
    );
    borrower.write("b", "2\n");
    borrower.commit("second");
    let mut laid = lay_out(method, &borrower, "").await;
    assert_eq!(visible_status(&laid), "");
    let targets: Vec<&str> = laid
        .workspace
        .mounts()
        .iter()
        .map(|m| m.target.as_str())
        .collect();
    assert_eq!(
        targets,
        [
            "/.capstan-objects/0",
            "/.capstan-objects/0/info/alternates",
            "/.capstan-objects/1"
        ]
    );
    assert_eq!(laid.diff().await, "");
}

/// Gives a file another time, so that git has to look at its content.
fn touch(file: &Path) {
    let file = fs_err::File::options().append(true).open(file).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(100);
    file.file().set_modified(later).unwrap();
}

/// Puts everything into the workspace that could make git run a program, and a file that each would leave.
fn booby_trap(root: &Path, trap: &Path) {
    let run = |name: &str| format!("touch {}/{name}; cat", trap.display());
    let config = |prefix: &str| {
        let sh = |name: &str| run(&format!("{prefix}-{name}"));
        format!(
            "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = \"{}\"\n\thooksPath = {}\n\tsshCommand = \"{}\"\n\
             [filter \"evil\"]\n\tclean = \"{}\"\n\tsmudge = \"{}\"\n\tprocess = \"{}\"\n\trequired = true\n\
             [diff]\n\texternal = \"{}\"\n[diff \"evil\"]\n\ttextconv = \"{}\"\n\tcommand = \"{}\"\n\
             [status]\n\tsubmoduleSummary = true\n[alias]\n\tadd = \"!{}\"\n",
            sh("fsmonitor"),
            trap.join("hooks").display(),
            sh("ssh"),
            sh("clean"),
            sh("smudge"),
            sh("process"),
            sh("external"),
            sh("textconv"),
            sh("command"),
            sh("alias"),
        )
    };
    for (nested, name) in [
        ("", "top"),
        ("nested", "nested"),
        ("deep/er/nested", "deep"),
    ] {
        let directory = root.join(nested);
        fs_err::create_dir_all(&directory).unwrap();
        if !nested.is_empty() {
            git_in(&directory, &["init", "--quiet"]);
            fs_err::write(directory.join("f"), "before").unwrap();
            git_in(&directory, &["add", "f"]);
            git_in(&directory, &["commit", "--quiet", "-m", "c"]);
            touch(&directory.join("f"));
        }
        fs_err::write(
            directory.join(".gitattributes"),
            "* filter=evil diff=evil\n",
        )
        .unwrap();
        fs_err::write(directory.join(".git/config"), config(name)).unwrap();
        let hooks = directory.join(".git/hooks");
        fs_err::create_dir_all(&hooks).unwrap();
        for hook in [
            "post-index-change",
            "pre-commit",
            "fsmonitor-watchman",
            "reference-transaction",
        ] {
            let file = hooks.join(hook);
            fs_err::write(
                &file,
                format!("#!/bin/sh\ntouch {}/{name}-hook-{hook}\n", trap.display()),
            )
            .unwrap();
            fs_err::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    fs_err::write(
        root.join(".gitmodules"),
        "[submodule \"n\"]\n\tpath = nested\n\turl = ext::sh\n\tupdate = checkout\n\tignore = none\n",
    )
    .unwrap();
}

#[rstest]
#[tokio::test]
async fn nothing_of_a_hostile_workspace_runs(
    #[values(Method::Overlay, Method::Volume, Method::Reflink, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[("a", "1\n")]);
    let mut laid = lay_out(method, &fixture, "").await;
    let trap = tempfile::tempdir().unwrap();
    booby_trap(&laid.root(), trap.path());
    // The second and third time git knows the nested repositories, which is when it would look into them.
    for round in 0..3 {
        fs_err::write(laid.root().join("a"), format!("{round}\n")).unwrap();
        let diff = laid.diff().await;
        assert!(diff.contains("+++ nested\n"), "{diff}");
        assert!(diff.contains("Subproject commit"), "{diff}");
        touch(&laid.root().join("nested/f"));
    }
    let ran: Vec<_> = fs_err::read_dir(trap.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(ran.is_empty(), "{ran:?}");

    // The trap does work: a git that starts another one in the nested repositories falls into it, although all
    // settings of ours are handed on.
    let exec_path = text_of(Path::new("/"), &["--exec-path"]);
    let add = laid.workspace.git.isolated("add");
    let _ = laid
        .workspace
        .environment(add)
        .env("GIT_EXEC_PATH", exec_path)
        .arg("--all")
        .run()
        .await;
    assert!(fs_err::read_dir(trap.path()).unwrap().next().is_some());
}

#[rstest]
#[tokio::test]
async fn whatever_becomes_of_dot_git_the_diff_is_the_same(
    #[values(Method::Overlay, Method::Volume, Method::Reflink, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[("a", "1\n")]);
    let elsewhere = Fixture::with(&[("other", "x\n")]);
    let replacements: [fn(&Path, &Path); 6] = [
        |dot_git, _| fs_err::write(dot_git, "gitdir: /nonexistent\n").unwrap(),
        |dot_git, other| {
            fs_err::write(dot_git, format!("gitdir: {}/.git\n", other.display())).unwrap();
        },
        |dot_git, other| symlink(other.join(".git"), dot_git).unwrap(),
        |dot_git, _| fs_err::create_dir(dot_git).unwrap(),
        |_, _| {},
        |dot_git, _| symlink("a", dot_git).unwrap(),
    ];
    let mut diffs = std::collections::BTreeSet::new();
    for replace in replacements {
        let mut laid = lay_out(method, &fixture, "").await;
        let dot_git = laid.root().join(".git");
        fs_err::remove_dir_all(&dot_git).unwrap();
        replace(&dot_git, &elsewhere.path);
        fs_err::write(laid.root().join("a"), "2\n").unwrap();
        diffs.insert(laid.diff().await);
        assert_eq!(laid.workspace.remove().await.unwrap(), Tidied::Done);
        assert!(!laid.home.path().join("w").exists());
    }
    assert_eq!(diffs.len(), 1);
    assert!(elsewhere.path.join(".git/HEAD").exists());
    assert_eq!(elsewhere.git(&["status", "--porcelain"]), b"");
}

#[rstest]
#[tokio::test]
async fn locks_left_in_the_index_do_not_matter(
    #[values(Method::Overlay, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[("a", "1\n")]);
    let mut laid = lay_out(method, &fixture, "").await;
    fs_err::write(laid.root().join(".git/index.lock"), "").unwrap();
    fs_err::write(laid.root().parent().unwrap().join("git/index.lock"), "").unwrap();
    fs_err::write(laid.root().join("b"), "").unwrap();
    assert!(laid.diff().await.contains("new file mode"));
}

#[rstest]
#[tokio::test]
async fn a_nested_repository_without_commit_is_explained(
    #[values(Method::Overlay, Method::Volume, Method::Reflink, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[("a", "1\n")]);
    let mut laid = lay_out(method, &fixture, "").await;
    fs_err::create_dir(laid.root().join("n")).unwrap();
    git_in(&laid.root().join("n"), &["init", "--quiet"]);
    let fault = laid.workspace.diff(DIFF_LIMIT).await.unwrap_err();
    assert!(
        fault
            .message
            .starts_with("getting diff produced by step: 'git add' failed: "),
        "{fault}"
    );
    assert!(fault.hint.unwrap().contains("without a commit"));
}

#[rstest]
#[tokio::test]
async fn files_stored_against_their_attributes_change_only_when_touched(
    #[values(Method::Overlay, Method::Volume, Method::Reflink, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[
        ("a.txt", "1\r\n"),
        ("we\"ird\n.txt", "1\r\n"),
        ("b.txt", "1\r\n"),
    ]);
    // They were stored before the attributes came.
    fixture.write(".gitattributes", "*.txt text\n");
    fixture.git(&["add", ".gitattributes"]);
    fixture.git(&["commit", "--quiet", "-m", "attributes"]);
    let mut laid = lay_out(method, &fixture, "").await;
    assert_eq!(laid.diff().await, "");
    fs_err::write(laid.root().join("b.txt"), "2\r\n").unwrap();
    for _ in 0..2 {
        let diff = laid.diff().await;
        assert!(diff.starts_with("diff --git b.txt b.txt\n"), "{diff}");
        assert_eq!(diff.matches("diff --git").count(), 1, "{diff}");
    }
    // Another line ending is a change of bytes, which is what such a step wants.
    fs_err::write(laid.root().join("a.txt"), "1\n").unwrap();
    assert!(laid.diff().await.contains("-1\r\n+1\n"));
}

#[rstest]
#[tokio::test]
async fn a_lost_directory_is_made_again_inside_the_workspace_only(
    #[values(Method::Overlay, Method::Reflink, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[("a/b/c", "1\n"), ("file", "")]);
    let mut laid = lay_out(method, &fixture, "").await;
    let root = laid.root();
    fs_err::remove_dir_all(root.join("a")).unwrap();
    laid.workspace.ensure_directory("a/b").await.unwrap();
    assert_eq!(mode(&root.join("a/b")), 0o777);

    let outside = tempfile::tempdir().unwrap();
    fs_err::remove_dir_all(root.join("a")).unwrap();
    symlink(outside.path(), root.join("a")).unwrap();
    laid.workspace.ensure_directory("a/b").await.unwrap();
    assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 0);
    assert!(laid.workspace.ensure_directory("file/x").await.is_err());
    assert!(laid.workspace.ensure_directory("../x").await.is_err());
}

#[rstest]
#[tokio::test]
async fn files_of_any_mode_are_settled_without_changing_the_diff(
    #[values(Method::Overlay, Method::Reflink, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[("a", "1\n")]);
    let mut laid = lay_out(method, &fixture, "").await;
    let root = laid.root();
    fs_err::create_dir(root.join("d")).unwrap();
    fs_err::write(root.join("d/x"), "x").unwrap();
    fs_err::set_permissions(root.join("d/x"), std::fs::Permissions::from_mode(0o600)).unwrap();
    fs_err::set_permissions(root.join("d"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let before = laid.diff().await;
    assert_eq!(
        laid.workspace.settle(Whom::Everybody).await.unwrap(),
        Tidied::Done
    );
    assert_eq!(
        (mode(&root.join("d")), mode(&root.join("d/x"))),
        (0o777, 0o666)
    );
    assert_eq!(laid.diff().await, before);
}

/// Something a step may do.
#[derive(Debug, Clone)]
enum Edit {
    Write(usize, Vec<u8>),
    Remove(usize),
    Rename(usize, usize),
    Move(usize, usize),
    Link(usize, usize),
    Executable(usize),
    Directory(usize),
    Repository(usize),
}

impl Edit {
    /// Whether it can be in a base: steps may not change attributes, because which untouched files plain git then
    /// calls changed depends on the clock; nested repositories cannot be cloned.
    fn suits(&self, in_base: bool) -> bool {
        let (from, to) = match self {
            Self::Repository(_) if in_base => return false,
            Self::Rename(from, to) | Self::Move(from, to) => (from, to),
            Self::Write(n, _)
            | Self::Remove(n)
            | Self::Link(n, _)
            | Self::Executable(n)
            | Self::Directory(n)
            | Self::Repository(n) => (n, n),
        };
        // One may go with the directory that it is in.
        let in_the_way = |n: usize| names()[n] == b".gitattributes";
        in_base || ![from, to].iter().any(|&&n| in_the_way(n))
    }
}

/// Names that are easy to get wrong; some are inside of others, so files become directories and back.
fn names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "a",
        "a/b",
        "a/b/c",
        "dir",
        "dir/one",
        "dir/two.txt",
        "dir/deep/down/file",
        "dir/deep",
        "with space",
        "with\ttab",
        "with\"quote",
        "new\nline",
        "ümläut",
        "-dash",
        ".gitignore",
        ".gitattributes",
        "dir/.gitignore",
        "ignored.log",
        "dir/ignored.log",
        "crlf.txt",
        "empty",
        "b\\ackslash",
        "A",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push(b"not\xffutf8".to_vec());
    names.push([b'x'; 200].to_vec());
    names
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        Just(b"*.log\n".to_vec()),
        Just(b"* text=auto\n*.txt text eol=crlf\n".to_vec()),
        Just(b"one\r\ntwo\r\n".to_vec()),
        Just(b"no newline at the end".to_vec()),
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec("[a-c]{1,3}\n", 0..30).prop_map(|lines| lines.concat().into_bytes()),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = 0..names().len();
    prop_oneof![
        6 => (name.clone(), content()).prop_map(|(n, c)| Edit::Write(n, c)),
        2 => name.clone().prop_map(Edit::Remove),
        2 => (name.clone(), name.clone()).prop_map(|(a, b)| Edit::Rename(a, b)),
        2 => (name.clone(), name.clone()).prop_map(|(a, b)| Edit::Move(a, b)),
        1 => (name.clone(), name.clone()).prop_map(|(a, b)| Edit::Link(a, b)),
        1 => name.clone().prop_map(Edit::Executable),
        1 => name.clone().prop_map(Edit::Directory),
        1 => name.prop_map(Edit::Repository),
    ]
}

/// Does it in a tree; what is not possible there is left out, the same in every tree.
fn perform(root: &Path, edit: &Edit) {
    let names = names();
    let at = |n: usize| root.join(std::ffi::OsStr::from_bytes(&names[n]));
    let clear = |path: &Path| {
        for parent in path.ancestors().skip(1).take_while(|p| *p != root) {
            if parent.symlink_metadata().is_ok_and(|m| !m.is_dir()) {
                fs_err::remove_file(parent).unwrap();
            }
        }
        if path.symlink_metadata().is_ok_and(|m| m.is_dir()) {
            fs_err::remove_dir_all(path).unwrap();
        } else {
            let _ = fs_err::remove_file(path);
        }
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    };
    match edit {
        Edit::Write(n, content) => {
            clear(&at(*n));
            fs_err::write(at(*n), content).unwrap();
        }
        Edit::Remove(n) => clear(&at(*n)),
        Edit::Rename(from, to) => {
            let path = at(*from);
            if path.symlink_metadata().is_ok_and(|m| m.is_file()) && from != to {
                let content = fs_err::read(&path).unwrap();
                clear(&path);
                clear(&at(*to));
                fs_err::write(at(*to), content).unwrap();
            }
        }
        Edit::Move(from, to) => {
            let (from, to) = (at(*from), at(*to));
            let nested = from.starts_with(&to) || to.starts_with(&from);
            if from.symlink_metadata().is_ok() && !nested {
                clear(&to);
                // As a step would do it.
                let moved = std::process::Command::new("mv")
                    .arg("--")
                    .arg(&from)
                    .arg(&to)
                    .status();
                assert!(moved.unwrap().success());
            }
        }
        Edit::Link(n, to) => {
            clear(&at(*n));
            symlink(std::ffi::OsStr::from_bytes(&names[*to]), at(*n)).unwrap();
        }
        Edit::Executable(n) => {
            if at(*n).symlink_metadata().is_ok_and(|m| m.is_file()) {
                fs_err::set_permissions(at(*n), std::fs::Permissions::from_mode(0o777)).unwrap();
            }
        }
        Edit::Directory(n) => {
            clear(&at(*n));
            fs_err::create_dir(at(*n)).unwrap();
        }
        Edit::Repository(n) => {
            clear(&at(*n));
            fs_err::create_dir(at(*n)).unwrap();
            git_in(&at(*n), &["init", "--quiet"]);
            fs_err::write(at(*n).join("inner"), "x").unwrap();
            git_in(&at(*n), &["add", "inner"]);
            let date = "2020-01-01T00:00:00Z";
            let status = std::process::Command::new("git")
                .args([
                    "-c",
                    "user.name=A",
                    "-c",
                    "user.email=a@b",
                    "commit",
                    "--quiet",
                    "-m",
                    "c",
                ])
                .env("GIT_AUTHOR_DATE", date)
                .env("GIT_COMMITTER_DATE", date)
                .current_dir(at(*n))
                .status()
                .unwrap();
            assert!(status.success());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_diff_equals_that_of_plain_git(
        before in prop::collection::vec(edit().prop_filter("suits a base", |e| e.suits(true)), 1..16),
        steps in prop::collection::vec(prop::collection::vec(edit().prop_filter("suits a step", |e| e.suits(false)), 0..6), 1..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new();
            for edit in &before {
                perform(&fixture.path, edit);
            }
            // Everything in the base, ignored or not, as it is.
            fixture.git(&["-c", "core.attributesFile=/dev/null", "add", "--all", "--force"]);
            fixture.commit("base");
            let parent = tempfile::tempdir().unwrap();
            git_in(parent.path(), &["clone", "--quiet", fixture.path.to_str().unwrap(), "clone"]);
            let clone = parent.path().join("clone");
            let mut all = Vec::new();
            for method in Method::ALL {
                all.push((method, lay_out(method, &fixture, "").await));
            }
            for edits in &steps {
                for edit in edits {
                    perform(&clone, edit);
                    for (_, laid) in &all {
                        perform(&laid.root(), edit);
                    }
                }
                git_in(&clone, &["add", "--all"]);
                let expected = git_in(&clone, &["diff", "--cached", "--no-prefix", "--binary"]);
                for (method, laid) in &mut all {
                    let found = laid.workspace.diff(DIFF_LIMIT).await.unwrap();
                    assert_eq!(
                        String::from_utf8_lossy(&found),
                        String::from_utf8_lossy(&expected),
                        "{method:?}"
                    );
                    assert!(found == expected);
                }
            }
        });
    }
}

/// Does these steps in a workspace of each kind and in a clone, and compares each diff with that of plain git.
async fn assert_diffs_are_gits(fixture: &Fixture, steps: &[&dyn Fn(&Path)]) {
    let parent = tempfile::tempdir().unwrap();
    let source = fixture.path.to_str().unwrap();
    git_in(parent.path(), &["clone", "--quiet", source, "clone"]);
    let clone = parent.path().join("clone");
    let mut all = Vec::new();
    for method in Method::ALL {
        all.push((method, lay_out(method, fixture, "").await));
    }
    for step in steps {
        step(&clone);
        git_in(&clone, &["add", "--all"]);
        let expected = git_in(&clone, &["diff", "--cached", "--no-prefix", "--binary"]);
        let expected = String::from_utf8(expected).unwrap();
        for (method, laid) in &mut all {
            step(&laid.root());
            assert_eq!(laid.diff().await, expected, "{method:?}");
        }
    }
}

fn write(root: &Path, name: &str, content: &str) {
    let path = root.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, content).unwrap();
}

#[tokio::test]
async fn what_stands_for_another_repository_is_judged_as_git_does() {
    let fixture = Fixture::with(&[("a", "1\n"), ("dir/b", "2\n")]);
    let commit = fixture.rev("HEAD");
    let entry = format!("160000,{commit},dir/sub");
    fixture.git(&["update-index", "--add", "--cacheinfo", &entry]);
    fixture.git(&["commit", "--quiet", "-m", "a submodule"]);
    assert_diffs_are_gits(
        &fixture,
        &[&|root| write(root, "dir/b", "changed\n"), &|root| {
            let _ = fs_err::remove_dir(root.join("dir/sub"));
            write(root, "dir/sub", "a file now\n");
        }],
    )
    .await;
}

#[tokio::test]
async fn a_repository_made_in_a_directory_of_the_base_hides_nothing() {
    let fixture = Fixture::with(&[("dir/a", "1\n"), ("dir/b", "2\n"), ("c", "3\n")]);
    assert_diffs_are_gits(
        &fixture,
        &[
            &|root| {
                git_in(&root.join("dir"), &["init", "--quiet"]);
                write(root, "dir/new", "n\n");
            },
            &|root| {
                fs_err::remove_file(root.join("dir/a")).unwrap();
                fs_err::remove_file(root.join("dir/b")).unwrap();
            },
        ],
    )
    .await;
}

#[tokio::test]
async fn files_of_the_base_in_ignored_directories_are_followed() {
    let fixture = Fixture::with(&[
        (".gitignore", "build/\n*.log\n"),
        ("build/kept", "1\n"),
        ("build/gone", "2\n"),
        ("dir/.gitignore", "secret\n"),
        ("dir/x", "3\n"),
        ("old.log", "4\n"),
    ]);
    assert_diffs_are_gits(
        &fixture,
        &[
            &|root| {
                write(root, "build/kept", "changed\n");
                write(root, "build/new", "ignored\n");
                fs_err::remove_file(root.join("build/gone")).unwrap();
                write(root, "old.log", "changed\n");
                write(root, "new.log", "ignored\n");
                write(root, "dir/secret", "ignored\n");
            },
            // What was ignored is so no more.
            &|root| fs_err::remove_file(root.join("dir/.gitignore")).unwrap(),
            &|root| write(root, ".gitignore", "*.log\n"),
            // The directory is another one than it was.
            &|root| {
                fs_err::remove_dir_all(root.join("build")).unwrap();
                write(root, "build/kept", "again\n");
            },
        ],
    )
    .await;
}

#[tokio::test]
async fn many_changes_are_found_like_few() {
    let names: Vec<String> = (0..40)
        .flat_map(|a| (0..12).map(move |b| format!("d{a}/e{}/f{b}", b % 3)))
        .collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1\n")).collect();
    let fixture = Fixture::with(&files);
    let each = |root: &Path, nth: usize, change: &dyn Fn(&Path)| {
        for name in names.iter().skip(nth).step_by(3) {
            change(&root.join(name));
        }
    };
    assert_diffs_are_gits(
        &fixture,
        &[
            &|root| write(root, "d1/e1/f1", "few\n"),
            &|root| each(root, 0, &|path| fs_err::write(path, "many\n").unwrap()),
            &|root| each(root, 1, &|path| fs_err::remove_file(path).unwrap()),
            &|root| {
                each(root, 2, &|path| {
                    fs_err::rename(path, path.with_extension("new")).unwrap();
                });
            },
            &|root| {
                each(root, 2, &|path| {
                    fs_err::rename(path.with_extension("new"), path).unwrap();
                });
            },
        ],
    )
    .await;
}

/// In a temporary directory a cache of its own, and workspaces that share it.
pub(crate) struct Sharing {
    directory: tempfile::TempDir,
    pub(crate) cache: DiskCache,
    pub(crate) checkouts: Checkouts,
    made: std::cell::Cell<usize>,
}

impl Sharing {
    /// `None` where nothing can be shared.
    pub(crate) fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("cache");
        let place = Place {
            cache: &cache,
            workspaces: directory.path(),
            engine: None,
        };
        if let Err(fault) = choose(Some(Method::Overlay), place) {
            eprintln!("not tested here: {fault}");
            return None;
        }
        Some(Self {
            cache: DiskCache::new(&directory.path().join("cache"), 0),
            checkouts: made(Some(Method::Overlay), directory.path()),
            directory,
            made: std::cell::Cell::new(0),
        })
    }

    pub(crate) async fn make(&self, origin: &Origin) -> Workspace {
        let layout = Layout {
            only: "",
            patterns: &[],
            visible_git: VisibleGit::Borrowing,
            by_runner: true,
        };
        let home = self.directory.path().join(format!("w{}", self.made.get()));
        self.made.set(self.made.get() + 1);
        let (git, checkouts) = (git().await, &self.checkouts);
        let made = Workspace::make(&git, home, origin, layout, checkouts).await;
        let mut workspace = made.unwrap();
        workspace.check_out(origin, layout).await.unwrap();
        workspace
    }

    /// The entries of the cache that are trees.
    pub(crate) fn trees(&self) -> Vec<PathBuf> {
        let entries = fs_err::read_dir(self.cache.directory().join("trees")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_entry = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            path.is_dir() && !name.starts_with('.')
        };
        paths.filter(is_entry).collect()
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        let _ = overlay::unmount_below(self.directory.path());
    }
}

#[rstest]
#[tokio::test]
async fn patterns_say_what_is_laid_out_elsewhere(
    #[values(Method::Overlay, Method::Checkout)] method: Method,
) {
    let fixture = Fixture::with(&[("a/x", "1\n"), ("b/y", "2\n"), ("README", "3\n")]);
    fixture.git(&["tag", "v1"]);
    let mut origin = origin(&fixture).await;
    origin.tags = vec![(fixture.rev("v1"), "v1".to_owned())];
    let directory = tempfile::tempdir().unwrap();
    let (home, root) = (directory.path().join("w"), directory.path().join("data"));
    let patterns = ["a/*".to_owned()];
    let layout = Layout {
        only: "",
        patterns: &patterns,
        visible_git: VisibleGit::Borrowing,
        by_runner: false,
    };
    let (git, checkouts) = (git().await, made(Some(method), directory.path()));
    let (kept, at) = (home.clone(), root.clone());
    let made = Workspace::make_in(&git, kept, at, &origin, layout, &checkouts).await;
    let mut workspace = made.unwrap();
    workspace.check_out(&origin, layout).await.unwrap();
    assert!(
        root.join("a/x").is_file() && !root.join("b").exists() && !root.join("README").exists()
    );
    // Steps see a repository that knows of the rest, and of the tags.
    let objects = fixture.path.join(".git/objects");
    fs_err::write(
        root.join(".git/objects/info/alternates"),
        format!("{}\n", objects.display()),
    )
    .unwrap();
    assert_eq!(text_of(&root, &["status", "--porcelain"]), "");
    assert_eq!(text_of(&root, &["tag", "--points-at", "HEAD"]), "v1");
    assert_eq!(workspace.diff(DIFF_LIMIT).await.unwrap(), b"");
    // The directory is the caller's.
    assert_eq!(workspace.remove().await.unwrap(), Tidied::Done);
    assert!(root.is_dir() && !home.exists());
    assert_eq!(remove_directory(&root).unwrap(), Tidied::Done);
    assert!(!root.exists());
}

#[tokio::test]
async fn a_repository_that_shares_its_objects_needs_no_mounts() {
    let fixture = Fixture::with(&[("README", "1\n")]);
    fixture.git(&["gc", "--quiet"]);
    fixture.git(&["commit", "--quiet", "--allow-empty", "-m", "loose"]);
    let origin = origin(&fixture).await;
    let directory = tempfile::tempdir().unwrap();
    let (home, root) = (directory.path().join("w"), directory.path().join("data"));
    let layout = Layout {
        only: "",
        patterns: &[],
        visible_git: VisibleGit::Sharing,
        by_runner: false,
    };
    // Containers were made to see it.
    fs_err::create_dir(&root).unwrap();
    let (git, own) = (git().await, Checkouts::own());
    let make = |home| Workspace::make_in(&git, home, root.clone(), &origin, layout, &own);
    let mut workspace = make(home).await.unwrap();
    workspace.check_out(&origin, layout).await.unwrap();
    assert_eq!(workspace.mounts(), []);
    assert_eq!(text_of(&root, &["status", "--porcelain"]), "");
    assert_eq!(text_of(&root, &["fsck", "--strict"]), "");
    assert_eq!(text_of(&root, &["rev-list", "--count", "HEAD"]), "2");
    fs_err::write(root.join("new"), "2\n").unwrap();
    text_of(&root, &["add", "new"]);
    assert!(!workspace.diff(DIFF_LIMIT).await.unwrap().is_empty());
    // What is there already is nobody's to overwrite.
    assert!(make(directory.path().join("again")).await.is_err());
}
