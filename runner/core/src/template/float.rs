//! Floating-point numbers as text.

/// Fraction digits after which every digit of a 64-bit number is zero.
const MAX_DIGITS: usize = 1100;

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    /// `1.5e+07`.
    Exponent,
    /// `15000000`.
    Plain,
    /// Whichever is shorter: an exponent below -4 or from the precision on (6 if none is given).
    Shorter,
}

/// Writes `value`, without a sign unless it is negative. The precision counts fraction digits, or
/// significant ones for [`Notation::Shorter`]; `None` means as many as tell the number apart.
pub(super) fn format_float(value: f64, notation: Notation, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_infinite() {
        return format!("{}Inf", if sign.is_empty() { "+" } else { sign });
    }
    let value = value.abs();
    let digits = match notation {
        Notation::Exponent => exponent(value, precision),
        Notation::Plain => plain(value, precision),
        Notation::Shorter => shorter(value, precision),
    };
    format!("{sign}{digits}")
}

fn exponent(value: f64, precision: Option<usize>) -> String {
    let (mantissa, exponent) = scientific(value, precision);
    let zeros = missing_zeros(precision);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{zeros}e{sign}{:02}", exponent.abs())
}

fn plain(value: f64, precision: Option<usize>) -> String {
    match precision {
        None => format!("{value}"),
        Some(digits) => {
            format!(
                "{value:.*}{}",
                digits.min(MAX_DIGITS),
                missing_zeros(precision)
            )
        }
    }
}

fn shorter(value: f64, precision: Option<usize>) -> String {
    let significant = precision.map(|digits| digits.max(1));
    let (mantissa, exponent) = scientific(value, significant.map(|digits| digits - 1));
    let digits = mantissa.replace('.', "");
    let digits = digits.trim_end_matches('0');
    let count = digits.len().max(1);
    let threshold = match significant {
        None => 6,
        Some(precision) if precision > count && i64::from(exponent) < count as i64 => count,
        Some(precision) => precision,
    };
    let exponent_wide = i64::from(exponent);
    if exponent_wide < -4 || exponent_wide >= threshold as i64 {
        self::exponent(value, Some(count - 1))
    } else {
        let fraction = (count as i64 - 1 - exponent_wide).max(0);
        plain(value, Some(usize::try_from(fraction).unwrap_or(0)))
    }
}

/// Mantissa digits, with a point after the first if there are more, and the decimal exponent.
fn scientific(value: f64, precision: Option<usize>) -> (String, i32) {
    let text = match precision {
        None => format!("{value:e}"),
        Some(digits) => format!("{value:.*e}", digits.min(MAX_DIGITS)),
    };
    match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa.to_owned(), exponent.parse().unwrap_or(0)),
        None => (text, 0),
    }
}

fn missing_zeros(precision: Option<usize>) -> String {
    "0".repeat(precision.unwrap_or(0).saturating_sub(MAX_DIGITS))
}
