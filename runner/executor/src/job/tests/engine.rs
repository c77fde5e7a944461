//! An engine whose containers are shells on this machine, in the workspace's directory.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use capstan_engine::fault::Fault;
use capstan_engine::sandbox::{
    Chunk, Engine, Exit, Files, Gated, Image, Inputs, Preparation, Sandbox, Stream,
};
use capstan_engine::workspace::GIT_OBJECTS;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use super::super::{Engines, Needs};

/// What was asked of it, by all jobs.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) preparations: Mutex<Vec<Preparation>>,
    pub(super) images: Mutex<Vec<String>>,
    /// How often the engine was lost in the image `restarting`.
    pub(super) faults: AtomicUsize,
}

pub(super) struct Shells(pub(super) Arc<Seen>);

impl Engines for Shells {
    type Engine = ShellEngine;

    fn of_job(&self, _needs: Needs<'_>) -> Result<ShellEngine, Fault> {
        Ok(ShellEngine(Arc::clone(&self.0)))
    }
}

pub(super) struct ShellEngine(Arc<Seen>);

impl Sandbox for ShellEngine {
    type Container = Shell;

    async fn prepare(&self, preparation: Preparation) -> Result<Shell, Fault> {
        self.0
            .preparations
            .lock()
            .unwrap()
            .push(preparation.clone());
        Ok(Shell(preparation, Arc::clone(&self.0)))
    }
}

impl Engine for ShellEngine {
    async fn image(&self, name: &str, _platform: Option<&str>) -> Result<Image, Fault> {
        self.0.images.lock().unwrap().push(name.to_owned());
        if name == "missing" {
            return Err(Fault::workspace("pulling image \"missing\": no such image"));
        }
        Ok(Image {
            name: name.to_owned(),
            id: format!("sha256:{name}"),
            user: String::new(),
        })
    }

    async fn digest(&self, _name: &str) -> Result<Option<String>, Fault> {
        Ok(None)
    }

    async fn reclaim(&self, _image: &Image, _files: &Files) -> Result<(), Fault> {
        Ok(())
    }
}

pub(super) struct Shell(Preparation, Arc<Seen>);

impl Gated for Shell {
    async fn open(&mut self, inputs: Inputs, output: mpsc::Sender<Chunk>) -> Result<Exit, Fault> {
        let failed = |error: std::io::Error| Fault::environment(error.to_string());
        if self.0.image.name == "restarting" && self.1.faults.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err(Fault::environment("the container engine was lost"));
        }
        // Where a container would have them mounted.
        let mounts = self.0.mounts.iter();
        let objects = mounts.filter(|mount| mount.target.starts_with(GIT_OBJECTS));
        let objects: Vec<_> = objects
            .map(|mount| mount.source.to_str().unwrap())
            .collect();
        let objects = objects.join(":");
        let workspace = self.0.workspace.directory().unwrap();
        let mut child = tokio::process::Command::new("/bin/sh")
            .args(["-c", &inputs.script])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects)
            .envs(&self.0.env)
            .envs(&inputs.env)
            .current_dir(workspace.join(&self.0.directory))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let read =
            async { tokio::try_join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err)) };
        read.await.map_err(failed)?;
        for (stream, bytes) in [(Stream::Stdout, out), (Stream::Stderr, err)] {
            let _ = output.send(Chunk { stream, bytes }).await;
        }
        let status = child.wait().await.map_err(failed)?;
        Ok(Exit {
            code: status.code().unwrap_or(137),
            out_of_memory: false,
        })
    }

    async fn discard(self) {}
}
