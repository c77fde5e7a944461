//! Policy: limits what a diff may touch, and keeps secrets from leaving.

mod config;
mod entropy;
mod secret;

use capstan_plugin::{Changes, File, Job, Line, Policy, Refusal, Result, Verdict, refuse};

use crate::config::Config;
use crate::secret::Secret;

struct DiffPolicy;

impl Policy for DiffPolicy {
    fn check_diff(_job: &Job, changes: &Changes) -> Result<Verdict> {
        let config: Config = capstan_plugin::config()?;
        let refusal = whole(&config, changes)
            .or_else(|| changes.files().find_map(|file| one_file(&config, &file)));
        Ok(refusal.into())
    }
}

/// What the whole diff is refused for.
fn whole(config: &Config, changes: &Changes) -> Option<Refusal> {
    let limits = [
        (
            "max-files",
            "touches",
            "files",
            changes.file_count(),
            config.max_files,
        ),
        (
            "max-added",
            "adds",
            "lines",
            changes.added(),
            config.max_added,
        ),
        (
            "max-removed",
            "removes",
            "lines",
            changes.removed(),
            config.max_removed,
        ),
    ];
    let (rule, does, what, count, limit) = limits
        .into_iter()
        .find(|(.., count, limit)| limit.is_some_and(|limit| *count > limit))?;
    let limit = limit?;
    Some(
        refuse(
            rule,
            format!("the diff {does} {count} {what}; at most {limit} are allowed"),
        )
        .with("limit", limit)
        .with("actual", count),
    )
}

/// What the diff is refused for because of one file.
fn one_file(config: &Config, file: &File) -> Option<Refusal> {
    let path = file.path();
    let old_path = file.old_path();
    for path in [Some(&path), old_path.as_ref()].into_iter().flatten() {
        if config.unprotected.matches(path) {
            continue;
        }
        if let Some(glob) = config.protected.find(path) {
            let reason = format!("{path} is protected: batch changes must leave it as it is");
            return Some(
                refuse("protected-path", reason)
                    .with("path", path)
                    .with("pattern", glob.pattern()),
            );
        }
    }
    if let Some(limit) = config.max_file_bytes
        && file.size() > limit
    {
        let size = file.size();
        let reason = format!("the diff of {path} has {size} bytes; at most {limit} are allowed");
        return Some(
            refuse("max-file-bytes", reason)
                .with("path", path)
                .with("limit", limit)
                .with("actual", size),
        );
    }
    if !config.looks_for_secrets() || config.secrets_allowed_in.matches(&path) {
        return None;
    }
    for hunk in file.hunks() {
        for line in hunk.lines().filter(Line::is_added) {
            if let Some(secret) = find(config, &line.text) {
                return Some(refuse_secret(&path, line.number, &secret));
            }
        }
    }
    None
}

fn find(config: &Config, line: &[u8]) -> Option<Secret> {
    let known = if config.secrets {
        secret::find(line)
    } else {
        None
    };
    known.or_else(|| config.high_entropy.then(|| entropy::find(line)).flatten())
}

/// Says where and what, and never the secret.
fn refuse_secret(path: &str, line: u32, secret: &Secret) -> Refusal {
    let Secret { rule, what, hint } = secret;
    let reason = format!(
        "{path}, line {line}, adds what looks like {what} ({hint}): take it out, and replace it where it is in use"
    );
    refuse(*rule, reason).with("path", path).with("line", line)
}

capstan_plugin::export!(DiffPolicy: policy);

#[cfg(test)]
mod tests;
