//! The body of a hunk as somebody else wrote it: any bytes.

use super::super::parse::next_line;

/// The only line that may begin with a backslash.
const MARKER: &[u8] = b"\\ No newline at end of file\n";

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// A line with nothing, or something else, in front.
    #[error(
        "line {line} of the body begins with none of ` `, `+`, `-` and `\\`; each line needs one of them in front"
    )]
    Sign {
        /// The line, from 1.
        line: usize,
    },
    /// The last line does not end.
    #[error(
        "the last line of the body has no line break; text that ends without one is marked by a line `\\ No newline at end of file`"
    )]
    Unfinished,
    /// A marker that does not read as git writes it, or stands where the text does not end.
    #[error(
        "line {line} of the body: a line that begins with a backslash must read `\\ No newline at end of file` and follow the last line before or after the change"
    )]
    Marker {
        /// The line, from 1.
        line: usize,
    },
}

/// Checks that each line has its sign and markers stand at ends only.
pub(super) fn check(body: &[u8]) -> Result<(), BodyError> {
    let mut rest = body;
    let mut line = 0;
    // The markers that ended the old and the new side.
    let mut ended: [Option<usize>; 2] = [None, None];
    // Whether the line before can be the last of its sides, and which these are.
    let mut last = [false, false];
    while !rest.is_empty() {
        line += 1;
        let (text, after) = next_line(rest);
        rest = after;
        if !text.ends_with(b"\n") {
            return Err(BodyError::Unfinished);
        }
        let sides = match text[0] {
            b' ' => [true, true],
            b'-' => [true, false],
            b'+' => [false, true],
            b'\\' if text == MARKER && last != [false, false] => {
                for side in 0..2 {
                    ended[side] = ended[side].or(last[side].then_some(line));
                }
                last = [false, false];
                continue;
            }
            b'\\' => return Err(BodyError::Marker { line }),
            _ => return Err(BodyError::Sign { line }),
        };
        for side in 0..2 {
            if let (true, Some(line)) = (sides[side], ended[side]) {
                return Err(BodyError::Marker { line });
            }
        }
        // Without its newline an empty line would be nothing.
        last = if text.len() > 2 {
            sides
        } else {
            [false, false]
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Ok(()))]
    #[case(" a\n-b\n+c\n", Ok(()))]
    #[case("-a\n\\ No newline at end of file\n+a\n\\ No newline at end of file\n", Ok(()))]
    #[case(" a\n\\ No newline at end of file\n", Ok(()))]
    #[case("+a\n\\ No newline at end of file\n-a\n-b\n", Ok(()))]
    #[case(" a\n\n", Err(BodyError::Sign { line: 2 }))]
    #[case("@@ -1 +1 @@\n", Err(BodyError::Sign { line: 1 }))]
    #[case("diff --git a b\n", Err(BodyError::Sign { line: 1 }))]
    #[case("\0\n", Err(BodyError::Sign { line: 1 }))]
    #[case(" a", Err(BodyError::Unfinished))]
    #[case("+a\n\\ No newline at end of file", Err(BodyError::Unfinished))]
    #[case("\\ No newline at end of file\n", Err(BodyError::Marker { line: 1 }))]
    #[case("+a\n\\ something else\n", Err(BodyError::Marker { line: 2 }))]
    #[case("+a\n\\ No newline at end of file\r\n", Err(BodyError::Marker { line: 2 }))]
    #[case(
        "+a\n\\ No newline at end of file\n\\ No newline at end of file\n",
        Err(BodyError::Marker { line: 3 })
    )]
    #[case("+a\n\\ No newline at end of file\n b\n", Err(BodyError::Marker { line: 2 }))]
    #[case("+\n\\ No newline at end of file\n", Err(BodyError::Marker { line: 2 }))]
    #[case("+a\n\\ No newline at end of file\n-b\n+c\n", Err(BodyError::Marker { line: 2 }))]
    #[case(" a\n\\ No newline at end of file\n+b\n", Err(BodyError::Marker { line: 2 }))]
    fn bodies(#[case] body: &str, #[case] result: Result<(), BodyError>) {
        assert_eq!(check(body.as_bytes()), result);
    }
}
