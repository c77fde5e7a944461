//! Cases in processes of their own: what such a process uses is what the case made it use, whatever other cases do meanwhile.

use std::env;
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::thread;

/// Set in the process of a case.
const ALONE: &str = "CAPSTAN_TEST_ALONE";

/// Whether this is the process of a case.
fn is_alone() -> bool {
    env::var_os(ALONE).is_some()
}

/// Runs the rest of a test in a process of its own, with `variables` in its environment; panics with what it said if it fails.
pub(crate) fn alone(variables: &[(&str, &OsStr)], case: impl FnOnce()) {
    let thread = thread::current();
    // With one thread for all tests, that thread has the name of none; what they use is kept apart by the order they run in.
    let name = thread.name().filter(|name| *name != "main");
    let (false, Some(name)) = (is_alone(), name) else {
        return case();
    };
    let output = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{}\n{stdout}{stderr}",
        output.status
    );
}
