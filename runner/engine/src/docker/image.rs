//! Brings images onto the engine, each once for the whole process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::models::ImageInspect;
use capstan_plugin_store::registry::{Credentials, Reference};
use tokio::sync::{OnceCell, Semaphore};
use tracing::Instrument as _;

use super::connect::Docker;
use super::failure::{explain, is_missing, lost, refusal};
use super::info::EngineInfo;
use super::pull::{Progress, pull};
use crate::fault::Fault;
use crate::sandbox::Image;

/// Images pulled at a time, as upstream's `exec` does (`facts/batch-spec.md` 3.3).
const PULLS: usize = 4;

const INSPECT: Duration = Duration::from_secs(30);

/// Name and platform.
type Key = (String, Option<String>);

/// What came of looking for an image, once somebody has looked.
type Answer = Arc<OnceCell<Result<Image, Fault>>>;

/// The images of one process. What was found for a name, a failure included, is kept.
pub struct Images {
    docker: Docker,
    engine: String,
    credentials: Credentials,
    progress: Progress,
    pulls: Semaphore,
    known: Mutex<HashMap<Key, Answer>>,
}

impl Images {
    /// Nothing is known yet. `progress` is called for every image that is pulled.
    pub fn new(
        docker: Docker,
        info: &EngineInfo,
        credentials: Credentials,
        progress: Progress,
    ) -> Self {
        Self {
            docker,
            engine: info.platform(),
            credentials,
            progress,
            pulls: Semaphore::new(PULLS),
            known: Mutex::default(),
        }
    }

    /// Makes sure that an image is there, and tells its content digest. A local image is never refreshed
    /// (`facts/batch-spec.md` 3.3). Many may ask for the same name: one pulls, all get its result.
    ///
    /// # Errors
    /// `pulling image "<name>": ...`: a workspace fault when this image cannot be had, an environment fault when
    /// the engine is lost or its disk full.
    pub async fn ensure(&self, name: &str, platform: Option<&str>) -> Result<Image, Fault> {
        let key = (name.to_owned(), platform.map(str::to_owned));
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(key).or_default())
        };
        cell.get_or_init(|| self.look_up(name, platform))
            .await
            .clone()
    }

    async fn look_up(&self, name: &str, platform: Option<&str>) -> Result<Image, Fault> {
        let Some(reference) = Reference::parse(name) else {
            return Err(Fault::workspace(format!(
                "pulling image {name:?}: failed to pull image: invalid reference format"
            ))
            .hint("write the image as [registry/]name[:tag], in lower case"));
        };
        let wanted = platform.unwrap_or(&self.engine);
        let local = self.inspect(name).await?;
        let usable = local.filter(|found| {
            // Only an explicit platform makes us replace what is there.
            platform.is_none() || matches(&platform_of(found), wanted)
        });
        let found = match usable {
            Some(found) => found,
            None => {
                let Ok(_permit) = self.pulls.acquire().await else {
                    return Err(Fault::environment("pulling images has been shut down"));
                };
                let span = tracing::info_span!("image.pull", image.name = name);
                let pulling = self.pull(name, &reference, platform);
                let known_as = pulling.instrument(span).await?;
                self.inspect(&known_as).await?.ok_or_else(|| {
                    Fault::workspace(format!(
                        "pulling image {name:?}: not found after pulling image"
                    ))
                })?
            }
        };
        let of_image = platform_of(&found);
        if !matches(&of_image, wanted) {
            return Err(mismatch(name, &of_image, wanted, platform.is_some()));
        }
        let id = found.id.filter(|id| !id.is_empty()).ok_or_else(|| {
            Fault::workspace(format!(
                "unexpected empty docker image content ID for {name:?}"
            ))
        })?;
        Ok(Image {
            name: name.to_owned(),
            // Podman leaves the algorithm out.
            id: if id.contains(':') {
                id
            } else {
                format!("sha256:{id}")
            },
            user: found
                .config
                .and_then(|config| config.user)
                .unwrap_or_default(),
        })
    }

    /// Pulls an image, from a mirror if one has it; the answer is the name that the engine knows it by.
    async fn pull(
        &self,
        name: &str,
        reference: &Reference,
        platform: Option<&str>,
    ) -> Result<String, Fault> {
        let (docker, credentials, progress) = (&self.docker, &self.credentials, &self.progress);
        for mirror in &docker.mirrors {
            let pulling = mirror.pull(docker, credentials, progress, name, reference, platform);
            if let Some(known_as) = pulling.await? {
                return Ok(known_as);
            }
        }
        pull(docker, credentials, progress, name, reference, platform).await?;
        Ok(name.to_owned())
    }

    async fn inspect(&self, name: &str) -> Result<Option<ImageInspect>, Fault> {
        let doing = format!("looking for image {name:?}");
        match tokio::time::timeout(INSPECT, self.docker.api.inspect_image(name)).await {
            Ok(Ok(found)) => Ok(Some(found)),
            Ok(Err(error)) if is_missing(&error) => Ok(None),
            // Podman refuses some names here that it would pull; a pull has the better error.
            Ok(Err(error)) if refusal(&error).is_some() => Ok(None),
            Ok(Err(error)) => Err(lost(&doing, &explain(&error))),
            Err(_) => Err(lost(
                &doing,
                &format!("no answer within {} s", INSPECT.as_secs()),
            )),
        }
    }
}

