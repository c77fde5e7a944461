//! A parsed template, and how error messages print its parts.

use std::fmt;

use super::context::Variable;
use super::functions::Function;
use super::number::Number;
use super::quote::quote;

/// A named template: the text itself, or what a `define` or `block` holds.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) name: String,
    pub(super) root: List,
}

impl Tree {
    /// Whether there is nothing but white space, so that another definition may take its place.
    pub(super) fn is_blank(&self) -> bool {
        self.root.0.iter().all(|node| match &node.kind {
            NodeKind::Text(text) => text.trim().is_empty(),
            _ => false,
        })
    }
}

/// Nodes in order.
#[derive(Debug, Clone, Default)]
pub(super) struct List(pub(super) Vec<Node>);

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) offset: usize,
    pub(super) kind: NodeKind,
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    Text(String),
    /// Writes the value of a pipeline, unless it declares a variable.
    Action(Pipeline),
    If(Branch),
    Range(Branch),
    With(Branch),
    /// Invokes a named template.
    Template {
        name: String,
        argument: Option<Pipeline>,
    },
    Break,
    Continue,
}

/// A pipeline and the two lists it decides between.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) pipeline: Pipeline,
    pub(super) body: List,
    pub(super) otherwise: Option<List>,
}

/// Commands, each taking the value of the one before as its last argument.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) offset: usize,
    /// Names, with the dollar sign, of the variables that get the value.
    pub(super) variables: Vec<String>,
    /// Whether the variables exist already: `=` rather than `:=`.
    pub(super) assigns: bool,
    /// At least one.
    pub(super) commands: Vec<Command>,
}

/// An operand and its arguments.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) offset: usize,
    pub(super) head: Expr,
    pub(super) arguments: Vec<Expr>,
}

#[derive(Debug, Clone)]
pub(super) struct Expr {
    pub(super) offset: usize,
    pub(super) kind: ExprKind,
}

#[derive(Debug, Clone)]
pub(super) enum ExprKind {
    Dot,
    Nil,
    Bool(bool),
    Number {
        source: String,
        value: Number,
    },
    String {
        source: String,
        value: String,
    },
    /// `.a.b`.
    Field(Vec<String>),
    /// `$x.a.b`, or `$` alone.
    Variable {
        name: String,
        fields: Vec<String>,
    },
    /// A function, or a variable of the context.
    Callee(Callee),
    /// `(...)`.
    Pipeline(Box<Pipeline>),
    /// Fields of a callee or of a pipeline: `outputs.a.b`.
    Chain {
        base: Box<Expr>,
        fields: Vec<String>,
    },
}

/// What a bare name refers to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Callee {
    Function(&'static Function),
    Variable(Variable),
}

impl Callee {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Function(function) => function.name,
            Self::Variable(variable) => variable.name(),
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|node| node.fmt(f))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            NodeKind::Text(text) => f.write_str(text),
            NodeKind::Action(pipeline) => write!(f, "{{{{{pipeline}}}}}"),
            NodeKind::If(branch) => branch.fmt_as(f, "if"),
            NodeKind::Range(branch) => branch.fmt_as(f, "range"),
            NodeKind::With(branch) => branch.fmt_as(f, "with"),
            NodeKind::Template {
                name,
                argument: None,
            } => {
                write!(f, "{{{{template {}}}}}", quote(name))
            }
            NodeKind::Template {
                name,
                argument: Some(pipeline),
            } => {
                write!(f, "{{{{template {} {pipeline}}}}}", quote(name))
            }
            NodeKind::Break => f.write_str("{{break}}"),
            NodeKind::Continue => f.write_str("{{continue}}"),
        }
    }
}

impl Branch {
    fn fmt_as(&self, f: &mut fmt::Formatter<'_>, keyword: &str) -> fmt::Result {
        write!(f, "{{{{{keyword} {}}}}}{}", self.pipeline, self.body)?;
        if let Some(otherwise) = &self.otherwise {
            write!(f, "{{{{else}}}}{otherwise}")?;
        }
        f.write_str("{{end}}")
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.assigns { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        for (i, command) in self.commands.iter().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            command.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head.fmt_parenthesized(f)?;
        for argument in &self.arguments {
            f.write_str(" ")?;
            argument.fmt_parenthesized(f)?;
        }
        Ok(())
    }
}

impl Expr {
    fn fmt_parenthesized(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Pipeline(pipeline) => write!(f, "({pipeline})"),
            _ => fmt::Display::fmt(self, f),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = match &self.kind {
            ExprKind::Dot => return f.write_str("."),
            ExprKind::Nil => return f.write_str("nil"),
            ExprKind::Bool(value) => return value.fmt(f),
            ExprKind::Number { source, .. } | ExprKind::String { source, .. } => {
                return f.write_str(source);
            }
            ExprKind::Callee(callee) => return f.write_str(callee.name()),
            ExprKind::Pipeline(pipeline) => return pipeline.fmt(f),
            ExprKind::Field(fields) => fields,
            ExprKind::Variable { name, fields } => {
                f.write_str(name)?;
                fields
            }
            ExprKind::Chain { base, fields } => {
                base.fmt_parenthesized(f)?;
                fields
            }
        };
        fields.iter().try_for_each(|field| write!(f, ".{field}"))
    }
}
