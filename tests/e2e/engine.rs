//! Engines that are not there, and one that goes away.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use capstan_tests::{Engine, World, as_root};

use crate::scene::{assert_says, spec, yaml};

#[test]
fn an_engine_that_is_not_there_is_told() {
    let world = World::new();
    world.repository("widgets", &[("README.md", "hi\n")]);
    world.write("spec.yaml", spec(&yaml(&[("alpine:3", "true")])));
    let run = |host: &str| {
        world
            .capstan(["batch", "run", "-f", "spec.yaml", "widgets"])
            .env("DOCKER_HOST", host)
            .run()
    };
    let hosts = [
        "unix:///nonexistent/docker.sock",
        "tcp://127.0.0.1:1",
        "ssh://me@far",
    ];
    let told = hosts.map(|host| run(host).to_string()).join("\n\n");
    insta::assert_snapshot!(told, @r#"
    --- stderr
    error: no container engine answers; tried:
      unix:///nonexistent/docker.sock (DOCKER_HOST): no such socket
    hint: check DOCKER_HOST and that the engine there runs (`docker version`)
    --- exit 3

    --- stderr
    error: no container engine answers; tried:
      tcp://127.0.0.1:<port> (DOCKER_HOST): Error in the hyper legacy client: client error (Connect): tcp connect error: Connection refused (os error 111)
    hint: check DOCKER_HOST and that the engine there runs (`docker version`)
    --- exit 3

    --- stderr
    error: DOCKER_HOST is "ssh://me@far": connections over ssh are not supported
    hint: forward the socket instead: `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock me@far`, then DOCKER_HOST=unix:///tmp/docker.sock
    --- exit 3
    "#);
}

/// A Docker daemon of our own in namespaces of its own: nothing it does to networks, mounts and processes is seen
/// outside, and all of it ends with it.
struct Daemon {
    process: Child,
    engine: Engine,
    host: String,
}

impl Daemon {
    fn start(world: &World) -> Self {
        let dir = world.root().join("daemon");
        fs::create_dir(&dir).expect("the world is writable");
        let host = format!("unix://{}/docker.sock", dir.display());
        // Without a containerd to be seen, it starts one of its own.
        let script = r#"
            [ ! -d /run/containerd ] || mount -t tmpfs tmpfs /run/containerd
            exec dockerd --host "$1" --data-root "$2/data" --exec-root "$2/exec" --pidfile "$2/pid" \
                --group "$3" --storage-driver vfs
        "#;
        let log = File::create(dir.join("log")).expect("the world is writable");
        let group = rustix::process::getegid().as_raw().to_string();
        let process = as_root("unshare")
            .args([
                "--net",
                "--mount",
                "--pid",
                "--mount-proc",
                "--fork",
                "--kill-child",
            ])
            .args(["sh", "-c", script, "sh", &host])
            .arg(&dir)
            .arg(group)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("unshare runs");
        let mut daemon = Self {
            process,
            engine: Engine::at(&host),
            host,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !daemon.engine.answers() {
            let ended = daemon.process.try_wait().expect("it is our own child");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the daemon did not come up:\n{}",
                fs::read_to_string(dir.join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(50));
        }
        daemon
    }

    /// Gives it an image of the engine that the tests share.
    fn load(&self, image: &str) {
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
    fn kill(&mut self) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        let mut id = self.process.id();
        if !rustix::process::geteuid().is_root() {
            // Ours is sudo; unshare is its child.
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
            id = children
                .ok()
                .and_then(|text| text.split_whitespace().next()?.parse().ok())
                .expect("sudo has a child");
        }
        let killed = as_root("kill").args(["-KILL", &id.to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
        let _ = self.process.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The world's directory of the daemon belongs to root.
struct RemovedAsRoot<'w>(&'w World);

impl Drop for RemovedAsRoot<'_> {
    fn drop(&mut self) {
        let _ = as_root("rm")
            .arg("-rf")
            .arg(self.0.root().join("daemon"))
            .status();
    }
}

#[test]
fn an_engine_that_goes_away_in_the_middle_of_a_step_ends_the_run() {
    Engine::require();
    let world = World::new();
    let _removed = RemovedAsRoot(&world);
    let mut daemon = Daemon::start(&world);
    daemon.load("busybox:stable");
    for name in ["widgets", "gadgets"] {
        world.repository(name, &[("README.md", "hi\n")]);
    }
    let steps = [
        ("busybox:stable", "echo begun; sleep 1000"),
        ("busybox:stable", "true"),
    ];
    world.write("spec.yaml", spec(&yaml(&steps)));
    let mut running = world
        .capstan(["batch", "run", "-v", "--jobs", "1", "-f", "spec.yaml"])
        .args(["widgets", "gadgets"])
        .env("DOCKER_HOST", &daemon.host)
        .spawn();
    running.wait_for("| begun");
    daemon.kill();
    let output = running.wait();
    output.assert_code(3);
    // Which request fails first, and how, is chance.
    assert_says(
        &output.stderr(),
        &[
            "[widgets] cancelled\n",
            "✗ gadgets: step 1 failed\n  lost the connection to the Docker engine while running gadgets step 1: ",
            "\nhint: check that the engine runs and answers (`docker version`), then run again; `capstan doctor` tells more\n",
            "2 workspaces: 0 done, 1 failed, 1 cancelled; 0 changesets; ",
        ],
    );
    assert!(
        world
            .files(world.home().join(".local/state/capstan/runs"))
            .is_empty()
    );
}
