//! Sizes and times as people read them.

use std::time::Duration;

/// `512 B`, `18.4 MiB`.
pub(super) fn bytes(size: u64) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut value = size as f64 / 1024.0;
    let mut unit = 0;
    // What would be shown as 1024 is one of the next unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", short(value, 100.0), UNITS[unit])
}

/// `12µs`, `3.4ms`, `250ms`, `2s`.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    format!("{}{unit}", short(value, 10.0))
}

/// With one digit after the point below `whole`, unless that is a zero.
fn short(value: f64, whole: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    let digits = usize::from(tenths < whole && tenths.fract() != 0.0);
    format!("{tenths:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (size, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (64 << 20, "64 MiB"),
            (19_293_798, "18.4 MiB"),
            ((1 << 20) - 1, "1 MiB"),
            (u64::MAX, "17179869184 GiB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }

    #[test]
    fn times() {
        for (nanoseconds, expected) in [
            (0, "0µs"),
            (51_000, "51µs"),
            (3_400_000, "3.4ms"),
            (250_000_000, "250ms"),
            (2_000_000_000, "2s"),
            (1_500_000_000, "1.5s"),
            (120_000_000_000, "120s"),
        ] {
            assert_eq!(time(Duration::from_nanos(nanoseconds)), expected);
        }
    }
}
