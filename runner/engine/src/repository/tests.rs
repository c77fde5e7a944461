use super::*;
use crate::disk_cache::DiskCache;
use crate::git::ObjectFormat;
use crate::git::fixture::{Fixture, git_in};
use crate::git::tests::git;

struct Machine {
    cache: tempfile::TempDir,
    git: Git,
    remotes: RemoteCache,
}

impl Machine {
    async fn new() -> Self {
        let cache = tempfile::tempdir().unwrap();
        Self {
            remotes: RemoteCache::new(&DiskCache::new(cache.path(), u64::MAX)),
            git: git().await,
            cache,
        }
    }

    async fn open(&self, argument: &str, branch: Option<&str>) -> Result<Origin, Fault> {
        let source = Source::parse(argument, Path::new("/")).unwrap();
        open(&self.git, &self.remotes, &source, branch, |_| {}).await
    }

    async fn open_path(&self, path: &Path, branch: Option<&str>) -> Result<Origin, Fault> {
        self.open(path.to_str().unwrap(), branch).await
    }

    async fn files(&self, origin: &Origin) -> Vec<String> {
        let mut files = Vec::new();
        list_files(&self.git, origin, |path| {
            files.push(String::from_utf8_lossy(path).into_owned());
        })
        .await
        .unwrap();
        files
    }
}

fn url(fixture: &Fixture) -> String {
    format!("file://{}", fixture.path.display())
}

#[tokio::test]
async fn a_local_repository_is_found_from_any_directory_in_it() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a/b/c", "1\n"), ("new\nline", "")]);
    let origin = machine
        .open_path(&fixture.path.join("a/b"), None)
        .await
        .unwrap();
    assert_eq!(origin.name, "widgets");
    assert_eq!(origin.branch, "main");
    assert_eq!(origin.rev, fixture.rev("HEAD"));
    assert_eq!(origin.object_format(), ObjectFormat::Sha1);
    assert_eq!(origin.shallow, None);
    assert!(!origin.dirty);
    assert_eq!(origin.local.as_ref().unwrap().top, fixture.path);
    assert_eq!(origin.objects, [fixture.path.join(".git/objects")]);
    assert_eq!(machine.files(&origin).await, ["a/b/c", "new\nline"]);
}

#[tokio::test]
async fn branches_tags_and_commits_of_a_local_repository() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n")]);
    let first = fixture.rev("HEAD");
    fixture.git(&["branch", "feature/x"]);
    fixture.git(&["tag", "-a", "v1", "-m", "one"]);
    fixture.write("a", "2\n");
    let second = fixture.commit("second");
    for (wanted, branch, rev) in [
        ("feature/x", "feature/x", &first),
        ("refs/heads/main", "main", &second),
        ("v1", "", &first),
        (first.as_str(), "", &first),
    ] {
        let origin = machine
            .open_path(&fixture.path, Some(wanted))
            .await
            .unwrap();
        assert_eq!(
            (origin.branch.as_str(), &origin.rev),
            (branch, rev),
            "{wanted}"
        );
    }
    for wanted in [
        "none",
        "main~1",
        "--all",
        "d34db33fd34db33fd34db33fd34db33fd34db33f",
    ] {
        let fault = machine
            .open_path(&fixture.path, Some(wanted))
            .await
            .unwrap_err();
        assert_eq!(
            fault.message,
            format!("no branch matching \"{wanted}\" found for repository widgets")
        );
    }
    fixture.git(&["checkout", "--quiet", "--detach"]);
    let origin = machine.open_path(&fixture.path, None).await.unwrap();
    assert_eq!((origin.branch.as_str(), &origin.rev), ("", &second));
}

#[tokio::test]
async fn what_is_no_usable_repository_is_told() {
    let machine = Machine::new().await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs_err::write(&file, "").unwrap();
    let empty = Fixture::new();
    for (path, text) in [
        (place.path().join("none"), "does not exist"),
        (file, "is not a directory"),
        (place.path().to_owned(), "is not in a git repository"),
        (empty.path.clone(), "repository widgets has no commit yet"),
    ] {
        let fault = machine.open_path(&path, None).await.unwrap_err();
        assert!(fault.message.contains(text), "{fault}");
    }
}

#[tokio::test]
async fn linked_worktrees_and_bare_repositories_are_read() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n")]);
    fixture.git(&["worktree", "add", "--quiet", "../linked", "-b", "other"]);
    let linked = fixture.path.with_file_name("linked");
    let origin = machine.open_path(&linked, None).await.unwrap();
    assert_eq!(origin.branch, "other");
    assert_eq!(origin.objects, [fixture.path.join(".git/objects")]);
    assert_eq!(machine.files(&origin).await, ["a"]);

    let bare = fixture.path.with_file_name("bare.git");
    fixture.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    git_in(&bare, &["remote", "remove", "origin"]);
    let origin = machine.open_path(&bare, None).await.unwrap();
    assert_eq!(
        (origin.name.as_str(), origin.branch.as_str()),
        ("bare", "main")
    );
    assert!(origin.local.unwrap().bare);
}

