//! The environment variables of a step, before their templates are rendered.

use std::collections::BTreeMap;

use crate::spec::{EnvVar, Environment};

/// Looks up the forwarded variables of `environment` in the outer environment (facts/batch-spec.md 3.2).
///
/// A variable that `outer` does not know is empty; of two variables with one name the later wins.
/// All values, forwarded ones too, are templates still.
pub fn resolve_environment(
    environment: &Environment,
    outer: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    environment
        .vars
        .iter()
        .map(|var| match var {
            EnvVar::Static { name, value } => (name.clone(), value.clone()),
            EnvVar::Forwarded { name } => (name.clone(), outer(name).unwrap_or_default()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(name: &str, value: &str) -> EnvVar {
        EnvVar::Static {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    fn forwarded(name: &str) -> EnvVar {
        EnvVar::Forwarded {
            name: name.to_owned(),
        }
    }

    #[test]
    fn forwarded_variables_come_from_outside_and_later_ones_win() {
        let environment = Environment {
            vars: vec![
                fixed("A", "one"),
                forwarded("HOME_DIR"),
                forwarded("MISSING"),
                fixed("A", "${{ two }}"),
                fixed("B", "fixed"),
                forwarded("B"),
            ],
        };
        let outer = |name: &str| match name {
            "HOME_DIR" => Some("/h".to_owned()),
            "B" => Some("outer".to_owned()),
            _ => None,
        };
        let resolved = resolve_environment(&environment, &outer);
        let expected = [
            ("A", "${{ two }}"),
            ("B", "outer"),
            ("HOME_DIR", "/h"),
            ("MISSING", ""),
        ];
        assert_eq!(
            resolved,
            expected
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        );
    }
}
