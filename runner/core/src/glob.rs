//! Globs as batch specs mean them: no separators, `*` runs over slashes (facts/batch-spec.md 1.8).
//!
//! They decide `published` rules, the template function `matches` and `workspaces[].in`. A pattern is
//! compiled to a small non-deterministic automaton and all its states advance together, so the time is
//! bounded by the pattern's length times the text's, whatever the pattern.

use std::iter::Peekable;
use std::str::Chars;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    states: Vec<State>,
}

/// Why a pattern is malformed; worded as users of other tools know it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// A class without its `]`.
    #[error("unexpected end of input")]
    UnexpectedEnd,
    /// A class with nothing in it.
    #[error("could not parse range")]
    EmptyClass,
    /// A range with something after it.
    #[error("expected close range character")]
    UnclosedRange,
    /// A range that runs backwards.
    #[error("hi character '{hi}' should be greater than lo '{lo}'")]
    ReversedRange {
        /// First character.
        lo: char,
        /// Last character, which comes before `lo`.
        hi: char,
    },
}

/// A step of the automaton; unless it says otherwise, the next one follows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// This character.
    Char(char),
    /// Any one character.
    Any,
    /// Any run of characters.
    Run,
    /// A character that is, or if negated is not, in the class.
    Class { negated: bool, members: Members },
    /// Goes on at each of these.
    Fork(Vec<usize>),
    /// Goes on there.
    Jump(usize),
    /// The end of the pattern.
    End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Members {
    List(Vec<char>),
    Range(char, char),
}

impl Members {
    fn contains(&self, c: char) -> bool {
        match self {
            Self::List(members) => members.contains(&c),
            Self::Range(lo, hi) => (*lo..=*hi).contains(&c),
        }
    }
}

/// A `{` whose `}` has not come yet.
struct Alternatives {
    fork: usize,
    starts: Vec<usize>,
    /// Jumps at the ends of the alternatives; where to is known at the `}`.
    jumps: Vec<usize>,
}

impl Glob {
    /// Compiles a pattern.
    ///
    /// A `{` that is never closed reaches to the end of the pattern, and a `\` at the end stands for
    /// nothing; neither is an error.
    ///
    /// # Errors
    /// When a `[` class is malformed.
    pub fn new(pattern: &str) -> Result<Self, GlobError> {
        let mut chars = pattern.chars().peekable();
        let mut states = Vec::new();
        let mut open: Vec<Alternatives> = Vec::new();
        while let Some(c) = chars.next() {
            match c {
                '*' => states.push(State::Run),
                '?' => states.push(State::Any),
                '[' => states.push(class(&mut chars)?),
                '\\' => states.extend(chars.next().map(State::Char)),
                '{' => {
                    let fork = states.len();
                    states.push(State::Fork(Vec::new()));
                    open.push(Alternatives {
                        fork,
                        starts: vec![fork + 1],
                        jumps: Vec::new(),
                    });
                }
                ',' | '}' => match (open.last_mut(), c) {
                    (Some(alternatives), ',') => {
                        alternatives.jumps.push(states.len());
                        states.push(State::Jump(0));
                        alternatives.starts.push(states.len());
                    }
                    (Some(_), _) => {
                        if let Some(alternatives) = open.pop() {
                            close(alternatives, &mut states);
                        }
                    }
                    (None, c) => states.push(State::Char(c)),
                },
                c => states.push(State::Char(c)),
            }
        }
        while let Some(alternatives) = open.pop() {
            close(alternatives, &mut states);
        }
        states.push(State::End);
        Ok(Self { states })
    }

    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        let mut current = Positions::new(self.states.len());
        let mut next = Positions::new(self.states.len());
        self.enter(&mut current, 0);
        for c in text.chars() {
            for &i in &current.list {
                match &self.states[i] {
                    State::Char(wanted) if *wanted == c => self.enter(&mut next, i + 1),
                    State::Any => self.enter(&mut next, i + 1),
                    State::Run => self.enter(&mut next, i),
                    State::Class { negated, members } if members.contains(c) != *negated => {
                        self.enter(&mut next, i + 1);
                    }
                    _ => {}
                }
            }
            std::mem::swap(&mut current, &mut next);
            next.clear();
            if current.list.is_empty() {
                return false;
            }
        }
        current.has[self.states.len() - 1]
    }

    /// Adds a state and all that it reaches without a character.
    fn enter(&self, positions: &mut Positions, state: usize) {
        let mut pending = vec![state];
        while let Some(i) = pending.pop() {
            if !positions.insert(i) {
                continue;
            }
            match &self.states[i] {
                State::Run => pending.push(i + 1),
                State::Jump(target) => pending.push(*target),
                State::Fork(targets) => pending.extend(targets),
                _ => {}
            }
        }
    }
}