#[tokio::test]
async fn the_remote_gives_the_name_without_credentials() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n")]);
    fixture.git(&[
        "remote",
        "add",
        "origin",
        "https://me:secret@github.com/acme/widgets.git",
    ]);
    let origin = machine.open_path(&fixture.path, None).await.unwrap();
    assert_eq!(origin.name, "github.com/acme/widgets");
    assert!(!format!("{origin:?}").contains("secret"));
}

#[tokio::test]
async fn a_dirty_tree_is_noticed_without_running_anything_of_it() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n"), (".gitattributes", "* filter=evil\n")]);
    let ran = fixture.path.join("ran");
    let trap = format!("touch {}; cat", ran.display());
    for key in [
        "filter.evil.clean",
        "filter.evil.process",
        "core.fsmonitor",
        "core.sshCommand",
    ] {
        fixture.git(&["config", key, &trap]);
    }
    let index = fs_err::read(fixture.path.join(".git/index")).unwrap();
    // Same content, other times: not dirty.
    fixture.write("a", "1\n");
    assert!(!machine.open_path(&fixture.path, None).await.unwrap().dirty);
    fixture.write("a", "2\n");
    assert!(machine.open_path(&fixture.path, None).await.unwrap().dirty);
    assert!(!ran.exists());
    assert_eq!(
        fs_err::read(fixture.path.join(".git/index")).unwrap(),
        index
    );
}

#[tokio::test]
async fn a_repository_that_lacks_objects_cannot_make_us_fetch_them() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n")]);
    let ran = fixture.path.join("ran");
    let trap = format!("touch {}; false", ran.display());
    for (key, value) in [
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "evil"),
        ("remote.evil.promisor", "true"),
        ("remote.evil.url", "ssh://nowhere.invalid/x"),
        ("remote.evil.uploadpack", &trap),
        ("core.sshCommand", &trap),
        ("core.gitProxy", &trap),
        ("protocol.ssh.allow", "always"),
    ] {
        fixture.git(&["config", key, value]);
    }
    let origin = machine.open_path(&fixture.path, None).await.unwrap();
    let tree = fixture.rev("HEAD^{tree}");
    let object = fixture
        .path
        .join(".git/objects")
        .join(&tree[..2])
        .join(&tree[2..]);
    fs_err::remove_file(object).unwrap();
    assert!(list_files(&machine.git, &origin, |_| {}).await.is_err());
    assert!(!ran.exists());
}

#[tokio::test]
async fn a_remote_is_fetched_shallow_and_only_once() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n")]);
    fixture.write("a", "2\n");
    let second = fixture.commit("second");
    fixture.git(&["branch", "feature/x"]);
    let origin = machine.open(&url(&fixture), None).await.unwrap();
    assert_eq!(origin.name, "widgets");
    assert_eq!((origin.branch.as_str(), &origin.rev), ("main", &second));
    assert_eq!(
        origin.shallow.as_deref(),
        Some(format!("{second}\n").as_bytes())
    );
    assert_eq!(origin.local, None);
    assert_eq!(machine.files(&origin).await, ["a"]);

    let packs = || {
        fs_err::read_dir(origin.git_dir.join("objects/pack"))
            .unwrap()
            .count()
    };
    let (before, loose) = (
        packs(),
        fs_err::read_dir(origin.git_dir.join("objects"))
            .unwrap()
            .count(),
    );
    let other = machine
        .open(&format!("{}#feature/x", url(&fixture)), None)
        .await
        .unwrap();
    assert_eq!((other.branch.as_str(), &other.rev), ("feature/x", &second));
    assert_eq!(
        (
            packs(),
            fs_err::read_dir(origin.git_dir.join("objects"))
                .unwrap()
                .count()
        ),
        (before, loose)
    );

    // A commit that is there needs no remote at all.
    fs_err::rename(&fixture.path, fixture.path.with_file_name("gone")).unwrap();
    let again = machine.open(&url(&fixture), Some(&second)).await.unwrap();
    assert_eq!(again.rev, second);
}

#[tokio::test]
async fn commits_tags_and_moving_branches_of_a_remote() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n")]);
    let first = fixture.rev("HEAD");
    fixture.git(&["tag", "-a", "v1", "-m", "one"]);
    fixture.write("b", "2\n");
    let second = fixture.commit("second");
    for (wanted, rev) in [
        (Some("v1"), &first),
        (None, &second),
        (Some(first.as_str()), &first),
    ] {
        let origin = machine.open(&url(&fixture), wanted).await.unwrap();
        assert_eq!(&origin.rev, rev, "{wanted:?}");
    }
    fixture.write("c", "3\n");
    let third = fixture.commit("third");
    let origin = machine.open(&url(&fixture), Some("main")).await.unwrap();
    assert_eq!(origin.rev, third);
    assert_eq!(machine.files(&origin).await, ["a", "b", "c"]);

    let fault = machine
        .open(&url(&fixture), Some("none"))
        .await
        .unwrap_err();
    assert_eq!(
        fault.message,
        "no branch matching \"none\" found for repository widgets"
    );
    let unknown = "d34db33fd34db33fd34db33fd34db33fd34db33f";
    let fault = machine
        .open(&url(&fixture), Some(unknown))
        .await
        .unwrap_err();
    assert!(fault.message.contains(unknown), "{fault}");
    let fault = machine
        .open("file:///nonexistent/x.git", None)
        .await
        .unwrap_err();
    assert!(
        fault
            .message
            .starts_with("fetching file:///nonexistent/x.git: "),
        "{fault}"
    );
    assert!(fault.hint.is_some());
}

