//! Outputs as JSON: what they lose on the way, and what they come back as.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::value::{Outputs, Value};

/// Writes outputs as a JSON object. JSON has one kind of number and no timestamps: integers and floats
/// become numbers, timestamps RFC 3339 texts, floats that are not finite `null`.
#[derive(Debug, Clone, Copy)]
pub struct OutputsJson<'a>(pub &'a Outputs);

impl Serialize for OutputsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, ValueJson(value))))
    }
}

struct ValueJson<'a>(&'a Value);

impl Serialize for ValueJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Nil => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::String(text) => serializer.serialize_str(text),
            Value::List(values) => serializer.collect_seq(values.iter().map(ValueJson)),
            Value::Map(entries) => {
                serializer.collect_map(entries.iter().map(|(key, value)| (key, ValueJson(value))))
            }
            Value::Time(time) => serializer.serialize_str(&time.rfc3339()),
        }
    }
}

/// Outputs from a JSON object. All numbers become floats (facts/batch-spec.md 9, item 9).
pub fn outputs_from_json(object: BTreeMap<String, serde_json::Value>) -> Outputs {
    object
        .into_iter()
        .map(|(name, value)| (name, from_json(value)))
        .collect()
}

/// Recursion is bounded by the depth that the JSON reader allows.
fn from_json(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(value) => Value::Bool(value),
        // Without arbitrary precision every JSON number has a value as a float.
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::String(text),
        serde_json::Value::Array(values) => {
            Value::List(values.into_iter().map(from_json).collect())
        }
        serde_json::Value::Object(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key, from_json(value)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::gojson;
    use crate::value::Time;

    fn json(value: &Value) -> String {
        gojson::to_string(&ValueJson(value)).unwrap()
    }

    fn time(text: &str, offset_seconds: i32) -> Value {
        Value::Time(Time {
            instant: text.parse().unwrap(),
            offset_seconds,
        })
    }

    #[rstest]
    #[case(Value::Nil, "null")]
    #[case(Value::Int(i64::MIN), "-9223372036854775808")]
    #[case(Value::Float(3.0), "3")]
    #[case(Value::Float(1e21), "1e+21")]
    #[case(Value::Float(f64::INFINITY), "null")]
    #[case(Value::String("<".to_owned()), r#""\u003c""#)]
    #[case(time("2024-01-02T00:00:00Z", 0), r#""2024-01-02T00:00:00Z""#)]
    #[case(time("2024-01-02T03:04:05.5Z", -5400), r#""2024-01-02T01:34:05.5-01:30""#)]
    fn written(#[case] value: Value, #[case] text: &str) {
        assert_eq!(json(&value), text);
    }

    #[test]
    fn integers_come_back_as_floats() {
        let text = json(&Value::List(vec![
            Value::Int(7),
            Value::Bool(true),
            Value::Nil,
        ]));
        let back = from_json(serde_json::from_str(&text).unwrap());
        assert_eq!(
            back,
            Value::List(vec![Value::Float(7.0), Value::Bool(true), Value::Nil])
        );
    }

    proptest! {
        #[test]
        fn floats_come_back_exactly(number in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL) {
            let back = from_json(serde_json::from_str(&json(&Value::Float(number))).unwrap());
            prop_assert_eq!(back, Value::Float(number));
        }
    }
}
