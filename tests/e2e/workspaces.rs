//! Where a workspace comes from, what is in it, and what is left alone.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use capstan_tests::{Engine, Output, Repository, World};
use serde_json::json;

use crate::specs;

/// Runs a spec that adds a line to `README.md` on these repositories.
fn run(world: &World, repositories: &[&str]) -> Output {
    let spec = world.write("spec.yaml", specs::of(&["echo more >> README.md"]));
    world
        .capstan(["batch", "run", "-j", "1", "--output", "out", "-f"])
        .arg(spec)
        .args(repositories)
        .run()
}

/// Repository, base and commit of the only changeset.
fn base(world: &World) -> [String; 3] {
    let changesets = world.changesets("out");
    assert_eq!(changesets.len(), 1, "{changesets:?}");
    ["baseRepository", "baseRef", "baseRev"]
        .map(|key| changesets[0][key].as_str().unwrap_or_default().to_owned())
}

#[test]
fn every_kind_of_local_repository() {
    Engine::require();
    let world = World::new();
    let widgets = world.repository("widgets", &[("README.md", "hi\n"), ("sub/x", "")]);
    let first = widgets.head();
    widgets.write("README.md", "second\n");
    let second = widgets.commit("Second");
    widgets.git(["clone", "-q", "--bare", ".", "../bare.git"]);
    let url = format!("file://{}", widgets.path().display());
    widgets.git(["clone", "-q", "--depth=1", &url, "../shallow"]);
    let worktree = ["worktree", "add", "-q", "-b", "topic", "../linked", &first];
    widgets.git(worktree);
    widgets.git(["worktree", "add", "-q", "--detach", "../detached", &first]);

    for (argument, name, branch, rev) in [
        ("widgets", "widgets", "refs/heads/main", &second),
        ("widgets/sub", "widgets", "refs/heads/main", &second),
        ("widgets/.git", "widgets", "refs/heads/main", &second),
        ("bare.git", "bare", "refs/heads/main", &second),
        ("shallow", "widgets", "refs/heads/main", &second),
        ("linked", "linked", "refs/heads/topic", &first),
        ("detached", "detached", "refs/heads/", &first),
    ] {
        let _ = fs::remove_dir_all(world.work().join("out"));
        run(&world, &[argument]).assert_code(0);
        assert_eq!(base(&world), [name, branch, rev], "{argument}");
    }
}

