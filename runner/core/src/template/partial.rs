//! Static evaluation: what a text says before anything is known but names and descriptions.
//!
//! It decides which images can be fetched ahead and which steps will surely be skipped
//! (facts/batch-spec.md 2.8).

use super::ast::{Callee, Command, Expr, ExprKind, NodeKind, Pipeline};
use super::budget::Budget;
use super::context::Variable;
use super::datum::{Datum, Operand, Text};
use super::error::TemplateError;
use super::functions::{Body, Function, Parameter};
use super::number::Number;
use super::print::print;
use super::{Scope, Template, is_true};
use crate::spec::Condition;
use crate::task::BatchChange;

/// Name of the template in error messages.
const NAME: &str = "partial-eval";

/// What is known of a workspace before anything ran.
#[derive(Debug, Clone, Copy)]
pub struct StaticVars<'a> {
    /// `repository.name`.
    pub repository_name: &'a str,
    /// `batch_change`.
    pub batch_change: &'a BatchChange,
}

/// What is known of a step's `if` before anything ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaticCondition {
    /// The step will run.
    Runs,
    /// The step will be skipped.
    Skips,
    /// It depends on what earlier steps do.
    Undecided,
}

/// Decides a step's `if` as far as names and descriptions can.
///
/// # Errors
/// When the text does not parse.
pub fn condition(
    condition: &Condition,
    vars: &StaticVars<'_>,
) -> Result<StaticCondition, TemplateError> {
    let runs = match condition {
        Condition::Absent => Some(true),
        Condition::Bool(value) => Some(*value),
        Condition::Text(text) if text.is_empty() => Some(true),
        Condition::Text(text) => static_text(text, vars)?.map(|text| is_true(&text)),
    };
    Ok(match runs {
        Some(true) => StaticCondition::Runs,
        Some(false) => StaticCondition::Skips,
        None => StaticCondition::Undecided,
    })
}

/// The text that a step's template renders to whatever the steps do; `None` if that is not certain.
///
/// # Errors
/// When the text does not parse.
pub fn static_text(text: &str, vars: &StaticVars<'_>) -> Result<Option<String>, TemplateError> {
    let template = Template::parse(NAME, text, Scope::Step)?;
    let mut evaluator = Evaluator {
        vars: *vars,
        budget: Budget::default(),
    };
    let Some(tree) = template.trees.get(NAME) else {
        return Ok(Some(String::new()));
    };
    let mut out = String::new();
    for node in &tree.root.0 {
        match &node.kind {
            NodeKind::Text(text) => out.push_str(text),
            NodeKind::Action(pipeline) => match evaluator.text(pipeline) {
                Some(text) => out.push_str(&text),
                None => return Ok(None),
            },
            _ => return Ok(None),
        }
    }
    Ok(Some(out))
}

struct Evaluator<'a> {
    vars: StaticVars<'a>,
    budget: Budget,
}

impl<'a> Evaluator<'a> {
    fn text(&mut self, pipeline: &'a Pipeline) -> Option<String> {
        let value = self.pipeline(pipeline)?;
        print(&value, &mut self.budget).ok()
    }

    /// The value of the last command. The earlier ones only have to have one, too.
    fn pipeline(&mut self, pipeline: &'a Pipeline) -> Option<Datum<'a>> {
        if !pipeline.variables.is_empty() {
            return None;
        }
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command)?);
        }
        value
    }

    fn command(&mut self, command: &'a Command) -> Option<Datum<'a>> {
        match (&command.head.kind, &command.arguments[..]) {
            (ExprKind::Callee(Callee::Function(function)), arguments) => {
                self.function(function, arguments)
            }
            // Parentheses count as arguments only.
            (ExprKind::Pipeline(_), _) => None,
            (_, []) => self.operand(&command.head),
            _ => None,
        }
    }

    fn operand(&mut self, expr: &'a Expr) -> Option<Datum<'a>> {
        match &expr.kind {
            ExprKind::Bool(value) => Some(Datum::Bool(*value)),
            ExprKind::String { value, .. } => Some(Datum::Text(Text::Borrowed(value))),
            ExprKind::Number {
                value: Number::Int(value),
                ..
            } => Some(Datum::Int(*value)),
            ExprKind::Number {
                value: Number::Float(value),
                ..
            } => Some(Datum::Float(*value)),
            ExprKind::Pipeline(pipeline) => self.pipeline(pipeline),
            ExprKind::Chain { base, fields } => {
                let ExprKind::Callee(Callee::Variable(variable)) = base.kind else {
                    return None;
                };
                let [field] = &fields[..] else {
                    return None;
                };
                let StaticVars {
                    repository_name,
                    batch_change,
                } = self.vars;
                Some(Datum::Text(Text::Borrowed(
                    match (variable, field.as_str()) {
                        (Variable::Repository, "name") => repository_name,
                        (Variable::BatchChange, "name") => &batch_change.name,
                        (Variable::BatchChange, "description") => &batch_change.description,
                        _ => return None,
                    },
                )))
            }
            _ => None,
        }
    }

    fn function(
        &mut self,
        function: &'static Function,
        arguments: &'a [Expr],
    ) -> Option<Datum<'a>> {
        let known = [
            "eq", "ne", "not", "join", "split", "replace", "join_if", "matches",
        ];
        if !known.contains(&function.name) {
            return None;
        }
        function
            .check_count(arguments.len(), arguments.len())
            .ok()?;
        let mut values = Vec::with_capacity(arguments.len());
        for (i, argument) in arguments.iter().enumerate() {
            let value = self.operand(argument)?;
            let fits = match function.parameter(i) {
                Parameter::Any | Parameter::Printed => true,
                Parameter::Text => matches!(value, Datum::Text(_)),
                Parameter::Texts => matches!(value, Datum::Texts(_)),
            };
            if !fits {
                return None;
            }
            values.push(Operand::bare(value));
        }
        match (function.name, &values[..], function.body) {
            // Unlike at run time, values of different types are merely different.
            ("eq", [a, b], _) => Some(Datum::Bool(same(&a.datum, &b.datum)?)),
            ("ne", [a, b], _) => Some(Datum::Bool(!same(&a.datum, &b.datum)?)),
            ("eq" | "ne", ..) => None,
            (_, values, Body::Plain(body)) => {
                body(values, &mut self.budget).ok().map(|value| value.datum)
            }
            _ => None,
        }
    }
}

/// Whether two values have one type and are equal; `None` for lists, which cannot be compared.
fn same(a: &Datum<'_>, b: &Datum<'_>) -> Option<bool> {
    Some(match (a, b) {
        (Datum::Bool(a), Datum::Bool(b)) => a == b,
        (Datum::Int(a), Datum::Int(b)) => a == b,
        (Datum::Float(a), Datum::Float(b)) => a == b,
        (Datum::Text(a), Datum::Text(b)) => **a == **b,
        (Datum::Texts(_), Datum::Texts(_)) => return None,
        _ => false,
    })
}
