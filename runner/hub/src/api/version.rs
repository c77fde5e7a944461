//! Which form of a job an executor of some version can read (facts/executor-protocol.md 1.5).

/// From this day on, builds between releases read the second form.
const SINCE: &str = "2022-11-24";

/// Whether an executor of this version reads jobs in their second form; `None` if the version cannot be made out.
pub(super) fn reads_second_form(version: &str) -> Option<bool> {
    if version.is_empty() {
        return Some(false);
    }
    if version == "dev" || version.starts_with("0.0.0+dev") {
        return Some(true);
    }
    if let Some(day) = day(version) {
        return Some(day >= SINCE);
    }
    let number = version.strip_prefix('v').unwrap_or(version);
    let number = number.split(['-', '+']).next().unwrap_or(number);
    let mut parts = number.split('.');
    let major: u32 = parts.next()?.parse().ok()?;
    let minor: u32 = parts.next()?.parse().ok()?;
    let patch: u32 = parts.next().unwrap_or("0").parse().ok()?;
    parts
        .next()
        .is_none()
        .then_some((major, minor, patch) >= (4, 3, 0))
}

/// The day in the name of a build between releases: `184371_2022-11-29_4.2-abcdef`.
fn day(version: &str) -> Option<&str> {
    version.split('_').find(|part| {
        part.len() == 10
            && part.bytes().enumerate().all(|(index, byte)| match index {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_all_kinds() {
        for (version, expected) in [
            ("", Some(false)),
            ("dev", Some(true)),
            ("0.0.0+dev", Some(true)),
            ("4.2.1", Some(false)),
            ("4.3.0-0", Some(true)),
            ("4.3.0", Some(true)),
            ("v5.2.3", Some(true)),
            ("5.10.1164", Some(true)),
            ("6.1-rc.1", Some(true)),
            ("184371_2022-11-23_4.2-abcdef", Some(false)),
            ("184371_2022-11-24_4.2-abcdef", Some(true)),
            ("184371_2023-01-02_abcdef", Some(true)),
            ("five", None),
            ("5", None),
            ("5.x", None),
            ("1.2.3.4", None),
        ] {
            assert_eq!(reads_second_form(version), expected, "{version}");
        }
    }
}
