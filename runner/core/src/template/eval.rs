//! Renders a parsed template.
//!
//! Every error names the node that was looked at last, so [`Evaluator::at`] is kept as exactly as the
//! values are: authors see that node, and others' tools compare the text.

mod call;

use std::fmt;

use self::call::Arguments;
use super::Template;
use super::ast::{Branch, Command, Expr, ExprKind, List, Node, NodeKind, Pipeline};
use super::budget::{Budget, MAX_TEXT};
use super::context::Context;
use super::datum::{Datum, Map, Operand, Text};
use super::error::{Position, TemplateError, nearest};
use super::number::Number;
use super::print::print;
use super::quote::quote;

/// How deep blocks, parentheses and template invocations may nest while rendering.
const MAX_DEPTH: usize = 250;

/// Renders `template` with the variables of `context`.
pub(super) fn render(template: &Template, context: Context<'_>) -> Result<String> {
    let mut evaluator = Evaluator {
        template,
        context,
        executing: &template.name,
        at: At::Start,
        variables: vec![("$", Operand::NOTHING)],
        out: String::new(),
        budget: Budget::default(),
        depth: 0,
    };
    if let Some(tree) = template.trees.get(&template.name) {
        evaluator.list(&Operand::NOTHING, &tree.root)?;
    }
    Ok(evaluator.out)
}

type Result<T> = std::result::Result<T, TemplateError>;

struct Evaluator<'c> {
    template: &'c Template,
    context: Context<'c>,
    /// Name of the tree being rendered.
    executing: &'c str,
    /// What errors are told about.
    at: At<'c>,
    /// Innermost last, with the dollar sign.
    variables: Vec<(&'c str, Operand<'c>)>,
    out: String,
    budget: Budget,
    depth: usize,
}

