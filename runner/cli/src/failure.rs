//! The one wall where errors become messages and exit codes.

use std::fmt;

use capstan_engine::fault::{Fault, FaultClass};
use capstan_engine::plan::PlanError;
use capstan_plugin_store::{Class, StoreError};

/// How the program ends. The numbers are promised to users (README, "Exit codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All workspaces done.
    Success = 0,
    /// At least one workspace failed.
    Failed = 1,
    /// Bad arguments, spec or configuration; nothing was run.
    Usage = 2,
    /// The environment is not fit.
    Environment = 3,
    /// Refused by a plugin; nothing else failed.
    Refused = 4,
    /// Interrupted.
    Interrupted = 130,
}

/// An error on its way to the user.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) exit: Exit,
    /// What happened; empty if it has been told already.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl Failed {
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.to_string(),
            hint: None,
        }
    }

    pub(crate) fn environment(message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Environment,
            message: message.to_string(),
            hint: None,
        }
    }

    pub(crate) fn run(message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Failed,
            message: message.to_string(),
            hint: None,
        }
    }

    /// Ends with this code; everything has been said.
    pub(crate) fn told(exit: Exit) -> Self {
        Self {
            exit,
            message: String::new(),
            hint: None,
        }
    }

    /// What is wrong and what to do about it, for lists of such things.
    pub(crate) fn in_one_line(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.message),
            None => self.message.clone(),
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Before anything ran, what a fault names is an argument or the machine.
impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        let exit = match fault.class {
            FaultClass::Environment => Exit::Environment,
            FaultClass::Workspace => Exit::Usage,
        };
        Self {
            exit,
            message: fault.message,
            hint: fault.hint,
        }
    }
}

impl From<PlanError> for Failed {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Fault(fault) => fault.into(),
            PlanError::Resolve(error) => Self::usage(error),
        }
    }
}

impl From<crate::config::ConfigError> for Failed {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::usage(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        let exit = match error.class {
            Class::Configuration => Exit::Usage,
            Class::Environment => Exit::Environment,
        };
        Self {
            exit,
            message: error.message,
            hint: error.hint,
        }
    }
}
