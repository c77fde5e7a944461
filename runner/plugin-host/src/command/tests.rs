use std::time::Duration;

use fs_err as fs;
use insta::assert_snapshot;
use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::fixture;

/// What came of a command: its exit, and what it printed.
struct Ran {
    exit: Exit,
    stdout: String,
    stderr: String,
}

/// The guest with these arguments, as words.
fn command(arguments: &str) -> Command {
    Command {
        name: "guest".to_owned(),
        arguments: std::iter::once("guest")
            .chain(arguments.split_whitespace())
            .map(str::to_owned)
            .collect(),
        input: Vec::new(),
        environment: Vec::new(),
        directories: Vec::new(),
        current: "/".to_owned(),
        network: false,
        limits: CallLimits::step(),
    }
}

/// The same in a workspace.
fn command_in(workspace: &TempDir, arguments: &str) -> Command {
    Command {
        directories: vec![Directory {
            host: workspace.path().to_owned(),
            guest: "/work".to_owned(),
            read_only: false,
        }],
        current: "/work".to_owned(),
        ..command(arguments)
    }
}

async fn run(command: Command) -> Ran {
    let (sender, mut receiver) = mpsc::channel(4);
    let component = fixture::guest().await;
    let (exit, chunks) = tokio::join!(component.run(command, sender), async {
        let mut chunks = Vec::new();
        while let Some(chunk) = receiver.recv().await {
            chunks.push(chunk);
        }
        chunks
    });
    let text = |stream| {
        let bytes: Vec<u8> = chunks
            .iter()
            .filter(|chunk| chunk.stream == stream)
            .inspect(|chunk| assert!(chunk.bytes.len() <= 64 * 1024))
            .flat_map(|chunk| chunk.bytes.clone())
            .collect();
        String::from_utf8(bytes).unwrap()
    };
    Ran {
        exit: exit.unwrap(),
        stdout: text(Stream::Stdout),
        stderr: text(Stream::Stderr),
    }
}

async fn stdout(command: Command) -> String {
    let ran = run(command).await;
    assert_eq!(ran.exit.code, 0, "{:?}: {}", ran.exit, ran.stderr);
    ran.stdout
}

