//! A reader of one JSON value that says what is wrong in the words of Go's decoder.
//!
//! People know these messages from upstream and search for them; that is all that sets this reader
//! apart from any other.

use std::collections::BTreeMap;
use std::fmt;

use super::{MAX_DEPTH, OutputError};
use crate::value::Value;

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// There is nothing but white space.
    #[error("EOF")]
    Empty,
    /// The text ends inside of a value.
    #[error("unexpected EOF")]
    Cut,
    /// A character that cannot be where it is.
    #[error("invalid character {} {place}", Quoted(*.byte))]
    Invalid {
        /// Its first byte.
        byte: u8,
        /// Where, in words.
        place: &'static str,
    },
    /// A character inside of `true`, `false` or `null` that does not belong there.
    #[error("invalid character {} in literal {literal} (expecting {})", Quoted(*.byte), Quoted(*.expected))]
    Literal {
        /// Its first byte.
        byte: u8,
        /// The literal that it began like.
        literal: &'static str,
        /// What belongs there.
        expected: u8,
    },
    /// A number too large for a float.
    #[error("json: cannot unmarshal number {0} into Go value of type float64")]
    Range(String),
}

/// A byte as Go's decoder shows it: as the character of that number, in single quotes.
struct Quoted(u8);

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b'\'' => f.write_str(r"'\''"),
            b'"' => f.write_str("'\"'"),
            b'\\' => f.write_str(r"'\\'"),
            0x07 => f.write_str(r"'\a'"),
            0x08 => f.write_str(r"'\b'"),
            0x0b => f.write_str(r"'\v'"),
            0x0c => f.write_str(r"'\f'"),
            b'\n' => f.write_str(r"'\n'"),
            b'\r' => f.write_str(r"'\r'"),
            b'\t' => f.write_str(r"'\t'"),
            byte @ (..0x20 | 0x7f) => write!(f, "'\\x{byte:02x}'"),
            byte @ (0x80..=0xa0 | 0xad) => write!(f, "'\\u{byte:04x}'"),
            byte => write!(f, "'{}'", char::from(byte)),
        }
    }
}

/// The value that `text` begins with; what follows it is not looked at.
pub(super) fn first_value(text: &str) -> Result<Value, OutputError> {
    let mut reader = Reader {
        bytes: text.as_bytes(),
    };
    reader.skip_white_space();
    if reader.bytes.is_empty() {
        return Err(JsonError::Empty.into());
    }
    reader.value(MAX_DEPTH)
}

