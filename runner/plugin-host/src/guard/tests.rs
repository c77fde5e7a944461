//! What a guest may do in a workspace, tried by a command.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use insta::assert_snapshot;
use rstest::rstest;
use tempfile::TempDir;

use crate::call::{Live, apart};
use crate::command::Directory;
use crate::failure::Failure;
use crate::fixture;
use crate::limits::CallLimits;
use crate::messages::Messages;
use crate::pipe::Pipe;
use crate::state::Caller;
use crate::surroundings::Surroundings;

/// Runs the guest in a workspace whose `.git` is hidden; what it printed, and how its quota ended.
async fn run(workspace: &Path, arguments: &str, limits: CallLimits) -> (String, Option<String>) {
    let component = fixture::guest().await;
    let surroundings = Surroundings {
        directories: vec![Directory {
            host: workspace.to_owned(),
            guest: "/work".to_owned(),
            read_only: false,
        }],
        current: "/work".to_owned(),
        git_is_hidden: true,
        may_block: true,
        ..Surroundings::default()
    };
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1000);
    let stdout = Pipe::new(crate::command::Stream::Stdout, sender);
    let arguments: Vec<String> = std::iter::once("guest")
        .chain(arguments.split_whitespace())
        .map(str::to_owned)
        .collect();
    let exceeded = apart(async move {
        let world = surroundings
            .with(&limits, |wasi| {
                wasi.args(&arguments).stdout(stdout);
            })
            .unwrap();
        let messages = Messages::new("guest".into(), None, None, 0);
        let caller = Caller::step("guest");
        let mut live = Live::with(
            Arc::clone(&component),
            caller,
            messages,
            world,
            limits,
            "run",
        );
        live.call("run", async |store, instance| {
            let command = wasmtime_wasi::p2::bindings::CommandIndices::new(component.pre())?
                .load(&mut *store, instance)?;
            Ok(Ok(command.wasi_cli_run().call_run(&mut *store).await?))
        })
        .await?
        .unwrap();
        Ok::<_, Failure>(live.exceeded().map(|ending| ending.to_string()))
    })
    .await
    .unwrap()
    .unwrap();
    let mut text = String::new();
    while let Some(chunk) = receiver.recv().await {
        text.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
    }
    (text, exceeded)
}

async fn tried(workspace: &TempDir, arguments: &str) -> String {
    let (text, exceeded) = run(workspace.path(), arguments, CallLimits::step()).await;
    assert_eq!(exceeded, None);
    text
}

fn workspace() -> TempDir {
    let workspace = tempfile::tempdir().unwrap();
    fs::create_dir_all(workspace.path().join("sub/deep")).unwrap();
    fs::write(workspace.path().join("file"), "text").unwrap();
    workspace
}

#[tokio::test]
async fn special_files_are_not_opened() {
    let workspace = workspace();
    let fifo = workspace.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
    symlink("fifo", workspace.path().join("link")).unwrap();
    let _socket = UnixListener::bind(workspace.path().join("socket")).unwrap();
    assert_snapshot!(
        tried(&workspace, "read fifo read link read socket write fifo 1 append link x touch fifo look fifo remove fifo").await,
        @"
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    ok
    ok
    "
    );
}

#[rstest]
#[case::next_to_it("symlink file link", "ok")]
#[case::down("symlink sub/deep link", "ok")]
#[case::to_nothing("symlink later link", "ok")]
#[case::up_and_down("symlink ../../file sub/deep/link", "ok")]
#[case::to_the_root("symlink .. sub/link", "ok")]
#[case::absolute("symlink /etc/passwd link", "PermissionDenied")]
#[case::out("symlink ../secret link", "PermissionDenied")]
#[case::out_from_below("symlink ../../../secret sub/deep/link", "PermissionDenied")]
#[case::out_in_its_middle("symlink sub/../../secret link", "PermissionDenied")]
#[case::hard("link file link", "Unsupported")]
#[tokio::test]
async fn links_stay_in_the_workspace(#[case] arguments: &str, #[case] expected: &str) {
    assert_eq!(
        tried(&workspace(), arguments).await,
        format!("{expected}\n")
    );
}

#[tokio::test]
async fn gits_own_files_are_not_there() {
    let workspace = workspace();
    let git = workspace.path().join(".git");
    fs::create_dir(&git).unwrap();
    fs::write(git.join("config"), "secret").unwrap();
    symlink(".git", workspace.path().join("link")).unwrap();
    symlink("../.git/config", workspace.path().join("sub/link")).unwrap();
    symlink(".git/new", workspace.path().join("new")).unwrap();
    assert_snapshot!(
        tried(
            &workspace,
            "list . list /work look .git read .git/config read sub/../.git/config read link/config read sub/link
             write .git/config 1 write link/config 1 write new 1 make .git/hooks rename file .git/config rename sub .git remove .git/config
             rename .git other look link",
        )
        .await,
        @r#"
    ["file", "link", "new", "sub"]
    ["file", "link", "new", "sub"]
    NotFound
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    ok
    "#
    );
    assert_eq!(fs::read_to_string(git.join("config")).unwrap(), "secret");
    assert_eq!(fs::read_dir(&git).unwrap().count(), 1);
}

#[tokio::test]
async fn gits_own_directory_cannot_be_made() {
    let workspace = workspace();
    assert_snapshot!(
        tried(&workspace, "make .git make .git/ make sub/../.git write .git 1 symlink sub .git rename sub .git make sub/.git").await,
        @"
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    ok
    "
    );
    assert!(!workspace.path().join(".git").exists());
}

fn limits(written: u64, files: u64) -> CallLimits {
    CallLimits {
        written,
        files,
        ..CallLimits::step()
    }
}

#[rstest]
#[case::within("write a 60 write b 40 write a 0", "ok ok ok")]
#[case::rewritten("write a 60 write a 60", "ok Uncategorized")]
#[case::appended("write a 99 append a yz", "ok Uncategorized")]
#[case::resized("resize a 100 resize a 10 resize a 20", "ok ok StorageFull")]
#[case::gap("seek a 1000", "Uncategorized")]
#[case::gap_within("seek a 99 seek a 0", "ok Uncategorized")]
#[tokio::test]
async fn bytes_are_counted(#[case] arguments: &str, #[case] expected: &str) {
    let workspace = workspace();
    let (text, exceeded) = run(workspace.path(), arguments, limits(100, 10)).await;
    assert_eq!(
        text.split_whitespace().collect::<Vec<_>>().join(" "),
        expected
    );
    assert_eq!(
        exceeded.as_deref(),
        // Of an error while writing, the C library of guests says no more than that there was one.
        (!expected.ends_with("ok"))
            .then_some("it wrote too many bytes to files, more than its 100")
    );
}

#[rstest]
#[case::within(
    "write file 1 write a 1 write a 1 make b symlink a c",
    "ok ok ok ok ok"
)]
#[case::over("write a 1 make b symlink a c write d 1", "ok ok ok StorageFull")]
#[case::not_given_back(
    "write a 1 remove a write a 1 remove a write a 1 remove a make b",
    "ok ok ok ok ok ok StorageFull"
)]
#[tokio::test]
async fn files_are_counted(#[case] arguments: &str, #[case] expected: &str) {
    let workspace = workspace();
    let (text, exceeded) = run(workspace.path(), arguments, limits(100, 3)).await;
    assert_eq!(
        text.split_whitespace().collect::<Vec<_>>().join(" "),
        expected
    );
    assert_eq!(
        exceeded.as_deref(),
        expected
            .contains("StorageFull")
            .then_some("it made too many files, more than its 3")
    );
}
