//! Equality and order of values.

use super::budget::Budget;
use super::datum::{Datum, Operand};
use super::printf::printf;

/// The kinds that can be compared with each other only. Whole numbers are one kind, bytes included.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Basic<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Complex(f64, f64),
    Text(&'a str),
}

impl<'a> Basic<'a> {
    fn of(datum: &'a Datum<'_>) -> Option<Self> {
        Some(match datum {
            Datum::Bool(value) => Self::Bool(*value),
            Datum::Int(value) => Self::Int(*value),
            Datum::Byte(value) => Self::Int(i64::from(*value)),
            Datum::Float(value) => Self::Float(*value),
            Datum::Complex(re, im) => Self::Complex(*re, *im),
            Datum::Text(text) => Self::Text(text),
            _ => return None,
        })
    }

    fn is_kind_of(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// Whether `value` equals any of `others`.
pub(super) fn equals_any(
    value: &Operand<'_>,
    others: &[Operand<'_>],
    budget: &mut Budget,
) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equals(&value.datum, &other.datum, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equals(a: &Datum<'_>, b: &Datum<'_>, budget: &mut Budget) -> Result<bool, String> {
    match (Basic::of(a), Basic::of(b), a, b) {
        (Some(x), Some(y), ..) if x.is_kind_of(y) => Ok(x == y),
        (_, _, Datum::Nil, Datum::Nil) => Ok(true),
        (_, _, Datum::Nil, _) | (_, _, _, Datum::Nil) => Ok(false),
        (None, None, Datum::Time(x), Datum::Time(y)) => Ok(x == y),
        (None, None, ..) => Err(not_comparable(a, b, budget)?),
        _ => Err(incompatible(a, b)),
    }
}

fn not_comparable(a: &Datum<'_>, b: &Datum<'_>, budget: &mut Budget) -> Result<String, String> {
    let mut shown =
        |datum: &Datum<'_>, format: &str| printf(format, &[Operand::bare(datum.clone())], budget);
    let (a_type, b_type) = (a.type_name(), b.type_name());
    Ok(if is_list(a) == is_list(b) && is_map(a) == is_map(b) {
        format!("non-comparable type {}: {b_type}", shown(b, "%s")?)
    } else {
        let (a, b) = (shown(a, "%s")?, shown(b, "%v")?);
        format!("non-comparable types {a}: {a_type}, {b_type}: {b}")
    })
}

fn is_list(datum: &Datum<'_>) -> bool {
    matches!(datum, Datum::Texts(_) | Datum::Paths(_) | Datum::List(_))
}

fn is_map(datum: &Datum<'_>) -> bool {
    matches!(datum, Datum::Map(_))
}

fn incompatible(a: &Datum<'_>, b: &Datum<'_>) -> String {
    format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    )
}

/// How two values stand to each other; numbers that are not a number are unordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    Equal,
    Greater,
    Unordered,
}

/// Compares the first two arguments.
pub(super) fn compare(args: &[Operand<'_>]) -> Result<Order, String> {
    let (a, b) = (&args[0].datum, &args[1].datum);
    let bad_type = || "invalid type for comparison".to_owned();
    let (x, y) = (
        Basic::of(a).ok_or_else(bad_type)?,
        Basic::of(b).ok_or_else(bad_type)?,
    );
    let order = match (x, y) {
        (Basic::Int(x), Basic::Int(y)) => Some(x.cmp(&y)),
        (Basic::Float(x), Basic::Float(y)) => x.partial_cmp(&y),
        (Basic::Text(x), Basic::Text(y)) => Some(x.cmp(y)),
        _ if x.is_kind_of(y) => return Err(bad_type()),
        _ => return Err(incompatible(a, b)),
    };
    Ok(match order {
        Some(std::cmp::Ordering::Less) => Order::Less,
        Some(std::cmp::Ordering::Equal) => Order::Equal,
        Some(std::cmp::Ordering::Greater) => Order::Greater,
        None => Order::Unordered,
    })
}
