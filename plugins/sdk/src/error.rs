//! Failures of the plugin itself.

use crate::Error;

/// What a hook answers: something, or why it could not.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure. `code` is a short, stable word for programs (`config`, `input`, `io`); `message` tells people what
    /// happened, where, and what to do next.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            retryable: false,
        }
    }

    /// The same, and the same call may succeed when it is made again.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new("io", error.to_string())
    }
}
