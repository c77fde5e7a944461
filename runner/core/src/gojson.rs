//! JSON as Go's encoder writes it, byte for byte.
//!
//! Cache keys hash this text and servers compare it, so its details are part of the contract
//! (facts/batch-spec.md 10.1): no spaces, `<`, `>`, `&` and the two Unicode line separators
//! escaped, floats in Go's notation. Declare struct fields in the wanted order and use sorted
//! maps; this module does the rest.

use std::borrow::Cow;
use std::io;

use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

/// Writes `value` as Go-JSON.
///
/// # Errors
///
/// Only if the value cannot be JSON at all, for example a map with keys that are not text.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut bytes,
        GoFormatter,
    ))?;
    Ok(String::from_utf8(bytes).expect("a JSON serializer only writes UTF-8"))
}

/// Bytes that are written as Go writes a byte slice: standard base64 with padding, `null` when
/// there are none.
#[derive(Debug, Clone, Copy)]
pub struct Base64<'a>(pub &'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        if self.0.is_empty() {
            return serializer.serialize_none();
        }
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(self.0))
    }
}

/// Bytes that are written as Go writes a string: what is not UTF-8 becomes U+FFFD, one for each
/// byte.
///
/// Go spells that character as an escape and this module as itself; to a JSON reader both are the
/// same.
#[derive(Debug, Clone, Copy, Default)]
pub struct Text<'a>(pub &'a [u8]);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&utf8(self.0))
    }
}

/// The bytes as text, with one U+FFFD for each byte that is not part of valid UTF-8, as Go does it.
/// (`String::from_utf8_lossy` replaces a cut-short sequence by a single one.)
pub fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_f32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        self.write_f64(writer, f64::from(value))
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let magnitude = value.abs();
        if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
            return write!(writer, "{value}");
        }
        // Rust writes `1e21` where Go writes `1e+21`; small exponents look the same in both.
        let text = format!("{value:e}");
        if magnitude < 1.0 {
            writer.write_all(text.as_bytes())
        } else {
            writer.write_all(text.replacen('e', "e+", 1).as_bytes())
        }
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, special) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = special.chars();
            if let Some(character) = characters.next() {
                write!(writer, "\\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("<>&", r#""\u003c\u003e\u0026""#)]
    #[case("a\u{2028}b\u{2029}", r#""a\u2028b\u2029""#)]
    #[case("\u{8}\u{c}\n\r\t\"\\", r#""\b\f\n\r\t\"\\""#)]
    #[case("\u{0}\u{1f}", r#""\u0000\u001f""#)]
    #[case("\u{7f}/ é 漢 😀", "\"\u{7f}/ é 漢 😀\"")]
    #[case("", r#""""#)]
    fn strings(#[case] text: &str, #[case] json: &str) {
        assert_eq!(to_string(text).unwrap(), json);
    }

    #[rstest]
    #[case(0.0, "0")]
    #[case(-0.0, "-0")]
    #[case(1.0, "1")]
    #[case(1.5, "1.5")]
    #[case(0.1, "0.1")]
    #[case(1e20, "100000000000000000000")]
    #[case(1e21, "1e+21")]
    #[case(-1.25e300, "-1.25e+300")]
    #[case(0.000001, "0.000001")]
    #[case(1e-7, "1e-7")]
    #[case(-1.5e-9, "-1.5e-9")]
    #[case(5e-324, "5e-324")]
    #[case(12345678.0, "12345678")]
    #[case(123456789012345678.0, "123456789012345680")]
    fn floats(#[case] value: f64, #[case] json: &str) {
        assert_eq!(to_string(&value).unwrap(), json);
    }

    #[test]
    fn maps_are_sorted_by_bytes_and_have_no_spaces() {
        let map = BTreeMap::from([("b", 1), ("a", 2), ("B", 3), ("é", 4)]);
        assert_eq!(to_string(&map).unwrap(), r#"{"B":3,"a":2,"b":1,"é":4}"#);
    }

    #[test]
    fn bytes_are_base64_and_none_is_null() {
        assert_eq!(to_string(&Base64(b"a?>")).unwrap(), r#""YT8+""#);
        assert_eq!(to_string(&Base64(b"a")).unwrap(), r#""YQ==""#);
        assert_eq!(to_string(&Base64(b"")).unwrap(), "null");
    }

    #[test]
    fn every_invalid_byte_is_replaced() {
        assert_eq!(utf8(b"a\xe2\x82z\xff"), "a\u{fffd}\u{fffd}z\u{fffd}");
        assert_eq!(to_string(&Text(b"\xff<")).unwrap(), "\"\u{fffd}\\u003c\"");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in any::<String>(), number in any::<f64>()) {
            let json = to_string(&(&text, number)).unwrap();
            let (text_back, number_back): (String, Option<f64>) = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(text_back, text);
            prop_assert_eq!(number_back, Some(number).filter(|n| n.is_finite()));
        }
    }
}
