//! How a secret may be written.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// Fewest bytes of a secret, line breaks not counted.
pub const MIN_LENGTH: usize = 6;

/// Fewest bytes of a line that is looked for by itself, of a secret with several. Shorter ones are rather words and brackets.
const MIN_LINE: usize = 12;

/// All spellings of a secret; none if it is too short.
pub(super) fn of(secret: &str) -> BTreeSet<String> {
    let secret = secret.trim();
    let mut spellings = BTreeSet::new();
    if is_short(secret) {
        return spellings;
    }
    spellings.insert(secret.to_owned());
    spellings.insert(escaped(secret));
    spellings.extend(percent_encoded(secret));
    spellings.extend(base64(secret.as_bytes()));
    let lines: Vec<&str> = secret.lines().map(str::trim).collect();
    if lines.len() > 1 {
        let long = lines.into_iter().filter(|line| line.len() >= MIN_LINE);
        spellings.extend(long.map(str::to_owned));
    }
    spellings
}

/// Whether a value is too short to be taken out of anything.
pub fn is_short(secret: &str) -> bool {
    let breaks = |&byte: &u8| byte == b'\n' || byte == b'\r';
    let secret = secret.trim().as_bytes();
    secret.len() - secret.iter().filter(|byte| breaks(byte)).count() < MIN_LENGTH
}

/// As in a JSON string.
fn escaped(secret: &str) -> String {
    let quoted = serde_json::Value::from(secret).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// What encoders leave as it is, besides letters and digits.
const LEFT_ALONE: [&[u8]; 5] = [
    // RFC 3986.
    b"-_.~",
    // The same for a path, as Python's `quote` has it.
    b"-_.~/",
    // HTML forms, where `~` is not safe.
    b"-_.*",
    // JavaScript's encodeURIComponent and encodeURI.
    b"-_.~!*'()",
    b"-_.~!*'();,/?:@&=+$#",
];

fn percent_encoded(secret: &str) -> Vec<String> {
    const UPPER: &[u8; 16] = b"0123456789ABCDEF";
    const LOWER: &[u8; 16] = b"0123456789abcdef";
    let mut spellings = Vec::new();
    for digits in [UPPER, LOWER] {
        for safe in LEFT_ALONE {
            for space in ["%20", "+"] {
                let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || safe.contains(&byte);
                spellings.push(encode(secret, is_safe, space, digits));
            }
        }
        // Shell functions that know no better encode everything.
        spellings.push(encode(secret, |_| false, "%20", digits));
    }
    spellings
}

fn encode(secret: &str, is_safe: impl Fn(u8) -> bool, space: &str, digits: &[u8; 16]) -> String {
    let mut encoded = String::with_capacity(secret.len() * 3);
    for byte in secret.bytes() {
        if byte == b' ' {
            encoded.push_str(space);
        } else if is_safe(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(digits[usize::from(byte >> 4)]));
            encoded.push(char::from(digits[usize::from(byte & 15)]));
        }
    }
    encoded
}

/// In base64, beginning at each of the three places of a group, with unknown text before it; with unknown text after
/// it, or at the end with and without padding.
fn base64(secret: &[u8]) -> Vec<String> {
    let mut spellings = Vec::new();
    for before in 0..3 {
        let mut text = vec![0; before];
        text.extend_from_slice(secret);
        // Six bits a character: those that have a bit of what is before or after are not known.
        let from = (before * 8).div_ceil(6);
        let until = text.len() * 8 / 6;
        for whole in [
            STANDARD.encode(&text),
            STANDARD_NO_PAD.encode(&text),
            URL_SAFE.encode(&text),
            URL_SAFE_NO_PAD.encode(&text),
        ] {
            spellings.push(whole[from..until].to_owned());
            spellings.push(whole[from..].to_owned());
        }
    }
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(secret: &str) -> Vec<String> {
        of(secret).into_iter().collect()
    }

    #[test]
    fn spellings_of_a_secret() {
        let spellings = all("p/w ~\"x?");
        for (spelling, what) in [
            ("p/w ~\"x?", "plain"),
            ("p/w ~\\\"x?", "JSON"),
            ("p%2Fw%20~%22x%3F", "RFC 3986"),
            ("p%2fw%20~%22x%3f", "the same in lower case"),
            ("p%2Fw+%7E%22x%3F", "a form"),
            ("p/w%20~%22x?", "encodeURI"),
            ("%70%2F%77%20%7E%22%78%3F", "everything"),
            ("cC93IH4ieD8=", "base64"),
            ("cC93IH4ieD8", "base64 without padding"),
            ("cC93IH4ieD", "base64, before something else"),
            ("AvdyB+Ing/", "base64, after one byte"),
            ("AvdyB-Ing_", "the same with the other alphabet"),
            ("wL3cgfiJ4P", "base64, after two bytes"),
        ] {
            assert!(
                spellings.contains(&spelling.to_owned()),
                "{what} is missing: {spelling} in {spellings:?}"
            );
        }
    }

    #[test]
    fn lines_that_are_long_enough_count_by_themselves() {
        let spellings = all("-----BEGIN KEY-----\n  MIIEpAIBAAKCAQEA\n}\n");
        for (line, expected) in [
            ("-----BEGIN KEY-----", true),
            ("MIIEpAIBAAKCAQEA", true),
            ("}", false),
        ] {
            assert_eq!(spellings.contains(&line.to_owned()), expected, "{line}");
        }
    }

    #[test]
    fn short_values_are_none() {
        for value in ["", "1", "true", " 12345 \n", "a\nb\nc\nd"] {
            assert_eq!(all(value), Vec::<String>::new());
        }
    }
}
