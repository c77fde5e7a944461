//! Files that containers wrote as other users: opened up for the next step, taken back for git and for removal.

use super::task::Progress;
use crate::fault::Fault;
use crate::sandbox::{Engine, Files, Image, User};
use crate::workspace::{Tidied, Whom, Workspace};

impl<E: Engine> Progress<'_, E> {
    /// Before a step in a container of `image`: earlier steps may have left files that its user may not change.
    pub(super) async fn before_step(&mut self, image: &Image) -> Result<(), Fault> {
        let step_is_root = self.runner.settings.user == User::Root || is_root(&image.user);
        if step_is_root || !self.unsettled {
            return Ok(());
        }
        self.settle(Whom::Everybody).await
    }

    /// After a step: git must be able to read what it wrote.
    pub(super) async fn after_step(&mut self) -> Result<(), Fault> {
        self.unsettled = true;
        if rustix::process::geteuid().is_root() {
            return Ok(());
        }
        self.settle(Whom::Runner).await
    }

    async fn settle(&mut self, whom: Whom) -> Result<(), Fault> {
        let image = self.image.clone();
        let mut reclaimed = false;
        loop {
            let workspace = self.workspace_mut()?;
            let files = workspace.files();
            match next(&workspace.settle(whom).await?, image.as_ref(), reclaimed) {
                Next::Done => {
                    let by_engine = matches!(files, Files::Overlay(_));
                    self.unsettled = by_engine && whom == Whom::Runner;
                    return Ok(());
                }
                Next::Reclaim(image) => self.runner.engine.reclaim(image, &files).await?,
                Next::GiveUp(example) => return Err(unreadable(&example)),
            }
            reclaimed = true;
        }
    }

    /// Removes a workspace, whoever its files belong to.
    pub(super) async fn remove(&mut self, workspace: &mut Workspace) -> Result<(), Fault> {
        let mut reclaimed = false;
        loop {
            match next(&workspace.remove().await?, self.image.as_ref(), reclaimed) {
                Next::Done => return Ok(()),
                Next::Reclaim(image) => {
                    let written = Files::Directory(workspace.written());
                    self.runner.engine.reclaim(image, &written).await?;
                }
                Next::GiveUp(example) => {
                    let root = workspace.written();
                    let root = root.display();
                    return Err(Fault::workspace(format!(
                        "files of another user, such as {example}, are left in {root}"
                    )));
                }
            }
            reclaimed = true;
        }
    }
}

fn unreadable(example: &str) -> Fault {
    Fault::workspace(format!(
        "files that a step wrote, such as {example}, cannot be read by the user that runs Capstan"
    ))
    .hint("run Capstan as root, or use an image whose user has your own user id")
}

#[derive(Debug, PartialEq, Eq)]
enum Next<'a> {
    Done,
    /// Take the files back with root rights in a container of this image, and try again.
    Reclaim(&'a Image),
    /// With the name of a file that stands in the way.
    GiveUp(String),
}

fn next<'a>(tidied: &Tidied, image: Option<&'a Image>, reclaimed: bool) -> Next<'a> {
    match (tidied, image) {
        (Tidied::Done, _) => Next::Done,
        (Tidied::NeedsReclaim { .. }, Some(image)) if !reclaimed => Next::Reclaim(image),
        (Tidied::NeedsReclaim { example, .. }, _) => Next::GiveUp(example.display().to_string()),
    }
}

/// Whether an image's user is root; its group does not matter.
fn is_root(user: &str) -> bool {
    let (name, _) = user.split_once(':').unwrap_or((user, ""));
    matches!(name, "" | "0" | "root")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_back_once_and_only_with_an_image() {
        let image = Image {
            name: "alpine:3".to_owned(),
            id: "sha256:1".to_owned(),
            user: String::new(),
        };
        let foreign = Tidied::NeedsReclaim {
            entries: 2,
            example: "build/out".into(),
        };
        let give_up = || Next::GiveUp("build/out".to_owned());
        for (tidied, image, reclaimed, expected) in [
            (&Tidied::Done, None, false, Next::Done),
            (&Tidied::Done, Some(&image), true, Next::Done),
            (&foreign, Some(&image), false, Next::Reclaim(&image)),
            (&foreign, Some(&image), true, give_up()),
            (&foreign, None, false, give_up()),
        ] {
            assert_eq!(next(tidied, image, reclaimed), expected);
        }
    }

    #[test]
    fn root_has_many_names() {
        for (user, expected) in [
            ("", true),
            ("0", true),
            ("root:users", true),
            ("0:0", true),
            ("1000:0", false),
            ("rooty", false),
        ] {
            assert_eq!(is_root(user), expected, "{user:?}");
        }
    }
}
