//! Reading JSON objects as Go's decoder does: names in any case, `null` for nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// A text that is not what it should be. It says where, not what stands there: that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is no JSON.
    #[error("invalid JSON at line {line}, column {column}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in bytes.
        column: usize,
    },
    /// A value is of another kind.
    #[error("{place}: expected {expected}")]
    Kind {
        /// Where, such as `dockerSteps[1].commands`.
        place: String,
        /// What had been expected.
        expected: &'static str,
    },
}

impl DecodeError {
    pub(crate) fn kind(place: impl Into<String>, expected: &'static str) -> Self {
        Self::Kind {
            place: place.into(),
            expected,
        }
    }

    /// The same, inside of `outer`.
    pub(crate) fn within(self, outer: &str) -> Self {
        match self {
            Self::Kind { place, expected } if place.is_empty() => Self::kind(outer, expected),
            Self::Kind { place, expected } => Self::kind(format!("{outer}.{place}"), expected),
            Self::Syntax { .. } => self,
        }
    }
}

pub(crate) fn parse(text: &[u8]) -> Result<Value, DecodeError> {
    serde_json::from_slice(text).map_err(|error| DecodeError::Syntax {
        line: error.line(),
        column: error.column(),
    })
}

/// The fields of an object that have not been taken yet.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, DecodeError> {
        Self::of(parse(text)?)
    }

    pub(crate) fn of(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(DecodeError::kind("", "an object")),
        }
    }

    /// Whether there is a field of this name, be it null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.keys().any(|key| key.eq_ignore_ascii_case(name))
    }

    /// Takes the value of a field out; null is no value. Of several spellings the exact one counts.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let value = match self.0.remove(name) {
            Some(value) => value,
            None => {
                let key = self.0.keys().find(|key| key.eq_ignore_ascii_case(name));
                let key = key.cloned()?;
                self.0.remove(&key)?
            }
        };
        Some(value).filter(|value| !value.is_null())
    }

    /// A text; empty if there is none.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, DecodeError> {
        let text = self.take(name).map(|value| text(value, name));
        Ok(text.transpose()?.unwrap_or_default())
    }

    /// Yes or no; no if there is nothing.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, DecodeError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(DecodeError::kind(name, "true or false")),
        }
    }

    /// A whole number, or a text of digits.
    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, DecodeError> {
        let number = self
            .take(name)
            .map(|value| integer(&value).ok_or_else(|| DecodeError::kind(name, "a whole number")));
        number.transpose()
    }

    /// A point in time; `None` if there is none, or if it is Go's zero time.
    pub(crate) fn time(&mut self, name: &str) -> Result<Option<Timestamp>, DecodeError> {
        let text = self.text(name)?;
        if text.is_empty() || text.starts_with("0001-01-01T") {
            return Ok(None);
        }
        text.parse()
            .map(Some)
            .map_err(|_| DecodeError::kind(name, "a time such as 2006-01-02T15:04:05Z"))
    }

    /// A list; empty if there is none. `read` makes an element of a value.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        read: impl Fn(Value) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let values = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(_) => return Err(DecodeError::kind(name, "a list")),
        };
        let values = values.into_iter().enumerate();
        values
            .map(|(index, value)| {
                read(value).map_err(|error| error.within(&format!("{name}[{index}]")))
            })
            .collect()
    }

    /// A list of texts; empty if there is none.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, DecodeError> {
        self.list(name, |value| text(value, ""))
    }

    /// An object whose names are data; empty if there is none.
    pub(crate) fn map<T>(
        &mut self,
        name: &str,
        read: impl Fn(Value) -> Result<T, DecodeError>,
    ) -> Result<BTreeMap<String, T>, DecodeError> {
        let values = match self.take(name) {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(values)) => values,
            Some(_) => return Err(DecodeError::kind(name, "an object")),
        };
        let values = values.into_iter().enumerate();
        values
            .map(|(index, (key, value))| match read(value) {
                Ok(value) => Ok((key, value)),
                // The key may be a secret, as in `redactedValues`.
                Err(error) => Err(error.within(&format!("{name}{{{index}}}"))),
            })
            .collect()
    }
}

/// A text; null is the empty one, as in Go.
pub(crate) fn text(value: Value, place: &str) -> Result<String, DecodeError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        _ => Err(DecodeError::kind(place, "a text")),
    }
}

/// A whole number: `42`, `42.0`, `"42"`.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    /// Up to here a float knows every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64()?;
            let whole = float.fract() == 0.0 && float.abs() <= EXACT;
            whole.then_some(float as i64)
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_in_any_case_and_null_for_nothing() {
        let mut fields =
            Fields::of(json!({"knownIDs": ["1"], "TOKEN": null, "Flag": true})).unwrap();
        assert!(fields.has("token") && !fields.has("other"));
        assert_eq!(fields.texts("knownIds").unwrap(), ["1"]);
        assert_eq!(fields.text("token").unwrap(), "");
        assert!(fields.flag("flag").unwrap());
        assert!(!fields.flag("other").unwrap());
    }

    #[test]
    fn the_exact_name_counts_if_there_are_two() {
        let mut fields = Fields::of(json!({"ID": 1, "id": 2})).unwrap();
        assert_eq!(fields.integer("id").unwrap(), Some(2));
    }

    #[test]
    fn whole_numbers_in_every_spelling() {
        for (value, expected) in [
            (json!(42), Some(42)),
            (json!(42.0), Some(42)),
            (json!("42"), Some(42)),
            (json!(-1), Some(-1)),
            (json!(4.5), None),
            (json!("four"), None),
            (json!(1e300), None),
            (json!(18_446_744_073_709_551_615_u64), None),
            (json!([42]), None),
            (json!(true), None),
        ] {
            assert_eq!(integer(&value), expected, "{value}");
        }
    }

    #[test]
    fn errors_say_where_and_never_what() {
        let mut fields =
            Fields::of(json!({"env": ["A=1", {"secret": 1}], "map": {"s3cret": 5}})).unwrap();
        let error = fields.texts("env").unwrap_err();
        assert_eq!(error.to_string(), "env[1]: expected a text");
        let error = fields.map("map", |value| text(value, "")).unwrap_err();
        assert_eq!(error.to_string(), "map{0}: expected a text");
        let error = parse(b"{\n  \"token\": s3cret}").unwrap_err();
        assert_eq!(error.to_string(), "invalid JSON at line 2, column 12");
    }

    #[test]
    fn go_s_zero_time_is_none() {
        for (text, expected) in [
            (json!("0001-01-01T00:00:00Z"), None),
            (json!(null), None),
            (json!(""), None),
            (json!("2023-03-01T10:00:00Z"), Some(1_677_664_800)),
            (json!("2023-03-01T11:00:00.25+01:00"), Some(1_677_664_800)),
        ] {
            let mut fields = Fields::of(json!({ "at": text })).unwrap();
            let seconds = fields.time("at").unwrap().map(Timestamp::as_second);
            assert_eq!(seconds, expected, "{text}");
        }
        let mut fields = Fields::of(json!({"at": "yesterday"})).unwrap();
        assert!(fields.time("at").is_err());
    }
}
