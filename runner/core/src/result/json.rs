//! Step results as JSON, in the two versions that servers and caches hold.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};

use super::{OutputsJson, StepResult, outputs_from_json};
use crate::changed_files::ChangedFiles;
use crate::diff::Encoding;
use crate::gojson::{self, Base64, Text};

/// A step result in one version of its JSON; made by [`StepResult::as_json`].
#[derive(Debug, Clone, Copy)]
pub struct StepResultJson<'a> {
    result: &'a StepResult,
    encoding: Encoding,
}

impl StepResult {
    /// The result as it goes into an event.
    pub fn as_json(&self, encoding: Encoding) -> StepResultJson<'_> {
        StepResultJson {
            result: self,
            encoding,
        }
    }

    /// The result as the Go-JSON text that a cache entry holds.
    pub fn to_json(&self, encoding: Encoding) -> String {
        gojson::to_string(&self.as_json(encoding)).expect("all keys of a step result are text")
    }

    /// Reads either version: 2 has its diff in base64, anything else as text.
    ///
    /// Absent and `null` fields are empty ones.
    ///
    /// # Errors
    ///
    /// If the text is not JSON, a field has another type, or the base64 is invalid.
    pub fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }
}

impl Serialize for StepResultJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Object<'a, D> {
            #[serde(skip_serializing_if = "Option::is_none")]
            version: Option<u32>,
            changed_files: &'a ChangedFiles,
            stdout: &'a str,
            stderr: &'a str,
            step_index: usize,
            diff: D,
            outputs: OutputsJson<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            skipped: Option<bool>,
        }

        impl<'a, D: Serialize> Object<'a, D> {
            fn new(result: &'a StepResult, diff: D, is_version_2: bool) -> Self {
                Object {
                    version: is_version_2.then_some(2),
                    changed_files: &result.changed_files,
                    stdout: &result.stdout,
                    stderr: &result.stderr,
                    step_index: result.step_index,
                    diff,
                    outputs: OutputsJson(&result.outputs),
                    skipped: is_version_2.then_some(false),
                }
            }
        }

        let diff = &self.result.diff;
        match self.encoding {
            Encoding::Text => Object::new(self.result, Text(diff), false).serialize(serializer),
            Encoding::Base64 => Object::new(self.result, Base64(diff), true).serialize(serializer),
        }
    }
}

/// The fields of either version as they are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct Fields {
    version: Option<i64>,
    changed_files: Option<ChangedFiles>,
    stdout: Option<String>,
    stderr: Option<String>,
    step_index: Option<usize>,
    diff: Option<String>,
    outputs: Option<BTreeMap<String, serde_json::Value>>,
}

impl TryFrom<Fields> for StepResult {
    type Error = InvalidDiff;

    fn try_from(fields: Fields) -> Result<Self, InvalidDiff> {
        let diff = fields.diff.unwrap_or_default();
        Ok(Self {
            step_index: fields.step_index.unwrap_or_default(),
            diff: if fields.version == Some(2) {
                STANDARD.decode(diff)?
            } else {
                diff.into_bytes()
            },
            changed_files: fields.changed_files.unwrap_or_default(),
            stdout: fields.stdout.unwrap_or_default(),
            stderr: fields.stderr.unwrap_or_default(),
            outputs: outputs_from_json(fields.outputs.unwrap_or_default()),
        })
    }
}

/// The diff of a version 2 result is not base64.
#[derive(Debug, thiserror::Error)]
#[error("the diff of the step result is not valid base64: {0}")]
pub(super) struct InvalidDiff(#[from] base64::DecodeError);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::value::Value;

    fn sample(outputs: &[(&str, Value)]) -> StepResult {
        StepResult {
            step_index: 2,
            diff: b"diff --git a a\n".to_vec(),
            changed_files: ChangedFiles {
                modified: vec!["a".to_owned()],
                ..ChangedFiles::default()
            },
            stdout: "o\n".to_owned(),
            stderr: String::new(),
            outputs: outputs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        }
    }

    const V1: &str = r#"{"changedFiles":{"modified":["a"],"added":null,"deleted":null,"renamed":null},"stdout":"o\n","stderr":"","stepIndex":2,"diff":"diff --git a a\n","outputs":{"a":null,"b":1}}"#;
    const V2: &str = r#"{"version":2,"changedFiles":{"modified":["a"],"added":null,"deleted":null,"renamed":null},"stdout":"o\n","stderr":"","stepIndex":2,"diff":"ZGlmZiAtLWdpdCBhIGEK","outputs":{},"skipped":false}"#;

    /// facts/batch-spec.md 10.4.
    #[rstest]
    #[case(&[("a", Value::Nil), ("b", Value::Float(1.0))], Encoding::Text, V1)]
    #[case(&[], Encoding::Base64, V2)]
    fn vectors(#[case] outputs: &[(&str, Value)], #[case] encoding: Encoding, #[case] json: &str) {
        let result = sample(outputs);
        assert_eq!(result.to_json(encoding), json);
        assert_eq!(StepResult::from_json(json.as_bytes()).unwrap(), result);
    }

    #[test]
    fn an_empty_diff_is_null_in_version_2() {
        let json = StepResult::default().to_json(Encoding::Base64);
        assert!(json.contains(r#""diff":null,"#), "{json}");
        assert_eq!(
            StepResult::from_json(json.as_bytes()).unwrap(),
            StepResult::default()
        );
    }

    #[rstest]
    #[case("{}")]
    #[case(r#"{"outputs":null,"changedFiles":null,"stdout":null,"diff":null,"version":null}"#)]
    #[case(r#"{"version":2,"diff":null,"somethingNew":1}"#)]
    fn what_is_absent_is_empty(#[case] json: &str) {
        assert_eq!(
            StepResult::from_json(json.as_bytes()).unwrap(),
            StepResult::default()
        );
    }

    #[rstest]
    #[case("")]
    #[case("null")]
    #[case("7")]
    #[case(r#"{"stepIndex":-1}"#)]
    #[case(r#"{"outputs":[]}"#)]
    #[case(r#"{"version":2,"diff":"not base64"}"#)]
    #[case(r#"{"changedFiles":{"added":"a"}}"#)]
    #[case(r#"{"stdout":"cut sho"#)]
    fn what_is_invalid_is_an_error(#[case] json: &str) {
        assert!(StepResult::from_json(json.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn version_2_keeps_every_byte(diff in prop::collection::vec(any::<u8>(), 0..40), stdout in any::<String>()) {
            let result = StepResult { diff, stdout, ..StepResult::default() };
            let json = result.to_json(Encoding::Base64);
            prop_assert_eq!(StepResult::from_json(json.as_bytes()).unwrap(), result);
        }

        #[test]
        fn version_1_always_is_json(diff in prop::collection::vec(any::<u8>(), 0..40)) {
            let result = StepResult { diff: diff.clone(), ..StepResult::default() };
            let back = StepResult::from_json(result.to_json(Encoding::Text).as_bytes()).unwrap();
            let text = gojson::utf8(&diff);
            prop_assert_eq!(back.diff, text.as_bytes());
        }
    }
}
