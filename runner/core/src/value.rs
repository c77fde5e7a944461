//! Data that a step hands on through its `outputs`.

use std::collections::BTreeMap;

/// A value read from a step's output: JSON data, or what YAML can say beyond it.
///
/// Numbers keep their kind, since templates compare by kind (facts/batch-spec.md 2.3): a `json` output
/// has only [`Value::Float`], a `yaml` output has both.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// JSON `null`, YAML null.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A whole number from YAML.
    Int(i64),
    /// Any number from JSON, a fractional one from YAML.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Self>),
    /// A mapping with text keys, in sorted order.
    Map(BTreeMap<String, Self>),
    /// A YAML timestamp.
    Time(Time),
}

/// A YAML timestamp: an instant and the offset from UTC it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// The instant.
    pub instant: jiff::Timestamp,
    /// Offset from UTC, in seconds east.
    pub offset_seconds: i32,
}

/// All outputs set so far, by name.
pub type Outputs = BTreeMap<String, Value>;

impl Time {
    /// The text that templates print: `2024-01-02 00:00:00 +0000 UTC`. An offset other than zero has
    /// no name and stands twice: `+0200 +0200` (facts/batch-spec.md 2.6).
    #[must_use]
    pub fn go_text(&self) -> String {
        let local = self.local();
        let offset = local.strftime("%z");
        let zone = if self.offset_seconds == 0 {
            "UTC".to_owned()
        } else {
            offset.to_string()
        };
        format!(
            "{}{} {offset} {zone}",
            local.strftime("%Y-%m-%d %H:%M:%S"),
            fraction(&local)
        )
    }

    /// The RFC 3339 form that JSON has: `2024-01-02T00:00:00Z`.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        let local = self.local();
        let zone = if self.offset_seconds == 0 {
            "Z".to_owned()
        } else {
            offset_with_colon(&local)
        };
        format!(
            "{}{}{zone}",
            local.strftime("%Y-%m-%dT%H:%M:%S"),
            fraction(&local)
        )
    }

    /// The wall clock where the timestamp was written. An offset that no place on earth has is taken
    /// as UTC.
    fn local(&self) -> jiff::Zoned {
        let offset = jiff::tz::Offset::from_seconds(self.offset_seconds);
        self.instant
            .to_zoned(offset.unwrap_or(jiff::tz::Offset::UTC).to_time_zone())
    }
}

/// `.5` for half a second; nothing for a whole one.
fn fraction(time: &jiff::Zoned) -> String {
    match time.subsec_nanosecond() {
        0 => String::new(),
        nanoseconds => format!(".{nanoseconds:09}")
            .trim_end_matches('0')
            .to_owned(),
    }
}

fn offset_with_colon(time: &jiff::Zoned) -> String {
    let seconds = time.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_two_texts() {
        let table = [
            (
                "2024-01-02T00:00:00Z",
                0,
                "2024-01-02 00:00:00 +0000 UTC",
                "2024-01-02T00:00:00Z",
            ),
            (
                "2024-01-02T03:04:05.120Z",
                7200,
                "2024-01-02 05:04:05.12 +0200 +0200",
                "2024-01-02T05:04:05.12+02:00",
            ),
            (
                "2001-12-15T02:59:43.1Z",
                -18000,
                "2001-12-14 21:59:43.1 -0500 -0500",
                "2001-12-14T21:59:43.1-05:00",
            ),
            (
                "2024-01-02T00:00:00Z",
                19800,
                "2024-01-02 05:30:00 +0530 +0530",
                "2024-01-02T05:30:00+05:30",
            ),
        ];
        for (instant, offset_seconds, text, json) in table {
            let time = Time {
                instant: instant.parse().unwrap(),
                offset_seconds,
            };
            assert_eq!(time.go_text(), text);
            assert_eq!(time.rfc3339(), json);
        }
    }
}
