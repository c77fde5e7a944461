//! Cuts a template into tokens.

use std::borrow::Cow;

use super::quote::{code_point, quote};
use super::token::{Token, TokenKind};

pub(super) const LEFT_DELIMITER: &str = "${{";
const RIGHT_DELIMITER: &str = "}}";
const LEFT_COMMENT: &str = "/*";
const RIGHT_COMMENT: &str = "*/";
/// Length of a trim marker: a minus, and white space between it and the content.
const TRIM_MARKER: usize = 2;
const WHITE_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Reads tokens from the front of a text.
#[derive(Debug)]
pub(super) struct Lexer<'t> {
    input: &'t str,
    /// Start of the token being read.
    start: usize,
    position: usize,
    /// Line at `start`.
    line: usize,
    inside_action: bool,
    open_parens: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(input: &'t str) -> Self {
        Self {
            input,
            start: 0,
            position: 0,
            line: 1,
            inside_action: false,
            open_parens: 0,
        }
    }

    /// The next token. After an error there is nothing more to read.
    pub(super) fn next_token(&mut self) -> Token<'t> {
        loop {
            let token = if self.inside_action {
                Some(self.in_action())
            } else {
                self.in_text()
            };
            if let Some(token) = token {
                return token;
            }
        }
    }

    fn rest(&self) -> &'t str {
        &self.input[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position += c.len_utf8();
        Some(c)
    }

    fn bump_while(&mut self, mut wanted: impl FnMut(char) -> bool) {
        while self.peek().is_some_and(&mut wanted) {
            self.bump();
        }
    }

    fn accept(&mut self, any_of: &str) -> bool {
        let found = self.peek().is_some_and(|c| any_of.contains(c));
        if found {
            self.bump();
        }
        found
    }

    /// Drops what was read since the last token.
    fn skip(&mut self) {
        let skipped = &self.input.as_bytes()[self.start..self.position];
        self.line += memchr::memchr_iter(b'\n', skipped).count();
        self.start = self.position;
    }

    fn token(&mut self, kind: TokenKind) -> Token<'t> {
        let text = &self.input[self.start..self.position];
        let token = Token {
            kind,
            offset: self.start,
            line: self.line,
            text: Cow::Borrowed(text),
        };
        self.skip();
        token
    }

    fn error(&mut self, message: impl Into<Cow<'t, str>>) -> Token<'t> {
        let token = Token {
            kind: TokenKind::Error,
            offset: self.start,
            line: self.line,
            text: message.into(),
        };
        self.position = self.input.len();
        self.start = self.position;
        token
    }

    fn in_text(&mut self) -> Option<Token<'t>> {
        let Some(length) = memchr::memmem::find(self.rest().as_bytes(), LEFT_DELIMITER.as_bytes())
        else {
            self.position = self.input.len();
            let kind = if self.position > self.start {
                TokenKind::Text
            } else {
                TokenKind::Eof
            };
            return Some(self.token(kind));
        };
        if length > 0 {
            let text = &self.rest()[..length];
            let kept = if has_left_trim_marker(&self.rest()[length + LEFT_DELIMITER.len()..]) {
                text.trim_end_matches(WHITE_SPACE).len()
            } else {
                length
            };
            self.position += kept;
            let token = (kept > 0).then(|| self.token(TokenKind::Text));
            self.position += length - kept;
            self.skip();
            return token;
        }
        self.left_delimiter()
    }

    fn left_delimiter(&mut self) -> Option<Token<'t>> {
        self.position += LEFT_DELIMITER.len();
        let marker = if has_left_trim_marker(self.rest()) {
            TRIM_MARKER
        } else {
            0
        };
        if self.rest()[marker..].starts_with(LEFT_COMMENT) {
            self.position += marker;
            self.skip();
            return self.comment();
        }
        let token = self.token(TokenKind::LeftDelimiter);
        self.position += marker;
        self.skip();
        self.inside_action = true;
        self.open_parens = 0;
        Some(token)
    }

    fn comment(&mut self) -> Option<Token<'t>> {
        self.position += LEFT_COMMENT.len();
        let Some(length) = self.rest().find(RIGHT_COMMENT) else {
            return Some(self.error("unclosed comment"));
        };
        self.position += length + RIGHT_COMMENT.len();
        let Some(end) = right_delimiter(self.rest()) else {
            return Some(self.error("comment ends before closing delimiter"));
        };
        self.position += end.length();
        self.trim_after(end);
        None
    }

    fn trim_after(&mut self, end: RightDelimiter) {
        if end.trims {
            self.position += self.rest().len() - self.rest().trim_start_matches(WHITE_SPACE).len();
        }
        self.skip();
    }

    fn in_action(&mut self) -> Token<'t> {
        if let Some(end) = right_delimiter(self.rest()) {
            return self.end_action(end);
        }
        let Some(first) = self.bump() else {
            return self.error("unclosed action");
        };
        match first {
            c if WHITE_SPACE.contains(&c) => self.space(),
            '=' => self.token(TokenKind::Assign),
            ':' => {
                if self.bump() == Some('=') {
                    self.token(TokenKind::Declare)
                } else {
                    self.error("expected :=")
                }
            }
            '|' => self.token(TokenKind::Pipe),
            '"' => self.quoted('"', TokenKind::String, "unterminated quoted string"),
            '\'' => self.quoted(
                '\'',
                TokenKind::Character,
                "unterminated character constant",
            ),
            '`' => self.raw_string(),
            '$' => self.name(TokenKind::Variable, TokenKind::Variable),
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.name(TokenKind::Field, TokenKind::Dot)
            }
            '.' | '+' | '-' | '0'..='9' => self.number(),
            c if is_word(c) => self.word(),
            '(' => {
                self.open_parens += 1;
                self.token(TokenKind::LeftParen)
            }
            ')' => match self.open_parens.checked_sub(1) {
                Some(open) => {
                    self.open_parens = open;
                    self.token(TokenKind::RightParen)
                }
                None => self.error("unexpected right paren"),
            },
            ' '..='~' => self.token(TokenKind::Punctuation),
            c => self.error(format!(
                "unrecognized character in action: {}",
                code_point(c)
            )),
        }
    }

    fn end_action(&mut self, end: RightDelimiter) -> Token<'t> {
        if self.open_parens > 0 {
            return self.error("unclosed left paren");
        }
        if end.trims {
            self.position += TRIM_MARKER;
            self.skip();
        }
        self.position += RIGHT_DELIMITER.len();
        let token = self.token(TokenKind::RightDelimiter);
        self.trim_after(end);
        self.inside_action = false;
        token
    }

    fn space(&mut self) -> Token<'t> {
        self.bump_while(|c| WHITE_SPACE.contains(&c));
        // The last space may be part of a trim marker. A run of one would have been seen as such.
        if right_delimiter(&self.input[self.position - 1..]).is_some_and(|end| end.trims) {
            self.position -= 1;
        }
        self.token(TokenKind::Space)
    }

    fn quoted(&mut self, quote: char, kind: TokenKind, unterminated: &'static str) -> Token<'t> {
        loop {
            let mut c = self.bump();
            if c == Some('\\') {
                c = self.bump();
                if c.is_some_and(|c| c != '\n') {
                    continue;
                }
            }
            match c {
                None | Some('\n') => return self.error(unterminated),
                Some(c) if c == quote => return self.token(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Token<'t> {
        match self.rest().find('`') {
            Some(length) => {
                self.position += length + 1;
                self.token(TokenKind::RawString)
            }
            None => self.error("unterminated raw quoted string"),
        }
    }

    /// A `$` or a dot, with the name after it if there is one.
    fn name(&mut self, named: TokenKind, bare: TokenKind) -> Token<'t> {
        if self.at_terminator() {
            return self.token(bare);
        }
        self.bump_while(is_word);
        if let Some(stray) = self.stray() {
            return stray;
        }
        self.token(named)
    }

    fn word(&mut self) -> Token<'t> {
        self.bump_while(is_word);
        if let Some(stray) = self.stray() {
            return stray;
        }
        let word = &self.input[self.start..self.position];
        self.token(match word {
            "true" | "false" => TokenKind::Bool,
            _ => TokenKind::keyword(word).unwrap_or(TokenKind::Identifier),
        })
    }

    /// The error for a character that cannot follow a name.
    fn stray(&mut self) -> Option<Token<'t>> {
        if self.at_terminator() {
            return None;
        }
        let c = self.peek()?;
        Some(self.error(format!("bad character {}", code_point(c))))
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => WHITE_SPACE.contains(&c) || self.rest().starts_with(RIGHT_DELIMITER),
        }
    }

    fn number(&mut self) -> Token<'t> {
        self.position = self.start;
        let mut kind = TokenKind::Number;
        let mut valid = self.scan_number();
        if valid && matches!(self.peek(), Some('+' | '-')) {
            kind = TokenKind::Complex;
            valid = self.scan_number() && self.input[..self.position].ends_with('i');
        }
        if valid {
            self.token(kind)
        } else {
            let text = &self.input[self.start..self.position];
            self.error(format!("bad number syntax: {}", quote(text)))
        }
    }

    fn scan_number(&mut self) -> bool {
        const DECIMAL: &str = "0123456789_";
        const HEXADECIMAL: &str = "0123456789abcdefABCDEF_";
        self.accept("+-");
        let mut digits = DECIMAL;
        if self.accept("0") {
            if self.accept("xX") {
                digits = HEXADECIMAL;
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.bump_while(|c| digits.contains(c));
        if self.accept(".") {
            self.bump_while(|c| digits.contains(c));
        }
        if (digits == DECIMAL && self.accept("eE")) || (digits == HEXADECIMAL && self.accept("pP"))
        {
            self.accept("+-");
            self.bump_while(|c| DECIMAL.contains(c));
        }
        self.accept("i");
        if self.peek().is_some_and(is_word) {
            self.bump();
            return false;
        }
        true
    }
}

/// A right delimiter, with or without a trim marker before it.
#[derive(Debug, Clone, Copy)]
struct RightDelimiter {
    trims: bool,
}

impl RightDelimiter {
    fn length(self) -> usize {
        RIGHT_DELIMITER.len() + if self.trims { TRIM_MARKER } else { 0 }
    }
}

fn right_delimiter(text: &str) -> Option<RightDelimiter> {
    if text.starts_with(RIGHT_DELIMITER) {
        return Some(RightDelimiter { trims: false });
    }
    let after = text.strip_prefix(WHITE_SPACE)?.strip_prefix('-')?;
    after
        .starts_with(RIGHT_DELIMITER)
        .then_some(RightDelimiter { trims: true })
}

fn has_left_trim_marker(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(WHITE_SPACE))
}

/// Whether a character can be part of a name.
pub(super) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
