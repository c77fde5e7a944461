//! From the text to a list of nodes, aliases unresolved. No recursion: the nesting is the author's.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span as Marks, Tag};

use super::place::Places;
use super::{MAX_DEPTH, MAX_NODES};
use crate::source::{Diagnostic, Span};

/// A document as written: nodes refer to each other by index.
pub(super) struct Document {
    pub(super) nodes: Vec<Raw>,
    pub(super) root: usize,
}

/// One node as written.
pub(super) struct Raw {
    pub(super) content: Content,
    pub(super) span: Span,
}

pub(super) enum Content {
    Scalar {
        text: String,
        quoted: bool,
        /// Short form: `!!int`, `!local`.
        tag: Option<String>,
    },
    List(Vec<usize>),
    /// Keys and values in turn.
    Map(Vec<usize>),
    /// The node that the anchor marks.
    Alias(usize),
}

/// Reads the first document.
pub(super) fn read(places: &Places<'_>) -> Result<Option<Document>, Diagnostic> {
    let mut reader = Reader {
        places,
        nodes: Vec::new(),
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        last_end: 0,
    };
    let mut parser = Parser::new_from_str(places.text);
    while let Some(event) = parser.next_event() {
        let (event, marks) = event.map_err(|e| reader.scan_error(&e))?;
        reader.check_tabs(&event, marks)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let content = Content::Scalar {
                    text: text.into_owned(),
                    quoted: style != ScalarStyle::Plain,
                    tag: tag.map(|t| short(&t)),
                };
                let node = reader.add(content, marks)?;
                reader.mark(anchor, node);
                reader.attach(node);
            }
            Event::Alias(anchor) => {
                let target = reader.anchors.get(&anchor).copied();
                let target = target.ok_or_else(|| {
                    Diagnostic::error("", "unknown anchor", places.span(marks.start, marks.end))
                })?;
                let node = reader.add(Content::Alias(target), marks)?;
                reader.attach(node);
            }
            Event::SequenceStart(anchor, _) => {
                reader.begin(Content::List(Vec::new()), anchor, marks)?;
            }
            Event::MappingStart(anchor, _) => {
                reader.begin(Content::Map(Vec::new()), anchor, marks)?;
            }
            Event::SequenceEnd | Event::MappingEnd => reader.end(marks.end),
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
        }
    }
    let nodes = reader.nodes;
    Ok(reader.root.map(|root| Document { nodes, root }))
}

struct Reader<'a> {
    places: &'a Places<'a>,
    nodes: Vec<Raw>,
    open: Vec<Open>,
    anchors: HashMap<usize, usize>,
    root: Option<usize>,
    /// Byte at which the last node or bracket ended.
    last_end: usize,
}

/// A list or mapping that has not ended.
struct Open {
    node: usize,
    /// Its first byte.
    start: usize,
    /// Whether it is, or is inside, `[…]` or `{…}`.
    flow: bool,
    /// Column of a block collection, from 0.
    column: usize,
}

