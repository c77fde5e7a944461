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
    /// `0x1.8p+01`: a hexadecimal mantissa and a power of two.
    Hexadecimal,
    /// `4503599627370496p-52`: a whole mantissa and a power of two; knows no precision.
    Binary,
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
        Notation::Hexadecimal => hexadecimal(value, precision),
        Notation::Binary => {
            let (mantissa, exponent) = binary_parts(value);
            format!("{mantissa}p{exponent:+}")
        }
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

/// Bits of the mantissa after its first.
const FRACTION_BITS: u32 = 52;

/// Whole numbers whose product, the second taken as a power of two, is `value`.
fn binary_parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    let exponent = i32::try_from((bits >> FRACTION_BITS) & 0x7ff).unwrap_or(0);
    match exponent {
        0 => (fraction, -1074),
        _ => (fraction | (1 << FRACTION_BITS), exponent - 1075),
    }
}

fn hexadecimal(value: f64, precision: Option<usize>) -> String {
    /// Hexadecimal digits after the point.
    const DIGITS: usize = 13;
    let (mut mantissa, mut exponent) = binary_parts(value);
    if mantissa == 0 {
        exponent = 0;
    } else {
        let shift = mantissa.leading_zeros() - (u64::BITS - 1 - FRACTION_BITS);
        mantissa <<= shift;
        exponent += 52 - i32::try_from(shift).unwrap_or(0);
    }
    if let Some(kept) = precision.filter(|kept| *kept < DIGITS) {
        let unit = 1u64 << ((DIGITS - kept) * 4);
        let (rest, half) = (mantissa % unit, unit / 2);
        mantissa -= rest;
        if rest > half || (rest == half && mantissa & unit != 0) {
            mantissa += unit;
        }
        if mantissa >> (FRACTION_BITS + 1) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let whole = mantissa >> FRACTION_BITS;
    let mut fraction = format!("{:013x}", mantissa & ((1 << FRACTION_BITS) - 1));
    match precision {
        None => fraction.truncate(fraction.trim_end_matches('0').len()),
        Some(digits) if digits < DIGITS => fraction.truncate(digits),
        Some(digits) => fraction.push_str(&"0".repeat(digits - DIGITS)),
    }
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{whole}{point}{fraction}p{sign}{:02}", exponent.abs())
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
