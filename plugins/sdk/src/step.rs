//! What the SDK adds to steps.

use crate::{Amendment, Step};

impl Step {
    /// The names of its environment variables in byte order, each with its value; without one for a secret.
    pub fn environment(&self) -> Vec<(String, Option<String>)> {
        self.environment_names()
            .into_iter()
            .map(|name| {
                let value = self.environment_value(&name);
                (name, value)
            })
            .collect()
    }
}

impl Default for Amendment {
    fn default() -> Self {
        Self::new()
    }
}