impl Reader<'_> {
    fn add(&mut self, content: Content, marks: Marks) -> Result<usize, Diagnostic> {
        let span = self.places.span(marks.start, marks.end);
        if self.nodes.len() >= MAX_NODES {
            let message = format!("the document has more than {MAX_NODES} values");
            return Err(Diagnostic::error("", message, span));
        }
        self.nodes.push(Raw { content, span });
        Ok(self.nodes.len() - 1)
    }

    /// Notes the anchor of a node; 0 means it has none.
    fn mark(&mut self, anchor: usize, node: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, node);
        }
    }

    fn attach(&mut self, node: usize) {
        let parent = self.open.last().map(|open| open.node);
        match parent.map(|p| &mut self.nodes[p].content) {
            Some(Content::List(items) | Content::Map(items)) => items.push(node),
            _ => self.root = Some(node),
        }
    }

    fn begin(&mut self, content: Content, anchor: usize, marks: Marks) -> Result<(), Diagnostic> {
        let node = self.add(content, marks)?;
        if self.open.len() >= MAX_DEPTH {
            let message = format!("the document is nested deeper than {MAX_DEPTH} levels");
            return Err(Diagnostic::error("", message, self.nodes[node].span));
        }
        self.mark(anchor, node);
        self.attach(node);
        let end = self.places.byte(marks.end);
        let bracket = self.places.text[..end].ends_with(['[', '{']) && marks.end != marks.start;
        self.open.push(Open {
            node,
            start: self.places.byte(marks.start),
            flow: bracket || self.open.last().is_some_and(|open| open.flow),
            column: marks.start.col(),
        });
        Ok(())
    }

    fn end(&mut self, mark: Marker) {
        if let Some(open) = self.open.pop() {
            // A block collection ends where the next token starts: cut back to its own text.
            let end = self.places.byte(mark).max(open.start);
            let length = self.places.text[open.start..end].trim_end().len();
            let span = &mut self.nodes[open.node].span;
            span.end = span
                .start
                .saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
        }
    }

    /// go-yaml refuses tabs in front of a block node; the parser underneath lets some pass.
    fn check_tabs(&mut self, event: &Event<'_>, marks: Marks) -> Result<(), Diagnostic> {
        let (start, end) = (self.places.byte(marks.start), self.places.byte(marks.end));
        let in_block = !self.open.last().is_some_and(|open| open.flow);
        if in_block && start > self.last_end {
            self.refuse_tabs(self.last_end, start, 0)?;
        }
        if let Event::Scalar(_, ScalarStyle::Plain, ..) = event
            && in_block
            && start < end
        {
            let indent = self.open.last().map_or(0, |open| open.column + 1);
            self.refuse_tabs(start, end, indent)?;
        }
        self.last_end = self.last_end.max(end);
        Ok(())
    }

    /// Refuses a tab among the blanks at the start of a line that begins between two bytes. If
    /// `indent` is not 0, a tab at that column or beyond is fine.
    fn refuse_tabs(&self, from: usize, to: usize, indent: usize) -> Result<(), Diagnostic> {
        let bytes = self.places.text.as_bytes();
        for at in memchr::memchr2_iter(b'\n', b'\r', &bytes[from..to]) {
            let line = from + at + 1;
            let blanks = &bytes[line..to.max(line)];
            let spaces = blanks.iter().take_while(|b| **b == b' ').count();
            if blanks.get(spaces) == Some(&b'\t') && (indent == 0 || spaces < indent) {
                return Err(self.tab(line + spaces));
            }
        }
        Ok(())
    }

    fn tab(&self, at: usize) -> Diagnostic {
        Diagnostic::error(
            "",
            "found a tab character that violates indentation",
            self.places.at_byte(at),
        )
        .with_hint("indent with spaces: YAML does not allow tabs here")
    }

    fn scan_error(&self, error: &ScanError) -> Diagnostic {
        let text = self.places.text;
        let at = self.places.byte(*error.marker());
        let info = error.info();
        if info.contains("tab") {
            let line = text[..at].rfind('\n').map_or(0, |i| i + 1);
            let indentation = text[line..].split_inclusive('\n').scan(line, |at, l| {
                let start = *at;
                *at += l.len();
                Some((start, l))
            });
            for (start, l) in indentation.take(2) {
                let blanks = l.len() - l.trim_start_matches([' ', '\t']).len();
                if let Some(tab) = l[..blanks].find('\t') {
                    return self.tab(start + tab);
                }
            }
        }
        let mut place = self.places.at_byte(at);
        if place.start == place.end && at > 0 && at == text.len() {
            // At the end of the text there is nothing to show: point at the last line instead.
            let last = text.trim_end().char_indices().next_back();
            place = self.places.at_byte(last.map_or(0, |(at, _)| at));
        }
        let (message, hint) = explain(info);
        let problem = Diagnostic::error("", message, place);
        match hint {
            Some(hint) => problem.with_hint(hint),
            None => problem,
        }
    }
}

/// The parser's message, and what usually helps.
fn explain(info: &str) -> (String, Option<&'static str>) {
    let hint = if info.contains("mapping values are not allowed") {
        Some("text that contains `: ` has to be quoted; or the line is indented too far")
    } else if info.contains("unexpected character") {
        Some("text that starts with this character has to be quoted")
    } else if info.contains("quoted scalar")
        && (info.contains("end of stream") || info.contains("invalid indentation"))
    {
        Some("a quote is not closed")
    } else if info.contains("did not find expected key") || info.contains("simple key expected") {
        Some("check the indentation, and that every key is followed by `: `")
    } else if info.contains("flow sequence") || info.contains("flow mapping") {
        Some("a bracket or brace is not closed, or a comma is missing")
    } else if info.contains("recursion limit") {
        return ("the document is nested too deeply".to_owned(), None);
    } else {
        None
    };
    (info.to_owned(), hint)
}

/// `!!int` for the tags of YAML itself, else handle and suffix.
fn short(tag: &Tag) -> String {
    if tag.is_yaml_core_schema() {
        format!("!!{}", tag.suffix)
    } else if let Some(name) =
        format!("{}{}", tag.handle, tag.suffix).strip_prefix("tag:yaml.org,2002:")
    {
        format!("!!{name}")
    } else {
        format!("{}{}", tag.handle, tag.suffix)
    }
}
