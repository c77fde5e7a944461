//! A bound on what the parser underneath may hold in memory.
//!
//! It keeps all tokens of a `[…]` or `{…}` until the bracket closes, since the whole could turn out
//! to be a mapping key: some 170 bytes for each byte of the document. So no more than [`MAX_FLOW`]
//! bytes may stand where such a collection cannot be ruled out by a look at the lines.

/// Most bytes from the first bracket that is not seen to close on its line, to the end.
pub(super) const MAX_FLOW: usize = 512 << 10;

/// The byte at which too long a collection may start, `None` if all is well.
///
/// Only documents longer than [`MAX_FLOW`] are looked at. What passes beyond that size is block style,
/// lines without a lone bracket or quote, and block scalars of any content.
pub(super) fn too_long(text: &str) -> Option<usize> {
    let mut at = 0;
    // Of a block scalar: the column its content has to exceed, then the column it has.
    let mut above: Option<usize> = None;
    let mut content: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        if text.len() - at <= MAX_FLOW {
            return None;
        }
        let body = line.trim_end();
        let indent = body.len() - body.trim_start_matches(' ').len();
        if body.is_empty() {
            // Blank lines neither start nor end anything.
            at += line.len();
            continue;
        }
        if let Some(column) = above.take() {
            content = (indent > column).then_some(indent);
        }
        if content.is_none_or(|column| indent < column) {
            content = None;
            if !is_neutral(body) {
                return Some(at);
            }
            above = block_scalar(body);
        }
        at += line.len();
    }
    None
}

/// Whether the line surely opens and closes the same brackets and quotes.
fn is_neutral(line: &str) -> bool {
    let count = |c| line.matches(c).count();
    if count('"') % 2 != 0 || count('\'') % 2 != 0 || line.contains('\r') {
        return false;
    }
    if !line.contains(['[', ']', '{', '}']) {
        return true;
    }
    // A bracket in quotes or in a comment is none.
    if line.contains(['"', '\'', '#']) || line.len() > MAX_FLOW / 8 {
        return false;
    }
    let mut depth = 0usize;
    for c in line.chars() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ => {}
        }
    }
    depth == 0
}

/// The column of the key of a line like `  - run: |`.
fn block_scalar(line: &str) -> Option<usize> {
    let head = line.trim_end_matches(['+', '-']);
    let head = head.strip_suffix(['|', '>'])?.strip_suffix(' ')?;
    let head = head.trim_end().strip_suffix(':')?;
    let key = head.trim_start_matches([' ', '-']);
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    (!key.is_empty() && key.chars().all(is_plain)).then_some(head.len() - key.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_documents() {
        let csv = "a,b,[c\n".repeat(100_000);
        let indented = format!("\n{}", csv.replace("a,", "          a,"));
        for (name, text, want) in [
            ("short", "[".repeat(1000), None),
            (
                "one bracket to the end",
                format!("{{{}", "a,".repeat(400_000)),
                Some(0),
            ),
            ("after other lines", format!("a: b\nc: [\n{csv}"), Some(5)),
            (
                "in a block scalar",
                format!("files:\n  - x: |\n{indented}\nb: [1, 2]\n"),
                None,
            ),
            (
                "left of a block scalar",
                format!("x: |\n            a\n{indented}"),
                Some(20),
            ),
            (
                "not a block scalar's content",
                format!("      - x: |\n      {csv}"),
                Some(13),
            ),
            ("block style", "- a: [b, c]\n".repeat(100_000), None),
            ("a bracket in quotes", format!("a: [\"]\"\n{csv}"), Some(0)),
            (
                "a bracket in a comment",
                format!("a: [ # ]\n{csv}"),
                Some(0),
            ),
        ] {
            assert_eq!(too_long(&text), want, "{name}");
        }
    }
}