#[tokio::test]
async fn it_sees_what_it_is_given_and_nothing_else() {
    let workspace = tempfile::tempdir().unwrap();
    let given = Command {
        input: b"input".to_vec(),
        environment: vec![("NAME".to_owned(), "value".to_owned())],
        ..command_in(&workspace, "arguments environment copy")
    };
    assert_snapshot!(stdout(given).await, @r#"
    ["guest", "arguments", "environment", "copy"]
    [("NAME", "value")]
    input
    "#);
    assert_snapshot!(stdout(command("environment copy read /etc/hostname connect 127.0.0.1:1")).await, @r"
    []
    NotFound
    PermissionDenied
    ");
}

#[rstest]
#[case::success("complain hm", 0, None)]
#[case::code("exit 1", 1, None)]
#[case::crash(
    "panic help",
    134,
    Some("it crashed: it panicked, or aborted, in guest::main")
)]
#[case::memory("fill", 137, Some("it needs "))]
#[case::computing("loop", 152, Some("it computed for more than 50ms"))]
#[tokio::test]
async fn its_end_is_what_a_shell_would_say(
    #[case] arguments: &str,
    #[case] code: i32,
    #[case] note: Option<&str>,
) {
    let ran = run(Command {
        limits: CallLimits {
            memory: 16 << 20,
            cpu: Some(Duration::from_millis(50)),
            ..CallLimits::step()
        },
        ..command(arguments)
    })
    .await;
    assert_eq!(ran.exit.code, code, "{:?}", ran.exit);
    assert_eq!(ran.exit.out_of_memory, code == 137);
    match note {
        Some(note) => assert!(ran.exit.note.unwrap().starts_with(note)),
        None => assert_eq!(ran.exit.note, None),
    }
    if arguments == "panic help" {
        assert!(ran.stderr.contains("help"), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn all_that_it_prints_arrives_in_chunks() {
    let ran = run(command("print 1048576 complain end")).await;
    assert_eq!(ran.stdout.len(), 1 << 20);
    assert_eq!(ran.stderr, "end\n");
}

#[tokio::test]
async fn without_a_receiver_it_runs_all_the_same() {
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let component = fixture::guest().await;
    let exit = component
        .run(command("print 1048576 exit 1"), sender)
        .await
        .unwrap();
    assert_eq!(exit.code, 1);
}

#[rstest]
#[case::it_computes("complain ready loop")]
#[case::it_sleeps("complain ready sleep")]
#[case::it_prints("complain ready print 1048576000")]
#[tokio::test]
async fn dropping_it_ends_it(#[case] arguments: &str) {
    let (sender, mut receiver) = mpsc::channel(1);
    let component = fixture::guest().await;
    {
        let running = component.run(command(arguments), sender);
        tokio::select! {
            exit = running => panic!("{exit:?}"),
            chunk = receiver.recv() => assert_eq!(chunk.unwrap().bytes, b"ready"),
        }
    }
    // The channel closes when its sender goes with the instance; what is in it still arrives.
    while receiver.recv().await.is_some() {}
}

#[tokio::test]
async fn a_component_that_is_no_command_is_told_so() {
    let component = fixture::component(r#"(func (export "run"))"#);
    let (sender, _receiver) = mpsc::channel(1);
    let failure = component.run(command(""), sender).await.unwrap_err();
    assert_snapshot!(failure, @"guest failed: it does not fit this host: it does not export `wasi:cli/run`, so it is no command; it exports run");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let workspace = tempfile::tempdir().unwrap();
    let mut command = command_in(&workspace, "list");
    command.directories[0].host = "/nonexistent/workspace".into();
    let (sender, _receiver) = mpsc::channel(1);
    let failure = fixture::guest()
        .await
        .run(command, sender)
        .await
        .unwrap_err();
    assert_snapshot!(failure, @"guest failed: failed to open file `/nonexistent/workspace`: No such file or directory (os error 2)");
}

#[tokio::test]
async fn it_works_in_its_directories() {
    let workspace = tempfile::tempdir().unwrap();
    fs::write(workspace.path().join("old"), "text").unwrap();
    let ran = stdout(command_in(
        &workspace,
        "read old write new 5 append new yz make sub write /work/sub/file 1 list . touch old symlink ../new sub/link read sub/link rename new newer",
    ))
    .await;
    assert_snapshot!(ran, @r#"
    text
    ok
    ok
    ok
    ok
    ["new", "old", "sub"]
    ok
    ok
    xxxxxyz
    ok
    "#);
    assert_eq!(
        fs::read_to_string(workspace.path().join("newer")).unwrap(),
        "xxxxxyz"
    );
}

#[rstest]
#[case("read old look old list . print 10", false)]
#[case("look gone read gone", false)]
#[case("write new 1", true)]
#[case("append old x", true)]
#[case("resize old 0", true)]
#[case("seek old 5", true)]
#[case("make new", true)]
#[case("symlink old new", true)]
#[case("rename old new", true)]
#[case("remove old", true)]
#[case("touch old", true)]
#[tokio::test]
async fn whether_it_may_have_written_is_known(#[case] arguments: &str, #[case] written: bool) {
    let workspace = tempfile::tempdir().unwrap();
    fs::write(workspace.path().join("old"), "text").unwrap();
    let ran = run(command_in(&workspace, arguments)).await;
    assert_eq!((ran.exit.code, ran.exit.has_written), (0, written));
}

#[tokio::test]
async fn its_current_directory_may_be_further_down() {
    let workspace = tempfile::tempdir().unwrap();
    fs::create_dir_all(workspace.path().join("sub/deep")).unwrap();
    std::os::unix::fs::symlink("/etc", workspace.path().join("out")).unwrap();
    let mut command = command_in(
        &workspace,
        "write file 1 write /work/other 1 list . list /work",
    );
    command.current = "/work/sub".to_owned();
    assert_snapshot!(stdout(command.clone()).await, @r#"
    ok
    ok
    ["deep", "file"]
    ["other", "out", "sub"]
    "#);

    command.current = "/work/out".to_owned();
    let (sender, _receiver) = mpsc::channel(1);
    let failure = fixture::guest()
        .await
        .run(command, sender)
        .await
        .unwrap_err();
    assert!(
        failure.to_string().contains("/out to WebAssembly"),
        "{failure}"
    );
}

#[tokio::test]
async fn what_is_read_only_stays_as_it_is() {
    let workspace = tempfile::tempdir().unwrap();
    fs::write(workspace.path().join("old"), "text").unwrap();
    let mut command = command_in(
        &workspace,
        "read old write old 1 write new 1 remove old touch old",
    );
    command.directories[0].read_only = true;
    assert_snapshot!(stdout(command).await, @"
    text
    PermissionDenied
    PermissionDenied
    PermissionDenied
    PermissionDenied
    ");
}
