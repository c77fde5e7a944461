//! Amounts of memory, disk and processors.

use serde_json::Value;

/// Suffixes and what they stand for.
const SUFFIXES: &[(&str, f64)] = &[
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
];

/// What an amount comes to, in bytes or processors.
pub(super) fn of(amount: &Value) -> Option<f64> {
    if let Some(number) = amount.as_f64() {
        return Some(number);
    }
    let text = amount.as_str()?;
    let suffix = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (number, factor) = match suffix {
        Some((suffix, factor)) => (text.strip_suffix(suffix)?, *factor),
        None => (text, 1.0),
    };
    let is_plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let number: f64 = match number.bytes().all(is_plain) {
        true => number.parse().ok()?,
        false => return None,
    };
    Some(number * factor)
}
