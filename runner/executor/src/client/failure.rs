//! Why a call failed.

/// A call that failed. The text holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    /// What happened, and where.
    pub message: String,
    /// What it means.
    pub cause: Cause,
}

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The server refuses the credentials (401, 403).
    Refused,
    /// The job is not, or no longer, this executor's.
    Lost,
    /// The server answered with another status than those of success.
    Status(u16),
    /// Nothing listens there.
    NotThere,
    /// There was no answer, or not a whole one.
    NoAnswer,
    /// The answer cannot be understood.
    Rubbish,
}

impl ClientError {
    /// Whether trying again later may help.
    pub fn may_pass(&self) -> bool {
        match self.cause {
            Cause::NotThere | Cause::NoAnswer => true,
            Cause::Status(status) => status == 429 || status >= 500 && status != 501,
            Cause::Refused | Cause::Lost | Cause::Rubbish => false,
        }
    }

    /// The error of a call that only needs the executor's secret, with what to look at.
    pub fn explained(&self) -> String {
        let advice = match self.cause {
            Cause::Refused => {
                "is EXECUTOR_FRONTEND_PASSWORD the value of executors.accessToken in the site configuration? A hub's is in the file executor-secret of its data directory"
            }
            Cause::Status(404) => {
                "is EXECUTOR_FRONTEND_URL the address of a Sourcegraph instance or a hub?"
            }
            Cause::Status(500) => "is executors.accessToken set in the site configuration?",
            Cause::Status(300..=399) => "set EXECUTOR_FRONTEND_URL to the address it sends to",
            Cause::NotThere | Cause::NoAnswer => {
                "check EXECUTOR_FRONTEND_URL, the network and the proxy (HTTPS_PROXY, NO_PROXY)"
            }
            Cause::Lost | Cause::Status(_) | Cause::Rubbish => return self.to_string(),
        };
        format!("{self}; {advice}")
    }

    /// An answer that cannot be understood.
    pub(crate) fn rubbish(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            cause: Cause::Rubbish,
        }
    }
}
