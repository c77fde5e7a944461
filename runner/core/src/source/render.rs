//! Problems as people read them: the place, the line, a marker under it, a hint.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

use super::{Diagnostic, Diagnostics, Severity, Span};

/// How many problems are shown.
const SHOWN: usize = 20;
/// Columns of a source line that are shown.
const LINE_WIDTH: usize = 100;
/// Characters of a message that are shown.
const MESSAGE_LENGTH: usize = 400;

impl Diagnostics {
    /// The problems as plain text, each with its line and a marker; ends with a newline.
    ///
    /// `name` is what the document is called (`spec.yaml`), `text` the bytes it was read from.
    /// At most 20 are shown, long lines are cut around the place, control characters are replaced.
    ///
    /// ```text
    /// spec.yaml:7:5: steps.0: container is required
    ///   7 |   - run: echo
    ///     |     ^^^
    ///   hint: every step needs `run` and `container`
    /// ```
    pub fn render(&self, name: &str, text: &[u8]) -> String {
        let mut out = String::new();
        for diagnostic in self.iter().take(SHOWN) {
            diagnostic.render_to(&mut out, name, text);
        }
        let hidden = self.len().saturating_sub(SHOWN);
        if hidden > 0 {
            let _ = writeln!(out, "and {hidden} more");
        }
        out
    }
}

impl Diagnostic {
    /// This problem alone, as [`Diagnostics::render`] shows it.
    pub fn render(&self, name: &str, text: &[u8]) -> String {
        let mut out = String::new();
        self.render_to(&mut out, name, text);
        out
    }

    fn render_to(&self, out: &mut String, name: &str, text: &[u8]) {
        let Span { line, column, .. } = self.span;
        let warning = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        let message = shorten(&self.to_string());
        let _ = writeln!(out, "{name}:{line}:{column}: {warning}{message}");
        if let Some(excerpt) = Excerpt::new(text, self.span) {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            let _ = writeln!(out, "  {number} | {}", excerpt.line);
            let _ = writeln!(out, "  {margin} | {}", excerpt.marker);
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "  hint: {}", shorten(hint));
        }
    }
}

/// A message on one line, free of control characters, of bounded length.
fn shorten(message: &str) -> String {
    let mut out = String::new();
    for (n, c) in message.chars().enumerate() {
        if n == MESSAGE_LENGTH {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// A source line as shown, and the marker below it.
struct Excerpt {
    line: String,
    marker: String,
}

impl Excerpt {
    fn new(text: &[u8], span: Span) -> Option<Self> {
        let start = usize::try_from(span.start).ok()?;
        let end = usize::try_from(span.end).ok()?;
        if start > text.len() {
            return None;
        }
        let is_break = |b: &u8| *b == b'\n' || *b == b'\r';
        let begin = text[..start]
            .iter()
            .rposition(is_break)
            .map_or(0, |i| i + 1);
        let stop = text[start..]
            .iter()
            .position(is_break)
            .map_or(text.len(), |i| start + i);
        if begin == stop {
            return None;
        }

        // Only a window around the place is decoded, so that a line of megabytes costs nothing.
        let from = begin.max(start.saturating_sub(LINE_WIDTH * 4));
        let to = stop.min(start + LINE_WIDTH * 4);
        let before = cells(&text[from..start]);
        let after = cells(&text[start..to]);
        let marked = cells(&text[start..end.clamp(start, to)]);

        let (before, cut_before) = fit_right(
            &before,
            if width(&after) < LINE_WIDTH / 2 {
                LINE_WIDTH - width(&after).max(1)
            } else {
                LINE_WIDTH / 2
            },
        );
        let (after, cut_after) = fit_left(&after, LINE_WIDTH - width(before));
        let cut_before = cut_before || from > begin;
        let cut_after = cut_after || to < stop;

        let mut line = String::new();
        if cut_before {
            line.push('…');
        }
        line.extend(before.iter().chain(after).map(|(c, _)| c));
        if cut_after {
            line.push('…');
        }
        let indent = width(before) + usize::from(cut_before);
        let carets = width(&marked).clamp(1, width(after).max(1));
        Some(Self {
            line: line.trim_end().to_owned(),
            marker: format!("{}{}", " ".repeat(indent), "^".repeat(carets)),
        })
    }
}

/// Characters as shown, with the columns they take.
fn cells(bytes: &[u8]) -> Vec<(char, usize)> {
    let mut out = Vec::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '\t' => out.extend([(' ', 1); 4]),
            '\u{feff}' => {}
            // Direction overrides and their like could make the line read differently.
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push(('\u{fffd}', 1));
            }
            c => out.push((c, c.width().unwrap_or(1))),
        }
    }
    out
}

