//! Durations as Go programs write them.

use std::time::Duration;

/// Reads `90s`, `30m` or `1h30m`.
///
/// # Errors
///
/// A text that says what was expected, if it is something else or nothing.
pub fn parse(text: &str) -> Result<Duration, String> {
    const WRONG: &str = "expected a duration such as 90s, 30m or 1h30m";
    let mut total = 0.0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or(WRONG)?;
        let number: f64 = rest[..digits].parse().map_err(|_| WRONG)?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        total += number
            * match &rest[..letters] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(WRONG.to_owned()),
            };
        rest = &rest[letters..];
    }
    match Duration::try_from_secs_f64(total) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(WRONG.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_writes() {
        for (text, seconds) in [
            ("90s", Some(90.0)),
            ("1h30m", Some(5400.0)),
            ("60m0s", Some(3600.0)),
            ("250ms", Some(0.25)),
            ("1.5h", Some(5400.0)),
            ("", None),
            ("0s", None),
            ("90", None),
            ("1d", None),
            ("s", None),
        ] {
            let read = parse(text).ok().map(|duration| duration.as_secs_f64());
            assert_eq!(read, seconds, "{text}");
        }
    }
}
