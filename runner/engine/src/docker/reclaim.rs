//! Takes a workspace's files back from other users, for a runner that is not root itself.

use std::path::Path;

use tokio::sync::mpsc;

use super::sandbox::DockerSandbox;
use crate::fault::Fault;
use crate::sandbox::{Chunk, Files, Gated, Image, Inputs, Preparation, Sandbox, User, WORK};

/// Most of an error's text that is kept.
const TEXT: usize = 4096;

impl DockerSandbox {
    /// Gives all files of `directory` to a user and group of the host, by a root container of `image`, which must
    /// have `chown`. Symlinks are changed themselves and not followed.
    ///
    /// Where the engine maps root to the runner's own user (rootless), that user is who gets them.
    ///
    /// # Errors
    /// A workspace fault when `chown` fails, and what [`Sandbox::prepare`] and [`Gated::open`] return.
    pub async fn chown(
        &self,
        image: &Image,
        directory: &Path,
        uid: u32,
        gid: u32,
    ) -> Result<(), Fault> {
        let (uid, gid) = if self.shared.info.rootless {
            (0, 0)
        } else {
            (uid, gid)
        };
        let files = Files::Directory(directory.to_owned());
        let script = format!("chown -hR {uid}:{gid} {WORK}");
        self.with_root_rights(image, &files, script).await
    }

    /// Opens the files of a workspace that the engine mounts to everybody, by a root container of `image`, which must have `find` and
    /// `chmod`. Only those that are not open yet are touched, as whatever is touched is copied from the layer below.
    ///
    /// # Errors
    /// A workspace fault when that fails, and what [`Sandbox::prepare`] and [`Gated::open`] return.
    pub async fn open_up(&self, image: &Image, files: &Files) -> Result<(), Fault> {
        let script = [("d", "0777", "a+rwx"), ("f", "0666", "a+rw")].map(|(kind, open, mode)| {
            format!("find {WORK} -xdev -type {kind} ! -perm -{open} -exec chmod {mode} {{}} +")
        });
        let script = script.join(" && ");
        self.with_root_rights(image, files, script).await
    }

    async fn with_root_rights(
        &self,
        image: &Image,
        files: &Files,
        script: String,
    ) -> Result<(), Fault> {
        let purpose = "giving files back".to_owned();
        let mut container = self
            .prepare(Preparation {
                user: User::Root,
                network: Some("none".to_owned()),
                ..Preparation::bare(purpose, image.clone(), files.clone())
            })
            .await?;
        let (sender, mut receiver) = mpsc::channel::<Chunk>(16);
        let inputs = Inputs {
            script,
            ..Inputs::default()
        };
        let read = async {
            let mut text = Vec::new();
            while let Some(chunk) = receiver.recv().await {
                let room = TEXT - text.len();
                text.extend(chunk.bytes.into_iter().take(room));
            }
            text
        };
        let (exit, text) = tokio::join!(container.open(inputs, sender), read);
        container.discard().await;
        match exit? {
            exit if exit.code == 0 => Ok(()),
            exit => Err(Fault::workspace(format!(
                "giving files of the workspace back: exit code {}: {}",
                exit.code,
                String::from_utf8_lossy(&text).trim()
            ))),
        }
    }
}
