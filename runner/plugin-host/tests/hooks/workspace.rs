use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use capstan_core::plugin::Access;
use capstan_plugin_host::{Failure, Session};
use rstest::rstest;

use crate::fixture::Settings;

async fn with(access: Access, config: &str) -> Session {
    let mut settings = Settings::default();
    settings.grants.workspace = access;
    settings.session(config).await.0
}

/// A workspace with a file, a script, a link and git's directory.
fn workspace() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::create_dir_all(path.join("sub/.git")).unwrap();
    fs::create_dir_all(path.join(".git")).unwrap();
    fs::write(path.join(".git/config"), "").unwrap();
    fs::write(path.join("sub/.git/file"), "").unwrap();
    fs::write(path.join("file"), "").unwrap();
    fs::set_permissions(path.join("file"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(path.join("sub/script"), "").unwrap();
    symlink("file", path.join("link")).unwrap();
    symlink("sub", path.join("linked")).unwrap();
    directory
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_workspace_may_be_written() {
    let workspace = workspace();
    let session = with(Access::Write, r#"{"do": "write"}"#).await;
    session.prepare(workspace.path()).await.unwrap();
    let text = fs::read_to_string(workspace.path().join("made/here/file")).unwrap();
    assert_eq!(text, "github.com/acme/widgets");
}

#[tokio::test]
async fn gits_files_are_not_there() {
    let workspace = workspace();
    let session = with(Access::Write, r#"{"do": "list"}"#).await;
    let failure = session.prepare(workspace.path()).await.unwrap_err();
    insta::assert_snapshot!(failure.ending, @"file link linked sub (seen)");
}

#[tokio::test]
async fn a_workspace_to_read_is_not_written() {
    let workspace = workspace();
    let session = with(Access::Read, r#"{"do": "write"}"#).await;
    let failure = session.prepare(workspace.path()).await.unwrap_err();
    insta::assert_snapshot!(failure.ending, @"Operation not permitted (os error 63) (io)");
    assert!(!workspace.path().join("made").exists());
}

#[tokio::test]
async fn a_workspace_that_was_not_granted_is_not_shown() {
    let session = with(Access::None, r#"{"do": "list"}"#).await;
    let failure = session.prepare(workspace().path()).await.unwrap_err();
    insta::assert_snapshot!(failure, @r#"the plugin tester failed in workspace.prepare: it has a hook for preparing workspaces and must not see any: give it `grants = { workspace = "write" }`, or take it out"#);
}

#[tokio::test]
async fn a_missing_workspace_is_the_hosts_failure() {
    let session = with(Access::Write, "{}").await;
    let failure = session.prepare(Path::new("/does/not/exist")).await;
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("/does/not/exist"), "{text}");
}

#[tokio::test]
async fn no_more_is_written_than_the_quota() {
    let workspace = workspace();
    let session = with(Access::Write, r#"{"do": "fill"}"#).await;
    let failure = session.prepare(workspace.path()).await.unwrap_err();
    insta::assert_snapshot!(failure.ending, @"it wrote more bytes to files than it may, more than its 1073741824");
}

async fn set_executable(workspace: &Path, access: Access, paths: &str) -> Result<(), Failure> {
    let config = format!(r#"{{"do": "executable", "paths": "{paths}"}}"#);
    with(access, &config).await.prepare(workspace).await
}

#[tokio::test]
async fn files_become_executable_and_back() {
    let workspace = workspace();
    let path = workspace.path();
    set_executable(path, Access::Write, "file sub/script")
        .await
        .unwrap();
    assert_eq!(mode(&path.join("file")), 0o750, "for those who may read it");
    assert_eq!(mode(&path.join("sub/script")) & 0o100, 0o100);
    let config = r#"{"do": "executable", "paths": "file", "executable": "false"}"#;
    with(Access::Write, config)
        .await
        .prepare(path)
        .await
        .unwrap();
    assert_eq!(mode(&path.join("file")), 0o640);
}

#[rstest]
#[case::absent("nothing")]
#[case::directory("sub")]
#[case::link("link")]
#[case::through_a_link("linked/script")]
#[case::upward("sub/../../x")]
#[case::absolute("/etc/passwd")]
#[case::git(".git/config")]
#[case::nul("a\\u0000b")]
#[case::nothing("")]
#[tokio::test]
async fn only_regular_files_become_executable(#[case] path: &str) {
    let workspace = workspace();
    let failure = set_executable(workspace.path(), Access::Write, path)
        .await
        .unwrap_err();
    assert!(
        failure.ending.to_string().contains("executable"),
        "{}",
        failure.ending
    );
    assert_eq!(mode(&workspace.path().join("file")), 0o640);
    assert_eq!(mode(&workspace.path().join(".git/config")) & 0o111, 0);
}

#[tokio::test]
async fn nothing_becomes_executable_in_a_workspace_to_read() {
    let workspace = workspace();
    let failure = set_executable(workspace.path(), Access::Read, "file")
        .await
        .unwrap_err();
    insta::assert_snapshot!(failure.ending, @r#"changing whether "file" is executable: read-only filesystem or storage medium (io)"#);
    assert_eq!(mode(&workspace.path().join("file")), 0o640);
}
