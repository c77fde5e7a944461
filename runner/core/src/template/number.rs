//! Number literals.

use super::quote::{Unit, quote, unescape};

/// What a number literal stands for. Its spelling decides the kind: `1` is whole, `1.0` is not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
    /// Real and imaginary part.
    Complex(f64, f64),
    /// A whole number that only an unsigned type could hold; an error where it is used.
    TooLarge,
}

/// The value of a character literal, quotes included: its code.
pub(super) fn parse_character(text: &str) -> Result<Number, String> {
    let body = text.strip_prefix('\'').unwrap_or(text);
    let invalid = || "invalid syntax".to_owned();
    if body.starts_with('\'') {
        return Err(invalid());
    }
    let (unit, tail) = unescape(body, '\'').ok_or_else(invalid)?;
    if tail != "'" {
        return Err(format!("malformed character constant: {text}"));
    }
    Ok(Number::Int(match unit {
        Unit::Byte(byte) => byte.into(),
        Unit::Char(c) => u32::from(c).into(),
    }))
}

/// The value of a literal with a real and an imaginary part.
pub(super) fn parse_complex(text: &str) -> Result<Number, String> {
    let invalid = || format!("illegal number syntax: {}", quote(text));
    let body = text.strip_suffix('i').ok_or_else(invalid)?;
    let split = body
        .char_indices()
        .rev()
        .find(|&(i, c)| {
            matches!(c, '+' | '-') && i > 0 && !body[..i].ends_with(['e', 'E', 'p', 'P'])
        })
        .map(|(i, _)| i)
        .ok_or_else(invalid)?;
    let (re, im) = body.split_at(split);
    match (parse_float(re), parse_float(im)) {
        (Some(re), Some(im)) => Ok(Number::Complex(re, im)),
        _ => Err(invalid()),
    }
}

/// The value of any other number literal.
pub(super) fn parse_number(text: &str) -> Result<Number, String> {
    if let Some(im) = text.strip_suffix('i').and_then(parse_float) {
        return Ok(Number::Complex(0.0, im));
    }
    match parse_int(text) {
        Some(Whole::Signed(n)) => return Ok(Number::Int(n)),
        Some(Whole::Unsigned) => return Ok(Number::TooLarge),
        None => {}
    }
    match parse_float(text) {
        Some(_) if !text.contains(['.', 'e', 'E', 'p', 'P']) => {
            Err(format!("integer overflow: {}", quote(text)))
        }
        Some(n) => Ok(Number::Float(n)),
        None => Err(format!("illegal number syntax: {}", quote(text))),
    }
}

enum Whole {
    Signed(i64),
    /// Fits 64 bits without a sign only.
    Unsigned,
}

/// A whole number in any base; a bare leading zero means octal.
fn parse_int(text: &str) -> Option<Whole> {
    if !underscores_separate_digits(text) {
        return None;
    }
    let (negative, unsigned) = split_sign(text);
    let (radix, digits) = match unsigned.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &unsigned[2..]),
        Some("0o") => (8, &unsigned[2..]),
        Some("0b") => (2, &unsigned[2..]),
        Some(prefix) if prefix.starts_with('0') => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    let digits = digits.replace('_', "");
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(&digits, radix).ok()?;
    let value = if negative {
        -i128::from(magnitude)
    } else {
        i128::from(magnitude)
    };
    match i64::try_from(value) {
        Ok(value) => Some(Whole::Signed(value)),
        Err(_) if negative || text.starts_with('+') => None,
        Err(_) => Some(Whole::Unsigned),
    }
}

/// A decimal or hexadecimal floating-point number that is finite.
fn parse_float(text: &str) -> Option<f64> {
    if !underscores_separate_digits(text) || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (negative, unsigned) = split_sign(text);
    let digits = unsigned.replace('_', "");
    let magnitude = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hexadecimal) => parse_hexadecimal_float(hexadecimal)?,
        None if digits.starts_with(['+', '-']) => return None,
        None => digits.parse().ok()?,
    };
    magnitude
        .is_finite()
        .then_some(if negative { -magnitude } else { magnitude })
}

