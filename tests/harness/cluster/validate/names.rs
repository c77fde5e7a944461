//! What things may be called.

/// What is said of a name that is no [`subdomain`](is_subdomain).
pub(super) const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character";

/// What is said of a name that is no [`label`](is_label).
pub(super) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
    and must start and end with an alphanumeric character";

/// What is said of a value that no label can have.
pub(super) const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
    must start and end with an alphanumeric character, and be no more than 63 characters";

/// What is said of a key that is not [`qualified`](is_qualified).
pub(super) const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character";

/// What is said of a key that no data can have.
pub(super) const KEY: &str =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";

/// Names of objects.
pub(super) fn is_subdomain(name: &str) -> bool {
    let is_part = |part: &str| is_made_of(part, |byte| is_low(byte) || byte == b'-', is_low);
    name.len() <= 253 && name.split('.').all(is_part)
}

/// Names of containers and volumes.
pub(super) fn is_label(name: &str) -> bool {
    name.len() <= 63 && is_made_of(name, |byte| is_low(byte) || byte == b'-', is_low)
}

/// Values of labels.
pub(super) fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

/// Keys of labels and annotations: a name, perhaps with a domain before it.
pub(super) fn is_qualified(key: &str) -> bool {
    match key.split_once('/') {
        Some((domain, name)) => is_subdomain(domain) && is_name(name),
        None => is_name(key),
    }
}

/// Keys of a Secret's data.
pub(super) fn is_key(key: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !key.is_empty() && key.len() <= 253 && key != "." && key != ".." && key.bytes().all(is_known)
}

fn is_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.len() <= 63 && is_made_of(name, is_inner, |byte| byte.is_ascii_alphanumeric())
}

fn is_low(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_made_of(text: &str, inner: impl Fn(u8) -> bool, outer: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(|byte| outer(*byte)))
        && bytes.iter().all(|byte| inner(*byte))
}
