//! The guest of `tests/hostile/guest`: what it tries to do outside of its workspace, and to its host.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

use capstan_plugin_host::Component;
use rstest::rstest;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::alone::alone;
use crate::memory::Memory;
use crate::{HOST, Heard, RUNTIME, answered, assert_unharmed, call, session};

/// Names the guest's file to the process of a case, so that not each builds it.
const GUEST: &str = "CAPSTAN_TEST_GUEST";

/// The file of the guest.
fn guest_file() -> PathBuf {
    match std::env::var_os(GUEST) {
        Some(file) => file.into(),
        None => capstan_tests::guest("tests/hostile/guest"),
    }
}

/// Runs the rest of a test in a process of its own, which is given the guest.
fn with_guest(case: impl FnOnce(Arc<Component>)) {
    let file = guest_file();
    alone(&[(GUEST, file.as_os_str())], || {
        let bytes = std::fs::read(&file).unwrap();
        case(RUNTIME.block_on(HOST.load(&bytes, None)).unwrap());
    });
}

/// A workspace with traps in it, in a directory with a file that nobody may touch.
struct Ground {
    directory: TempDir,
}

impl Ground {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let outside = directory.path();
        std::fs::write(outside.join("outside.txt"), "outside").unwrap();
        let root = outside.join("work");
        std::fs::create_dir_all(root.join("inside")).unwrap();
        std::fs::write(root.join("file.txt"), "inside").unwrap();
        symlink("../outside.txt", root.join("link-up")).unwrap();
        symlink("/etc/passwd", root.join("link-absolute")).unwrap();
        symlink("..", root.join("link-directory")).unwrap();
        symlink("../planted", root.join("link-dangling")).unwrap();
        mknodat(
            CWD,
            root.join("pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        drop(UnixListener::bind(root.join("socket")).unwrap());
        Self { directory }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// Nothing beside the workspace is new, gone or other than it was.
    fn assert_untouched_outside(&self) {
        let mut names: Vec<_> = std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["outside.txt", "work"]);
        let file = self.directory.path().join("outside.txt");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "outside");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&file).unwrap().permissions(),
        );
        assert_eq!(mode & 0o111, 0);
        assert!(!self.root().join(".git").exists(), "there was no .git");
    }
}

fn config(attack: &str, address: &str) -> String {
    format!(r#"{{"attack": "{attack}", "address": "{address}"}}"#)
}

#[rstest]
#[case("read-passwd", "error NotFound")]
#[case("read-self", "error NotFound")]
#[case("read-above", "error PermissionDenied")]
#[case("read-above-by-slashes", "error PermissionDenied")]
#[case("read-through-link", "error PermissionDenied")]
#[case("read-through-absolute-link", "error PermissionDenied")]
#[case("read-through-directory-link", "error PermissionDenied")]
#[case("read-through-trailing-slash", "error PermissionDenied")]
#[case("list-above", "error PermissionDenied")]
#[case("write-above", "error PermissionDenied")]
#[case("write-through-link", "error PermissionDenied")]
#[case("write-through-dangling-link", "error PermissionDenied")]
#[case("remove-above", "error PermissionDenied")]
#[case("rename-out", "error PermissionDenied")]
#[case("rename-in", "error PermissionDenied")]
#[case("link-up", "error PermissionDenied")]
#[case("link-far-up", "error PermissionDenied")]
#[case("link-absolute", "error PermissionDenied")]
#[case("hard-link", "error Unsupported")]
#[case("pipe", "error PermissionDenied")]
#[case("pipe-write", "error PermissionDenied")]
#[case("socket", "error PermissionDenied")]
#[case("git-config", "error NotFound")]
#[case("git-make", "error PermissionDenied")]
#[case("git-rename", "error PermissionDenied")]
#[case("git-link", "error PermissionDenied")]
#[case("executable-above", "error Other")]
#[case("executable-through-link", "error Other")]
#[case("many-files", "too-much")]
#[case("many-directories", "too-much")]
#[case("many-bytes", "too-much")]
#[case("one-sparse-file", "too-much")]
#[case("one-distant-byte", "too-much")]
#[case("many-open", "too-much")]
#[case("deep", "prepared")]
#[case("odd-names", "error InvalidFilename")]
#[case("crash-half-way", "trap")]
#[case("environment", "error NotFound")]
#[case("arguments", "error NotFound")]
#[case("standard-input", "error NotFound")]
#[case("listen", "error PermissionDenied")]
#[case("resolve", "error Uncategorized")]
#[case("exit", "exit 0")]
#[case("exit-failing", "exit 1")]
#[case("abort", "trap")]
#[case("print", "prepared")]
#[case("complain", "prepared")]
#[case("thread", "error Unsupported")]
#[case("hoard", "out-of-memory")]
#[case("recurse", "trap")]
fn a_workspace_plugin_stays_in_its_workspace(#[case] attack: &str, #[case] expected: &str) {
    with_guest(|component| {
        let ground = Ground::new();
        let log = Arc::new(Heard::default());
        let memory = Memory::now();
        let (ended, message) = RUNTIME.block_on(async {
            let session = session(component, &config(attack, ""), expected, &log);
            answered(session.prepare(&ground.root()).await, |()| {
                ("prepared".to_owned(), String::new())
            })
        });
        memory.grew_by_less_than(640 << 20);
        assert_eq!(ended, expected, "{message}");
        assert!(*log.bytes.lock().unwrap() <= 2 << 20, "the log is bounded");
        ground.assert_untouched_outside();
        assert_unharmed();
    });
}

#[rstest]
#[case("read-passwd", "error NotFound")]
#[case("git-config", "error NotFound")]
#[case("environment", "error NotFound")]
#[case("arguments", "error NotFound")]
#[case("connect", "error PermissionDenied")]
#[case("send", "error PermissionDenied")]
#[case("resolve", "error Uncategorized")]
#[case("sleep", "out-of-time")]
#[case("exit", "exit 0")]
#[case("spin", "out-of-cpu")]
#[case("hoard", "out-of-memory")]
#[case("recurse", "trap")]
#[case("panic", "trap")]
fn a_policy_sees_nothing_of_its_surroundings(#[case] attack: &str, #[case] expected: &str) {
    with_guest(|component| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let log = Arc::new(Heard::default());
        let memory = Memory::now();
        let (ended, message) = RUNTIME.block_on(async {
            let session = session(component, &config(attack, &address), expected, &log);
            call(&session, "policy.check-step").await
        });
        memory.grew_by_less_than(128 << 20);
        assert_eq!(ended, expected, "{message}");
        assert!(listener.accept().is_err(), "nobody connected");
        assert_unharmed();
    });
}

#[test]
fn the_last_words_of_a_crash_are_told() {
    with_guest(|component| {
        let log = Arc::new(Heard::default());
        let failure = RUNTIME.block_on(async {
            let session = session(component, &config("panic", ""), "trap", &log);
            let ground = Ground::new();
            session.prepare(&ground.root()).await.unwrap_err()
        });
        assert!(
            failure.last_lines.contains("a plugin's last words"),
            "{}",
            failure.last_lines
        );
    });
}
