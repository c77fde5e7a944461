use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::git::fixture::Fixture;
use crate::git::tests::git;
use crate::repository::discover;

const DIFF: &str = "diff --git a a\nindex d00491f..0cfbf08 100644\n--- a\n+++ a\n@@ -1 +1 @@\n-1\n+2\n\
    diff --git n/ew n/ew\nnew file mode 100755\nindex 0000000..8ba3a16\n--- /dev/null\n+++ n/ew\n@@ -0,0 +1 @@\n+n\n";

fn change<'a>(base: &'a str, diff: &'a str) -> Change<'a> {
    Change {
        base,
        branch: "batch/x",
        diff: diff.as_bytes(),
        message: "Do it\n\nfor a reason\n",
        author_name: "Ada",
        author_email: "ada@example.com",
    }
}

async fn run(
    fixture: &Fixture,
    change: Change<'_>,
    permission: Permission,
) -> Result<Applied, ApplyError> {
    let repository = discover(&fixture.path).unwrap();
    apply(&git().await, &repository, change, permission).await
}

const STRICT: Permission = Permission {
    replace: false,
    dirty: false,
};
const REPLACE: Permission = Permission {
    replace: true,
    dirty: false,
};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_change_becomes_a_commit_and_nothing_else_moves() {
    let fixture = Fixture::with(&[("a", "1\n"), ("b", "b\n")]);
    let base = fixture.rev("HEAD");
    fixture.write("untracked", "");
    let hooks = fixture.path.join(".git/hooks");
    fs_err::create_dir_all(&hooks).unwrap();
    for hook in [
        "reference-transaction",
        "post-commit",
        "pre-commit",
        "post-index-change",
    ] {
        let trap = format!("#!/bin/sh\ntouch {}/ran\n", fixture.path.display());
        fs_err::write(hooks.join(hook), trap).unwrap();
        fs_err::set_permissions(hooks.join(hook), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let index = fs_err::read(fixture.path.join(".git/index")).unwrap();

    let applied = run(&fixture, change(&base, DIFF), STRICT).await.unwrap();
    assert!(!fixture.path.join("ran").exists());
    assert_eq!(
        fs_err::read(fixture.path.join(".git/index")).unwrap(),
        index
    );
    assert_eq!(fs_err::read(fixture.path.join("a")).unwrap(), b"1\n");
    fs_err::remove_dir_all(&hooks).unwrap();
    let commit = fixture.rev("batch/x");
    assert_eq!(
        applied,
        Applied::Created {
            commit: commit.clone()
        }
    );
    assert_eq!(fixture.rev("batch/x^"), base);
    let format = "--format=%an <%ae> %cn <%ce>%n%B";
    insta::assert_snapshot!(text(fixture.git(&["show", "-s", format, "batch/x"])), @r"
    Ada <ada@example.com> Ada <ada@example.com>
    Do it

    for a reason
    ");
    assert_eq!(
        text(fixture.git(&["diff", "--no-prefix", "main", "batch/x"])),
        DIFF
    );

    let again = run(&fixture, change(&base, DIFF), STRICT).await.unwrap();
    assert_eq!(again, Applied::AlreadyThere { commit });
}

#[tokio::test]
async fn another_content_needs_permission() {
    let fixture = Fixture::with(&[("a", "1\n")]);
    let base = fixture.rev("HEAD");
    run(&fixture, change(&base, DIFF), STRICT).await.unwrap();
    let previous = fixture.rev("batch/x");
    let other = DIFF.replace("+2", "+3");
    let error = run(&fixture, change(&base, &other), STRICT)
        .await
        .unwrap_err();
    assert!(matches!(error, ApplyError::Exists { .. }), "{error}");
    assert_eq!(fixture.rev("batch/x"), previous);
    let applied = run(&fixture, change(&base, &other), REPLACE).await.unwrap();
    let commit = fixture.rev("batch/x");
    assert_eq!(applied, Applied::Replaced { commit, previous });
}

#[tokio::test]
async fn a_branch_somebody_works_on_is_left_alone() {
    let fixture = Fixture::with(&[("a", "1\n")]);
    let base = fixture.rev("HEAD");
    let mut on_main = change(&base, DIFF);
    on_main.branch = "refs/heads/main";
    let error = run(&fixture, on_main, REPLACE).await.unwrap_err();
    assert!(matches!(error, ApplyError::CheckedOut { .. }), "{error}");

    fixture.git(&["worktree", "add", "--quiet", "../other", "-b", "batch/x"]);
    let error = run(&fixture, change(&base, DIFF), REPLACE)
        .await
        .unwrap_err();
    assert!(matches!(error, ApplyError::CheckedOut { .. }), "{error}");
    assert_eq!(fixture.rev("batch/x"), base);
}

#[tokio::test]
async fn a_dirty_tree_needs_permission_and_runs_no_filter() {
    let fixture = Fixture::with(&[("a", "1\n"), (".gitattributes", "* filter=evil\n")]);
    let base = fixture.rev("HEAD");
    let ran = fixture.path.join("ran");
    let filter = format!("touch {}; cat", ran.display());
    fixture.git(&["config", "filter.evil.clean", &filter]);
    fixture.git(&["config", "core.fsmonitor", &filter]);
    fixture.write("a", "dirty\n");
    let error = run(&fixture, change(&base, DIFF), STRICT)
        .await
        .unwrap_err();
    assert!(matches!(error, ApplyError::Dirty), "{error}");
    let allowed = Permission {
        dirty: true,
        replace: false,
    };
    run(&fixture, change(&base, DIFF), allowed).await.unwrap();
    assert!(!ran.exists());
    assert_eq!(fs_err::read(fixture.path.join("a")).unwrap(), b"dirty\n");
}

#[tokio::test]
async fn what_cannot_be_applied_is_told() {
    let fixture = Fixture::with(&[("a", "1\n")]);
    let base = fixture.rev("HEAD");
    let repository = discover(&fixture.path).unwrap();
    let unknown = "d34db33fd34db33fd34db33fd34db33fd34db33f";
    let bad_diff = DIFF.replace("-1\n", "-9\n");
    let mut texts = Vec::new();
    let mut bad_branch = change(&base, DIFF);
    bad_branch.branch = "a..b";
    for change in [bad_branch, change(unknown, DIFF), change(&base, &bad_diff)] {
        let error = run(&fixture, change, STRICT).await.unwrap_err();
        let fault = error.into_fault(&repository);
        let text = format!("{fault}\n  hint: {}", fault.hint.as_deref().unwrap_or("-"));
        texts.push(
            text.replace(&fixture.path.display().to_string(), "REPOSITORY")
                .replace(&base, "BASE"),
        );
    }
    insta::assert_snapshot!(texts.join("\n"), @r#"
    applying to REPOSITORY: "a..b" is not a valid name for a branch
      hint: change changesetTemplate.branch
    applying to REPOSITORY: commit d34db33fd34db33fd34db33fd34db33fd34db33f is not in this repository
      hint: fetch the commit first
    applying to REPOSITORY: the diff does not apply to commit BASE: error: patch failed: a:1
    error: a: patch does not apply
      hint: -
    "#);
    assert_eq!(text(fixture.git(&["branch", "--list"])), "* main\n");
}

#[tokio::test]
async fn several_changes_and_bare_repositories_work() {
    let fixture = Fixture::with(&[("a", "1\n")]);
    let base = fixture.rev("HEAD");
    fixture.git(&["config", "core.bare", "true"]);
    let bare = Fixture::new();
    fs_err::remove_dir_all(&bare.path).unwrap();
    fs_err::rename(fixture.path.join(".git"), &bare.path).unwrap();
    for branch in ["one", "two"] {
        let mut change = change(&base, DIFF);
        change.branch = branch;
        run(&bare, change, STRICT).await.unwrap();
        assert_eq!(bare.rev(&format!("{branch}^")), base);
    }
}