/// A part of the template.
#[derive(Clone, Copy)]
enum At<'c> {
    Start,
    Node(&'c Node),
    Pipeline(&'c Pipeline),
    Command(&'c Command),
    Expr(&'c Expr),
}

impl At<'_> {
    fn offset(self) -> usize {
        match self {
            At::Start => 0,
            At::Node(node) => node.offset,
            At::Pipeline(pipeline) => pipeline.offset,
            At::Command(command) => command.offset,
            At::Expr(expr) => expr.offset,
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Start => Ok(()),
            At::Node(node) => node.fmt(f),
            At::Pipeline(pipeline) => pipeline.fmt(f),
            At::Command(command) => command.fmt(f),
            At::Expr(expr) => expr.fmt(f),
        }
    }
}

/// Where to go on after a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl<'c> Evaluator<'c> {
    fn error(&self, message: impl Into<String>) -> TemplateError {
        TemplateError::execution(
            &self.template.name,
            Position::of(&self.template.text, self.at.offset()),
            self.executing,
            self.at.to_string(),
            message.into(),
        )
    }

    /// Pays for one operation, and refuses to go on when there have been too many.
    fn pay(&mut self) -> Result<()> {
        self.budget.work(1).map_err(|message| self.error(message))
    }

    fn deeper<T>(&mut self, evaluate: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(format!("the template nests deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let evaluated = evaluate(self);
        self.depth -= 1;
        evaluated
    }

    // Nodes.

    fn list(&mut self, dot: &Operand<'c>, list: &'c List) -> Result<Flow> {
        self.deeper(|this| {
            for node in &list.0 {
                let flow = this.node(dot, node)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
            Ok(Flow::Next)
        })
    }

    fn node(&mut self, dot: &Operand<'c>, node: &'c Node) -> Result<Flow> {
        self.at = At::Node(node);
        self.pay()?;
        match &node.kind {
            NodeKind::Text(text) => self.write(text)?,
            NodeKind::Action(pipeline) => {
                let value = self.pipeline(dot, pipeline)?;
                if pipeline.variables.is_empty() {
                    self.at = At::Node(node);
                    self.write_value(&value)?;
                }
            }
            NodeKind::If(branch) => return self.branch(dot, branch, false),
            NodeKind::With(branch) => return self.branch(dot, branch, true),
            NodeKind::Range(branch) => return self.range(dot, branch),
            NodeKind::Template { name, argument } => {
                self.invoke(dot, name, argument.as_ref())?;
            }
            NodeKind::Break => return Ok(Flow::Break),
            NodeKind::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn write(&mut self, text: &str) -> Result<()> {
        if self.out.len() + text.len() > MAX_TEXT {
            return Err(self.error(format!("the result is longer than {} MiB", MAX_TEXT >> 20)));
        }
        self.budget
            .scan(text.len())
            .map_err(|message| self.error(message))?;
        self.out.push_str(text);
        Ok(())
    }

    fn write_value(&mut self, value: &Operand<'c>) -> Result<()> {
        match &value.datum {
            Datum::Nil => self.write("<no value>"),
            Datum::Text(text) => self.write(text),
            datum => {
                let text = print(datum, &mut self.budget).map_err(|message| self.error(message))?;
                self.write(&text)
            }
        }
    }

    fn branch(&mut self, dot: &Operand<'c>, branch: &'c Branch, binds: bool) -> Result<Flow> {
        let outer = self.variables.len();
        let value = self.pipeline(dot, &branch.pipeline)?;
        let flow = if value.datum.is_true() {
            self.list(if binds { &value } else { dot }, &branch.body)?
        } else if let Some(otherwise) = &branch.otherwise {
            self.list(dot, otherwise)?
        } else {
            Flow::Next
        };
        self.variables.truncate(outer);
        Ok(flow)
    }

    fn range(&mut self, dot: &Operand<'c>, branch: &'c Branch) -> Result<Flow> {
        let outer = self.variables.len();
        let value = self.pipeline(dot, &branch.pipeline)?;
        let ran = self.turns(&value.datum, branch)?;
        let flow = match &branch.otherwise {
            Some(otherwise) if !ran => self.list(dot, otherwise)?,
            _ => Flow::Next,
        };
        self.variables.truncate(outer);
        Ok(flow)
    }

    /// Runs the body of a `range` for each element; `false` if there was none.
    fn turns(&mut self, value: &Datum<'c>, branch: &'c Branch) -> Result<bool> {
        match value {
            Datum::Nil => Ok(false),
            Datum::Int(_) | Datum::Byte(_) if branch.pipeline.variables.len() > 1 => {
                let number = self.describe(value)?;
                Err(self.error(format!(
                    "can't use {number} to iterate over more than one variable"
                )))
            }
            Datum::Int(count) => {
                let turns = (0..*count).map(|i| (Operand::NOTHING, Operand::bare(Datum::Int(i))));
                self.each(turns, branch)
            }
            Datum::Byte(count) => {
                let turns = (0..*count).map(|i| (Operand::NOTHING, Operand::bare(Datum::Byte(i))));
                self.each(turns, branch)
            }
            Datum::Map(map) => {
                let turns = map.iter().map(|(key, value)| {
                    let key = Datum::Text(Text::Borrowed(key));
                    (Operand::bare(key), Operand::boxed(value))
                });
                self.each(turns, branch)
            }
            Datum::Texts(_) | Datum::Paths(_) | Datum::List(_) => {
                let turns = (0..value.len().unwrap_or(0)).filter_map(|i| {
                    Some((
                        Operand::bare(Datum::Int(i64::try_from(i).ok()?)),
                        value.element(i)?,
                    ))
                });
                self.each(turns, branch)
            }
            _ => {
                let value = self.describe(value)?;
                Err(self.error(format!("range can't iterate over {value}")))
            }
        }
    }

    fn each(
        &mut self,
        turns: impl Iterator<Item = (Operand<'c>, Operand<'c>)>,
        branch: &'c Branch,
    ) -> Result<bool> {
        let mark = self.variables.len();
        let mut ran = false;
        for (key, element) in turns {
            ran = true;
            self.pay()?;
            let (for_key, for_element) = match &branch.pipeline.variables[..] {
                [] => (None, None),
                [element] => (None, Some(element)),
                [key, element, ..] => (Some(key), Some(element)),
            };
            for (variable, value) in [(for_key, key), (for_element, element.clone())] {
                if let Some(name) = variable {
                    self.assign(name, value)?;
                }
            }
            let flow = self.list(&element, &branch.body)?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(ran)
    }

    fn invoke(
        &mut self,
        dot: &Operand<'c>,
        name: &'c str,
        argument: Option<&'c Pipeline>,
    ) -> Result<()> {
        let template = self.template;
        let Some(tree) = template.trees.get(name) else {
            let known = template.trees.keys().map(String::as_str);
            return Err(self
                .error(format!("template {} not defined", quote(name)))
                .with_suggestion(nearest(name, known.filter(|known| *known != template.name))));
        };
        let argument = match argument {
            Some(pipeline) => self.pipeline(dot, pipeline)?,
            None => Operand::NOTHING,
        };
        let variables = std::mem::replace(&mut self.variables, vec![("$", argument.clone())]);
        let executing = std::mem::replace(&mut self.executing, &tree.name);
        self.list(&argument, &tree.root)?;
        self.variables = variables;
        self.executing = executing;
        Ok(())
    }

    // Variables declared by the template.

    fn variable(&self, name: &str) -> Result<Operand<'c>> {
        match self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| *known == name)
        {
            Some((_, value)) => Ok(value.clone()),
            None => Err(self.error(format!("undefined variable: {name}"))),
        }
    }

    fn assign(&mut self, name: &str, value: Operand<'c>) -> Result<()> {
        match self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == name)
        {
            Some((_, place)) => {
                *place = value;
                Ok(())
            }
            None => Err(self.error(format!("undefined variable: {name}"))),
        }
    }

    // Pipelines and operands.

    fn pipeline(&mut self, dot: &Operand<'c>, pipeline: &'c Pipeline) -> Result<Operand<'c>> {
        self.deeper(|this| {
            this.at = At::Pipeline(pipeline);
            let mut value = None;
            for command in &pipeline.commands {
                value = Some(this.command(dot, command, value)?.unboxed());
            }
            let value = value.unwrap_or(Operand::NOTHING);
            for name in &pipeline.variables {
                if pipeline.assigns {
                    this.assign(name, value.clone())?;
                } else {
                    this.variables.push((name, value.clone()));
                }
            }
            Ok(value)
        })
    }

    /// `last` is the value from the command before, the last argument of this one.
    fn command(
        &mut self,
        dot: &Operand<'c>,
        command: &'c Command,
        last: Option<Operand<'c>>,
    ) -> Result<Operand<'c>> {
        self.pay()?;
        let head = &command.head;
        let arguments = Arguments {
            written: &command.arguments,
            last,
        };
        match &head.kind {
            ExprKind::Callee(callee) => {
                self.at = At::Expr(head);
                self.call(dot, *callee, At::Command(command), arguments)
            }
            ExprKind::Chain { .. } | ExprKind::Field(_) | ExprKind::Variable { .. } => {
                self.reach(dot, head, &arguments)
            }
            ExprKind::Pipeline(pipeline) => {
                self.refuse_arguments(head, &arguments)?;
                self.pipeline(dot, pipeline)
            }
            ExprKind::Nil => {
                self.at = At::Expr(head);
                self.refuse_arguments(head, &arguments)?;
                Err(self.error("nil is not a command"))
            }
            ExprKind::Dot
            | ExprKind::Bool(_)
            | ExprKind::Number { .. }
            | ExprKind::String { .. } => {
                self.at = At::Expr(head);
                self.refuse_arguments(head, &arguments)?;
                self.simple(dot, head)
            }
        }
    }

    fn refuse_arguments(&self, head: &Expr, arguments: &Arguments<'c>) -> Result<()> {
        if arguments.is_empty() {
            return Ok(());
        }
        Err(self.error(format!("can't give argument to non-function {head}")))
    }

    /// The value of an operand that stands by itself.
    fn operand(&mut self, dot: &Operand<'c>, expr: &'c Expr) -> Result<Operand<'c>> {
        self.pay()?;
        self.at = At::Expr(expr);
        match &expr.kind {
            ExprKind::Callee(callee) => self.call(dot, *callee, At::Expr(expr), Arguments::NONE),
            ExprKind::Chain { .. } | ExprKind::Field(_) | ExprKind::Variable { .. } => {
                self.reach(dot, expr, &Arguments::NONE)
            }
            ExprKind::Pipeline(pipeline) => self.pipeline(dot, pipeline),
            _ => self.simple(dot, expr),
        }
    }

    /// The value of a literal or the dot.
    fn simple(&self, dot: &Operand<'c>, expr: &'c Expr) -> Result<Operand<'c>> {
        Ok(Operand::bare(match &expr.kind {
            ExprKind::Dot => return Ok(dot.clone()),
            ExprKind::Bool(value) => Datum::Bool(*value),
            ExprKind::String { value, .. } => Datum::Text(Text::Borrowed(value)),
            ExprKind::Number { source, value } => match value {
                Number::Int(n) => Datum::Int(*n),
                Number::Float(n) => Datum::Float(*n),
                Number::Complex(re, im) => Datum::Complex(*re, *im),
                Number::TooLarge => return Err(self.error(format!("{source} overflows int"))),
            },
            _ => Datum::Nil,
        }))
    }

    /// The value of fields of the dot, a variable, or a callee's or pipeline's result.
    fn reach(
        &mut self,
        dot: &Operand<'c>,
        expr: &'c Expr,
        arguments: &Arguments<'c>,
    ) -> Result<Operand<'c>> {
        self.at = At::Expr(expr);
        let (mut value, fields) = match &expr.kind {
            ExprKind::Field(fields) => (dot.clone(), fields),
            ExprKind::Variable { name, fields } => {
                let value = self.variable(name)?;
                if fields.is_empty() {
                    self.refuse_arguments(expr, arguments)?;
                }
                (value, fields)
            }
            ExprKind::Chain { base, fields } => (self.operand(dot, base)?, fields),
            _ => return self.simple(dot, expr),
        };
        for (i, field) in fields.iter().enumerate() {
            let takes_arguments = i + 1 == fields.len() && !arguments.is_empty();
            value = self.field(&value, field, takes_arguments)?;
        }
        Ok(value)
    }

    fn field(&self, value: &Operand<'c>, name: &str, takes_arguments: bool) -> Result<Operand<'c>> {
        if value.is_nothing() {
            return Err(self.error(format!("nil data; no entry for key {}", quote(name))));
        }
        let type_name = value.type_name();
        match &value.datum {
            Datum::Nil => Err(self.error(format!("nil pointer evaluating {type_name}.{name}"))),
            Datum::Map(_) if takes_arguments => {
                Err(self.error(format!("{name} is not a method but has arguments")))
            }
            Datum::Map(map) => match map.get(name) {
                Some(datum) => Ok(Operand::boxed(datum)),
                None => Err(self
                    .error(format!("map has no entry for key {}", quote(name)))
                    .with_suggestion(self.nearest_key(map, name))),
            },
            _ => Err(self.error(format!("can't evaluate field {name} in type {type_name}"))),
        }
    }

    fn nearest_key(&self, map: &Map<'c>, name: &str) -> Option<String> {
        /// Beyond this many keys the search is not worth its time.
        const MAX_KEYS: usize = 1000;
        nearest(name, map.iter().take(MAX_KEYS).map(|(key, _)| key))
    }

    /// A value as error messages show it.
    fn describe(&mut self, datum: &Datum<'c>) -> Result<String> {
        print(datum, &mut self.budget).map_err(|message| self.error(message))
    }
}
