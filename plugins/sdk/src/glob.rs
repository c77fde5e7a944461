//! Globs: `*` and `?` stay within a part of a path, `**` crosses `/`, `{a,b}` is either, `[a-z]` and `[!a-z]` are one character, and
//! `\` takes the meaning from the character after it.
//!
//! A pattern is compiled to a small automaton all of whose states advance together, so matching takes time bounded by the length of the
//! pattern times that of the text, whatever the pattern.

use std::iter::Peekable;
use std::str::Chars;

use crate::{Error, Result};

/// The longest pattern, in bytes.
const LONGEST: usize = 4096;
/// How deep braces may be nested.
const DEEPEST: usize = 8;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    pattern: String,
    states: Vec<State>,
    /// Characters that every match ends with: most texts fail here.
    tail: String,
}

/// A step of the automaton; unless it says otherwise, the next one follows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// This character.
    Char(char),
    /// One character that is no `/`.
    Any,
    /// Any number of characters that are no `/`.
    Run,
    /// Any number of characters.
    RunAll,
    /// Any number of directories, each with its `/`; none at all only where a part of a path begins.
    Directories,
    /// Any number of characters up to a `/`, of which there may be more to come.
    InDirectory,
    /// A character out of ranges, or none of them; never `/`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// Goes on at each of these.
    Fork(Vec<usize>),
    /// Goes on there.
    Jump(usize),
    /// The end of the pattern.
    End,
}

impl Glob {
    /// Compiles a pattern that the whole text has to match.
    ///
    /// # Errors
    ///
    /// If it is malformed: code `config`, and what is wrong with it.
    pub fn new(pattern: &str) -> Result<Self> {
        Self::compile(pattern, pattern)
    }

    /// Compiles `pattern`, which somebody wrote as `written`.
    fn compile(pattern: &str, written: &str) -> Result<Self> {
        let malformed = |reason: &str| {
            Error::new(
                "config",
                format!("the glob {written:?} is malformed: {reason}"),
            )
        };
        if pattern.len() > LONGEST {
            return Err(malformed("it is longer than 4096 bytes"));
        }
        let mut parser = Parser {
            chars: pattern.chars().peekable(),
            states: Vec::new(),
            tail: String::new(),
        };
        parser.sequence(0).map_err(malformed)?;
        parser.states.push(State::End);
        Ok(Self {
            pattern: written.to_owned(),
            states: parser.states,
            tail: parser.tail,
        })
    }

    /// Compiles a pattern for paths in a repository. Without a `/`, or with one only at its end, it means a name at any depth;
    /// with a `/` at its end, all that is below. `*.lock`, `docs/`, `src/**/*.rs`, `/README.md`.
    ///
    /// # Errors
    ///
    /// See [`Glob::new`].
    pub fn path(pattern: &str) -> Result<Self> {
        let (name, below) = match pattern.strip_suffix('/') {
            Some(directory) => (directory, "/**"),
            None => (pattern, ""),
        };
        let anchored = match name.strip_prefix('/') {
            Some(anchored) => anchored.to_owned(),
            None if name.contains('/') => name.to_owned(),
            None => format!("**/{name}"),
        };
        Self::compile(&format!("{anchored}{below}"), pattern)
    }

    /// The pattern, as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        if !text.ends_with(&self.tail) {
            return false;
        }
        let mut now = Set::new(self.states.len());
        let mut next = Set::new(self.states.len());
        self.enter(0, true, &mut now);
        for c in text.chars() {
            next.clear();
            let begins = c == '/';
            let mut enter = |at| self.enter(at, begins, &mut next);
            for &at in &now.members {
                match &self.states[at] {
                    State::Char(wanted) if *wanted == c => enter(at + 1),
                    State::Any if c != '/' => enter(at + 1),
                    State::Run if c != '/' => enter(at),
                    State::RunAll => enter(at),
                    State::InDirectory => {
                        enter(at);
                        if begins {
                            enter(at + 1);
                        }
                    }
                    State::Class { negated, ranges } if c != '/' => {
                        let member = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                        if member != *negated {
                            enter(at + 1);
                        }
                    }
                    _ => {}
                }
            }
            if next.members.is_empty() {
                return false;
            }
            std::mem::swap(&mut now, &mut next);
        }
        now.seen[self.states.len() - 1]
    }

    /// Puts a state into the set, and those that need no character to be reached from it. A part of a path `begins` at the
    /// beginning of the text and after a `/`.
    fn enter(&self, at: usize, begins: bool, set: &mut Set) {
        let mut waiting = vec![at];
        while let Some(at) = waiting.pop() {
            if std::mem::replace(&mut set.seen[at], true) {
                continue;
            }
            set.members.push(at);
            match &self.states[at] {
                State::Run | State::RunAll => waiting.push(at + 1),
                State::Directories => {
                    waiting.push(at + 1);
                    if begins {
                        waiting.push(at + 2);
                    }
                }
                State::Fork(targets) => waiting.extend(targets),
                State::Jump(target) => waiting.push(*target),
                _ => {}
            }
        }
    }
}

