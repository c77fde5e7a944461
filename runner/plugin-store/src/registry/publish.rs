//! Publishing a component as an artifact.

use std::collections::BTreeMap;

use capstan_core::plugin::Inspection;
use jiff::Timestamp;
use serde::Serialize;

use super::artifact::{COMPONENT, CONFIG, Config, Interfaces, MANIFEST, Written, WrittenBlob};
use super::reference::Reference;
use super::repository::Repository;
use crate::digest::Digest;
use crate::failure::StoreError;
use crate::http::Trouble;

/// A component and what is said about it. The same publication has the same digest everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it is.
    pub inspection: Inspection,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub author: Option<String>,
    /// The world it was written for: `capstan:plugin/policy-plugin@0.1.0`.
    pub target: Option<String>,
    /// The file's name, which tools that fetch artifacts write it to.
    pub file_name: String,
    /// Annotations of the manifest: `org.opencontainers.image.version` and the like.
    pub annotations: BTreeMap<String, String>,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Digest of the component's bytes.
    pub digest: Digest,
}

impl Publication {
    /// The texts of the configuration and the manifest.
    fn documents(&self) -> (String, String, Digest) {
        let digest = Digest::of(&self.bytes);
        let config = Config {
            created: self.created.to_string(),
            author: self.author.as_deref(),
            architecture: "wasm",
            // Components are WASI 0.2 to all tools until there is a word for later ones.
            os: "wasip2",
            layer_digests: [digest.to_string()],
            component: Interfaces {
                exports: &self.inspection.exports,
                imports: &self.inspection.imports,
                target: self.target.as_deref(),
            },
        };
        let config = text(&config);
        let config_blob = WrittenBlob {
            media_type: CONFIG,
            digest: Digest::of(config.as_bytes()).to_string(),
            size: config.len(),
            annotations: BTreeMap::new(),
        };
        let layer = WrittenBlob {
            media_type: COMPONENT,
            digest: digest.to_string(),
            size: self.bytes.len(),
            annotations: [("org.opencontainers.image.title", self.file_name.clone())].into(),
        };
        let manifest = text(&Written {
            schema_version: 2,
            media_type: MANIFEST,
            config: config_blob,
            layers: [layer],
            annotations: &self.annotations,
        });
        (config, manifest, digest)
    }

    /// Stores it in a repository.
    pub(crate) async fn push(
        &self,
        repository: &Repository<'_>,
        reference: &Reference,
    ) -> Result<Published, Trouble> {
        if let Some(digest) = &reference.digest {
            return Err(StoreError::configuration(format!(
                "a component is published under a tag; leave out @{digest}"
            ))
            .into());
        }
        let (config, manifest, digest) = self.documents();
        repository.put_blob(&digest, &self.bytes).await?;
        let config_digest = Digest::of(config.as_bytes());
        repository
            .put_blob(&config_digest, config.as_bytes())
            .await?;
        let manifest = manifest.as_bytes();
        repository
            .put_manifest(reference.version(), MANIFEST, manifest)
            .await?;
        Ok(Published {
            manifest: Digest::of(manifest),
            digest,
        })
    }
}

fn text(document: &impl Serialize) -> String {
    serde_json::to_string(document)
        .expect("strings, numbers and lists of them can be written as JSON")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn the_layout_is_the_one_that_was_agreed_on() {
        let publication = Publication {
            bytes: b"\0asm".to_vec(),
            inspection: Inspection {
                digest: Digest::of(b"\0asm").to_string(),
                size: 4,
                hooks: BTreeSet::new(),
                command: false,
                api: Some("0.1.0".to_owned()),
                imports: vec!["capstan:plugin/log@0.1.0".to_owned()],
                exports: vec!["capstan:plugin/policy@0.1.0".to_owned()],
            },
            created: "2026-01-02T03:04:05Z".parse().unwrap(),
            author: Some("me".to_owned()),
            target: None,
            file_name: "x.wasm".to_owned(),
            annotations: [("org.opencontainers.image.version", "1.0")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        };
        let (config, manifest, _) = publication.documents();
        assert_eq!(publication.documents().1, manifest);
        assert_snapshot!(config, @r#"{"created":"2026-01-02T03:04:05Z","author":"me","architecture":"wasm","os":"wasip2","layerDigests":["sha256:cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f"],"component":{"exports":["capstan:plugin/policy@0.1.0"],"imports":["capstan:plugin/log@0.1.0"],"target":null}}"#);
        assert_snapshot!(manifest, @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.wasm.config.v0+json","digest":"sha256:7ecaff3435d7ae5c056ae5e4466732f486ff69585c633362daba5080c4b64849","size":284},"layers":[{"mediaType":"application/wasm","digest":"sha256:cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f","size":4,"annotations":{"org.opencontainers.image.title":"x.wasm"}}],"annotations":{"org.opencontainers.image.version":"1.0"}}"#);
    }
}
