//! Takes a workspace's files back from other users, for a runner that is not root itself.

use std::path::Path;

use tokio::sync::mpsc;

use super::sandbox::DockerSandbox;
use crate::fault::Fault;
use crate::sandbox::{
    Chunk, Files, Gated, Image, Inputs, Limits, Preparation, Sandbox, User, WORK,
};

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
        let mut container = self
            .prepare(Preparation {
                purpose: "giving files back".to_owned(),
                image: image.clone(),
                user: User::Root,
                workspace: Files::Directory(directory.to_owned()),
                place: WORK.to_owned(),
                directory: String::new(),
                env: std::collections::BTreeMap::new(),
                files: Vec::new(),
                mounts: Vec::new(),
                limits: Limits::default(),
                network: Some("none".to_owned()),
                shared: None,
                hosts: Vec::new(),
                platform: None,
            })
            .await?;
        let (sender, mut receiver) = mpsc::channel::<Chunk>(16);
        let inputs = Inputs {
            script: format!("chown -hR {uid}:{gid} {WORK}"),
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
                "giving files back in {}: exit code {}: {}",
                directory.display(),
                exit.code,
                String::from_utf8_lossy(&text).trim()
            ))),
        }
    }
}
