//! The typed view of a YAML tree: a value with its path, and the checks that every field needs.

use std::borrow::Cow;
use std::collections::HashMap;

use super::suggest;
use crate::source::{Diagnostic, Diagnostics, Span};
use crate::yaml::{Kind, Node};

/// Where the values of a spec are written, by dotted path (`steps.0.run`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans {
    places: HashMap<String, Span>,
}

impl Spans {
    /// The place of a value, `None` if the spec does not have it.
    ///
    /// A variable of `env` is found by its name (`steps.0.env.PATH`), also where `env` is a list.
    pub fn get(&self, path: &str) -> Option<Span> {
        self.places.get(path).copied()
    }

    /// The place of a value, or of the nearest value around it, or the start of the document.
    pub fn nearest(&self, mut path: &str) -> Span {
        loop {
            if let Some(span) = self.get(path) {
                return span;
            }
            match path.rfind('.') {
                Some(dot) => path = &path[..dot],
                None => return self.get("").unwrap_or_default(),
            }
        }
    }

    pub(super) fn insert(&mut self, path: &str, span: Span) {
        self.places.insert(path.to_owned(), span);
    }
}

/// A value and its path.
pub(super) struct At<'a> {
    pub(super) node: &'a Node,
    pub(super) path: String,
}

impl<'a> At<'a> {
    fn child(&self, key: &str, node: &'a Node) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Self { node, path }
    }

    /// The same value once more, for what consumes it.
    pub(super) fn again(&self) -> Self {
        Self {
            node: self.node,
            path: self.path.clone(),
        }
    }

    /// Whether it is an explicit null.
    pub(super) fn is_null(&self) -> bool {
        self.node.kind == Kind::Null
    }

    /// The last part of the path.
    pub(super) fn key(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }
}

/// An object's pairs, keys as text.
pub(super) struct Object<'a> {
    at: At<'a>,
    pairs: Vec<Pair<'a>>,
}

struct Pair<'a> {
    key: Cow<'a, str>,
    key_span: Span,
    value: &'a Node,
}

impl<'a> Object<'a> {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        let pair = self.pairs.iter().find(|p| p.key == key)?;
        Some(self.at.child(key, pair.value))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|p| p.key == key)
    }

    /// All pairs, in source order: key, its place, value.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Span, At<'a>)> {
        self.pairs
            .iter()
            .map(|p| (&*p.key, p.key_span, self.at.child(&p.key, p.value)))
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(super) fn path(&self) -> &str {
        &self.at.path
    }

    /// The place for problems with the object as a whole.
    pub(super) fn span(&self) -> Span {
        self.at.node.head()
    }

    /// The place of a key.
    pub(super) fn key_span(&self, key: &str) -> Span {
        let pair = self.pairs.iter().find(|p| p.key == key);
        pair.map_or(self.span(), |p| p.key_span)
    }
}

/// Collects problems and places while a tree is decoded.
#[derive(Default)]
pub(super) struct Decoder {
    pub(super) problems: Diagnostics,
    pub(super) spans: Spans,
}

