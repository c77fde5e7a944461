//! From text to trees.

mod pipeline;

use std::collections::{BTreeMap, BTreeSet};

use super::Scope;
use super::ast::{Branch, List, Node, NodeKind, Tree};
use super::context::Reference;
use super::error::{Position, TemplateError};
use super::lexer::{Lexer, is_word};
use super::quote::{quote, unquote};
use super::token::{Token, TokenKind};

/// How deep blocks and parentheses may nest.
const MAX_DEPTH: usize = 100;

/// What a text says.
pub(super) struct Parsed {
    /// The trees by name; the text itself is the one with the template's name.
    pub(super) trees: BTreeMap<String, Tree>,
    pub(super) references: BTreeSet<Reference>,
}

/// Parses the whole of `text`.
pub(super) fn parse(name: &str, text: &str, scope: Scope) -> Result<Parsed> {
    let mut parser = Parser::new(name, text, scope);
    let root = parser.text()?;
    parser.define(Tree {
        name: name.to_owned(),
        root,
    })?;
    Ok(Parsed {
        trees: parser.trees,
        references: parser.references,
    })
}

type Result<T> = std::result::Result<T, TemplateError>;

struct Parser<'t> {
    name: &'t str,
    text: &'t str,
    scope: Scope,
    lexer: Lexer<'t>,
    /// Tokens read ahead, the next one last; white space is a token, so up to three are needed.
    ahead: Vec<Token<'t>>,
    /// Where the token read last stands; errors are told there.
    last: (usize, usize),
    depth: usize,
    frame: Frame,
    trees: BTreeMap<String, Tree>,
    references: BTreeSet<Reference>,
}

/// What is particular to the tree being parsed.
struct Frame {
    /// Variables that may be used, with the dollar sign.
    variables: Vec<String>,
    /// How many `range` surround this place.
    ranges: usize,
    /// Line of the open action, to tell where an unfinished one began.
    action_line: Option<usize>,
    /// Whether the tree is a `define` or `block`, whose dot is the argument given.
    is_definition: bool,
    /// How many `range` and `with` bodies surround this place.
    dots: usize,
}

impl Frame {
    fn new(is_definition: bool) -> Self {
        Self {
            variables: vec!["$".to_owned()],
            ranges: 0,
            action_line: None,
            is_definition,
            dots: 0,
        }
    }
}

/// How a list of nodes ended.
enum End<'t> {
    End,
    /// With the token after the `else`, as error messages print the clause.
    Else(Token<'t>),
}

impl End<'_> {
    fn describe(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else(_) => "{{else}}",
        }
    }
}

enum Item<'t> {
    Node(Node),
    End(End<'t>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    If,
    Range,
    With,
}

impl<'t> Parser<'t> {
    fn new(name: &'t str, text: &'t str, scope: Scope) -> Self {
        Self {
            name,
            text,
            scope,
            lexer: Lexer::new(text),
            ahead: Vec::new(),
            last: (0, 1),
            depth: 0,
            frame: Frame::new(false),
            trees: BTreeMap::new(),
            references: BTreeSet::new(),
        }
    }

    // Reading tokens.

