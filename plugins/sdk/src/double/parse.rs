//! Reads a diff for the doubles: what `git diff --no-prefix --binary` prints, with names that need no quotes.

use super::changes::{HunkText, Section, Status};

/// The sections of a diff. What it cannot read it takes for nothing: tests look at what came out.
pub(super) fn sections(text: &[u8]) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut in_hunk = (0, 0);
    for line in text.split_inclusive(|&b| b == b'\n') {
        if in_hunk != (0, 0) || line.starts_with(b"\\") {
            if let Some(hunk) = sections.last_mut().and_then(|s| s.hunks.last_mut()) {
                hunk.body.extend_from_slice(line);
                match line.first() {
                    Some(b'+') => in_hunk.1 -= 1,
                    Some(b'-') => in_hunk.0 -= 1,
                    Some(b'\\') => {}
                    _ => in_hunk = (in_hunk.0 - 1, in_hunk.1 - 1),
                }
            }
            continue;
        }
        let words = String::from_utf8_lossy(line);
        let words = words.trim_end();
        if let Some(names) = words.strip_prefix("diff --git ") {
            sections.push(Section::named(&names[names.len() / 2 + 1..]));
        }
        let Some(section) = sections.last_mut() else {
            continue;
        };
        if let Some(hunk) = hunk(words) {
            in_hunk = (i64::from(hunk.old_lines), i64::from(hunk.new_lines));
            section.hunks.push(hunk);
            continue;
        }
        section.header.extend_from_slice(line);
        section.read_header(words);
    }
    sections
}

impl Section {
    fn read_header(&mut self, line: &str) {
        let mode = |text: &str| u32::from_str_radix(text, 8).ok();
        if let Some(text) = line.strip_prefix("new file mode ") {
            self.status = Status::Added;
            self.new_mode = mode(text);
        } else if let Some(text) = line.strip_prefix("deleted file mode ") {
            self.status = Status::Deleted;
            self.old_mode = mode(text);
        } else if let Some(text) = line.strip_prefix("old mode ") {
            self.old_mode = mode(text);
        } else if let Some(text) = line.strip_prefix("new mode ") {
            self.new_mode = mode(text);
            self.status = Status::ModeChanged;
        } else if let Some(name) = line.strip_prefix("rename from ") {
            self.status = Status::Renamed;
            self.old_path = Some(name.to_owned());
        } else if let Some(name) = line.strip_prefix("copy from ") {
            self.status = Status::Copied;
            self.old_path = Some(name.to_owned());
        } else if let Some(name) = line
            .strip_prefix("rename to ")
            .or_else(|| line.strip_prefix("copy to "))
        {
            self.path = name.to_owned();
        } else if let Some(text) = line.strip_prefix("index ") {
            if let Some((_, text)) = text.rsplit_once(' ') {
                self.old_mode = mode(text);
                self.new_mode = self.old_mode;
            }
        } else if line.starts_with("--- ") && self.status == Status::ModeChanged {
            self.status = Status::Modified;
        } else if line == "GIT binary patch" || line.starts_with("Binary files ") {
            self.binary = true;
        }
    }
}

/// The header of a hunk: `@@ -1,2 +3,4 @@`.
fn hunk(line: &str) -> Option<HunkText> {
    let range = |text: &str| -> Option<(u32, u32)> {
        match text.split_once(',') {
            Some((start, lines)) => Some((start.parse().ok()?, lines.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        }
    };
    let (ranges, heading) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let ((old_start, old_lines), (new_start, new_lines)) = (range(old)?, range(new)?);
    Some(HunkText {
        old_start,
        old_lines,
        new_start,
        new_lines,
        heading: heading.to_owned(),
        body: Vec::new(),
    })
}