fn parse_hexadecimal_float(text: &str) -> Option<f64> {
    /// Digits that surely fit the mantissa; more would not change the value visibly.
    const SIGNIFICANT_DIGITS: usize = 15;
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut exponent: i32 = exponent.parse().ok()?;
    let mut value: u64 = 0;
    let mut significant = 0;
    for (i, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = digit.to_digit(16)?;
        let in_fraction = i >= whole.len();
        if significant < SIGNIFICANT_DIGITS {
            value = value * 16 + u64::from(digit);
            significant += usize::from(value != 0);
            exponent = exponent.checked_sub(if in_fraction { 4 } else { 0 })?;
        } else {
            exponent = exponent.checked_add(if in_fraction { 0 } else { 4 })?;
        }
    }
    // Two steps, so that the scale itself neither overflows nor vanishes too early.
    let half = exponent / 2;
    Some(value as f64 * 2f64.powi(half) * 2f64.powi(exponent - half))
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Whether each underscore stands between two digits, or a base prefix and a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let (_, unsigned) = split_sign(text);
    let lower = unsigned.to_ascii_lowercase();
    let prefixed = ["0x", "0o", "0b"]
        .iter()
        .any(|prefix| lower.starts_with(prefix));
    let hexadecimal = lower.starts_with("0x");
    let digits = if prefixed { &lower[2..] } else { &lower[..] };
    let is_digit = |c: char| c.is_ascii_digit() || (hexadecimal && c.is_ascii_hexdigit());
    let mut after_digit = prefixed;
    let mut after_underscore = false;
    for c in digits.chars() {
        let underscore = c == '_';
        let digit = is_digit(c);
        if (underscore && !after_digit) || (after_underscore && !digit) {
            return false;
        }
        (after_digit, after_underscore) = (digit, underscore);
    }
    !after_underscore
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_decides_the_kind() {
        let table = [
            ("0", Ok(Number::Int(0))),
            ("-7", Ok(Number::Int(-7))),
            ("+7", Ok(Number::Int(7))),
            ("010", Ok(Number::Int(8))),
            ("0x1F", Ok(Number::Int(31))),
            ("0o17", Ok(Number::Int(15))),
            ("0b101", Ok(Number::Int(5))),
            ("1_000", Ok(Number::Int(1000))),
            ("0x_f", Ok(Number::Int(15))),
            ("0xe", Ok(Number::Int(14))),
            ("-9223372036854775808", Ok(Number::Int(i64::MIN))),
            ("9223372036854775808", Ok(Number::TooLarge)),
            ("1.0", Ok(Number::Float(1.0))),
            ("1.", Ok(Number::Float(1.0))),
            (".5", Ok(Number::Float(0.5))),
            ("1e3", Ok(Number::Float(1000.0))),
            ("1_0.2_5", Ok(Number::Float(10.25))),
            ("0x1p4", Ok(Number::Float(16.0))),
            ("0x1.8p-1", Ok(Number::Float(0.75))),
            ("2i", Ok(Number::Complex(0.0, 2.0))),
            (
                "18446744073709551616",
                Err(r#"integer overflow: "18446744073709551616""#),
            ),
            ("08", Err(r#"integer overflow: "08""#)),
            ("1__0", Err(r#"illegal number syntax: "1__0""#)),
            ("1_", Err(r#"illegal number syntax: "1_""#)),
            ("0x", Err(r#"illegal number syntax: "0x""#)),
            ("+", Err(r#"illegal number syntax: "+""#)),
            ("1e999", Err(r#"illegal number syntax: "1e999""#)),
        ];
        for (text, expected) in table {
            assert_eq!(
                parse_number(text),
                expected.map_err(str::to_owned),
                "{text}"
            );
        }
    }

    #[test]
    fn characters_are_their_codes() {
        let table = [
            ("'a'", Ok(97)),
            ("'é'", Ok(233)),
            (r"'\n'", Ok(10)),
            (r"'\''", Ok(39)),
            (r"'\xff'", Ok(255)),
            (r"'\u00e9'", Ok(233)),
            (r"'\101'", Ok(65)),
            ("''", Err("invalid syntax")),
            (r#"'\"'"#, Err("invalid syntax")),
            ("'ab'", Err("malformed character constant: 'ab'")),
        ];
        for (text, expected) in table {
            assert_eq!(
                parse_character(text),
                expected.map(Number::Int).map_err(str::to_owned),
                "{text}"
            );
        }
    }

    #[test]
    fn complex_numbers_have_two_parts() {
        assert_eq!(parse_complex("1+2i"), Ok(Number::Complex(1.0, 2.0)));
        assert_eq!(
            parse_complex("-1e-3-2.5i"),
            Ok(Number::Complex(-0.001, -2.5))
        );
    }
}
