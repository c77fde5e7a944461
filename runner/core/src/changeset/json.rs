//! Changeset specs as the JSON that servers take.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use super::ChangesetSpec;
use crate::diff::Encoding;
use crate::gojson;
use crate::spec::PublishedValue;

/// A changeset spec in one version of its JSON; made by [`ChangesetSpec::as_json`].
///
/// Key order is that of facts/batch-spec.md 5.2. Empty texts are sent, since servers require the
/// keys (upstream drops them and is refused; facts/batch-spec.md 9, item 7).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangesetSpecJson<'a> {
    base_repository: &'a str,
    base_rev: &'a str,
    base_ref: &'a str,
    head_repository: &'a str,
    head_ref: &'a str,
    title: &'a str,
    body: &'a str,
    commits: [Commit<'a>; 1],
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_published"
    )]
    published: Option<PublishedValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fork: Option<bool>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Commit<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    message: &'a str,
    diff: Cow<'a, str>,
    author_name: &'a str,
    author_email: &'a str,
}

impl ChangesetSpec {
    /// The spec as part of a larger JSON value.
    pub fn as_json(&self, encoding: Encoding) -> ChangesetSpecJson<'_> {
        let (version, diff) = match encoding {
            Encoding::Text => (None, gojson::utf8(&self.diff)),
            Encoding::Base64 => (Some(2), STANDARD.encode(&self.diff).into()),
        };
        ChangesetSpecJson {
            base_repository: &self.repository_id,
            base_rev: &self.base_rev,
            base_ref: &self.base_ref,
            head_repository: &self.repository_id,
            head_ref: &self.head_ref,
            title: &self.title,
            body: &self.body,
            commits: [Commit {
                version,
                message: &self.message,
                diff,
                author_name: &self.author.name,
                author_email: &self.author.email,
            }],
            published: self.published,
            fork: self.fork,
        }
    }

    /// The spec as Go-JSON.
    pub fn to_json(&self, encoding: Encoding) -> String {
        gojson::to_string(&self.as_json(encoding)).expect("all keys of a changeset spec are text")
    }
}

fn write_published<S: Serializer>(
    published: &Option<PublishedValue>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match published {
        None => serializer.serialize_none(),
        Some(PublishedValue::Yes) => serializer.serialize_bool(true),
        Some(PublishedValue::No) => serializer.serialize_bool(false),
        Some(PublishedValue::Draft) => serializer.serialize_str("draft"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::spec::Author;

    fn spec() -> ChangesetSpec {
        ChangesetSpec {
            repository_id: "UmVwbzox".to_owned(),
            repository_name: "github.com/acme/widgets".to_owned(),
            base_rev: "d34db33f".to_owned(),
            base_ref: "refs/heads/main".to_owned(),
            head_ref: "refs/heads/fix".to_owned(),
            title: "T <1>".to_owned(),
            body: String::new(),
            message: "M".to_owned(),
            author: Author {
                name: "N".to_owned(),
                email: "n@e".to_owned(),
            },
            diff: b"diff --git a a\n\xff".to_vec(),
            published: None,
            fork: None,
        }
    }

    #[test]
    fn version_1_has_text_and_sends_what_is_empty() {
        assert_eq!(
            spec().to_json(Encoding::Text),
            "{\"baseRepository\":\"UmVwbzox\",\"baseRev\":\"d34db33f\",\"baseRef\":\"refs/heads/main\",\
             \"headRepository\":\"UmVwbzox\",\"headRef\":\"refs/heads/fix\",\"title\":\"T \\u003c1\\u003e\",\"body\":\"\",\
             \"commits\":[{\"message\":\"M\",\"diff\":\"diff --git a a\\n\u{fffd}\",\"authorName\":\"N\",\"authorEmail\":\"n@e\"}]}"
        );
    }

    #[rstest]
    #[case(PublishedValue::Yes, "true")]
    #[case(PublishedValue::No, "false")]
    #[case(PublishedValue::Draft, "\"draft\"")]
    fn version_2_has_base64(#[case] published: PublishedValue, #[case] text: &str) {
        let spec = ChangesetSpec {
            published: Some(published),
            fork: Some(false),
            ..spec()
        };
        let json = spec.to_json(Encoding::Base64);
        let end = format!(
            r#""commits":[{{"version":2,"message":"M","diff":"ZGlmZiAtLWdpdCBhIGEK/w==","authorName":"N","authorEmail":"n@e"}}],"published":{text},"fork":false}}"#
        );
        assert!(json.ends_with(&end), "{json}");
    }
}