#[tokio::test]
async fn a_server_that_hands_out_no_single_commits_is_fetched_whole() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n")]);
    let first = fixture.rev("HEAD");
    fixture.write("b", "2\n");
    fixture.commit("second");
    // The old protocol has such servers.
    let environment = std::env::vars_os().chain([
        ("GIT_CONFIG_COUNT".into(), "1".into()),
        ("GIT_CONFIG_KEY_0".into(), "protocol.version".into()),
        ("GIT_CONFIG_VALUE_0".into(), "0".into()),
    ]);
    let machine = Machine {
        git: Git::check(environment).await.unwrap(),
        ..machine
    };
    let origin = machine.open(&url(&fixture), Some(&first)).await.unwrap();
    assert_eq!(origin.rev, first);
    assert_eq!(machine.files(&origin).await, ["a"]);
}

#[tokio::test]
async fn concurrent_opens_share_one_copy() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n")]);
    let url = url(&fixture);
    let (one, two, three) = tokio::join!(
        machine.open(&url, None),
        machine.open(&url, Some("main")),
        machine.open(&url, None)
    );
    let one = one.unwrap();
    assert_eq!(one.git_dir, two.unwrap().git_dir);
    assert_eq!(one.rev, three.unwrap().rev);
}

async fn commit_of(
    machine: &Machine,
    fixture: &Fixture,
    rev: &str,
    (tags, shallow): (bool, bool),
) -> (Result<Origin, Fault>, Vec<String>) {
    let Ok(Source::Remote { url, .. }) = Source::parse(&url(fixture), Path::new("/")) else {
        panic!("it is a URL");
    };
    let headers = [("Authorization", "Bearer t0ken".to_owned())];
    let wanted = Wanted {
        url: &url,
        name: "acme/widgets",
        rev,
        branch: "main",
        headers: &headers,
        tags,
        shallow,
    };
    let mut told = Vec::new();
    let tell = |line: &str| told.push(line.to_owned());
    let opened = machine.remotes.open_commit(&machine.git, &wanted, tell);
    (opened.await, told)
}

#[tokio::test]
async fn a_cache_that_was_cleared_is_filled_again() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n")]);
    let rev = fixture.rev("HEAD");
    let open = || commit_of(&machine, &fixture, &rev, (false, true));
    for _ in 0..3 {
        open().await.0.unwrap();
    }
    fs_err::remove_dir_all(machine.cache.path().join("repositories")).unwrap();
    let (origin, told) = open().await;
    let commit = git_in(&origin.unwrap().git_dir, &["rev-list", "--count", &rev]);
    assert_eq!(commit, b"1\n");
    assert_ne!(told, Vec::<String>::new());
}

#[tokio::test]
async fn a_commit_is_fetched_once_and_its_history_only_if_wanted() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n")]);
    fixture.git(&["tag", "-a", "-m", "one", "v1"]);
    let second = fixture.commit("second");
    let (origin, told) = commit_of(&machine, &fixture, &second, (false, true)).await;
    let origin = origin.unwrap();
    assert_eq!((&*origin.name, &*origin.branch), ("acme/widgets", "main"));
    assert_eq!((origin.url, origin.tags), (None, Vec::new()));
    assert!(origin.shallow.is_some() && !told.is_empty());
    let (_, told) = commit_of(&machine, &fixture, &second, (false, true)).await;
    assert_eq!(told, Vec::<String>::new());

    let (origin, _) = commit_of(&machine, &fixture, &second, (true, false)).await;
    let origin = origin.unwrap();
    assert_eq!(origin.tags, [(fixture.rev("v1"), "v1".to_owned())]);
    let history = git_in(&origin.git_dir, &["rev-list", "--count", &second]);
    assert_eq!(history, b"2\n");
}

#[tokio::test]
async fn what_is_no_commit_of_the_server_is_told_without_secrets() {
    let machine = Machine::new().await;
    let fixture = Fixture::with(&[("a", "1\n")]);
    let (error, _) = commit_of(&machine, &fixture, "--upload-pack=id", (false, true)).await;
    let expected = "\"--upload-pack=id\" is no full commit id of repository acme/widgets";
    assert_eq!(error.unwrap_err().message, expected);
    let (error, _) = commit_of(&machine, &fixture, &"1".repeat(40), (false, true)).await;
    let message = error.unwrap_err().message;
    assert!(
        message.starts_with("fetching file://") && !message.contains("t0ken"),
        "{message}"
    );
}
