//! The smallest parts of a template.

use std::borrow::Cow;
use std::fmt;

use super::quote::quote;

/// A token, where it starts, and its source text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind,
    /// Byte offset in the template.
    pub(super) offset: usize,
    /// Line that it starts on, from 1.
    pub(super) line: usize,
    /// Source text; the message of a [`TokenKind::Error`].
    pub(super) text: Cow<'t, str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// The text cannot be cut into tokens from here on.
    Error,
    Eof,
    /// Text outside of actions.
    Text,
    LeftDelimiter,
    RightDelimiter,
    /// A run of white space in an action; it separates operands.
    Space,
    LeftParen,
    RightParen,
    Pipe,
    /// `=`.
    Assign,
    /// `:=`.
    Declare,
    /// `true` or `false`.
    Bool,
    Number,
    /// A real and an imaginary part in one: `1+2i`.
    Complex,
    /// A character in single quotes.
    Character,
    String,
    RawString,
    /// Name of a function, or of a variable of the context, which is a function without arguments.
    Identifier,
    /// `.name`.
    Field,
    /// `$` or `$name`.
    Variable,
    /// Punctuation that only some constructs know, such as the comma.
    Punctuation,
    Dot,
    Nil,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

impl TokenKind {
    /// The keyword that a word is.
    pub(super) fn keyword(word: &str) -> Option<Self> {
        Some(match word {
            "block" => Self::Block,
            "break" => Self::Break,
            "continue" => Self::Continue,
            "define" => Self::Define,
            "else" => Self::Else,
            "end" => Self::End,
            "if" => Self::If,
            "nil" => Self::Nil,
            "range" => Self::Range,
            "template" => Self::Template,
            "with" => Self::With,
            _ => return None,
        })
    }

    fn is_keyword(self) -> bool {
        matches!(
            self,
            Self::Dot
                | Self::Nil
                | Self::Block
                | Self::Break
                | Self::Continue
                | Self::Define
                | Self::Else
                | Self::End
                | Self::If
                | Self::Range
                | Self::Template
                | Self::With
        )
    }

    /// Whether an operand can start with it.
    pub(super) fn starts_operand(self) -> bool {
        matches!(
            self,
            Self::Bool
                | Self::Number
                | Self::Complex
                | Self::Character
                | Self::String
                | Self::RawString
                | Self::Identifier
                | Self::Field
                | Self::Variable
                | Self::Dot
                | Self::Nil
                | Self::LeftParen
        )
    }
}

impl fmt::Display for Token<'_> {
    /// The token as error messages name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TokenKind::Eof => f.write_str("EOF"),
            TokenKind::Error => f.write_str(&self.text),
            kind if kind.is_keyword() => write!(f, "<{}>", self.text),
            _ if self.text.len() > 10 => {
                let start: String = self.text.chars().take(10).collect();
                write!(f, "{}...", quote(&start))
            }
            _ => f.write_str(&quote(&self.text)),
        }
    }
}
