//! Secrets whose form is known.

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    /// The rule that it breaks.
    pub(crate) rule: &'static str,
    /// What it is, with its article.
    pub(crate) what: &'static str,
    /// Its beginning, enough to find it.
    pub(crate) hint: String,
}

/// A token: what it begins with and how long the rest is.
struct Form {
    rule: &'static str,
    what: &'static str,
    prefix: &'static [u8],
    /// Which bytes the rest has.
    alphabet: fn(u8) -> bool,
    /// How many of them, at least and at most.
    length: (usize, usize),
}

const LONG: usize = 512;

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn dashed(byte: u8) -> bool {
    word(byte) || byte == b'-'
}

fn dotted(byte: u8) -> bool {
    dashed(byte) || byte == b'.'
}

fn path(byte: u8) -> bool {
    dashed(byte) || byte == b'/'
}

fn base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+' | b'=')
}

macro_rules! forms {
    ($($rule:literal, $what:literal: $($prefix:literal)|+, $alphabet:ident, $length:expr;)+) => {
        &[$($(Form {
            rule: $rule,
            what: $what,
            prefix: $prefix,
            alphabet: $alphabet,
            length: $length,
        },)+)+]
    };
}

/// Each begins with one of the bytes that [`find`] looks for.
const FORMS: &[Form] = forms! {
    "secret-aws", "an AWS access key": b"AKIA" | b"ASIA" | b"ABIA" | b"ACCA", upper, (16, 16);
    "secret-github", "a GitHub token": b"ghp_" | b"gho_" | b"ghu_" | b"ghs_" | b"ghr_", word, (36, 251);
    "secret-github", "a GitHub token": b"github_pat_", word, (60, LONG);
    "secret-gitlab", "a GitLab token": b"glpat-" | b"gldt-" | b"glrt-" | b"glptt-" | b"glcbt-" | b"glsoat-" | b"glft-", dotted, (20, LONG);
    "secret-slack", "a Slack token": b"xoxb-" | b"xoxp-" | b"xoxa-" | b"xoxr-" | b"xoxs-" | b"xoxe-" | b"xapp-", dashed, (20, LONG);
    "secret-slack", "a Slack webhook": b"hooks.slack.com/services/T", path, (30, LONG);
};

/// The first secret of a line.
pub(crate) fn find(line: &[u8]) -> Option<Secret> {
    for (at, &byte) in line.iter().enumerate() {
        match byte {
            b'A' | b'g' | b'x' | b'h' => {
                // In the middle of a word nothing begins.
                if at > 0 && word(line[at - 1]) {
                    continue;
                }
                let rest = &line[at..];
                if let Some(secret) = FORMS.iter().find_map(|form| form.read(rest)) {
                    return Some(secret);
                }
            }
            b'a' | b'S' | b's' => {
                if let Some(secret) = aws_secret_key(&line[at..]) {
                    return Some(secret);
                }
            }
            b'-' => {
                if let Some(secret) = private_key(&line[at..]) {
                    return Some(secret);
                }
            }
            _ => {}
        }
    }
    None
}

impl Form {
    fn read(&self, text: &[u8]) -> Option<Secret> {
        let rest = text.strip_prefix(self.prefix)?;
        let length = rest.iter().take_while(|&&b| (self.alphabet)(b)).count();
        let (least, most) = self.length;
        let body = &rest[..length];
        if !(least..=most).contains(&length) || is_placeholder(body) {
            return None;
        }
        Some(Secret {
            rule: self.rule,
            what: self.what,
            hint: hint(&text[..self.prefix.len()]),
        })
    }
}