/// The states that are active.
struct Set {
    seen: Vec<bool>,
    members: Vec<usize>,
}

impl Set {
    fn new(states: usize) -> Self {
        Self {
            seen: vec![false; states],
            members: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.seen.fill(false);
        self.members.clear();
    }
}

struct Parser<'a> {
    chars: Peekable<Chars<'a>>,
    states: Vec<State>,
    tail: String,
}

impl Parser<'_> {
    /// Up to the end, or in braces up to a `,` or `}`, which stays.
    fn sequence(&mut self, depth: usize) -> std::result::Result<(), &'static str> {
        while let Some(&c) = self.chars.peek() {
            if depth > 0 && matches!(c, ',' | '}') {
                return Ok(());
            }
            self.chars.next();
            match c {
                '*' => self.stars(),
                '?' => self.special(State::Any),
                '[' => {
                    let class = self.class()?;
                    self.special(class);
                }
                '{' => self.braces(depth + 1)?,
                '\\' => {
                    let c = self.chars.next().ok_or("it ends in `\\`")?;
                    self.literal(c);
                }
                c => self.literal(c),
            }
        }
        if depth > 0 {
            return Err("a `{` is not closed");
        }
        Ok(())
    }

    fn literal(&mut self, c: char) {
        self.states.push(State::Char(c));
        self.tail.push(c);
    }

    fn special(&mut self, state: State) {
        self.states.push(state);
        self.tail.clear();
    }

    fn stars(&mut self) {
        if self.chars.next_if_eq(&'*').is_none() {
            self.special(State::Run);
            return;
        }
        while self.chars.next_if_eq(&'*').is_some() {}
        if self.chars.next_if_eq(&'/').is_some() {
            self.special(State::Directories);
            self.special(State::InDirectory);
        } else {
            self.special(State::RunAll);
        }
    }

    fn braces(&mut self, depth: usize) -> std::result::Result<(), &'static str> {
        if depth > DEEPEST {
            return Err("its braces are nested more than 8 deep");
        }
        let fork = self.states.len();
        self.special(State::Fork(Vec::new()));
        let mut starts = Vec::new();
        let mut ends = Vec::new();
        loop {
            starts.push(self.states.len());
            self.sequence(depth)?;
            ends.push(self.states.len());
            self.special(State::Jump(0));
            if self.chars.next() == Some('}') {
                break;
            }
        }
        let after = self.states.len();
        self.states[fork] = State::Fork(starts);
        for end in ends {
            self.states[end] = State::Jump(after);
        }
        Ok(())
    }

    fn class(&mut self) -> std::result::Result<State, &'static str> {
        let negated = self.chars.next_if(|c| matches!(c, '!' | '^')).is_some();
        let mut ranges = Vec::new();
        loop {
            let mut low = self.chars.next().ok_or("a `[` is not closed")?;
            if low == ']' && !ranges.is_empty() {
                return Ok(State::Class { negated, ranges });
            }
            if low == '\\' {
                low = self.chars.next().ok_or("a `[` is not closed")?;
            }
            let mut high = low;
            if self.chars.peek() == Some(&'-') {
                let mut ahead = self.chars.clone();
                ahead.next();
                // A `-` before the `]` is one.
                if ahead.next().is_some_and(|c| c != ']') {
                    self.chars.next();
                    high = self.chars.next().ok_or("a `[` is not closed")?;
                    if high == '\\' {
                        high = self.chars.next().ok_or("a `[` is not closed")?;
                    }
                }
            }
            if low > high {
                return Err("a range in `[...]` runs backwards");
            }
            ranges.push((low, high));
        }
    }
}

/// Several patterns, any of which may match. Read from a configuration, they are patterns for paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Globs(Vec<Glob>);

impl Globs {
    /// Patterns for paths; see [`Glob::path`].
    ///
    /// # Errors
    ///
    /// If one is malformed.
    pub fn paths<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self> {
        patterns
            .into_iter()
            .map(|pattern| Glob::path(pattern.as_ref()))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Patterns for anything else; see [`Glob::new`].
    ///
    /// # Errors
    ///
    /// If one is malformed.
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self> {
        patterns
            .into_iter()
            .map(|pattern| Glob::new(pattern.as_ref()))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// The first pattern that matches.
    pub fn find(&self, text: &str) -> Option<&Glob> {
        self.0.iter().find(|glob| glob.matches(text))
    }

    /// Whether a pattern matches.
    pub fn matches(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns.
    pub fn iter(&self) -> impl Iterator<Item = &Glob> {
        self.0.iter()
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Globs {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> std::result::Result<Self, D::Error> {
        let patterns = Vec::<String>::deserialize(reader)?;
        Self::paths(patterns).map_err(|error| serde::de::Error::custom(error.message))
    }
}

#[cfg(test)]
mod tests;
