//! A component as an artifact: the layout that the CNCF's working group agreed on, which `wkg` writes and reads
//! (facts/wasm-plugin-hosts.md 3.11).

use std::collections::BTreeMap;
use std::error::Error;

use serde::{Deserialize, Serialize};

use crate::COMPONENT_LIMIT;
use crate::digest::{Digest, NotADigest};
use crate::net::clean;

/// Media type of the manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Media type of the configuration.
pub(super) const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// Media type of the component's bytes.
pub(super) const COMPONENT: &str = "application/wasm";

/// What older tools call the same.
const OLDER_COMPONENT: &str = "application/vnd.wasm.content.layer.v1+wasm";

/// What is accepted for a manifest. The last two are refused with words, which a registry that is not offered them cannot.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// The configuration, which tells what the component needs without fetching it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config<'a> {
    pub(super) created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<&'a str>,
    pub(super) architecture: &'static str,
    pub(super) os: &'static str,
    pub(super) layer_digests: [String; 1],
    pub(super) component: Interfaces<'a>,
}

/// What a component offers and needs.
#[derive(Debug, Serialize)]
pub(super) struct Interfaces<'a> {
    pub(super) exports: &'a [String],
    pub(super) imports: &'a [String],
    /// The world it was written for; nobody can tell from its bytes.
    pub(super) target: Option<&'a str>,
}

/// The manifest, as it is written. The order of fields is part of its digest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written<'a> {
    pub(super) schema_version: u32,
    pub(super) media_type: &'static str,
    pub(super) config: WrittenBlob,
    pub(super) layers: [WrittenBlob; 1],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: &'a BTreeMap<String, String>,
}

/// A blob that a manifest names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WrittenBlob {
    pub(super) media_type: &'static str,
    pub(super) digest: String,
    pub(super) size: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<&'static str, String>,
}

/// A component in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the component's bytes.
    pub digest: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl Layer {
    /// The component that a manifest names.
    ///
    /// # Errors
    ///
    /// Why there is none, as the end of a sentence that begins with the reference.
    pub fn of(manifest: &[u8]) -> Result<Self, String> {
        let invalid = |error: &dyn Error| {
            let error = clean(&error.to_string());
            format!("has a manifest that is not valid: {error}")
        };
        let manifest: Manifest =
            serde_json::from_slice(manifest).map_err(|error| invalid(&error))?;
        if manifest.manifests.is_some() {
            let kind = manifest.media_type.as_deref().unwrap_or("no media type");
            return Err(format!(
                "is an index of several manifests ({}), and a component runs everywhere; name one of them by its digest",
                clean(kind)
            ));
        }
        let [layer] = manifest.layers.as_slice() else {
            return Err(no_component(&manifest));
        };
        if ![COMPONENT, OLDER_COMPONENT].contains(&layer.media_type.as_str()) {
            return Err(no_component(&manifest));
        }
        if layer.size > COMPONENT_LIMIT {
            return Err(format!(
                "has {} bytes; a component may have {} MiB",
                layer.size,
                COMPONENT_LIMIT >> 20
            ));
        }
        let parsed = layer.digest.parse();
        let digest = parsed.map_err(|error: NotADigest| invalid(&error))?;
        Ok(Self { digest })
    }
}

/// Says what there is instead of a component.
fn no_component(manifest: &Manifest) -> String {
    const SHOWN: usize = 5;
    let layers = &manifest.layers;
    let mut types: Vec<_> = layers
        .iter()
        .take(SHOWN)
        .map(|l| clean(&l.media_type))
        .collect();
    if layers.len() > SHOWN {
        types.push(format!("and {} more", layers.len() - SHOWN));
    }
    let types = match types.is_empty() {
        true => "no layer".to_owned(),
        false => types.join(", "),
    };
    let config = manifest
        .config
        .as_ref()
        .map_or_else(|| "none".to_owned(), |config| clean(&config.media_type));
    let image = layers.iter().any(|layer| layer.media_type.contains(".tar"));
    let what = if image {
        "is a container image"
    } else {
        "is not a component"
    };
    format!(
        "{what}: it holds {types} (configuration: {config}), and one layer {COMPONENT} is expected"
    )
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(layers: &[(&str, u64)]) -> Result<Layer, String> {
        let layers: Vec<_> = layers
            .iter()
            .map(|(kind, size)| {
                json!({"mediaType": kind, "digest": Digest::of(b"x").to_string(), "size": size})
            })
            .collect();
        let config = json!({"mediaType": CONFIG, "digest": "sha256:x", "size": 2});
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        Layer::of(manifest.to_string().as_bytes())
    }

    #[test]
    fn one_layer_of_wasm_is_a_component() {
        for kind in [COMPONENT, OLDER_COMPONENT] {
            assert_eq!(of(&[(kind, 1)]).unwrap().digest, Digest::of(b"x"));
        }
        let bare = json!({"layers": [{"mediaType": COMPONENT, "digest": Digest::of(b"x").to_string(), "size": 1}]});
        assert!(Layer::of(bare.to_string().as_bytes()).is_ok());
    }

    #[test]
    fn all_else_is_refused_with_what_it_is() {
        let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
        let error = |layers: &[(&str, u64)]| of(layers).unwrap_err();
        assert_snapshot!(error(&[(tar, 1)]), @"is a container image: it holds application/vnd.oci.image.layer.v1.tar+gzip (configuration: application/vnd.wasm.config.v0+json), and one layer application/wasm is expected");
        assert_snapshot!(error(&[]), @"is not a component: it holds no layer (configuration: application/vnd.wasm.config.v0+json), and one layer application/wasm is expected");
        assert_snapshot!(error(&[(COMPONENT, 1), ("text/\u{1b}[31mplain", 1)]), @"is not a component: it holds application/wasm, text/[31mplain (configuration: application/vnd.wasm.config.v0+json), and one layer application/wasm is expected");
        assert_snapshot!(error(&[("a/b", 1); 500]), @"is not a component: it holds a/b, a/b, a/b, a/b, a/b, and 495 more (configuration: application/vnd.wasm.config.v0+json), and one layer application/wasm is expected");
        assert_snapshot!(error(&[(COMPONENT, 70_000_000)]), @"has 70000000 bytes; a component may have 64 MiB");
    }

    #[test]
    fn an_index_is_refused() {
        let index =
            json!({"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [{}]});
        assert_snapshot!(Layer::of(index.to_string().as_bytes()).unwrap_err(), @"is an index of several manifests (application/vnd.oci.image.index.v1+json), and a component runs everywhere; name one of them by its digest");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(manifest in any::<Vec<u8>>(), kind in any::<String>(), size in any::<u64>()) {
            let _ = Layer::of(&manifest);
            let _ = of(&[(&kind, size)]);
        }

        #[test]
        fn what_is_said_is_a_line_that_a_terminal_can_show(
            text in any::<String>(), repeat in 1_usize..2000, layers in 0_usize..9, key in "(mediaType|digest|size|config|layers)",
        ) {
            let text = text.repeat(repeat);
            let layer = json!({"mediaType": COMPONENT, "digest": "", "size": 1, &key: &text});
            let manifest = json!({"mediaType": &text, "config": {"mediaType": &text}, "layers": vec![layer; layers], &key: &text});
            for manifest in [manifest.to_string(), text] {
                let reason = Layer::of(manifest.as_bytes()).unwrap_err();
                prop_assert!(!reason.contains(char::is_control), "{reason:?}");
                prop_assert!(reason.chars().count() < 4096, "{} characters", reason.chars().count());
            }
        }
    }
}