struct Reader<'a> {
    /// What is left to read.
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn skip_white_space(&mut self) {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.bytes {
            self.bytes = rest;
        }
    }

    fn next(&mut self) -> Result<u8, JsonError> {
        let (&byte, rest) = self.bytes.split_first().ok_or(JsonError::Cut)?;
        self.bytes = rest;
        Ok(byte)
    }

    fn next_after_white_space(&mut self) -> Result<u8, JsonError> {
        self.skip_white_space();
        self.next()
    }

    /// Takes the next byte if it is the one.
    fn accept(&mut self, wanted: u8) -> bool {
        match self.bytes.split_first() {
            Some((&byte, rest)) if byte == wanted => {
                self.bytes = rest;
                true
            }
            _ => false,
        }
    }

    /// Reads a value whose lists and maps nest at most `depth` levels.
    fn value(&mut self, depth: usize) -> Result<Value, OutputError> {
        let start = {
            self.skip_white_space();
            self.bytes
        };
        match self.next()? {
            b'{' => self.object(depth.checked_sub(1).ok_or(OutputError::Depth)?),
            b'[' => self.list(depth.checked_sub(1).ok_or(OutputError::Depth)?),
            b'"' => Ok(Value::String(self.string()?)),
            b't' => Ok(self.literal("true", Value::Bool(true))?),
            b'f' => Ok(self.literal("false", Value::Bool(false))?),
            b'n' => Ok(self.literal("null", Value::Nil)?),
            byte @ (b'-' | b'0'..=b'9') => Ok(self.number(start, byte)?),
            byte => Err(invalid(byte, "looking for beginning of value").into()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, OutputError> {
        let mut entries = BTreeMap::new();
        let mut byte = self.next_after_white_space()?;
        if byte == b'}' {
            return Ok(Value::Map(entries));
        }
        loop {
            if byte != b'"' {
                return Err(invalid(byte, "looking for beginning of object key string").into());
            }
            let key = self.string()?;
            match self.next_after_white_space()? {
                b':' => {}
                byte => return Err(invalid(byte, "after object key").into()),
            }
            entries.insert(key, self.value(depth)?);
            match self.next_after_white_space()? {
                b'}' => return Ok(Value::Map(entries)),
                b',' => byte = self.next_after_white_space()?,
                byte => return Err(invalid(byte, "after object key:value pair").into()),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, OutputError> {
        let mut values = Vec::new();
        self.skip_white_space();
        if self.accept(b']') {
            return Ok(Value::List(values));
        }
        loop {
            values.push(self.value(depth)?);
            match self.next_after_white_space()? {
                b']' => return Ok(Value::List(values)),
                b',' => {}
                byte => return Err(invalid(byte, "after array element").into()),
            }
        }
    }

    fn literal(&mut self, literal: &'static str, value: Value) -> Result<Value, JsonError> {
        for expected in literal.bytes().skip(1) {
            let byte = self.next()?;
            if byte != expected {
                return Err(JsonError::Literal {
                    byte,
                    literal,
                    expected,
                });
            }
        }
        Ok(value)
    }

    /// Reads on after the first byte of a number; `start` is the text from that byte.
    fn number(&mut self, start: &'a [u8], first: u8) -> Result<Value, JsonError> {
        let mut first = first;
        if first == b'-' {
            first = self.next()?;
            if !first.is_ascii_digit() {
                return Err(invalid(first, "in numeric literal"));
            }
        }
        // Nothing can follow a leading zero but a fraction or an exponent.
        if first != b'0' {
            self.skip_digits();
        }
        if self.accept(b'.') {
            self.digits("after decimal point in numeric literal")?;
        }
        if self.accept(b'e') || self.accept(b'E') {
            if !self.accept(b'+') {
                self.accept(b'-');
            }
            self.digits("in exponent of numeric literal")?;
        }
        let text = &start[..start.len() - self.bytes.len()];
        let text = str::from_utf8(text).expect("a number is ASCII");
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(JsonError::Range(text.to_owned())),
        }
    }

    fn skip_digits(&mut self) {
        let digits = self.bytes.iter().take_while(|byte| byte.is_ascii_digit());
        self.bytes = &self.bytes[digits.count()..];
    }

    fn digits(&mut self, place: &'static str) -> Result<(), JsonError> {
        let byte = self.next()?;
        if !byte.is_ascii_digit() {
            return Err(invalid(byte, place));
        }
        self.skip_digits();
        Ok(())
    }

    /// Reads on after the opening quote.
    fn string(&mut self) -> Result<String, JsonError> {
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    let character = self.escape()?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                byte @ ..0x20 => return Err(invalid(byte, "in string literal")),
                byte => text.push(byte),
            }
        }
        Ok(String::from_utf8(text).expect("pieces of UTF-8 between ASCII characters are UTF-8"))
    }

    /// Reads on after a backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        Ok(match self.next()? {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.four_digits()?;
                self.character(unit)
            }
            byte => return Err(invalid(byte, "in string escape code")),
        })
    }

    fn four_digits(&mut self) -> Result<u16, JsonError> {
        let mut number = 0;
        for _ in 0..4 {
            let byte = self.next()?;
            let digit = char::from(byte)
                .to_digit(16)
                .and_then(|digit| u16::try_from(digit).ok())
                .ok_or(invalid(byte, "in \\u hexadecimal character escape"))?;
            number = number << 4 | digit;
        }
        Ok(number)
    }

    /// The character that a UTF-16 unit begins; takes the second half of a pair if there is one. Half
    /// a pair is U+FFFD.
    fn character(&mut self, unit: u16) -> char {
        if let Some(character) = char::from_u32(u32::from(unit)) {
            return character;
        }
        let mut ahead = Self { bytes: self.bytes };
        if ahead.accept(b'\\')
            && ahead.accept(b'u')
            && let Ok(second) = ahead.four_digits()
            && let Some(Ok(character)) = char::decode_utf16([unit, second]).next()
        {
            self.bytes = ahead.bytes;
            return character;
        }
        char::REPLACEMENT_CHARACTER
    }
}

