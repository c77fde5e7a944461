//! Why a component cannot be had.

/// Whose turn it is to act on a [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What was asked for is wrong: not pinned, changed, no component. Trying again does not help.
    Configuration,
    /// The machine, the network or a server failed.
    Environment,
}

/// A component that cannot be had, stored or published. The text holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// Whose turn it is.
    pub class: Class,
    /// What happened and where.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl StoreError {
    /// Something that was asked for is wrong.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self {
            class: Class::Configuration,
            message: message.into(),
            hint: None,
        }
    }

    /// The machine, the network or a server failed.
    pub fn environment(message: impl Into<String>) -> Self {
        Self {
            class: Class::Environment,
            message: message.into(),
            hint: None,
        }
    }

    /// A failure of the file system; `fs_err` has named the file.
    pub(crate) fn disk(error: &std::io::Error) -> Self {
        Self::environment(error.to_string())
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
