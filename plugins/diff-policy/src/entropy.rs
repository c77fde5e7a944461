//! Values that look random, given to something that is named like a secret.

use crate::secret::Secret;

/// What names of secrets contain.
const NAMES: [&str; 9] = [
    "secret",
    "token",
    "password",
    "passwd",
    "apikey",
    "api_key",
    "api-key",
    "credential",
    "private_key",
];

/// Bytes of the shortest value that is looked at.
const SHORTEST: usize = 20;

/// Bits a byte above which a value looks random: hexadecimal digits cannot have more than 4, base64 6.
const RANDOM_HEX: f64 = 3.0;
const RANDOM: f64 = 4.0;

/// The first such value of a line: `api_key = "..."`, `password: ...`.
pub(crate) fn find(line: &[u8]) -> Option<Secret> {
    let mut from = 0;
    while let Some(at) = line[from..].iter().position(|b| matches!(b, b'=' | b':')) {
        let at = from + at;
        from = at + 1;
        let name = name_before(&line[..at]);
        let Some(known) = NAMES.iter().find(|known| contains(name, known.as_bytes())) else {
            continue;
        };
        if looks_random(value_after(&line[from..])) {
            return Some(Secret {
                rule: "secret-high-entropy",
                what: "a secret",
                hint: format!("a random value for something with \"{known}\" in its name"),
            });
        }
    }
    None
}

fn name_before(text: &[u8]) -> &[u8] {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let end = text.iter().rposition(is_name).map_or(0, |at| at + 1);
    // Between a name and its value there are quotes, blanks and a colon before the equals sign.
    if text[end..]
        .iter()
        .any(|b| !matches!(b, b' ' | b'\t' | b'"' | b'\'' | b']' | b':'))
    {
        return &[];
    }
    let start = text[..end]
        .iter()
        .rposition(|b| !is_name(b))
        .map_or(0, |at| at + 1);
    &text[start..end]
}

fn value_after(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|b| !matches!(b, b' ' | b'\t' | b'"' | b'\'' | b'=' | b'>'))
        .unwrap_or(text.len());
    let value = &text[start..];
    let length = value
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-'))
        .count();
    // What goes on with something else is an expression: `os.environ[...]`, `${TOKEN}`, `lookup(...)`.
    match value.get(length) {
        None | Some(b' ' | b'\t' | b'\r' | b'"' | b'\'' | b',' | b';' | b'}' | b')') => {
            &value[..length]
        }
        Some(_) => &[],
    }
}

fn looks_random(value: &[u8]) -> bool {
    if value.len() < SHORTEST || !value.iter().any(u8::is_ascii_digit) {
        return false;
    }
    let threshold = if value.iter().all(u8::is_ascii_hexdigit) {
        RANDOM_HEX
    } else {
        RANDOM
    };
    entropy(value) >= threshold
}

/// Shannon's entropy in bits a byte.
fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    let mut length = 0.0;
    for &byte in value {
        counts[usize::from(byte)] += 1;
        length += 1.0;
    }
    let bits = |&count: &u32| {
        let share = f64::from(count) / length;
        -share * share.log2()
    };
    counts.iter().filter(|&&count| count > 0).map(bits).sum()
}

fn contains(name: &[u8], known: &[u8]) -> bool {
    name.windows(known.len())
        .any(|part| part.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn random_values_of_secrets_are_found() {
        for (line, found) in [
            (r#"API_KEY = "q8ZfT2xW9vLk4RnB7sYd1HcJ""#, true),
            ("password: q8ZfT2xW9vLk4RnB7sYd1HcJ", true),
            (r#"{"clientSecret":"q8ZfT2xW9vLk4RnB7sYd1HcJ"}"#, true),
            ("token := 'q8ZfT2xW9vLk4RnB7sYd1HcJ'", true),
            ("export DB_PASSWORD=9f86d081884c7d659a2feaa0c55ad015", true),
            (r#"name = "q8ZfT2xW9vLk4RnB7sYd1HcJ""#, false),
            (r#"password = "correct horse battery staple""#, false),
            ("token = os.environ['Q8ZFT2XW9VLK4RNB7SYD']", false),
            ("token: ${{ secrets.Q8ZfT2xW9vLk4RnB7sYd1HcJ }}", false),
            ("password = lookup_password_in_vault_2(name)", false),
            ("api_key = short1", false),
            ("secret = aaaaaaaaaaaaaaaaaaaaaaaaa1", false),
            ("tokens = thisisalonglowercasewordwithoutdigits", false),
        ] {
            assert_eq!(find(line.as_bytes()).is_some(), found, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(token|secret|[a-z0-9=:\"' ]){0,20}") {
            find(line.as_bytes());
        }
    }
}
