//! The rules, in the order in which they are asked.

use capstan_plugin::{Glob, Globs, Refusal, refuse};

use crate::component::Component;
use crate::config::Config;
use crate::reference::{Reference, Unreadable};

/// Why this image or component must not run; `None` if it may.
pub(crate) fn check(config: &Config, image: &str) -> Option<Refusal> {
    let refusal = match Component::parse(image) {
        Some(component) => component_refusal(config, &component)?,
        None => match Reference::parse(image.trim()) {
            Ok(reference) => image_refusal(config, &reference)?,
            Err(Unreadable::Malformed) => refuse(
                "image-malformed",
                format!("{image:?} is no reference to an image: write registry/name:tag"),
            ),
            Err(Unreadable::Id) => refuse(
                "image-id",
                format!(
                    "{image} may be the id of an image, which tells nothing about it: write registry/name:tag"
                ),
            ),
        },
    };
    Some(refusal.with("image", image))
}

fn image_refusal(config: &Config, image: &Reference) -> Option<Refusal> {
    let matching = |globs: &Globs| {
        let tagged = image
            .tag
            .as_ref()
            .map(|tag| format!("{}:{tag}", image.name));
        [Some(image.name.clone()), tagged, Some(image.to_string())]
            .into_iter()
            .flatten()
            .find_map(|form| globs.find(&form).map(|glob| glob.pattern().to_owned()))
    };
    if let Some(pattern) = matching(&config.deny) {
        let reason = format!("{image} is denied by {pattern:?}");
        return Some(refuse("image-denied", reason));
    }
    if matching(&config.allow).is_none() {
        let reason = format!(
            "{image} is not allowed: allowed are {}",
            listed(&config.allow)
        );
        return Some(refuse("image-not-allowed", reason));
    }
    if image.digest.is_some() || matching(&config.exceptions).is_some() {
        return None;
    }
    if config.require_digest {
        let reason = format!(
            "{image} is not pinned: write {image}@sha256:... with the digest of what was tested"
        );
        return Some(refuse("image-digest-required", reason));
    }
    if !config.deny_latest {
        return None;
    }
    let name = &image.name;
    match image.tag.as_deref() {
        None => Some(refuse(
            "image-tag-required",
            format!("{name} has no tag, which means latest: write {name}:VERSION, or a digest"),
        )),
        Some("latest") => Some(refuse(
            "image-latest",
            format!("{image} is another image tomorrow: write {name}:VERSION, or a digest"),
        )),
        Some(_) => None,
    }
}

fn component_refusal(config: &Config, component: &Component) -> Option<Refusal> {
    let name = &component.name;
    if !config.wasm.matches(name) {
        let reason = if config.wasm.is_empty() {
            format!("wasm://{name} is not allowed: no components are, as `wasm` is not configured")
        } else {
            format!(
                "wasm://{name} is not allowed: allowed are {}",
                listed(&config.wasm)
            )
        };
        return Some(refuse("wasm-not-allowed", reason));
    }
    // A file comes with the batch spec, or from whoever administers this machine.
    if config.require_digest && !component.pinned && !component.file {
        let reason = format!(
            "wasm://{name} is not pinned: write wasm://{name}@sha256:... with the digest of what was tested"
        );
        return Some(refuse("wasm-digest-required", reason));
    }
    None
}

fn listed(globs: &Globs) -> String {
    let patterns: Vec<&str> = globs.iter().map(Glob::pattern).collect();
    match patterns.as_slice() {
        [] => "none".to_owned(),
        patterns => patterns.join(", "),
    }
}
