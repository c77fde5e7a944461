//! What a scalar means: go-yaml v3's rules (its untyped resolution), not those of YAML 1.2's core schema.

use super::{Kind, time};

/// The short form of the standard tags: `!!str` and so on.
pub(super) const STR: &str = "!!str";
pub(super) const MERGE: &str = "!!merge";

/// The value of a scalar with the given short tag (`None`: untagged). `quoted` is any style but plain.
///
/// The error is go-yaml's text.
pub(super) fn resolve(tag: Option<&str>, text: &str, quoted: bool) -> Result<Kind, String> {
    let tag = match tag {
        Some("!") | None if quoted => return Ok(Kind::String(text.to_owned())),
        Some("!") | None => None,
        Some(STR) => return Ok(Kind::String(text.to_owned())),
        Some("!!binary") => return binary(text),
        Some(tag) => Some(tag),
    };
    let value = untyped(text, tag.is_none() || tag == Some("!!timestamp"));
    let found = short_tag(&value);
    match tag {
        None => Ok(value),
        Some(tag) if tag == found => Ok(value),
        Some("!!float") if found == "!!int" => Ok(Kind::Float(match value {
            #[expect(clippy::cast_precision_loss, reason = "go-yaml converts the same way")]
            Kind::Int(n) => n as f64,
            #[expect(clippy::cast_precision_loss, reason = "go-yaml converts the same way")]
            Kind::Unsigned(n) => n as f64,
            _ => f64::NAN,
        })),
        Some(tag) => Err(format!("cannot decode {found} `{text}` as a {tag}")),
    }
}

fn binary(text: &str) -> Result<Kind, String> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let compact: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    STANDARD
        .decode(compact)
        .map(|bytes| Kind::String(String::from_utf8_lossy(&bytes).into_owned()))
        .map_err(|_| "!!binary value contains invalid base64 data".to_owned())
}

/// The short tag of a resolved scalar.
pub(super) fn short_tag(kind: &Kind) -> &'static str {
    match kind {
        Kind::Null => "!!null",
        Kind::Bool(_) => "!!bool",
        Kind::Int(_) | Kind::Unsigned(_) => "!!int",
        Kind::Float(_) => "!!float",
        Kind::Time(_) => "!!timestamp",
        Kind::String(_) => STR,
        Kind::List(_) => "!!seq",
        Kind::Map(_) => "!!map",
    }
}

fn untyped(text: &str, timestamps: bool) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Kind::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Kind::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Kind::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let string = || Kind::String(text.to_owned());
    match text.as_bytes().first() {
        Some(b'.') => float(text).map_or_else(string, Kind::Float),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            if timestamps && let Some(time) = time::parse(text) {
                return Kind::Time(time);
            }
            let plain = text.replace('_', "");
            integer(&plain)
                .or_else(|| float(&plain).map(Kind::Float))
                .unwrap_or_else(string)
        }
        _ => string(),
    }
}

/// Decimal, `0x`, `0o`, `0b`, and a leading `0` for octal; each with an optional sign.
fn integer(text: &str) -> Option<Kind> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match lower.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(two) if two.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    // A second sign would be accepted by the parser below.
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        0i64.checked_sub_unsigned(magnitude).map(Kind::Int)
    } else if let Ok(n) = i64::try_from(magnitude) {
        Some(Kind::Int(n))
    } else if text.starts_with('+') {
        // Go's unsigned parser takes no sign: such a number becomes a float.
        None
    } else {
        Some(Kind::Unsigned(magnitude))
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, and in the range of a float.
fn float(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(rest);
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let n = digits(fraction);
        if whole == 0 && n == 0 {
            return None;
        }
        rest = &fraction[n..];
    } else if whole == 0 {
        return None;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        let n = digits(exponent);
        if n == 0 {
            return None;
        }
        rest = &exponent[n..];
    }
    if !rest.is_empty() {
        return None;
    }
    text.parse().ok().filter(|n: &f64| n.is_finite())
}