fn width(cells: &[(char, usize)]) -> usize {
    cells.iter().map(|(_, w)| w).sum()
}

/// The longest end of `cells` that takes at most `limit` columns, and whether something was cut.
fn fit_right(cells: &[(char, usize)], limit: usize) -> (&[(char, usize)], bool) {
    let mut from = cells.len();
    let mut used = 0;
    while from > 0 && used + cells[from - 1].1 <= limit {
        from -= 1;
        used += cells[from].1;
    }
    (&cells[from..], from > 0)
}

/// The longest beginning of `cells` that takes at most `limit` columns, and whether something was cut.
fn fit_left(cells: &[(char, usize)], limit: usize) -> (&[(char, usize)], bool) {
    let mut to = 0;
    let mut used = 0;
    while to < cells.len() && used + cells[to].1 <= limit {
        used += cells[to].1;
        to += 1;
    }
    (&cells[..to], to < cells.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str, needle: &str) -> Span {
        let start = text.find(needle).expect("the needle is in the text");
        let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
        Span {
            start: u32::try_from(start).unwrap(),
            end: u32::try_from(start + needle.len()).unwrap(),
            line: u32::try_from(text[..start].matches('\n').count()).unwrap() + 1,
            column: u32::try_from(text[line_start..start].chars().count()).unwrap() + 1,
        }
    }

    #[test]
    fn points_at_the_place() {
        let text = "name: x\nsteps:\n  - run: echo\n";
        let d = Diagnostic::error("steps.0", "container is required", span(text, "run"))
            .with_hint("did you mean `container`?");
        insta::assert_snapshot!(d.render("spec.yaml", text.as_bytes()), @r"
        spec.yaml:3:5: steps.0: container is required
          3 |   - run: echo
            |     ^^^
          hint: did you mean `container`?
        ");
    }

    #[test]
    fn wide_characters_and_tabs_keep_the_marker_in_place() {
        let text = "a:\t日本 é x";
        let d = Diagnostic::error("", "bad", span(text, "é"));
        insta::assert_snapshot!(d.render("s", text.as_bytes()), @r"
        s:1:7: bad
          1 | a:    日本 é x
            |            ^
        ");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}HERE{}", "a".repeat(5000), "b".repeat(5000));
        let d = Diagnostic::error("", "bad", span(&text, "HERE"));
        insta::assert_snapshot!(d.render("s", text.as_bytes()), @r"
        s:1:5001: bad
          1 | …aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaHEREbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…
            |                                                    ^^^^
        ");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = "\u{1b}[31mred: \u{202e}x";
        let d = Diagnostic::error("a\u{1b}b", "bad\nnews", span(text, "red"));
        let shown = d.render("s", text.as_bytes());
        assert!(
            !shown.contains('\u{1b}') && !shown.contains('\u{202e}'),
            "{shown}"
        );
        assert_eq!(shown.lines().count(), 3);
    }

    #[test]
    fn many_problems_are_counted() {
        let mut all = Diagnostics::default();
        for n in 0..1000 {
            all.push(Diagnostic::error("", format!("p{n}"), Span::default()));
        }
        let shown = all.render("s", b"");
        assert!(shown.ends_with("s:1:1: p19\nand 980 more\n"), "{shown}");
        assert_eq!(all.len(), 1000);
    }
}
