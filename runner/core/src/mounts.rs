//! What the cache key knows of files that are mounted into steps.

use serde::{Serialize, Serializer};

/// One mounted file, as the cache key sees it: a change of size or time is a change of the file
/// (facts/batch-spec.md 3.8).
///
/// Reading the directory is the caller's work: the mounts of all steps of a task in order,
/// directories walked recursively with their entries sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MountedFile {
    /// Path relative to the directory of the batch spec, with `/` between components.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last modification; written in UTC as RFC 3339 with the shortest fraction.
    #[serde(serialize_with = "rfc_3339")]
    pub modified: jiff::Timestamp,
}

fn rfc_3339<S: Serializer>(time: &jiff::Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::gojson;

    #[rstest]
    #[case("2024-02-03T04:05:06.7Z", "2024-02-03T04:05:06.7Z")]
    #[case("2024-02-03T04:05:06.000000100Z", "2024-02-03T04:05:06.0000001Z")]
    #[case("2024-02-03T05:05:06.000+01:00", "2024-02-03T04:05:06Z")]
    fn the_time_is_utc_with_the_shortest_fraction(#[case] given: &str, #[case] written: &str) {
        let file = MountedFile {
            path: "m/file.txt".to_owned(),
            size: 12,
            modified: given.parse().unwrap(),
        };
        assert_eq!(
            gojson::to_string(&file).unwrap(),
            format!(r#"{{"Path":"m/file.txt","Size":12,"Modified":"{written}"}}"#)
        );
    }
}