#[test]
fn what_is_no_repository_is_told() {
    let world = World::new();
    world.repository("widgets", &[("README.md", "hi\n")]);
    fs::create_dir(world.work().join("directory")).expect("it is new");
    world.write("file", "");
    let empty = world.repository("empty", &[]);
    empty.git(["checkout", "-q", "--orphan", "nothing"]);
    empty.git(["update-ref", "-d", "refs/heads/main"]);
    insta::assert_snapshot!(run(&world, &["missing", "directory", "file", "empty", "ext::sh -c id", "widgets"]), @r"
    --- stderr
    error: ext::sh -c id: ext URLs are not supported: use https, http, ssh, git or file, or user@host:path
    --- exit 2
    ");
    insta::assert_snapshot!(run(&world, &["missing", "directory", "file", "empty", "widgets"]), @"
    --- stderr
    error: 4 repositories cannot be used:
      repository $WORLD/work/missing does not exist
        hint: name a directory that holds a git repository, or a git URL
      $WORLD/work/directory is not in a git repository
        hint: run `git init` and commit there, or name another directory
      repository $WORLD/work/file is not a directory
      repository empty has no commit yet
        hint: commit something there first
    --- exit 2
    ");
    insta::assert_snapshot!(run(&world, &["directory"]), @r"
    --- stderr
    error: $WORLD/work/directory is not in a git repository
    hint: run `git init` and commit there, or name another directory
    --- exit 2
    ");
    assert!(world.files("out").is_empty());
}

#[test]
fn equal_names_are_told_apart() {
    Engine::require();
    let world = World::new();
    for name in ["a/widgets", "b/widgets"] {
        world.repository(name, &[("README.md", name)]);
    }
    // Naming one twice changes nothing.
    insta::assert_snapshot!(run(&world, &["a/widgets", "b/widgets", "./a/widgets/"]), @r"
    --- stderr
    2 workspaces in 2 repositories
    [a/widgets] preparing the workspace
    [a/widgets] step 1/1: echo more >> README.md
    [a/widgets] done
    [b/widgets] preparing the workspace
    [b/widgets] step 1/1: echo more >> README.md
    [b/widgets] done
    a/widgets: branch change
      README.md | 2 +-
      1 file changed, 1 insertion(+), 1 deletion(-)
    b/widgets: branch change
      README.md | 2 +-
      1 file changed, 1 insertion(+), 1 deletion(-)
    wrote out/changesets.json
    2 workspaces: 2 done; 2 changesets; <time>
    --- exit 0
    ");
    assert_eq!(
        world.files("out"),
        [
            "a/widgets/change.patch",
            "b/widgets/change.patch",
            "changesets.json"
        ]
    );
    assert!(
        world
            .read("out/a/widgets/change.patch")
            .contains("-a/widgets\n")
    );
    assert!(
        world
            .read("out/b/widgets/change.patch")
            .contains("-b/widgets\n")
    );
}

#[test]
fn uncommitted_changes_are_left_out_with_a_warning() {
    Engine::require();
    let world = World::new();
    let widgets = world.repository("widgets", &[("README.md", "hi\n")]);
    widgets.write("README.md", "uncommitted\n");
    widgets.write("untracked", "");
    let gadgets = world.repository("gadgets", &[("README.md", "hi\n"), (".batchignore", "")]);
    gadgets.write("README.md", "uncommitted\n");
    insta::assert_snapshot!(run(&world, &["widgets", "gadgets"]), @r"
    --- stderr
    1 workspace in 2 repositories
    warning: widgets: uncommitted changes are not part of the run
    warning: gadgets: left alone, as its .batchignore asks for
    [widgets] preparing the workspace
    [widgets] step 1/1: echo more >> README.md
    [widgets] done
    widgets: branch change
      README.md | 1 +
      1 file changed, 1 insertion(+)
    wrote out/changesets.json
    1 workspace: 1 done; 1 changeset; <time>
    --- exit 0
    ");
    assert!(
        world
            .read("out/widgets/change.patch")
            .ends_with(" hi\n+more\n")
    );
    assert_eq!(
        world.files("out"),
        ["changesets.json", "widgets/change.patch"]
    );
}

/// What would tell that a directory was touched: kind, mode, size, time, inode and content of all in it.
fn fingerprint(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = path.symlink_metadata().expect("it is there");
        let content = if metadata.is_symlink() {
            format!("{:?}", fs::read_link(&path))
        } else if metadata.is_file() {
            format!(
                "{:?}",
                String::from_utf8_lossy(&fs::read(&path).expect("it can be read"))
            )
        } else {
            let entries = fs::read_dir(&path).expect("it is a directory");
            pending.extend(entries.map(|entry| entry.expect("it can be read").path()));
            String::new()
        };
        // Git marks objects as used that it would have written, so that they are not pruned.
        let time = (!path.components().any(|part| part.as_os_str() == "objects")).then(|| {
            let seconds = (metadata.mtime(), metadata.ctime());
            (seconds, metadata.mtime_nsec(), metadata.ctime_nsec())
        });
        found.push(format!(
            "{} {:o} {:?} {} {content}",
            path.display(),
            metadata.mode(),
            time,
            metadata.ino()
        ));
    }
    found.sort();
    found
}

#[test]
fn the_users_repository_is_untouched() {
    Engine::require();
    let world = World::new();
    let outside = world.write("outside", "precious\n");
    let widgets = world.repository("widgets", &[("README.md", "hi\n"), ("dir/x", "x\n")]);
    symlink(&outside, widgets.path().join("link")).expect("it is free");
    symlink(world.work(), widgets.path().join("up")).expect("it is free");
    widgets.commit("Symlinks");
    // What would run, if git were asked in there.
    for name in [
        "post-checkout",
        "post-index-change",
        "reference-transaction",
    ] {
        let hook = widgets.path().join(".git/hooks").join(name);
        fs::write(&hook, "#!/bin/sh\ntouch \"$HOME/hook\"\n").expect("it is ours");
        fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("it is ours");
    }
    widgets.git(["config", "core.fsmonitor", "touch $HOME/fsmonitor"]);
    widgets.git(["config", "filter.evil.smudge", "touch $HOME/filter; cat"]);
    widgets.write(".git/info/attributes", "* filter=evil\n");
    widgets.write("untracked", "stays\n");
    let before = fingerprint(widgets.path());

    let script = "echo x >> link; echo more >> README.md; rm -rf dir up/*; git init . 2>&1 || true; rm -rf .git; echo x > .git";
    let spec = world.write("spec.yaml", specs::of(&[script, "ls -A"]));
    let output = world
        .capstan(["batch", "run", "-f"])
        .arg(spec)
        .arg(widgets.path())
        .run();
    let after = fingerprint(widgets.path());
    let touched: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(
        touched.is_empty() && after.len() == before.len(),
        "{touched:#?}"
    );
    assert_eq!(
        fs::read_to_string(&outside).expect("it is there"),
        "precious\n"
    );
    assert!(
        world
            .files("../home")
            .iter()
            .all(|file| file.starts_with('.')),
        "{:?}",
        world.files("../home")
    );
    output.assert_code(0);
}

#[test]
fn workspaces_of_a_monorepo() {
    Engine::require();
    let world = World::new();
    let files = [
        ("README.md", "root\n"),
        ("a/go.mod", "a\n"),
        ("a/README.md", "a\n"),
        ("a/deeper/go.mod", "deeper\n"),
        ("b c/go.mod", "b\n"),
        ("other/x", "x\n"),
    ];
    world.repository("mono", &files);
    world.repository("single", &files);
    let steps = [json!({
        "run": "echo more >> go.mod; ls -A /work > seen",
        "container": "alpine:3",
    })];
    let more = json!({
        "workspaces": [{"rootAtLocationOf": "go.mod", "in": "mon*", "onlyFetchWorkspace": true}],
        "changesetTemplate": {
            "title": "Change",
            "body": "It changes.",
            "branch": "change/${{ replace steps.path \" \" \"-\" }}",
            "commit": {"message": "Change it"},
        },
    });
    let spec = world.write("spec.yaml", specs::with(&steps, more));
    let output = world
        .capstan(["batch", "run", "-f"])
        .arg(spec)
        .args(["mono", "single"])
        .run();
    output.assert_code(0);
    insta::assert_snapshot!(output.stdout(), @r"
    # mono, branch change/a
    diff --git a/go.mod a/go.mod
    index 7898192..d49c2e7 100644
    --- a/go.mod
    +++ a/go.mod
    @@ -1 +1,2 @@
     a
    +more
    diff --git a/seen a/seen
    new file mode 100644
    index 0000000..32f4770
    --- /dev/null
    +++ a/seen
    @@ -0,0 +1,2 @@
    +.git
    +a
    # mono, branch change/a/deeper
    diff --git a/deeper/go.mod a/deeper/go.mod
    index e39796c..34d1300 100644
    --- a/deeper/go.mod
    +++ a/deeper/go.mod
    @@ -1 +1,2 @@
     deeper
    +more
    diff --git a/deeper/seen a/deeper/seen
    new file mode 100644
    index 0000000..32f4770
    --- /dev/null
    +++ a/deeper/seen
    @@ -0,0 +1,2 @@
    +.git
    +a
    # mono, branch change/b-c
    diff --git b c/go.mod b c/go.mod
    index 6178079..71838d1 100644
    --- b c/go.mod	
    +++ b c/go.mod	
    @@ -1 +1,2 @@
     b
    +more
    diff --git b c/seen b c/seen
    new file mode 100644
    index 0000000..2b49378
    --- /dev/null
    +++ b c/seen	
    @@ -0,0 +1,2 @@
    +.git
    +b c
    # single, branch change/
    diff --git go.mod go.mod
    new file mode 100644
    index 0000000..ef49dd8
    --- /dev/null
    +++ go.mod
    @@ -0,0 +1 @@
    +more
    diff --git seen seen
    new file mode 100644
    index 0000000..fe48ad7
    --- /dev/null
    +++ seen
    @@ -0,0 +1,7 @@
    +.git
    +README.md
    +a
    +b c
    +go.mod
    +other
    +seen
    ");
}

/// Smart HTTP on the loopback interface: git's own CGI program behind a listener.
pub(crate) struct HttpServer {
    pub(crate) address: String,
    stop: Arc<AtomicBool>,
}

impl HttpServer {
    pub(crate) fn start(root: PathBuf) -> Self {
        Self::start_at("127.0.0.1", root)
    }

    /// Starts one at an address of this machine.
    pub(crate) fn start_at(host: &str, root: PathBuf) -> Self {
        let listener = TcpListener::bind((host, 0)).expect("there is a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A client that goes away is its own business.
                let _ = stream.and_then(|stream| answer(stream, &root));
            }
        });
        Self { address, stop }
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

fn answer(stream: TcpStream, root: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut cgi = Command::new("git");
    cgi.arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query);
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "content-type" => drop(cgi.env("CONTENT_TYPE", value)),
            "content-encoding" => drop(cgi.env("HTTP_CONTENT_ENCODING", value)),
            "git-protocol" => drop(cgi.env("GIT_PROTOCOL", value)),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut child = cgi
        .env("CONTENT_LENGTH", length.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().expect("it is a pipe").write_all(&body)?;
    let response = child.wait_with_output()?.stdout;
    let mut stream = stream;
    let status = match String::from_utf8_lossy(&response).strip_prefix("Status: ") {
        Some(status) => status.lines().next().unwrap_or_default().to_owned(),
        None => "200 OK".to_owned(),
    };
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    stream.write_all(&response)
}

/// A bare repository at `srv/widgets.git` with two commits, a branch and a tag.
fn served(world: &World) -> (Repository, [String; 2]) {
    let widgets = world.repository("original", &[("README.md", "first\n")]);
    let first = widgets.head();
    widgets.git(["tag", "-a", "-m", "One", "v1"]);
    widgets.git(["branch", "release/1"]);
    widgets.write("README.md", "second\n");
    let second = widgets.commit("Second");
    widgets.git(["clone", "-q", "--bare", ".", "../srv/widgets.git"]);
    (widgets, [first, second])
}

#[test]
fn repositories_are_fetched_by_url() {
    Engine::require();
    let world = World::new();
    let (_, [first, second]) = served(&world);
    let server = HttpServer::start(world.work().join("srv"));
    let http = format!("http://{}/widgets.git", server.address);
    let file = format!("file://{}/srv/widgets.git", world.work().display());
    let served_name = format!("{}/widgets", server.address);
    for (url, name) in [(http.as_str(), served_name.as_str()), (&file, "widgets")] {
        for (revision, branch, rev) in [
            (String::new(), "refs/heads/main", &second),
            ("#release/1".to_owned(), "refs/heads/release/1", &first),
            ("#v1".to_owned(), "refs/heads/", &first),
            (format!("#{first}"), "refs/heads/", &first),
        ] {
            let _ = fs::remove_dir_all(world.work().join("out"));
            run(&world, &[&format!("{url}{revision}")]).assert_code(0);
            assert_eq!(base(&world), [name, branch, rev], "{url}{revision}");
        }
    }

    // A commit never changes: once fetched, it needs no server.
    server.stop();
    run(&world, &[&format!("{http}#{first}")]).assert_code(0);
    let missing = run(&world, &[&format!("{file}#nowhere")]);
    insta::assert_snapshot!(missing, @r#"
    --- stderr
    error: no branch matching "nowhere" found for repository widgets
    --- exit 2
    "#);
    fs::remove_dir_all(world.work().join("srv")).expect("it is ours");
    insta::assert_snapshot!(run(&world, &[&file]), @r"
    --- stderr
    error: fetching file://$WORLD/work/srv/widgets.git: 'git ls-remote' failed: fatal: '$WORLD/work/srv/widgets.git' does not appear to be a git repository
    fatal: Could not read from remote repository.

    Please make sure you have the correct access rights
    and the repository exists.: exit status 128
    hint: check the address; `git ls-remote file://$WORLD/work/srv/widgets.git` shows what is there
    --- exit 2
    ");
}
