//! `importChangesets`: changesets that exist already and are to be tracked.

use std::fmt;

use serde::Serialize;

use crate::gojson;
use crate::spec::ImportChangesets;

/// The spec of an existing changeset (facts/batch-spec.md 5.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedChangeset {
    /// Identity of the repository.
    #[serde(rename = "baseRepository")]
    pub repository_id: String,
    /// Identifier on the code host.
    #[serde(rename = "externalID")]
    pub external_id: String,
}

impl ImportedChangeset {
    /// The spec as Go-JSON.
    pub fn to_json(&self) -> String {
        gojson::to_string(self).expect("all keys of a changeset spec are text")
    }
}

/// Repositories of `importChangesets` that do not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRepositories {
    /// Their names, as in the batch spec.
    pub names: Vec<String>,
}

/// Makes the specs of the changesets to import; `repository_id` gives the identity of a repository by its name.
///
/// # Errors
///
/// All repositories that have no identity.
pub fn import(
    entries: &[ImportChangesets],
    repository_id: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<ImportedChangeset>, MissingRepositories> {
    let mut changesets = Vec::new();
    let mut names = Vec::new();
    for entry in entries {
        match repository_id(&entry.repository) {
            None => names.push(entry.repository.clone()),
            Some(repository_id) => {
                changesets.extend(
                    entry
                        .external_ids
                        .iter()
                        .map(|external_id| ImportedChangeset {
                            repository_id: repository_id.clone(),
                            external_id: external_id.clone(),
                        }),
                );
            }
        }
    }
    if names.is_empty() {
        Ok(changesets)
    } else {
        Err(MissingRepositories { names })
    }
}

impl std::error::Error for MissingRepositories {}

impl fmt::Display for MissingRepositories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.len() > 1 {
            write!(f, "{} errors occurred:", self.names.len())?;
        }
        for name in &self.names {
            if self.names.len() > 1 {
                f.write_str("\n\t* ")?;
            }
            write!(
                f,
                "resolving repository name \"{name}\": no repository found: check spelling and \
                 specify the repository in the format \"<codehost_url>/owner/repo-name\" or \
                 \"repo-name\" as required by your instance"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(repository: &str, external_ids: &[&str]) -> ImportChangesets {
        ImportChangesets {
            repository: repository.to_owned(),
            external_ids: external_ids.iter().map(|&id| id.to_owned()).collect(),
        }
    }

    #[test]
    fn each_identifier_is_a_spec_of_two_keys() {
        let id = |name: &str| Some(format!("id-{name}"));
        let specs = import(
            &[
                entry("a", &["12", "x<y"]),
                entry("b", &[]),
                entry("c", &["7"]),
            ],
            &id,
        );
        let json: Vec<_> = specs
            .unwrap()
            .iter()
            .map(ImportedChangeset::to_json)
            .collect();
        assert_eq!(
            json,
            [
                r#"{"baseRepository":"id-a","externalID":"12"}"#,
                r#"{"baseRepository":"id-a","externalID":"x\u003cy"}"#,
                r#"{"baseRepository":"id-c","externalID":"7"}"#,
            ]
        );
    }

    #[test]
    fn all_missing_repositories_are_told() {
        let id = |name: &str| (name == "a").then(|| "id".to_owned());
        let one = import(&[entry("a", &["1"]), entry("b", &["2"])], &id).unwrap_err();
        insta::assert_snapshot!(one, @r#"resolving repository name "b": no repository found: check spelling and specify the repository in the format "<codehost_url>/owner/repo-name" or "repo-name" as required by your instance"#);
        let two = import(&[entry("b", &[]), entry("c", &["2"])], &id).unwrap_err();
        insta::assert_snapshot!(two, @r#"
        2 errors occurred:
        	* resolving repository name "b": no repository found: check spelling and specify the repository in the format "<codehost_url>/owner/repo-name" or "repo-name" as required by your instance
        	* resolving repository name "c": no repository found: check spelling and specify the repository in the format "<codehost_url>/owner/repo-name" or "repo-name" as required by your instance
        "#);
    }
}
