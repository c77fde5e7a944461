//! A Docker daemon of a test's own, that can be killed and started again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use capstan_tests::{Engine, World, as_root};

/// A Docker daemon of our own in namespaces of its own: nothing it does to networks, mounts and processes is seen
/// outside, and all of it ends with it. Its directory, which belongs to root, is removed with it.
pub(crate) struct Daemon {
    process: Child,
    pub(crate) engine: Engine,
    pub(crate) host: String,
    directory: PathBuf,
}

impl Daemon {
    pub(crate) fn start(world: &World) -> Self {
        let directory = world.root().join("daemon");
        fs::create_dir(&directory).expect("the world is writable");
        let host = format!("unix://{}/docker.sock", directory.display());
        let mut daemon = Self {
            process: spawn(&host, &directory),
            engine: Engine::at(&host),
            host,
            directory,
        };
        daemon.wait_until_it_answers();
        daemon
    }

    /// Starts it again after it was killed or stopped.
    pub(crate) fn start_again(&mut self) {
        // The process of that number may be another one in new namespaces.
        for left in ["pid", "docker.sock"] {
            let removed = as_root("rm")
                .arg("-f")
                .arg(self.directory.join(left))
                .status();
            assert!(removed.is_ok_and(|status| status.success()));
        }
        self.process = spawn(&self.host, &self.directory);
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.engine.answers() {
            let ended = self.process.try_wait().expect("it is our own child");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the daemon did not come up:\n{}",
                fs::read_to_string(self.directory.join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Gives it an image of the engine that the tests share.
    pub(crate) fn load(&self, image: &str) {
        let mut archive = Command::new("docker")
            .args(["save", image])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the docker client runs");
        let loaded = Command::new("docker")
            .args(["load", "--quiet"])
            .env("DOCKER_HOST", &self.host)
            .stdin(archive.stdout.take().expect("it is a pipe"))
            .stdout(Stdio::null())
            .status();
        assert!(loaded.is_ok_and(|status| status.success()));
        assert!(archive.wait().is_ok_and(|status| status.success()));
    }

    /// Kills it and all it has started.
    pub(crate) fn kill(&mut self) {
        let mut id = self.process.id();
        if !rustix::process::geteuid().is_root() {
            // Ours is sudo; unshare is its child.
            id = child_of(id);
        }
        self.signal("-KILL", id);
    }

    /// Stops it as a service manager does: it stops its containers before it ends.
    pub(crate) fn stop(&mut self) {
        let mut id = child_of(self.process.id());
        if !rustix::process::geteuid().is_root() {
            id = child_of(id);
        }
        self.signal("-TERM", id);
    }

    fn signal(&mut self, signal: &str, id: u32) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        let killed = as_root("kill").args([signal, &id.to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
        let _ = self.process.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.kill();
        }
        let _ = as_root("rm").arg("-rf").arg(&self.directory).status();
    }
}

/// The first child of a process.
fn child_of(id: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    children
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .expect("it has a child")
}

fn spawn(host: &str, directory: &Path) -> Child {
    // Without a containerd to be seen, it starts one of its own.
    let script = r#"
        [ ! -d /run/containerd ] || mount -t tmpfs tmpfs /run/containerd
        exec dockerd --host "$1" --data-root "$2/data" --exec-root "$2/exec" --pidfile "$2/pid" \
            --group "$3" --storage-driver vfs
    "#;
    let log = File::create(directory.join("log")).expect("the world is writable");
    let group = rustix::process::getegid().as_raw().to_string();
    as_root("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--mount-proc",
            "--fork",
            "--kill-child",
        ])
        .args(["sh", "-c", script, "sh", host])
        .arg(directory)
        .arg(group)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        .spawn()
        .expect("unshare runs")
}