impl Decoder {
    pub(super) fn root<'a>(&mut self, node: &'a Node) -> At<'a> {
        self.spans.insert("", node.head());
        At {
            node,
            path: String::new(),
        }
    }

    /// Reports a problem with a value.
    pub(super) fn problem(&mut self, at: &At<'_>, message: impl Into<String>) {
        self.report(Diagnostic::error(&at.path, message, at.node.head()));
    }

    pub(super) fn problem_hint(&mut self, at: &At<'_>, message: impl Into<String>, hint: &str) {
        self.report(Diagnostic::error(&at.path, message, at.node.head()).with_hint(hint));
    }

    pub(super) fn report(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// Reports a value of the wrong type. `expected` is the schema's word, as facts 1.4 prints it.
    pub(super) fn wrong_type(&mut self, at: &At<'_>, expected: &str) {
        self.wrong_type_hint(at, expected, "");
    }

    /// The same; an empty hint is replaced by what is usually wrong.
    pub(super) fn wrong_type_hint(&mut self, at: &At<'_>, expected: &str, hint: &str) {
        let given = at.node.kind.json_type();
        let problem = Diagnostic::error(
            &at.path,
            format!("Invalid type. Expected: {expected}, given: {given}"),
            at.node.head(),
        );
        let usual = match (expected, given) {
            ("string", "integer" | "number" | "boolean") => "put it in quotes to make it text",
            ("boolean", "string") => "write true or false, without quotes",
            ("[array,null]" | "array", "object" | "string") => {
                "write a list: start each entry with `- `"
            }
            _ => "",
        };
        self.report(match (hint, usual) {
            ("", "") => problem,
            ("", usual) => problem.with_hint(usual),
            (hint, _) => problem.with_hint(hint),
        });
    }

    /// The text of a value and notes its place; reports if it is none.
    pub(super) fn string(&mut self, at: &At<'_>) -> Option<String> {
        self.spans.insert(&at.path, at.node.span);
        match at.node.kind.as_text() {
            Some(text) => Some(text.into_owned()),
            None => {
                self.wrong_type(at, "string");
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, at: &At<'_>) -> Option<bool> {
        self.spans.insert(&at.path, at.node.span);
        match at.node.kind {
            Kind::Bool(b) => Some(b),
            _ => {
                self.wrong_type(at, "boolean");
                None
            }
        }
    }

    /// The entries of a list. Null is an empty list where that is `nullable`.
    pub(super) fn list<'a>(&mut self, at: &At<'a>, nullable: bool) -> Vec<At<'a>> {
        self.spans.insert(&at.path, at.node.head());
        match &at.node.kind {
            Kind::List(items) => items
                .iter()
                .enumerate()
                .map(|(n, item)| at.child(&n.to_string(), item))
                .collect(),
            Kind::Null if nullable => Vec::new(),
            _ => {
                self.wrong_type(at, if nullable { "[array,null]" } else { "array" });
                Vec::new()
            }
        }
    }

    /// The pairs of an object; reports if it is none, and keys that are not text.
    pub(super) fn object<'a>(&mut self, at: At<'a>, expected: &str) -> Option<Object<'a>> {
        self.spans.insert(&at.path, at.node.head());
        let Kind::Map(entries) = &at.node.kind else {
            self.wrong_type(&at, expected);
            return None;
        };
        let mut pairs = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Kind::String(key) = &entry.key.kind {
                pairs.push(Pair {
                    key: key.as_str().into(),
                    key_span: entry.key.span,
                    value: &entry.value,
                });
            } else {
                let given = entry.key.kind.json_type();
                self.report(
                    Diagnostic::error(
                        &at.path,
                        format!("mapping keys have to be strings, this one is {given}"),
                        entry.key.span,
                    )
                    .with_hint("put the key in quotes"),
                );
            }
        }
        Some(Object { at, pairs })
    }

    /// The pairs of an object that has all of `required` and no keys but `fields`.
    pub(super) fn closed<'a>(
        &mut self,
        at: At<'a>,
        expected: &str,
        required: &[&str],
        fields: &[&str],
    ) -> Option<Object<'a>> {
        let object = self.object(at, expected)?;
        self.require(&object, required);
        self.refuse_others(&object, fields);
        Some(object)
    }

    /// Reports the keys of an object that are not among `fields`.
    pub(super) fn refuse_others(&mut self, object: &Object<'_>, fields: &[&str]) {
        for pair in &object.pairs {
            if !fields.contains(&&*pair.key) {
                let problem = Diagnostic::error(
                    object.path(),
                    format!("Additional property {} is not allowed", pair.key),
                    pair.key_span,
                );
                // Not worth the comparing for problems that are only counted.
                let hint = (self.problems.len() < Diagnostics::KEPT)
                    .then(|| suggest::key(&pair.key, fields))
                    .flatten();
                self.report(match hint {
                    Some(hint) => problem.with_hint(hint),
                    None => problem,
                });
            }
        }
    }

    /// Reports the keys that an object lacks.
    pub(super) fn require(&mut self, object: &Object<'_>, keys: &[&str]) {
        for key in keys {
            if !object.has(key) {
                self.missing(object, key, None);
            }
        }
    }

    pub(super) fn missing(&mut self, object: &Object<'_>, key: &str, hint: Option<&str>) {
        let problem = Diagnostic::error(object.path(), format!("{key} is required"), object.span());
        self.report(match hint {
            Some(hint) => problem.with_hint(hint),
            None => problem,
        });
    }

    /// The text of an object's field, if it is there.
    pub(super) fn text(&mut self, object: &Object<'_>, key: &str) -> Option<String> {
        object.get(key).and_then(|at| self.string(&at))
    }

    /// The text of an object's field, empty if it is not there.
    pub(super) fn text_or_empty(&mut self, object: &Object<'_>, key: &str) -> String {
        self.text(object, key).unwrap_or_default()
    }

    /// An object of texts, in source order.
    pub(super) fn texts(&mut self, at: At<'_>, expected: &str) -> Vec<(String, String)> {
        let Some(object) = self.object(at, expected) else {
            return Vec::new();
        };
        let mut out = Vec::with_capacity(object.len());
        for (key, _, value) in object.iter() {
            if let Some(text) = self.string(&value) {
                out.push((key.to_owned(), text));
            }
        }
        out
    }
}
