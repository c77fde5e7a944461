//! From the text of a spec to the spec, with all its problems.

use super::decoder::{Decoder, Spans};
use super::fields::{GlobField, TemplateField};
use super::{BatchSpec, decode};
use crate::source::{Diagnostic, Diagnostics, Span};
use crate::yaml::{self, Kind, Node};

/// A spec and where its values are written.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The spec.
    pub spec: BatchSpec,
    /// The places.
    pub spans: Spans,
}

/// What is wrong inside a text of the spec, such as a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldError {
    /// The message, complete.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The byte of the text that is to blame.
    pub offset: Option<usize>,
}

impl From<String> for FieldError {
    fn from(message: String) -> Self {
        Self {
            message,
            ..Self::default()
        }
    }
}

/// Checks a template; see [`ParseOptions::check_template`].
pub type CheckTemplate<'a> = dyn Fn(&TemplateField<'_>) -> Result<(), FieldError> + 'a;
/// Checks a glob; see [`ParseOptions::check_glob`].
pub type CheckGlob<'a> = dyn Fn(&str) -> Result<(), String> + 'a;

/// What is checked besides the spec's own rules.
#[derive(Default)]
pub struct ParseOptions<'a> {
    /// Whether a template can be parsed; called for every template of the spec.
    pub check_template: Option<&'a CheckTemplate<'a>>,
    /// Whether a glob can be compiled; called for `published` and `workspaces[].in`.
    pub check_glob: Option<&'a CheckGlob<'a>>,
}

/// Reads a spec and reports everything that is wrong with it, in document order.
///
/// The texts are those of facts/batch-spec.md 1.4 to 1.6. Versions 1 and 2 are complete; version 3 is
/// checked as far as its structure goes, see [`BatchSpec::check_local_version`].
pub fn parse(text: &[u8], options: &ParseOptions<'_>) -> Result<Parsed, Diagnostics> {
    let root = yaml::load(text).map_err(|e| e.problems)?;
    let root = root.unwrap_or(Node {
        kind: Kind::Null,
        span: Span::default(),
    });
    let mut decoder = Decoder::default();
    if root.kind == Kind::Null {
        let at = decoder.root(&root);
        let hint = "the batch spec is empty: it needs at least a `name`";
        decoder.wrong_type_hint(&at, "object", hint);
        return Err(decoder.problems);
    }
    if !matches!(root.kind, Kind::Map(_)) {
        let at = decoder.root(&root);
        let hint = "a batch spec is made of fields, for example `name: my-change`";
        decoder.wrong_type_hint(&at, "object", hint);
        return Err(decoder.problems);
    }
    let spec = decode::spec(&mut decoder, &root);
    let Decoder {
        mut problems,
        spans,
    } = decoder;
    let parsed = Parsed { spec, spans };
    if let Some(check) = options.check_template {
        for field in parsed.spec.templates() {
            if let Err(error) = check(&field) {
                problems.push(parsed.template_problem(text, &field, error));
            }
        }
    }
    if let Some(check) = options.check_glob {
        for field in parsed.spec.globs() {
            if let Err(error) = check(field.pattern) {
                problems.push(parsed.glob_problem(&field, &error));
            }
        }
    }
    problems.sort();
    if problems.is_empty() {
        Ok(parsed)
    } else {
        Err(problems)
    }
}

impl Parsed {
    /// An error in a template, placed inside the template if its text stands in the document as it is.
    pub fn template_problem(
        &self,
        text: &[u8],
        field: &TemplateField<'_>,
        error: FieldError,
    ) -> Diagnostic {
        let whole = self.spans.nearest(&field.path);
        let inside = error
            .offset
            .and_then(|o| locate(text, whole, field.text, o));
        Diagnostic {
            hint: error.hint,
            ..Diagnostic::error(&field.path, error.message, inside.unwrap_or(whole))
        }
    }

    fn glob_problem(&self, field: &GlobField<'_>, error: &str) -> Diagnostic {
        let message = match field.rule {
            // Upstream finds it while decoding, and gives no path.
            Some(index) => format!("building rule for array entry {index}: {error}"),
            None => format!("compiling glob {:?}: {error}", field.pattern),
        };
        let path = if field.rule.is_some() {
            ""
        } else {
            &field.path
        };
        Diagnostic::error(path, message, self.spans.nearest(&field.path))
    }
}

/// The place of byte `offset` of a value whose place in the document is `span`.
///
/// A value that is written differently from what it means (escapes, folded lines) has no such place.
fn locate(document: &[u8], span: Span, value: &str, offset: usize) -> Option<Span> {
    let document = str::from_utf8(document).ok()?;
    let (start, end) = (span.start as usize, span.end as usize);
    let written = document.get(start..end)?;
    let before = value.get(..offset)?;
    let index = before.matches('\n').count();
    let line = value.split('\n').nth(index)?.trim_end_matches('\r');
    let in_line = offset - before.rfind('\n').map_or(0, |i| i + 1);

    let source_line = written.split('\n').nth(index)?.trim_end();
    let found = if index == 0 && value.lines().count() <= 1 {
        source_line.find(line.trim_end())?
    } else {
        // A line of a literal block: the value without its indentation.
        source_line
            .strip_suffix(line.trim_end())
            .map(str::len)
            .filter(|indent| source_line[..*indent].trim().is_empty())?
    };
    let line_start: usize = written
        .split_inclusive('\n')
        .take(index)
        .map(str::len)
        .sum();
    let at = (line_start + found + in_line).min(written.len());
    let rest = written.get(at..)?;
    // The word at that place, at least one character of it.
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let first = rest.chars().next().map_or(0, char::len_utf8);
    let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len()).max(first);
    let column = if index == 0 {
        span.column as usize + written.get(..at)?.chars().count()
    } else {
        written.get(line_start..at)?.chars().count() + 1
    };
    Some(Span {
        start: u32::try_from(start + at).ok()?,
        end: u32::try_from(start + at + length).ok()?,
        line: span.line + u32::try_from(index).ok()?,
        column: u32::try_from(column).ok()?,
    })
}

/// The text of facts/batch-spec.md 1.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("batch spec version {0} is not supported for local execution, please run server-side")]
pub struct UnsupportedVersion(pub u32);

impl BatchSpec {
    /// Refuses a spec that is valid but cannot be run here: version 3.
    pub fn check_local_version(&self) -> Result<(), UnsupportedVersion> {
        match self.version {
            3 => Err(UnsupportedVersion(3)),
            _ => Ok(()),
        }
    }
}
