//! Which files differ from the base commit, as templates and step results name them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The files that differ between the base commit and the working tree, cumulative over all steps
/// so far, in the order of the diff (facts/batch-spec.md 3.6).
///
/// Names are UTF-8; bytes that are not are replaced, as the JSON form demands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangedFiles {
    /// Same name on both sides.
    #[serde(serialize_with = "write_list", deserialize_with = "read_list")]
    pub modified: Vec<String>,
    /// Only on the new side.
    #[serde(serialize_with = "write_list", deserialize_with = "read_list")]
    pub added: Vec<String>,
    /// Only on the old side.
    #[serde(serialize_with = "write_list", deserialize_with = "read_list")]
    pub deleted: Vec<String>,
    /// Different names; the new one is listed.
    #[serde(serialize_with = "write_list", deserialize_with = "read_list")]
    pub renamed: Vec<String>,
}

/// An empty list is `null`, as Go writes it.
fn write_list<S: Serializer>(list: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    (!list.is_empty()).then_some(list).serialize(serializer)
}

fn read_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gojson;

    #[test]
    fn empty_lists_are_null() {
        let files = ChangedFiles {
            added: vec!["a<b".to_owned()],
            ..ChangedFiles::default()
        };
        let json = r#"{"modified":null,"added":["a\u003cb"],"deleted":null,"renamed":null}"#;
        assert_eq!(gojson::to_string(&files).unwrap(), json);
        assert_eq!(serde_json::from_str::<ChangedFiles>(json).unwrap(), files);
    }

    #[test]
    fn absent_lists_are_empty() {
        assert_eq!(
            serde_json::from_str::<ChangedFiles>(r#"{"added":[]}"#).unwrap(),
            ChangedFiles::default()
        );
    }
}