fn close(alternatives: Alternatives, states: &mut [State]) {
    let Alternatives {
        fork,
        starts,
        jumps,
    } = alternatives;
    let end = states.len();
    for jump in jumps {
        states[jump] = State::Jump(end);
    }
    states[fork] = State::Fork(starts);
}

/// A class after its `[`: either a range or a list of members, never both.
fn class(chars: &mut Peekable<Chars<'_>>) -> Result<State, GlobError> {
    let negated = chars.next_if_eq(&'!').is_some();
    let first = chars.next().ok_or(GlobError::UnexpectedEnd)?;
    if chars.next_if_eq(&'-').is_some() {
        let hi = chars.next().ok_or(GlobError::UnexpectedEnd)?;
        return match chars.next() {
            None => Err(GlobError::UnexpectedEnd),
            Some(']') if hi < first => Err(GlobError::ReversedRange { lo: first, hi }),
            Some(']') => Ok(State::Class {
                negated,
                members: Members::Range(first, hi),
            }),
            Some(_) => Err(GlobError::UnclosedRange),
        };
    }
    let mut members = Vec::new();
    let mut c = first;
    loop {
        match c {
            ']' if members.is_empty() => return Err(GlobError::EmptyClass),
            ']' => {
                return Ok(State::Class {
                    negated,
                    members: Members::List(members),
                });
            }
            '\\' => members.push(chars.next().ok_or(GlobError::UnexpectedEnd)?),
            c => members.push(c),
        }
        c = chars.next().ok_or(GlobError::UnexpectedEnd)?;
    }
}

/// A set of states, in the order they were reached.
struct Positions {
    list: Vec<usize>,
    has: Vec<bool>,
}

impl Positions {
    fn new(states: usize) -> Self {
        Self {
            list: Vec::with_capacity(states),
            has: vec![false; states],
        }
    }

    fn insert(&mut self, state: usize) -> bool {
        let new = !std::mem::replace(&mut self.has[state], true);
        if new {
            self.list.push(state);
        }
        new
    }

