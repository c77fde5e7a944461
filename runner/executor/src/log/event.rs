//! Taking secrets out of events without breaking them.
//!
//! Servers parse these lines: a replacement with a quote in it must not end a text early, and a key or a diff must not change because a
//! secret happens to look like a part of it (facts/executor-protocol.md 4.7).

use super::redact::Redaction;

/// Events with what a step left behind. Servers store what is in them.
const RESULT: &str = "\"operation\":\"CACHE_AFTER_STEP_RESULT\"";

/// What a bracket opened.
enum Level {
    Object { key_is_next: bool },
    Array,
}

/// The event without secrets. Of a result only what the step printed is looked at.
pub(super) fn redact(json: &str, redaction: &Redaction) -> String {
    if !json.starts_with('{') {
        return redaction.apply(json).into_owned();
    }
    if redaction.apply(json) == json && !json.contains('\\') {
        return json.to_owned();
    }
    rewrite(json, redaction).unwrap_or_else(|| redaction.apply(json).into_owned())
}

fn rewrite(json: &str, redaction: &Redaction) -> Option<String> {
    let is_result = json.contains(RESULT);
    let mut out = String::with_capacity(json.len());
    let mut levels: Vec<Level> = Vec::new();
    let mut key = "";
    let mut rest = json;
    while let Some(at) = rest.find(['{', '}', '[', ']', ',', ':', '"']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('"') {
            let end = literal_end(rest)?;
            let literal = &rest[..end];
            rest = &rest[end..];
            match levels.last() {
                Some(Level::Object { key_is_next: true }) => {
                    key = literal.trim_matches('"');
                    out.push_str(literal);
                }
                _ if is_open(levels.len(), key, is_result) => {
                    out.push_str(&redacted(literal, redaction)?);
                }
                _ => out.push_str(literal),
            }
            continue;
        }
        let (mark, after) = rest.split_at(1);
        match mark {
            "{" => levels.push(Level::Object { key_is_next: true }),
            "[" => levels.push(Level::Array),
            "}" | "]" => {
                levels.pop()?;
            }
            _ => {
                if let Some(Level::Object { key_is_next }) = levels.last_mut() {
                    *key_is_next = mark == ",";
                }
            }
        }
        out.push_str(mark);
        rest = after;
    }
    out.push_str(rest);
    levels.is_empty().then_some(out)
}

/// Whether a text at this depth, under this key, is for people. An event is `{.., "metadata": {.., "value": {..}}}`.
fn is_open(depth: usize, key: &str, is_result: bool) -> bool {
    if is_result {
        depth == 3 && matches!(key, "stdout" | "stderr")
    } else {
        depth > 1 && key != "diff"
    }
}

/// Where the text literal at the beginning ends, its quotes included.
fn literal_end(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    let mut bytes = text.bytes().enumerate().skip(1);
    let end = bytes.find(|(_, byte)| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.map(|(at, _)| at + 1)
}

fn redacted(literal: &str, redaction: &Redaction) -> Option<String> {
    let text: String = serde_json::from_str(literal).ok()?;
    let clean = redaction.apply(&text);
    match clean == text {
        true => Some(literal.to_owned()),
        false => capstan_core::gojson::to_string(&*clean).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn redaction(pairs: &[(&str, &str)]) -> Redaction {
        let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        let values: BTreeMap<_, _> = pairs.iter().map(owned).collect();
        Redaction::new(&values, []).unwrap()
    }

    #[test]
    fn texts_for_people_lose_their_secrets() {
        let redaction = redaction(&[("s3cret", "${{ secrets.T }}"), ("a\"b", "\"quoted\"")]);
        for (event, expected) in [
            (
                r#"{"operation":"TASK_STEP","metadata":{"step":1,"env":{"T":"s3cret"}}}"#,
                r#"{"operation":"TASK_STEP","metadata":{"step":1,"env":{"T":"${{ secrets.T }}"}}}"#,
            ),
            (
                r#"{"operation":"TASK_STEP","metadata":{"env":{"T":"xa\"bx"}}}"#,
                r#"{"operation":"TASK_STEP","metadata":{"env":{"T":"x\"quoted\"x"}}}"#,
            ),
            (
                r#"{"operation":"TASK_STEP","metadata":{"out":["s3cret","\\"],"n":[1,null]}}"#,
                r#"{"operation":"TASK_STEP","metadata":{"out":["${{ secrets.T }}","\\"],"n":[1,null]}}"#,
            ),
        ] {
            assert_eq!(redact(event, &redaction), expected);
        }
    }

    #[test]
    fn results_stay_whole() {
        // Secrets that occur in everything a result is made of.
        let redaction = redaction(&[
            ("diff", "\"}"),
            ("key", "1"),
            ("CACHE", ""),
            ("ZGlmZg", "[x]"),
            ("true", "yes"),
            ("said", "***"),
            ("e", "E"),
        ]);
        let event = r#"{"operation":"CACHE_AFTER_STEP_RESULT","timestamp":"2026-01-01T00:00:00Z","status":"SUCCESS","metadata":{"key":"key-step-0","value":{"version":2,"changedFiles":{"modified":["diff"]},"stdout":"said","stderr":"","stepIndex":0,"diff":"ZGlmZg==","outputs":{"stdout":"said","a":true},"skipped":false}}}"#;
        assert_eq!(
            redact(event, &redaction),
            event.replacen("\"stdout\":\"said\"", "\"stdout\":\"***\"", 1)
        );
    }

    #[test]
    fn diffs_and_what_an_event_is_stay_whole() {
        let redaction = redaction(&[("ZGlmZg==", "x"), ("TASK_STEP", "y"), ("SUCCESS", "z")]);
        let event = r#"{"operation":"TASK_STEP","status":"SUCCESS","metadata":{"version":2,"diff":"ZGlmZg=="}}"#;
        assert_eq!(redact(event, &redaction), event);
    }

    #[test]
    fn what_is_no_event_is_redacted_as_text() {
        let redaction = redaction(&[("s3cret", "***")]);
        for (text, expected) in [
            ("{\"a\": \"s3cret", "{\"a\": \"***"),
            ("}s3cret", "}***"),
            ("Rendering s3cret", "Rendering ***"),
        ] {
            assert_eq!(redact(text, &redaction), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_event_stays_json(out in "\\PC*", secret in "[\\PC]{1,3}", replacement in "\\PC{0,4}") {
            let event = serde_json::json!({"operation": "TASK_STEP", "metadata": {"out": out, "diff": secret}}).to_string();
            let redaction = redaction(&[(&secret, &replacement)]);
            let redacted: serde_json::Value = serde_json::from_str(&redact(&event, &redaction)).unwrap();
            proptest::prop_assert_eq!(redacted["metadata"]["out"].as_str().unwrap(), redaction.apply(&out));
            proptest::prop_assert_eq!(redacted["metadata"]["diff"].as_str().unwrap(), &secret);
        }
    }
}
