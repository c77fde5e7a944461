use crate::capstan::plugin::changes::{Diff, Edits, Hunk, Severity};
use crate::capstan::plugin::job::Job;
use crate::capstan::plugin::scratch;
use crate::capstan::plugin::types::Error;
use crate::exports::capstan::plugin::diff::{Guest, Outcome, Shape};
use crate::{Plugin, refusal, setting, task};

impl Guest for Plugin {
    fn declare() -> Shape {
        match setting("shape").as_str() {
            "remove-only" => Shape::RemoveOnly,
            "normalize-only" => Shape::NormalizeOnly,
            "rewrite" => Shape::Rewrite,
            // Another one in each call.
            "fickle" if scratch::get("declared").is_some() => Shape::Rewrite,
            "fickle" => {
                scratch::set("declared", b"").unwrap();
                Shape::RemoveOnly
            }
            _ => Shape::Annotate,
        }
    }

    fn process(job: &Job, diff: &Diff, edits: &Edits) -> Result<Outcome, Error> {
        let task = task()?;
        match task.as_str() {
            "refuse" => return Ok(Outcome::Refuse(refusal("diffs", job.repository()))),
            "see" => return Ok(Outcome::Refuse(refusal("seen", see(diff)))),
            _ => {}
        }
        let wanted = setting("file");
        while let Some(file) = diff.next_file() {
            if !wanted.is_empty() && file.path() != wanted {
                continue;
            }
            match task.as_str() {
                "drop-file" => edits.drop_file(&file)?,
                "annotate" => {
                    edits.annotate(&file, Some(3), Severity::Warning, "look here")?;
                    edits.annotate(&file, None, Severity::Notice, "and at all of it")?;
                }
                "annotate-flood" => loop {
                    edits.annotate(&file, None, Severity::Failure, &"x".repeat(1000))?;
                },
                _ => {}
            }
            while let Some(hunk) = file.next_hunk() {
                edit(&task, edits, &hunk)?;
            }
        }
        Ok(Outcome::Done)
    }
}

fn edit(task: &str, edits: &Edits, hunk: &Hunk) -> Result<(), Error> {
    match task {
        "drop-hunk" => edits.drop_hunk(hunk),
        "strip" => edits.replace_hunk(hunk, &stripped(&hunk.text())),
        "replace" => edits.replace_hunk(hunk, setting("body").as_bytes()),
        // As if nothing had happened.
        "replace-quietly" => {
            let _ = edits.replace_hunk(hunk, setting("body").as_bytes());
            Ok(())
        }
        "replace-by-much" => edits.replace_hunk(hunk, &b"+\n".repeat(1024 * 1024)),
        _ => Ok(()),
    }
}

/// Without blanks at the ends of added lines.
fn stripped(body: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if line[0] == b'+' {
            output.extend_from_slice(line.trim_ascii_end());
            output.push(b'\n');
        } else {
            output.extend_from_slice(line);
        }
    }
    output
}

/// All that the interface tells of a diff.
pub fn see(diff: &Diff) -> String {
    let mut seen = format!(
        "{} files, +{} -{}, {} bytes\n",
        diff.file_count(),
        diff.added(),
        diff.removed(),
        diff.size()
    );
    while let Some(file) = diff.next_file() {
        seen += &format!(
            "{} {:?} from {:?} {:?} {:o}..{:o} binary={} +{} -{} {} bytes: {:?} .. {:?}\n",
            file.path(),
            file.path_bytes().len(),
            file.old_path(),
            file.status(),
            file.old_mode().unwrap_or(0),
            file.new_mode().unwrap_or(0),
            file.binary(),
            file.added(),
            file.removed(),
            file.size(),
            String::from_utf8_lossy(&file.slice(0, 10)),
            String::from_utf8_lossy(&file.slice(file.size() - 3, u32::MAX)),
        );
        assert!(file.slice(file.size() + 1, 1).is_empty());
        while let Some(hunk) = file.next_hunk() {
            let text = hunk.text();
            seen += &format!(
                "  -{},{} +{},{} {} bytes: {:?}\n",
                hunk.old_start(),
                hunk.old_lines(),
                hunk.new_start(),
                hunk.new_lines(),
                hunk.size(),
                String::from_utf8_lossy(&text),
            );
            assert_eq!(hunk.slice(1, 2), text[1..3]);
        }
        assert!(file.next_hunk().is_none());
    }
    assert!(diff.next_file().is_none());
    seen
}
