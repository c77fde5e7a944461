//! Diff plugin: evens out white space in the lines that a step added.

mod compare;
mod config;
mod normalize;

use capstan_plugin::{Changes, Diff, Edits, Job, Line, Outcome, Result, Shape, Status, log};

use crate::config::Config;
use crate::normalize::{Place, normalize};

struct DiffNormalize;

/// What git says of a regular file's mode, and what of it tells the kind.
const REGULAR: u32 = 0o100_000;
const KIND: u32 = 0o170_000;

impl Diff for DiffNormalize {
    const SHAPE: Shape = Shape::NormalizeOnly;

    fn process(_job: &Job, changes: &Changes, edits: &Edits) -> Result<Outcome> {
        let config: Config = capstan_plugin::config()?;
        let config = config.with_defaults()?;
        for file in changes.files() {
            // White space in a link's target is no accident.
            let regular = file.new_mode().is_none_or(|mode| mode & KIND == REGULAR);
            if !regular || file.status() == Status::Deleted {
                continue;
            }
            let path = file.path();
            let Some(rules) = config.rules(&path) else {
                continue;
            };
            let place = match file.status() {
                Status::Added => Place::WholeFile,
                _ => Place::Somewhere,
            };
            let mut evened = 0;
            for hunk in file.hunks() {
                let lines: Vec<Line> = hunk.lines().collect();
                if let Some(lines) = normalize(lines, &rules, place) {
                    let mut body = Vec::new();
                    for line in &lines {
                        line.write_to(&mut body);
                    }
                    edits.replace_hunk(&hunk, &body)?;
                    evened += 1;
                }
            }
            if evened > 0 {
                log::info!("evened out white space in {path}");
            }
        }
        Ok(Outcome::Done)
    }
}

capstan_plugin::export!(DiffNormalize: diff);

#[cfg(test)]
mod tests;
