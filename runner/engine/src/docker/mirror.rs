//! Registries with copies of Docker Hub's images, which are asked first.

use bollard::query_parameters::{RemoveImageOptions, TagImageOptions};
use capstan_plugin_store::registry::{Credentials, HUB, Reference};

use super::connect::Docker;
use super::failure::explain;
use super::pull::{Progress, pull};
use crate::fault::{Fault, FaultClass};

/// One such registry. Whether it is spoken to with TLS is for the engine to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// `host[:port]`.
    registry: String,
}

impl Mirror {
    /// Reads `https://HOST[:PORT]`; the scheme may be missing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .unwrap_or(text);
        let registry = rest.trim_end_matches('/');
        let probe = Reference::parse(&format!("{registry}/library/x"));
        match probe {
            Some(reference) if reference.registry == registry && registry != HUB => Ok(Self {
                registry: registry.to_owned(),
            }),
            _ => Err(format!(
                "{text:?}: expected a registry such as https://mirror.example.com or http://10.0.0.1:5000, without a path"
            )),
        }
    }

    /// What the image is called there; `None` for one that is not of Docker Hub.
    fn name_of(&self, reference: &Reference) -> Option<String> {
        let separator = match reference.digest {
            Some(_) => '@',
            None => ':',
        };
        (reference.registry == HUB).then(|| {
            let (registry, path) = (&self.registry, &reference.path);
            format!("{registry}/{path}{separator}{}", reference.version())
        })
    }

    /// Pulls an image from here, under its own name as far as that is possible; the answer is the name that the engine knows it by. `None` if
    /// it cannot be had here.
    ///
    /// # Errors
    /// A fault of the environment: the engine is lost, or its disk is full.
    pub(super) async fn pull(
        &self,
        docker: &Docker,
        credentials: &Credentials,
        progress: &Progress,
        name: &str,
        reference: &Reference,
        platform: Option<&str>,
    ) -> Result<Option<String>, Fault> {
        let Some(there) = self.name_of(reference) else {
            return Ok(None);
        };
        let Some(copy) = Reference::parse(&there) else {
            return Ok(None);
        };
        match pull(docker, credentials, progress, name, &copy, platform).await {
            Ok(()) => {}
            Err(fault) if fault.class == FaultClass::Environment => return Err(fault),
            Err(fault) => {
                let mirror = &self.registry;
                tracing::warn!(%fault, mirror, "an image cannot be had from a mirror");
                return Ok(None);
            }
        }
        if reference.digest.is_some() {
            // An engine gives no such names; the digest says what it is.
            return Ok(Some(there));
        }
        let tag = TagImageOptions {
            repo: Some(reference.name.clone()),
            tag: Some(reference.version().to_owned()),
        };
        if let Err(error) = docker.api.tag_image(&there, Some(tag)).await {
            let error = explain(&error);
            tracing::warn!(error, name, "an image cannot be given its name");
            return Ok(Some(there));
        }
        // The image stays under the name that it has now.
        let options = RemoveImageOptions {
            noprune: true,
            ..RemoveImageOptions::default()
        };
        if let Err(error) = docker.api.remove_image(&there, Some(options), None).await {
            tracing::debug!(error = explain(&error), there, "a name is left");
        }
        Ok(Some(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_registry() {
        for (text, registry) in [
            ("https://mirror.example.com", "mirror.example.com"),
            ("http://10.0.0.1:5000/", "10.0.0.1:5000"),
            ("localhost:5000", "localhost:5000"),
        ] {
            assert_eq!(Mirror::parse(text).unwrap().registry, registry);
        }
        for text in [
            "",
            "https://",
            "mirror",
            "https://mirror.example.com/hub",
            "https://user@mirror.example.com",
            "https://docker.io",
            "ftp://mirror.example.com",
        ] {
            assert!(Mirror::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_images_of_docker_hub_have_copies() {
        let mirror = Mirror::parse("10.0.0.1:5000").unwrap();
        let name = |text| mirror.name_of(&Reference::parse(text).unwrap());
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, expected) in [
            (
                "alpine",
                Some("10.0.0.1:5000/library/alpine:latest".to_owned()),
            ),
            (
                "docker.io/acme/x:1",
                Some("10.0.0.1:5000/acme/x:1".to_owned()),
            ),
            (
                &*format!("alpine@{digest}"),
                Some(format!("10.0.0.1:5000/library/alpine@{digest}")),
            ),
            ("ghcr.io/acme/x:1", None),
        ] {
            assert_eq!(name(text), expected, "{text}");
        }
    }
}
