//! What can go wrong that is not the user's command failing.

/// Whose turn it is to act on a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClass {
    /// The machine is not fit (engine unreachable, disk full, git missing): nothing else will work
    /// either, the run ends with exit code 3.
    Environment,
    /// This workspace cannot go on (image does not exist, repository has no such commit); the others can.
    Workspace,
}

/// An infrastructure failure. A user's failing command is not one: that is a normal
/// [`crate::sandbox::Exit`]. Neither is cancellation.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Whose turn it is.
    pub class: FaultClass,
    /// What happened and where, with its causes, as one text.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of the machine.
    pub fn environment(message: impl Into<String>) -> Self {
        Self {
            class: FaultClass::Environment,
            message: message.into(),
            hint: None,
        }
    }

    /// A fault of one workspace.
    pub fn workspace(message: impl Into<String>) -> Self {
        Self {
            class: FaultClass::Workspace,
            message: message.into(),
            hint: None,
        }
    }

    /// A failure of the file system, which no other workspace would be spared.
    pub fn disk(doing: &str, error: &std::io::Error) -> Self {
        let fault = Self::environment(format!("{doing}: {error}"));
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                fault.hint("free some disk space and run again")
            }
            _ => fault,
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
