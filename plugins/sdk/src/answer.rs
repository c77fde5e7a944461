//! What policies and diff plugins answer.

use crate::{Amendment, Refusal};

/// What a policy says of a job or a step.
#[derive(Debug)]
pub enum Decision {
    /// As it is.
    Keep,
    /// With these changes; a job's are made to every step.
    Change(Amendment),
    /// Not at all.
    Refuse(Refusal),
}

/// What a policy says of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// May leave.
    Keep,
    /// May not.
    Refuse(Refusal),
}

/// How a diff plugin ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The edits are complete.
    Done,
    /// The diff must not be used.
    Refuse(Refusal),
}

/// A "no": the rule that was broken, as the plugin's documentation names it, and for people what broke it and what would be
/// accepted.
pub fn refuse(rule: impl Into<String>, reason: impl Into<String>) -> Refusal {
    Refusal {
        rule: rule.into(),
        reason: reason.into(),
        details: Vec::new(),
    }
}

impl Refusal {
    /// Adds a fact; facts are shown in order.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a reference would be noise at every call"
    )]
    pub fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.details.push((name.into(), value.to_string()));
        self
    }
}

impl From<Refusal> for Decision {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

impl From<Amendment> for Decision {
    fn from(amendment: Amendment) -> Self {
        Self::Change(amendment)
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

/// Keeps if nothing speaks against it.
impl From<Option<Refusal>> for Decision {
    fn from(refusal: Option<Refusal>) -> Self {
        refusal.map_or(Self::Keep, Self::Refuse)
    }
}

/// Keeps if nothing speaks against it.
impl From<Option<Refusal>> for Verdict {
    fn from(refusal: Option<Refusal>) -> Self {
        refusal.map_or(Self::Keep, Self::Refuse)
    }
}
