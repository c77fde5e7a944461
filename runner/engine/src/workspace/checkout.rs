//! Lays out the files of a commit, all of them or one directory.

use super::{Layout, Workspace};
use crate::fault::Fault;
use crate::git::GitError;
use crate::state::free_space;

/// Limit of the list of files of a commit, in bytes.
const LISTING: usize = 512 * 1024 * 1024;

/// A disk with less than this many bytes left is what kept a file from being written.
const ALMOST_FULL: u64 = 64 * 1024;

const CONTEXT: &str = "creating workspace: checking out";

impl Workspace {
    /// Lays out the files of the commit that the layout wants, in an empty directory.
    pub(super) async fn lay_out_files(&mut self, layout: Layout<'_>) -> Result<(), Fault> {
        if !layout.patterns.is_empty() {
            super::make_sparse(&self.git_dir(), layout.patterns)
                .map_err(|error| Fault::disk("creating workspace", &error))?;
        }
        if layout.only.is_empty() {
            self.check_out_all().await
        } else {
            self.check_out_part(layout.only).await
        }
    }

    async fn check_out_all(&mut self) -> Result<(), Fault> {
        let checkout = self.git.isolated_world_writable("read-tree");
        self.environment(checkout)
            .args(["-m", "-u", &self.base_rev])
            .run()
            .await
            .map_err(|error| self.explain(error))
    }

    /// Only `path`, and the files above it that tell git what to ignore and how to convert. The base of the diff
    /// becomes the tree of just these, so that the rest does not count as deleted.
    async fn check_out_part(&mut self, path: &str) -> Result<(), Fault> {
        let path = path.trim_matches('/');
        let mut wanted = vec![path.to_owned()];
        let mut above = Some("");
        while let Some(directory) = above {
            for name in [".gitignore", ".gitattributes"] {
                wanted.push(if directory.is_empty() {
                    name.to_owned()
                } else {
                    format!("{directory}/{name}")
                });
            }
            let rest = &path[if directory.is_empty() {
                0
            } else {
                directory.len() + 1
            }..];
            above = rest
                .find('/')
                .map(|slash| &path[..path.len() - rest.len() + slash]);
        }
        let listing = self
            .run("ls-tree")
            .args(["-r", "-z", "--full-tree", &self.base_rev, "--"])
            .args(&wanted)
            .output(LISTING)
            .await
            .map_err(|error| self.explain(error))?;
        let inside = format!("{path}/");
        let exists = listing
            .split(|&byte| byte == 0)
            .filter_map(|line| line.split(|&byte| byte == b'\t').nth(1))
            .any(|name| name.starts_with(inside.as_bytes()));
        if !exists {
            return Err(Fault::workspace(format!(
                "creating workspace: there is no directory {path:?} in commit {}",
                self.base_rev
            )));
        }
        self.run("update-index")
            .args(["-z", "--index-info"])
            .input(listing)
            .run()
            .await
            .map_err(|error| self.explain(error))?;
        let checkout = self.git.isolated_world_writable("checkout-index");
        self.environment(checkout)
            .args(["--all", "--index", "--quiet"])
            .run()
            .await
            .map_err(|error| self.explain(error))?;
        self.base = self
            .run("write-tree")
            .text()
            .await
            .map_err(|error| self.explain(error))?;
        Ok(())
    }

    fn explain(&self, error: GitError) -> Fault {
        let says =
            |text: &str| matches!(&error, GitError::Failed { stderr, .. } if stderr.contains(text));
        let incomplete = says("unable to read") || says("promisor");
        // Git does not say why it could not write a file. What it has written of it is still there.
        let full = says("unable to write file")
            && free_space(&self.root).is_ok_and(|free| free < ALMOST_FULL);
        let fault = error.into_fault(CONTEXT);
        if full {
            return Fault::environment(format!("{}: the disk is full", fault.message))
                .hint("free some disk space and run again");
        }
        if incomplete {
            return fault.hint(
                "the repository lacks objects of this commit: if it is a partial clone, run `git checkout` of the commit there first",
            );
        }
        fault
    }
}
