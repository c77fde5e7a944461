//! From the text of an output to its value.

mod json;

pub use json::JsonError;

use crate::spec::OutputFormat;
use crate::value::Value;
use crate::yaml;

/// How deep lists and maps of an output may nest. A cached result must be readable again, and readers of
/// JSON stop at 128 levels.
pub const MAX_DEPTH: usize = 100;

/// Why an output's text has no value. The messages are those of upstream where it has one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OutputError {
    /// The text is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The text is not YAML.
    #[error(transparent)]
    Yaml(#[from] yaml::OutputError),
    /// Lists and maps nest too deep.
    #[error("exceeded max depth of {MAX_DEPTH}")]
    Depth,
}

/// Decodes the rendered text of an output (facts/batch-spec.md 3.5).
///
/// Text is taken as it is, untrimmed. Of JSON the first value counts, of YAML the first document; anything
/// after that is ignored. JSON numbers are all floats.
///
/// # Errors
///
/// If the text is not in the format, or nests deeper than [`MAX_DEPTH`].
pub fn decode(format: Option<OutputFormat>, text: &str) -> Result<Value, OutputError> {
    match format {
        None | Some(OutputFormat::Text) => Ok(Value::String(text.to_owned())),
        Some(OutputFormat::Json) => json::first_value(text),
        Some(OutputFormat::Yaml) => {
            let value = yaml::output_value(text)?;
            if is_within(MAX_DEPTH, &value) {
                Ok(value)
            } else {
                Err(OutputError::Depth)
            }
        }
    }
}

/// Whether `value` nests at most `depth` levels; looks no deeper than that.
fn is_within(depth: usize, value: &Value) -> bool {
    let Some(below) = depth.checked_sub(1) else {
        return !matches!(value, Value::List(_) | Value::Map(_));
    };
    match value {
        Value::List(values) => values.iter().all(|value| is_within(below, value)),
        Value::Map(entries) => entries.values().all(|value| is_within(below, value)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_not_touched() {
        for format in [None, Some(OutputFormat::Text)] {
            let value = Value::String(" {\"a\": 1}\n".to_owned());
            assert_eq!(decode(format, " {\"a\": 1}\n"), Ok(value));
        }
    }

    #[test]
    fn numbers_are_floats_in_json_and_integers_in_yaml() {
        assert_eq!(
            decode(Some(OutputFormat::Json), "7\n"),
            Ok(Value::Float(7.0))
        );
        assert_eq!(decode(Some(OutputFormat::Yaml), "7\n"), Ok(Value::Int(7)));
    }

    #[test]
    fn nothing_is_an_error_in_json_and_yaml() {
        for format in [OutputFormat::Json, OutputFormat::Yaml] {
            assert_eq!(decode(Some(format), "").unwrap_err().to_string(), "EOF");
        }
    }

    #[test]
    fn nesting_is_limited() {
        for format in [OutputFormat::Json, OutputFormat::Yaml] {
            let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
            assert!(decode(Some(format), &nested(MAX_DEPTH)).is_ok());
            let error = decode(Some(format), &nested(MAX_DEPTH + 1)).unwrap_err();
            assert_eq!(error.to_string(), "exceeded max depth of 100");
        }
    }

    #[test]
    fn what_is_decoded_survives_the_cache() {
        let text = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        let result = crate::result::StepResult {
            outputs: [(
                "deep".to_owned(),
                decode(Some(OutputFormat::Json), &text).unwrap(),
            )]
            .into(),
            ..crate::result::StepResult::default()
        };
        let json = result.to_json(crate::diff::Encoding::Base64);
        assert_eq!(
            crate::result::StepResult::from_json(json.as_bytes()).unwrap(),
            result
        );
    }
}
