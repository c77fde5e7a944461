//! From nodes as written to the tree: aliases, merge keys, duplicate keys, scalar types, limits.

use std::collections::{HashMap, HashSet};

use super::events::{Content, Document, Raw};
use super::{Entry, Kind, MAX_DEPTH, MAX_NODES, MAX_TEXT, Node, YamlError, scalar};
use crate::source::{Diagnostic, Diagnostics, Span};

/// Builds the tree.
pub(super) fn expand(document: &Document) -> Result<Node, YamlError> {
    let mut expander = Expander {
        nodes: &document.nodes,
        inside: vec![false; document.nodes.len()],
        nodes_left: MAX_NODES,
        text_left: MAX_TEXT,
        problems: Diagnostics::default(),
    };
    let root = expander.node(document.root, 0).map_err(YamlError::syntax)?;
    if expander.problems.is_empty() {
        Ok(root)
    } else {
        expander.problems.sort();
        Err(YamlError {
            problems: expander.problems,
            unmarshal: true,
        })
    }
}

struct Expander<'a> {
    nodes: &'a [Raw],
    /// Which nodes are being expanded: an alias to one of them never ends.
    inside: Vec<bool>,
    nodes_left: usize,
    text_left: usize,
    /// What does not stop the reading.
    problems: Diagnostics,
}

impl<'a> Expander<'a> {
    /// The tree under one node. Recursion is bounded by [`MAX_DEPTH`].
    fn node(&mut self, index: usize, depth: usize) -> Result<Node, Diagnostic> {
        let raw: &'a Raw = &self.nodes[index];
        let span = raw.span;
        self.spend(raw, depth)?;
        let kind = match &raw.content {
            Content::Alias(target) => {
                if self.inside[*target] {
                    return Err(Diagnostic::error(
                        "",
                        "an anchor's value contains itself",
                        span,
                    ));
                }
                return self.node(*target, depth + 1);
            }
            Content::Scalar { text, quoted, tag } => {
                match scalar::resolve(tag.as_deref(), text, *quoted) {
                    Ok(kind) => kind,
                    Err(message) => {
                        self.problems.push(Diagnostic::error("", message, span));
                        Kind::Null
                    }
                }
            }
            Content::List(items) => {
                self.inside[index] = true;
                let list: Result<_, _> = items.iter().map(|i| self.node(*i, depth + 1)).collect();
                self.inside[index] = false;
                Kind::List(list?)
            }
            Content::Map(pairs) => {
                self.inside[index] = true;
                let map = self.map(pairs, depth);
                self.inside[index] = false;
                Kind::Map(map?)
            }
        };
        Ok(Node { kind, span })
    }

    fn spend(&mut self, raw: &Raw, depth: usize) -> Result<(), Diagnostic> {
        let text = match &raw.content {
            Content::Scalar { text, .. } => text.len(),
            _ => 0,
        };
        let problem = if depth > MAX_DEPTH {
            format!("the document is nested deeper than {MAX_DEPTH} levels")
        } else if self.nodes_left == 0 || self.text_left < text {
            "document contains excessive aliasing".to_owned()
        } else {
            self.nodes_left -= 1;
            self.text_left -= text;
            return Ok(());
        };
        Err(Diagnostic::error("", problem, raw.span).with_hint(
            "a document this large or this nested is refused; write less of it with anchors and aliases",
        ))
    }

    fn map(&mut self, pairs: &[usize], depth: usize) -> Result<Vec<Entry>, Diagnostic> {
        let mut entries = Vec::with_capacity(pairs.len() / 2);
        let mut merges = Vec::new();
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for pair in pairs.chunks_exact(2) {
            let [key, value] = [pair[0], pair[1]];
            let raw = self.target(key);
            let Content::Scalar { text, .. } = &raw.content else {
                let message = "a list or mapping cannot be a mapping key";
                return Err(Diagnostic::error("", message, self.nodes[key].span));
            };
            // go-yaml compares the text of keys, whatever their types.
            let span = self.nodes[key].span;
            if let Some(first) = seen.insert(text, span) {
                let message = format!(
                    "mapping key {text:?} already defined at line {}",
                    first.line
                );
                self.problems.push(
                    Diagnostic::error("", message, span)
                        .with_hint("a key can be given once; remove one of the two"),
                );
                seen.insert(text, first);
                continue;
            }
            if is_merge(raw) {
                merges.push(value);
                continue;
            }
            let mut key = self.node(key, depth + 1)?;
            key.span = span;
            let value = self.node(value, depth + 1)?;
            entries.push(Entry { key, value });
        }
        let mut merged = Vec::new();
        for value in merges {
            self.merge(value, depth, &mut merged)?;
        }
        // What is written here wins over what is merged, an earlier merge over a later one.
        let mut taken: HashSet<String> = entries.iter().map(|e| key_text(&e.key.kind)).collect();
        for entry in merged {
            if taken.insert(key_text(&entry.key.kind)) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// The pairs of a mapping, or of a list of mappings.
    fn merge(
        &mut self,
        value: usize,
        depth: usize,
        into: &mut Vec<Entry>,
    ) -> Result<(), Diagnostic> {
        let span = self.nodes[value].span;
        let wrong = || {
            Diagnostic::error(
                "",
                "map merge requires map or sequence of maps as the value",
                span,
            )
        };
        match self.node(value, depth + 1)?.kind {
            Kind::Map(entries) => into.extend(entries),
            Kind::List(items) => {
                for item in items {
                    match item.kind {
                        Kind::Map(entries) => into.extend(entries),
                        _ => return Err(wrong()),
                    }
                }
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    /// The node that an alias stands for. An alias never refers to another alias.
    fn target(&self, index: usize) -> &'a Raw {
        let nodes = self.nodes;
        match nodes[index].content {
            Content::Alias(target) => &nodes[target],
            _ => &nodes[index],
        }
    }
}

fn is_merge(key: &Raw) -> bool {
    match &key.content {
        Content::Scalar { text, quoted, tag } => match tag.as_deref() {
            None | Some("!") => text == "<<" && !quoted,
            Some(tag) => text == "<<" && tag == scalar::MERGE,
        },
        _ => false,
    }
}

/// What makes two resolved keys the same.
fn key_text(kind: &Kind) -> String {
    format!("{}{kind:?}", scalar::short_tag(kind))
}