/// `os/architecture[/variant]` of an image; empty when it does not say.
fn platform_of(image: &ImageInspect) -> String {
    let part = |value: &Option<String>| value.clone().unwrap_or_default();
    let (os, architecture, variant) = (
        part(&image.os),
        part(&image.architecture),
        part(&image.variant),
    );
    match (os.as_str(), architecture.as_str(), variant.as_str()) {
        ("", _, _) | (_, "", _) => String::new(),
        (_, _, "") => format!("{os}/{architecture}"),
        _ => format!("{os}/{architecture}/{variant}"),
    }
}

/// Whether an image of platform `image` runs where `wanted` is asked for, without emulation.
fn matches(image: &str, wanted: &str) -> bool {
    if image.is_empty() || wanted.is_empty() {
        return true;
    }
    let parts = |text: &str| {
        let mut parts = text.split('/').map(architecture);
        (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        )
    };
    let (image_os, image_architecture, image_variant) = parts(image);
    let (os, wanted_architecture, variant) = parts(wanted);
    let same = image_architecture == wanted_architecture
        && (variant.is_empty() || image_variant.is_empty() || image_variant == variant);
    // These processors run the older kind too.
    let compatible = matches!(
        (wanted_architecture.as_str(), image_architecture.as_str()),
        ("amd64", "386") | ("arm64", "arm")
    );
    image_os == os && (same || compatible)
}

/// The name images use for an architecture.
fn architecture(name: &str) -> String {
    match name {
        "x86_64" | "x86-64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        "i386" | "i686" => "386".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

fn mismatch(name: &str, image: &str, wanted: &str, explicit: bool) -> Fault {
    let (who, hint) = if explicit {
        (
            format!("platform {wanted} was asked for"),
            "check that the image is published for that platform, or leave --platform out"
                .to_owned(),
        )
    } else {
        (
            format!("this engine runs {wanted}"),
            format!(
                "get the right one with `docker pull --platform {wanted} {name}` or choose an image built for it; if this engine can emulate the other, say --platform {image}"
            ),
        )
    };
    Fault::workspace(format!("image {name} is for {image}, {who}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("linux/amd64", "linux/amd64", true)]
    #[case("linux/amd64", "linux/x86_64", true)]
    #[case("linux/386", "linux/amd64", true)]
    #[case("linux/arm/v7", "linux/arm64", true)]
    #[case("linux/arm64/v8", "linux/arm64", true)]
    #[case("linux/arm64", "linux/aarch64", true)]
    #[case("", "linux/amd64", true)]
    #[case("linux/arm64", "linux/amd64", false)]
    #[case("linux/amd64", "linux/arm64", false)]
    #[case("windows/amd64", "linux/amd64", false)]
    #[case("linux/arm/v6", "linux/arm/v7", false)]
    fn platforms(#[case] image: &str, #[case] wanted: &str, #[case] runs: bool) {
        assert_eq!(matches(image, wanted), runs);
    }

    #[test]
    fn a_mismatch_is_told_as_such() {
        let fault = mismatch("acme/x", "linux/arm64", "linux/amd64", false);
        assert_eq!(
            fault.message,
            "image acme/x is for linux/arm64, this engine runs linux/amd64"
        );
    }
}
