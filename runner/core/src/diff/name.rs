//! File names in diffs, which git quotes like C strings where they are not plain.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A file name, copied only where quoting had to be undone.
pub(super) type Name<'a> = Cow<'a, [u8]>;

/// Reads the two names behind `diff --git `.
///
/// Unquoted names may contain spaces, so the text can be ambiguous; it is not when both names are the same, and
/// where they differ (renames) other lines of the section give them.
pub(super) fn git_line_names(text: &[u8]) -> Option<(Name<'_>, Name<'_>)> {
    let middle = text.len() / 2;
    if text.len() % 2 == 1 && text[middle] == b' ' && text[..middle] == text[middle + 1..] {
        let name = whole(&text[..middle])?;
        return Some((name.clone(), name));
    }
    if text.starts_with(b"\"") {
        let (old, rest) = quoted(text)?;
        return Some((Cow::Owned(old), whole(rest.strip_prefix(b" ")?)?));
    }
    None
}

/// A name that takes up all of `text`, quoted or not.
pub(super) fn whole(text: &[u8]) -> Option<Name<'_>> {
    if !text.starts_with(b"\"") {
        return (!text.is_empty()).then_some(Cow::Borrowed(text));
    }
    let (name, rest) = quoted(text)?;
    (rest.is_empty() && !name.is_empty()).then_some(Cow::Owned(name))
}

/// Reads a quoted name from the beginning of `text`; also returns what follows it.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut name = Vec::new();
    loop {
        let at = memchr::memchr2(b'"', b'\\', rest)?;
        name.extend_from_slice(&rest[..at]);
        if rest[at] == b'"' {
            return Some((name, &rest[at + 1..]));
        }
        let escape = *rest.get(at + 1)?;
        let mut taken = 2;
        name.push(match escape {
            b'a' => 0x07,
            b'b' => 0x08,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 0x0b,
            b'f' => 0x0c,
            b'r' => b'\r',
            b'"' | b'\\' => escape,
            b'0'..=b'3' => {
                taken = 4;
                let digits = rest.get(at + 1..at + 4)?;
                let digits = str::from_utf8(digits).ok()?;
                u8::from_str_radix(digits, 8).ok()?
            }
            _ => return None,
        });
        rest = &rest[at + taken..];
    }
}

/// A file name as people read it: quoted as git does where it has control characters, quotes, backslashes or
/// bytes that are not UTF-8, and otherwise as it is. Never contains a line break or an escape sequence.
pub fn display(name: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(name)
        && !text
            .chars()
            .any(|character| character.is_control() || matches!(character, '"' | '\\'))
    {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::from("\"");
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\t' => quoted.push_str("\\t"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '"' | '\\' => quoted.extend(['\\', character]),
                _ if character.is_control() => {
                    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                        push_octal(&mut quoted, byte);
                    }
                }
                _ => quoted.push(character),
            }
        }
        for byte in chunk.invalid() {
            push_octal(&mut quoted, *byte);
        }
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

fn push_octal(text: &mut String, byte: u8) {
    write!(text, "\\{byte:03o}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"plain", b"plain")]
    #[case(b"with space", b"with space")]
    #[case(br#""ta\tb""#, b"ta\tb")]
    #[case(br#""\a\b\v\f\r\n\"\\""#, b"\x07\x08\x0b\x0c\r\n\"\\")]
    #[case(br#""na\303\257ve\377""#, b"na\xc3\xafve\xff")]
    #[case(b"", b"")]
    #[case(br#""""#, b"")]
    #[case(br#""open"#, b"")]
    #[case(br#""a\"#, b"")]
    #[case(br#""a\z""#, b"")]
    #[case(br#""a\40""#, b"")]
    #[case(br#""a\777""#, b"")]
    #[case(br#""a\0+7""#, b"")]
    #[case(br#""a"b"#, b"")]
    fn whole_names(#[case] text: &[u8], #[case] name: &[u8]) {
        // Here an empty name stands for none.
        assert_eq!(whole(text).as_deref().unwrap_or_default(), name);
    }

    #[rstest]
    #[case(b"a a", b"a", b"a")]
    #[case(b"x y x y", b"x y", b"x y")]
    #[case(b"a/f a/f", b"a/f", b"a/f")]
    #[case(br#""q\"" "q\"""#, b"q\"", b"q\"")]
    #[case(br#""q\"" plain name"#, b"q\"", b"plain name")]
    // Other lines must tell.
    #[case(b"one two", b"", b"")]
    #[case(b"one", b"", b"")]
    #[case(b"", b"", b"")]
    fn names_of_the_git_line(#[case] text: &[u8], #[case] old: &[u8], #[case] new: &[u8]) {
        let names = git_line_names(text).unwrap_or_default();
        assert_eq!((names.0.as_ref(), names.1.as_ref()), (old, new));
    }

    #[rstest]
    #[case(b"dir/sp ace", "dir/sp ace")]
    #[case("naïve".as_bytes(), "naïve")]
    #[case(b"a\tb\n", r#""a\tb\n""#)]
    #[case(b"q\"b\\", r#""q\"b\\""#)]
    #[case(b"\x1b[31m", r#""\033[31m""#)]
    #[case(b"\xff\xc3", r#""\377\303""#)]
    fn displayed(#[case] name: &[u8], #[case] text: &str) {
        assert_eq!(display(name), text);
        if text.starts_with('"') {
            assert_eq!(
                whole(text.as_bytes()).as_deref(),
                Some(name),
                "quoting is undone"
            );
        }
    }
}