fn invalid(byte: u8, place: &'static str) -> JsonError {
    JsonError::Invalid { byte, place }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::result::outputs_from_json;

    fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    #[rstest]
    #[case("null", Value::Nil)]
    #[case(" \r\n\ttrue false", Value::Bool(true))]
    #[case("0", Value::Float(0.0))]
    #[case("-0.5e+1", Value::Float(-5.0))]
    #[case("12345678901234567890", Value::Float(12345678901234567890.0))]
    #[case("1e-400", Value::Float(0.0))]
    // Only the first value counts, and it ends where it cannot go on.
    #[case("1 garbage", Value::Float(1.0))]
    #[case("01", Value::Float(0.0))]
    #[case("nullx", Value::Nil)]
    #[case("{}}", Value::Map(BTreeMap::new()))]
    #[case("[1]\n[2]", Value::List(vec![Value::Float(1.0)]))]
    #[case(r#""\"\\\/\b\f\n\r\t\u00e9é""#, text("\"\\/\u{8}\u{c}\n\r\téé"))]
    #[case(r#""\ud83d\ude00""#, text("😀"))]
    #[case(r#""\ud83dx\ude00\ud83d\u0041""#, text("\u{fffd}x\u{fffd}\u{fffd}A"))]
    #[case(r#"{"a":1,"a":[]}"#, Value::Map([("a".to_owned(), Value::List(Vec::new()))].into()))]
    fn values(#[case] json: &str, #[case] value: Value) {
        assert_eq!(first_value(json), Ok(value));
    }

    #[rstest]
    #[case("", "EOF")]
    #[case(" \n", "EOF")]
    #[case("{", "unexpected EOF")]
    #[case("[1,", "unexpected EOF")]
    #[case("[1", "unexpected EOF")]
    #[case("-", "unexpected EOF")]
    #[case("1.", "unexpected EOF")]
    #[case("1e", "unexpected EOF")]
    #[case("nul", "unexpected EOF")]
    #[case("\"abc", "unexpected EOF")]
    #[case("\"\\u12", "unexpected EOF")]
    #[case("not json", "invalid character 'o' in literal null (expecting 'u')")]
    #[case("trie", "invalid character 'i' in literal true (expecting 'u')")]
    #[case("False", "invalid character 'F' looking for beginning of value")]
    #[case("hello", "invalid character 'h' looking for beginning of value")]
    #[case("'a'", r"invalid character '\'' looking for beginning of value")]
    #[case("é", "invalid character 'Ã' looking for beginning of value")]
    #[case(
        "\u{1b}[0m",
        r"invalid character '\x1b' looking for beginning of value"
    )]
    #[case("[1,]", "invalid character ']' looking for beginning of value")]
    #[case("[1 2]", "invalid character '2' after array element")]
    #[case(
        "{a:1}",
        "invalid character 'a' looking for beginning of object key string"
    )]
    #[case(
        r#"{"a":1,}"#,
        "invalid character '}' looking for beginning of object key string"
    )]
    #[case(r#"{"a" 1}"#, "invalid character '1' after object key")]
    #[case(
        r#"{"a":1 "b":2}"#,
        "invalid character '\"' after object key:value pair"
    )]
    #[case("-x", "invalid character 'x' in numeric literal")]
    #[case("1.x", "invalid character 'x' after decimal point in numeric literal")]
    #[case("1ex", "invalid character 'x' in exponent of numeric literal")]
    #[case("[01]", "invalid character '1' after array element")]
    #[case("\"a\nb\"", r"invalid character '\n' in string literal")]
    #[case(r#""\x""#, "invalid character 'x' in string escape code")]
    #[case(
        r#""\u00g0""#,
        r"invalid character 'g' in \u hexadecimal character escape"
    )]
    #[case(
        "1e400",
        "json: cannot unmarshal number 1e400 into Go value of type float64"
    )]
    fn errors(#[case] json: &str, #[case] message: &str) {
        assert_eq!(first_value(json).unwrap_err().to_string(), message);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value as Json;
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|entries| Json::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_another_reader(json in json(), pretty in any::<bool>()) {
            let text = if pretty { format!("{json:#}") } else { json.to_string() };
            let expected = outputs_from_json([(String::new(), json)].into()).remove("").unwrap();
            prop_assert_eq!(first_value(&text), Ok(expected));
        }

        #[test]
        fn any_text_is_safe(text in r#"[\[\]{}",:\\u0-9a-fEe.+\-tn é]{0,30}"#) {
            let read = first_value(&text);
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert!(read.is_ok(), "{:?}", read);
            }
        }
    }
}
