//! Evening out one hunk.

use capstan_plugin::{Line, LineKind};

use crate::compare::compare;
use crate::config::{LineEndings, Rules};

/// Lines of context that git prints around a change: where there are fewer, the file ends.
const CONTEXT: usize = 3;

/// Where a hunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is all of the file.
    WholeFile,
    /// Anywhere in it.
    Somewhere,
}

/// The hunk with its added lines evened out; `None` if there is nothing to be done. Lines that turn out not to have changed become
/// context, so that all may be context: then nothing of the hunk is left.
pub(crate) fn normalize(mut lines: Vec<Line>, rules: &Rules, place: Place) -> Option<Vec<Line>> {
    let ending = ending(&lines, rules.line_endings);
    let mut changed = false;
    for line in lines.iter_mut().filter(|line| line.is_added()) {
        changed |= even_out(line, rules.trailing_blanks, ending);
    }
    if place == Place::WholeFile || trailing_context(&lines) < CONTEXT {
        changed |= even_out_end(&mut lines, rules);
    }
    changed.then(|| without_what_stayed(lines))
}

/// How lines are to end: with or without a carriage return; `None`: as they do.
fn ending(lines: &[Line], wanted: LineEndings) -> Option<bool> {
    match wanted {
        LineEndings::Keep => None,
        LineEndings::Lf => Some(false),
        LineEndings::Crlf => Some(true),
        LineEndings::Match => {
            // A line without a line feed says nothing.
            let before = lines.iter().filter(|line| !line.is_added() && line.newline);
            let (with, without): (Vec<&Line>, Vec<&Line>) =
                before.partition(|line| line.text.ends_with(b"\r"));
            match (with.len(), without.len()) {
                (0, 0) => None,
                (with, without) => Some(with > without),
            }
        }
    }
}

/// Whether it changed.
fn even_out(line: &mut Line, trailing_blanks: bool, ending: Option<bool>) -> bool {
    let mut text = line.text.as_slice();
    let mut returned = false;
    // What was added to a line without a line feed is no line ending.
    if line.newline
        && let Some(without) = text.strip_suffix(b"\r")
    {
        text = without;
        returned = true;
    }
    if trailing_blanks {
        while let [rest @ .., b' ' | b'\t'] = text {
            text = rest;
        }
    }
    // A line without anything, not even a line feed, is no line.
    if text.is_empty() && !line.newline {
        return false;
    }
    let mut evened = text.to_vec();
    if line.newline && ending.unwrap_or(returned) {
        evened.push(b'\r');
    }
    let changed = evened != line.text;
    line.text = evened;
    changed
}

fn trailing_context(lines: &[Line]) -> usize {
    let context = lines.iter().rev();
    context
        .take_while(|line| line.kind == LineKind::Context)
        .count()
}

/// Whether the end of the file changed.
fn even_out_end(lines: &mut Vec<Line>, rules: &Rules) -> bool {
    let mut changed = false;
    if rules.blank_lines_at_end {
        let mut blank = Vec::new();
        for (at, line) in lines.iter().enumerate().rev() {
            match line.kind {
                LineKind::Removed => {}
                LineKind::Added if line.text.iter().all(u8::is_ascii_whitespace) => blank.push(at),
                LineKind::Added | LineKind::Context => break,
            }
        }
        let after = lines.iter().filter(|line| !line.is_removed()).count();
        // A file of nothing but blank lines is meant to be one.
        if blank.len() < after {
            for at in blank {
                lines.remove(at);
                changed = true;
            }
        }
    }
    let last = lines.iter_mut().rfind(|line| !line.is_removed());
    if let Some(line) = last
        && rules.final_newline
        && line.is_added()
        && !line.newline
    {
        line.newline = true;
        changed = true;
    }
    changed
}

/// Makes context of lines that are removed and added just as they were.
fn without_what_stayed(lines: Vec<Line>) -> Vec<Line> {
    let mut whole = Vec::with_capacity(lines.len());
    let mut removed = Vec::new();
    let mut added = Vec::new();
    for line in lines {
        match line.kind {
            LineKind::Removed => removed.push(line),
            LineKind::Added => added.push(line),
            LineKind::Context => {
                whole.append(&mut compare(&mut removed, &mut added));
                whole.push(line);
            }
        }
    }
    whole.append(&mut compare(&mut removed, &mut added));
    whole
}
