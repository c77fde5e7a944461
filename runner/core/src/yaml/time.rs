//! Timestamps as go-yaml accepts them, and their RFC 3339 text.

use std::fmt::Write as _;

use crate::value::Time;

/// Reads `2001-12-14`, `2001-12-14T21:59:43.1Z`, `2001-12-14t21:59:43-05:00`, `2001-12-14 21:59:43`.
///
/// Month, day, hour, minute and second may have one digit. A zone is required after `T` and not
/// allowed after a space; anything else is no timestamp.
pub(super) fn parse(text: &str) -> Option<Time> {
    let mut r = Reader(text.as_bytes());
    let year = r.number(4, 4)?;
    r.literal(b'-')?;
    let month = r.number(1, 2)?;
    r.literal(b'-')?;
    let day = r.number(1, 2)?;
    let date = jiff::civil::Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()?;
    let mut clock = jiff::civil::Time::midnight();
    let mut offset_seconds = 0;
    if !r.0.is_empty() {
        let separator = r.any()?;
        let hour = r.number(1, 2)?;
        r.literal(b':')?;
        let minute = r.number(1, 2)?;
        r.literal(b':')?;
        let second = r.number(1, 2)?;
        let nanosecond = r.fraction();
        clock = jiff::civil::Time::new(
            i8::try_from(hour).ok()?,
            i8::try_from(minute).ok()?,
            i8::try_from(second).ok().filter(|s| *s < 60)?,
            nanosecond,
        )
        .ok()?;
        match separator {
            b'T' | b't' => offset_seconds = r.zone()?,
            b' ' => {}
            _ => return None,
        }
    }
    if !r.0.is_empty() {
        return None;
    }
    let local = date
        .to_datetime(clock)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()?
        .timestamp();
    let instant = local
        .checked_sub(jiff::SignedDuration::from_secs(i64::from(offset_seconds)))
        .ok()?;
    Some(Time {
        instant,
        offset_seconds,
    })
}

/// The text Go's JSON encoder writes: RFC 3339, with as many fractional digits as needed.
pub(super) fn rfc3339(time: Time) -> String {
    let shifted = time
        .instant
        .checked_add(jiff::SignedDuration::from_secs(i64::from(
            time.offset_seconds,
        )))
        .unwrap_or(time.instant);
    let local = jiff::tz::TimeZone::UTC.to_datetime(shifted);
    let mut out = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        local.year(),
        local.month(),
        local.day(),
        local.hour(),
        local.minute(),
        local.second()
    );
    if local.subsec_nanosecond() != 0 {
        let digits = format!("{:09}", local.subsec_nanosecond());
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
    if time.offset_seconds == 0 {
        out.push('Z');
    } else {
        let sign = if time.offset_seconds < 0 { '-' } else { '+' };
        let minutes = time.offset_seconds.abs() / 60;
        let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
    out
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn any(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn literal(&mut self, wanted: u8) -> Option<()> {
        (self.any()? == wanted).then_some(())
    }

    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let n = self
            .0
            .iter()
            .take(most)
            .take_while(|b| b.is_ascii_digit())
            .count();
        if n < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(n);
        self.0 = rest;
        Some(
            digits
                .iter()
                .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')),
        )
    }

    /// Nanoseconds of an optional fraction; digits after the ninth do not count.
    fn fraction(&mut self) -> i32 {
        let [b'.' | b',', rest @ ..] = self.0 else {
            return 0;
        };
        let n = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if n == 0 {
            return 0;
        }
        let (digits, rest) = rest.split_at(n);
        self.0 = rest;
        let padded = digits.iter().copied().chain(std::iter::repeat(b'0'));
        padded
            .take(9)
            .fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'))
    }

    /// `Z` or `+hh:mm`, in seconds.
    fn zone(&mut self) -> Option<i32> {
        let sign = match self.any()? {
            b'Z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.number(2, 2).filter(|h| *h <= 24)?;
        self.literal(b':')?;
        let minutes = self.number(2, 2).filter(|m| *m < 60)?;
        let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
        Some(sign * seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, want) in [
            ("2024-01-02", Some("2024-01-02T00:00:00Z")),
            ("2024-1-2", Some("2024-01-02T00:00:00Z")),
            ("2001-12-14T21:59:43.10Z", Some("2001-12-14T21:59:43.1Z")),
            (
                "2001-12-14t21:59:43-05:30",
                Some("2001-12-14T21:59:43-05:30"),
            ),
            ("2001-12-14T21:59:43+00:00", Some("2001-12-14T21:59:43Z")),
            (
                "2001-12-14 21:59:43.123456789",
                Some("2001-12-14T21:59:43.123456789Z"),
            ),
            ("2001-12-14 21:59:43 -5", None),
            ("2001-12-14T21:59:43", None),
            ("2001-13-14", None),
            ("2001-02-30", None),
            ("01-02-03", None),
            ("2001-12-14T24:00:00Z", None),
            ("2001-12", None),
            ("2001-12-14x", None),
        ] {
            assert_eq!(parse(text).map(rfc3339).as_deref(), want, "{text}");
        }
    }
}
