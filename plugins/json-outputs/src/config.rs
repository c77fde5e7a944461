//! The plugin's configuration; see README.md.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Where the JSON is and what becomes of it.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Where it is.
    pub(crate) from: From,
    /// What is in front of it, for [`From::Marker`].
    pub(crate) marker: String,
    /// The stream it is printed to.
    pub(crate) stream: Stream,
    /// Names of outputs, and where their values are: `release.version`. Empty: the object's own names.
    pub(crate) map: BTreeMap<String, String>,
    /// Whether it has to be there.
    pub(crate) required: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            from: From::LastObject,
            marker: "::outputs::".to_owned(),
            stream: Stream::Stdout,
            map: BTreeMap::new(),
            required: false,
        }
    }
}

/// Where the JSON is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum From {
    /// The last line that is an object.
    LastObject,
    /// Each line that begins with the marker; later ones add to earlier ones.
    Marker,
    /// All that was printed.
    Whole,
}

impl From {
    /// Says that nothing was there.
    pub(crate) fn nothing(self, marker: &str) -> String {
        match self {
            Self::LastObject => "no line that it printed is a JSON object".to_owned(),
            Self::Marker => format!("no line that it printed begins with `{marker}`"),
            Self::Whole => "it printed nothing".to_owned(),
        }
    }
}

/// A stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}