    fn next(&mut self) -> Token<'t> {
        if let Some(token) = self.ahead.pop() {
            return token;
        }
        let token = self.lexer.next_token();
        self.last = (token.offset, token.line);
        token
    }

    fn back(&mut self, token: Token<'t>) {
        self.ahead.push(token);
    }

    fn peek(&mut self) -> &Token<'t> {
        if self.ahead.is_empty() {
            let token = self.next();
            self.back(token);
        }
        // The stack cannot be empty here; the index would say so at once.
        &self.ahead[self.ahead.len() - 1]
    }

    fn next_non_space(&mut self) -> Token<'t> {
        loop {
            let token = self.next();
            if token.kind != TokenKind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> &Token<'t> {
        let token = self.next_non_space();
        self.back(token);
        self.peek()
    }

    fn expect(&mut self, kind: TokenKind, context: &str) -> Result<Token<'t>> {
        let token = self.next_non_space();
        if token.kind == kind {
            Ok(token)
        } else {
            Err(self.unexpected(&token, context))
        }
    }

    // Errors.

    fn error(&self, message: impl Into<String>) -> TemplateError {
        self.error_at(self.last.0, message)
    }

    /// The line is that of the token read last, as in the messages people know; the column points at
    /// `offset`, if that is in the same line.
    fn error_at(&self, offset: usize, message: impl Into<String>) -> TemplateError {
        let (last, line) = self.last;
        let column = [offset, last]
            .map(|offset| Position::of(self.text, offset))
            .into_iter()
            .find(|position| position.line == line)
            .map_or(0, |position| position.column);
        TemplateError::parse(self.name, Position { line, column }, message.into())
    }

    fn unexpected(&self, token: &Token<'t>, context: &str) -> TemplateError {
        if token.kind != TokenKind::Error {
            let message = format!("unexpected {token} in {context}");
            return self.error_at(token.offset, message);
        }
        let began = match self.frame.action_line {
            Some(line) if line != token.line => {
                let joint = if token.text.ends_with(" action") {
                    ""
                } else {
                    " in action"
                };
                format!("{joint} started at {}:{line}", self.name)
            }
            _ => String::new(),
        };
        let suggestion = token
            .text
            .contains("U+002D")
            .then(|| self.dashed_key(token.offset));
        self.error(format!("{}{began}", token.text))
            .with_suggestion(suggestion.flatten())
    }

    /// How to write the field access at `offset` whose name has a dash.
    fn dashed_key(&self, offset: usize) -> Option<String> {
        let (before, after) = (&self.text[..offset], self.text[offset..].strip_prefix('.')?);
        let base_start = before.trim_end_matches(|c| is_word(c) || c == '.').len();
        let base = &before[base_start..];
        let length = after
            .find(|c| !is_word(c) && c != '-')
            .unwrap_or(after.len());
        (!base.is_empty()).then(|| format!("index {base} {}", quote(&after[..length])))
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(format!(
                "blocks and parentheses nest deeper than {MAX_DEPTH} levels"
            )));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    // Text and blocks.

    /// The text up to its end, definitions set apart.
    fn text(&mut self) -> Result<List> {
        let mut nodes = Vec::new();
        while self.peek().kind != TokenKind::Eof {
            if self.peek().kind == TokenKind::LeftDelimiter {
                let delimiter = self.next();
                let token = self.next_non_space();
                if token.kind == TokenKind::Define {
                    self.definition()?;
                    continue;
                }
                self.back(token);
                self.back(delimiter);
            }
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::End(end) => {
                    return Err(self.error(format!("unexpected {}", end.describe())));
                }
            }
        }
        Ok(List(nodes))
    }

    fn definition(&mut self) -> Result<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect(TokenKind::RightDelimiter, CONTEXT)?;
        self.named_body(name, CONTEXT)
    }

    /// The nodes up to `end`, as a template of their own.
    fn named_body(&mut self, name: String, context: &str) -> Result<()> {
        let outer = std::mem::replace(&mut self.frame, Frame::new(true));
        let (root, end) = self.deeper(Self::list)?;
        if let End::Else(_) = end {
            return Err(self.error(format!("unexpected {} in {context}", end.describe())));
        }
        self.frame = outer;
        self.define(Tree { name, root })
    }

    fn define(&mut self, tree: Tree) -> Result<()> {
        match self.trees.get(&tree.name) {
            Some(old) if !old.is_blank() => {
                if !tree.is_blank() {
                    let name = quote(&tree.name);
                    return Err(
                        self.error(format!("template: multiple definition of template {name}"))
                    );
                }
            }
            _ => {
                self.trees.insert(tree.name.clone(), tree);
            }
        }
        Ok(())
    }

    fn list(&mut self) -> Result<(List, End<'t>)> {
        let mut nodes = Vec::new();
        while self.peek_non_space().kind != TokenKind::Eof {
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::End(end) => return Ok((List(nodes), end)),
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn item(&mut self) -> Result<Item<'t>> {
        let token = self.next_non_space();
        match token.kind {
            TokenKind::Text => Ok(Item::Node(Node {
                offset: token.offset,
                kind: NodeKind::Text(token.text.into_owned()),
            })),
            TokenKind::LeftDelimiter => {
                self.frame.action_line = Some(token.line);
                let item = self.action()?;
                self.frame.action_line = None;
                Ok(item)
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Result<Item<'t>> {
        let token = self.next_non_space();
        let node = match token.kind {
            TokenKind::Block => self.block()?,
            TokenKind::Break => self.leave_range(&token, NodeKind::Break)?,
            TokenKind::Continue => self.leave_range(&token, NodeKind::Continue)?,
            TokenKind::Else => return Ok(Item::End(self.else_clause()?)),
            TokenKind::End => {
                self.expect(TokenKind::RightDelimiter, "end")?;
                return Ok(Item::End(End::End));
            }
            TokenKind::If => self.control(Control::If)?,
            TokenKind::Range => self.control(Control::Range)?,
            TokenKind::With => self.control(Control::With)?,
            TokenKind::Template => self.invocation()?,
            _ => {
                let offset = token.offset;
                self.back(token);
                let pipeline = self.pipeline("command", TokenKind::RightDelimiter)?;
                Node {
                    offset,
                    kind: NodeKind::Action(pipeline),
                }
            }
        };
        Ok(Item::Node(node))
    }

    fn leave_range(&mut self, token: &Token<'t>, kind: NodeKind) -> Result<Node> {
        let keyword = &token.text;
        let next = self.next_non_space();
        if next.kind != TokenKind::RightDelimiter {
            return Err(self.unexpected(&next, &format!("{{{{{keyword}}}}}")));
        }
        if self.frame.ranges == 0 {
            return Err(self.error(format!("{{{{{keyword}}}}} outside {{{{range}}}}")));
        }
        Ok(Node {
            offset: token.offset,
            kind,
        })
    }

    fn else_clause(&mut self) -> Result<End<'t>> {
        let next = self.peek_non_space().clone();
        if !matches!(next.kind, TokenKind::If | TokenKind::With) {
            self.expect(TokenKind::RightDelimiter, "else")?;
        }
        Ok(End::Else(next))
    }

    fn control(&mut self, control: Control) -> Result<Node> {
        let outer_variables = self.frame.variables.len();
        let branch = self.deeper(|parser| parser.branch(control))?;
        self.frame.variables.truncate(outer_variables);
        let offset = branch.pipeline.offset;
        let kind = match control {
            Control::If => NodeKind::If(branch),
            Control::Range => NodeKind::Range(branch),
            Control::With => NodeKind::With(branch),
        };
        Ok(Node { offset, kind })
    }

    fn branch(&mut self, control: Control) -> Result<Branch> {
        let (context, chained) = match control {
            Control::If => ("if", Some(TokenKind::If)),
            Control::Range => ("range", None),
            Control::With => ("with", Some(TokenKind::With)),
        };
        let pipeline = self.pipeline(context, TokenKind::RightDelimiter)?;
        let (ranges, dots) = (self.frame.ranges, self.frame.dots);
        self.frame.ranges += usize::from(control == Control::Range);
        self.frame.dots += usize::from(control != Control::If);
        let (body, end) = self.list()?;
        (self.frame.ranges, self.frame.dots) = (ranges, dots);
        let otherwise = match end {
            End::End => None,
            End::Else(next) if Some(next.kind) == chained => {
                // One `end` closes the whole chain, so the inner branch consumes it.
                self.next();
                Some(List(vec![self.control(control)?]))
            }
            End::Else(_) => {
                let (otherwise, end) = self.list()?;
                if let End::Else(_) = end {
                    return Err(self.error(format!("expected end; found {}", end.describe())));
                }
                Some(otherwise)
            }
        };
        Ok(Branch {
            pipeline,
            body,
            otherwise,
        })
    }

    fn block(&mut self) -> Result<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipeline = self.pipeline(CONTEXT, TokenKind::RightDelimiter)?;
        self.named_body(name.clone(), CONTEXT)?;
        let kind = NodeKind::Template {
            name,
            argument: Some(pipeline),
        };
        Ok(Node {
            offset: token.offset,
            kind,
        })
    }

    fn invocation(&mut self) -> Result<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let next = self.next_non_space();
        let argument = if next.kind == TokenKind::RightDelimiter {
            None
        } else {
            self.back(next);
            Some(self.pipeline(CONTEXT, TokenKind::RightDelimiter)?)
        };
        Ok(Node {
            offset: token.offset,
            kind: NodeKind::Template { name, argument },
        })
    }

    fn template_name(&mut self, token: &Token<'t>, context: &str) -> Result<String> {
        match token.kind {
            TokenKind::String | TokenKind::RawString => self.unquoted(token),
            _ => Err(self.unexpected(token, context)),
        }
    }

    fn unquoted(&self, token: &Token<'t>) -> Result<String> {
        unquote(&token.text).ok_or_else(|| self.error("invalid syntax"))
    }
}