/// `aws_secret_access_key = "..."` and the like.
fn aws_secret_key(text: &[u8]) -> Option<Secret> {
    const NAMES: [&[u8]; 2] = [b"secret_access_key", b"secretaccesskey"];
    let starts = |name: &&&[u8]| {
        text.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    let name = NAMES.iter().find(starts)?;
    let rest = &text[name.len()..];
    let between = rest
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t' | b'"' | b'\'' | b':' | b'=' | b'>'))
        .count();
    let value = &rest[between..];
    let length = value.iter().take_while(|&&b| base64(b)).count();
    if between == 0 || length != 40 || is_placeholder(&value[..length]) {
        return None;
    }
    Some(Secret {
        rule: "secret-aws",
        what: "an AWS secret key",
        hint: hint(name),
    })
}

/// `-----BEGIN RSA PRIVATE KEY-----` and the like.
fn private_key(text: &[u8]) -> Option<Secret> {
    let rest = text.strip_prefix(b"-----BEGIN ")?;
    let length = rest
        .iter()
        .take_while(|&&b| b == b' ' || b.is_ascii_uppercase() || b.is_ascii_digit())
        .count();
    let kind = &rest[..length];
    if !(kind.ends_with(b"PRIVATE KEY") || kind.ends_with(b"PRIVATE KEY BLOCK")) {
        return None;
    }
    rest[length..].strip_prefix(b"-----")?;
    Some(Secret {
        rule: "secret-private-key",
        what: "a private key",
        hint: format!("-----BEGIN {}-----", String::from_utf8_lossy(kind)),
    })
}

/// Documentation shows the form with the same character over and over.
fn is_placeholder(body: &[u8]) -> bool {
    let mut seen = [false; 256];
    let mut different = 0;
    for &byte in body {
        if !std::mem::replace(&mut seen[usize::from(byte)], true) {
            different += 1;
        }
    }
    different < 5
}

fn hint(prefix: &[u8]) -> String {
    format!("{}...", String::from_utf8_lossy(prefix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Put together here, so that no scanner takes this file for a leak.
    fn token(prefix: &str, length: usize) -> String {
        let body = "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8";
        prefix
            .chars()
            .chain(body.chars().cycle().take(length))
            .collect()
    }

    fn rule(line: &str) -> Option<&'static str> {
        find(line.as_bytes()).map(|secret| secret.rule)
    }

    #[test]
    fn known_forms_are_found() {
        let aws = "AKIA".to_owned() + "IOSFODNN7EXAMPLE";
        for (line, expected) in [
            (format!("key = {aws}"), Some("secret-aws")),
            (format!("\"{aws}\""), Some("secret-aws")),
            (format!("x{aws}"), None),
            (format!("{aws}A"), None),
            (format!("AKIA{}", "X".repeat(16)), None),
            (
                format!("aws_secret_access_key = {}", token("", 40)),
                Some("secret-aws"),
            ),
            (
                format!("\"SecretAccessKey\": \"{}\"", token("", 40)),
                Some("secret-aws"),
            ),
            (format!("secret_access_key = {}", token("", 39)), None),
            (token("ghp_", 36), Some("secret-github")),
            (token("token:ghs_", 36), Some("secret-github")),
            (token("ghp_", 35), None),
            (format!("ghp_{}", "x".repeat(36)), None),
            (token("github_pat_", 82), Some("secret-github")),
            (token("glpat-", 20), Some("secret-gitlab")),
            (token("xoxb-", 40), Some("secret-slack")),
            (
                token("https://hooks.slack.com/services/T", 40),
                Some("secret-slack"),
            ),
            (
                "-----BEGIN RSA PRIVATE ".to_owned() + "KEY-----",
                Some("secret-private-key"),
            ),
            (
                "-----BEGIN PGP PRIVATE ".to_owned() + "KEY BLOCK-----",
                Some("secret-private-key"),
            ),
            (
                "  key: |- -----BEGIN PRIVATE ".to_owned() + "KEY-----",
                Some("secret-private-key"),
            ),
            ("-----BEGIN PUBLIC KEY-----".to_owned(), None),
            ("-----BEGIN CERTIFICATE-----".to_owned(), None),
            (
                "a perfectly harmless line about ghp_ tokens".to_owned(),
                None,
            ),
        ] {
            assert_eq!(rule(&line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_said_does_not_hold_the_secret() {
        let secret = find(token("ghp_", 36).as_bytes()).unwrap();
        assert_eq!(secret.hint, "ghp_...");
    }

    proptest! {
        #[test]
        fn no_line_panics(line: Vec<u8>) {
            find(&line);
        }

        #[test]
        fn a_token_is_found_wherever_it_stands(before in "[ \"'=:/]{0,10}", after in "[ \"',;)]{0,10}") {
            let line = before + &token("ghp_", 36) + &after;
            prop_assert_eq!(rule(&line), Some("secret-github"));
        }
    }
}