    fn clear(&mut self) {
        for state in self.list.drain(..) {
            self.has[state] = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        let table = [
            ("", "", true),
            ("", "a", false),
            ("*", "github.com/a/b", true),
            ("**", "", true),
            ("a*c", "ac", true),
            ("a*c", "a/b/c", true),
            ("a*c", "abd", false),
            ("github.com/*", "github.com/a/b", true),
            ("github.com/*", "xgithub.com/a", false),
            ("?", "/", true),
            ("?", "", false),
            ("é?", "éa", true),
            ("?é", "→é", true),
            ("[abc]", "b", true),
            ("[abc]", "d", false),
            ("[!abc]", "d", true),
            ("[!abc]", "a", false),
            ("[^a]", "^", true),
            ("[^a]", "b", false),
            ("[a-c]", "b", true),
            ("[!a-c]", "b", false),
            ("[α-ω]", "λ", true),
            ("[-a]", "-", true),
            ("[--a]", "A", true),
            (r"[\]x]", "]", true),
            ("[!!]", "!", false),
            ("[a]b]", "ab]", true),
            ("{a,b*,{c,d}}", "a", true),
            ("{a,b*,{c,d}}", "bxy", true),
            ("{a,b*,{c,d}}", "d", true),
            ("{a,b*,{c,d}}", "e", false),
            ("{,a}b", "b", true),
            ("{}", "", true),
            ("{*,a}*", "xyz", true),
            ("{a,b*}*", "ax", true),
            ("a,b}", "a,b}", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (r"\{a\,b\}", "{a,b}", true),
            ("A", "a", false),
            ("{a,b", "b", true),
            ("x{a", "x", false),
            (r"a\", "a", true),
        ];
        for (pattern, text, expected) in table {
            let glob = Glob::new(pattern).unwrap();
            assert_eq!(glob.is_match(text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn malformed_classes_are_told() {
        let table = [
            ("[", "unexpected end of input"),
            ("[a", "unexpected end of input"),
            ("[a-", "unexpected end of input"),
            ("[a-]", "unexpected end of input"),
            ("[!", "unexpected end of input"),
            ("[]", "could not parse range"),
            ("[!]", "could not parse range"),
            ("[a-cx]", "expected close range character"),
            ("[z-a]", "hi character 'a' should be greater than lo 'z'"),
            ("x[][", "could not parse range"),
        ];
        for (pattern, expected) in table {
            assert_eq!(
                Glob::new(pattern).unwrap_err().to_string(),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn hostile_patterns_take_linear_room_and_time() {
        let stars = "*a".repeat(2000);
        assert!(
            !Glob::new(&format!("{stars}b"))
                .unwrap()
                .is_match(&"a".repeat(4000))
        );
        let nested = "{".repeat(100_000);
        assert!(!Glob::new(&nested).unwrap().is_match("a"));
        let alternatives = "{a,b}".repeat(500);
        assert!(
            Glob::new(&alternatives)
                .unwrap()
                .is_match(&"ab".repeat(250))
        );
    }

    /// What a pattern may consist of, kept apart from the text it is written as.
    #[derive(Debug, Clone)]
    enum Part {
        Char(char),
        Any,
        Run,
        Class(bool, Vec<char>),
        OneOf(Vec<Vec<Self>>),
    }

    fn written(parts: &[Part]) -> String {
        let part = |part: &Part| match part {
            Part::Char(c) => format!("\\{c}"),
            Part::Any => "?".to_owned(),
            Part::Run => "*".to_owned(),
            Part::Class(negated, members) => {
                let members: String = members.iter().collect();
                format!("[{}{members}]", if *negated { "!" } else { "" })
            }
            Part::OneOf(alternatives) => {
                let alternatives: Vec<_> = alternatives.iter().map(|a| written(a)).collect();
                format!("{{{}}}", alternatives.join(","))
            }
        };
        parts.iter().map(part).collect()
    }

    /// The plain meaning: tries everything.
    fn matches(parts: &[Part], text: &[char]) -> bool {
        let Some((part, rest)) = parts.split_first() else {
            return text.is_empty();
        };
        let one = |wanted: &dyn Fn(char) -> bool| {
            text.split_first()
                .is_some_and(|(c, tail)| wanted(*c) && matches(rest, tail))
        };
        match part {
            Part::Char(wanted) => one(&|c| c == *wanted),
            Part::Any => one(&|_| true),
            Part::Class(negated, members) => one(&|c| members.contains(&c) != *negated),
            Part::Run => (0..=text.len()).any(|i| matches(rest, &text[i..])),
            Part::OneOf(alternatives) => alternatives.iter().any(|alternative| {
                let whole: Vec<_> = alternative.iter().chain(rest).cloned().collect();
                matches(&whole, text)
            }),
        }
    }

    fn parts() -> impl Strategy<Value = Vec<Part>> {
        let c = prop::sample::select(vec!['a', 'b', 'é', '/']);
        let part = prop_oneof![
            4 => c.clone().prop_map(Part::Char),
            1 => Just(Part::Any),
            2 => Just(Part::Run),
            1 => (any::<bool>(), prop::collection::vec(c, 1..3))
                .prop_map(|(negated, members)| Part::Class(negated, members)),
        ];
        let part = part.prop_recursive(2, 8, 3, |part| {
            let alternative = prop::collection::vec(part, 0..3);
            prop::collection::vec(alternative, 1..3).prop_map(Part::OneOf)
        });
        prop::collection::vec(part, 0..6)
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_meaning(parts in parts(), text in "[abé/]{0,8}") {
            let glob = Glob::new(&written(&parts)).unwrap();
            let chars: Vec<_> = text.chars().collect();
            prop_assert_eq!(glob.is_match(&text), matches(&parts, &chars));
        }

        #[test]
        fn any_text_is_a_pattern_or_an_error(pattern in "\\PC{0,20}|[\\[\\]{},!*?\\\\a-c-]{0,20}", text in "\\PC{0,20}") {
            if let Ok(glob) = Glob::new(&pattern) {
                let _ = glob.is_match(&text);
            }
        }
    }
}
