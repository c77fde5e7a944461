//! Calls of functions, and of variables, which are functions without arguments.

use super::super::ast::{Callee, Expr, ExprKind};
use super::super::context::Variable;
use super::super::datum::{Datum, Operand};
use super::super::functions::{self, Body, Function, Parameter};
use super::super::quote::quote;
use super::{At, Evaluator, Result};

/// The arguments of a command: those written, and the value piped in.
pub(super) struct Arguments<'c> {
    pub(super) written: &'c [Expr],
    pub(super) last: Option<Operand<'c>>,
}

impl Arguments<'_> {
    pub(super) const NONE: Self = Self {
        written: &[],
        last: None,
    };

    pub(super) fn len(&self) -> usize {
        self.written.len() + usize::from(self.last.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'c> Evaluator<'c> {
    /// `whole` is what an error of the function is told about.
    pub(super) fn call(
        &mut self,
        dot: &Operand<'c>,
        callee: Callee,
        whole: At<'c>,
        arguments: Arguments<'c>,
    ) -> Result<Operand<'c>> {
        match callee {
            Callee::Variable(variable) => self.context_variable(variable, &arguments),
            Callee::Function(function) => self.function(dot, function, whole, arguments),
        }
    }

    fn context_variable(
        &self,
        variable: Variable,
        arguments: &Arguments<'c>,
    ) -> Result<Operand<'c>> {
        let name = variable.name();
        if !arguments.is_empty() {
            let count = arguments.len();
            return Err(self.error(format!(
                "wrong number of args for {name}: want 0 got {count}"
            )));
        }
        match self.context.value(variable) {
            Some(datum) => Ok(Operand::bare(datum)),
            None => Err(self.error(format!("{} is not a defined function", quote(name)))),
        }
    }

    fn function(
        &mut self,
        dot: &Operand<'c>,
        function: &'static Function,
        whole: At<'c>,
        arguments: Arguments<'c>,
    ) -> Result<Operand<'c>> {
        function
            .check_count(arguments.written.len(), arguments.len())
            .map_err(|message| self.error(message))?;
        if let Body::ShortCircuit { stops_at } = function.body {
            return self.short_circuit(dot, stops_at, arguments);
        }
        let mut values = Vec::with_capacity(arguments.len());
        for (i, expr) in arguments.written.iter().enumerate() {
            values.push(self.argument(dot, function.parameter(i), expr)?);
        }
        let written = arguments.written;
        if let Some(last) = arguments.last {
            let parameter = function.parameter(values.len());
            values.push(self.fit(last, parameter)?);
        }
        let touched: usize = values.iter().map(|value| value.as_str().len()).sum();
        let result = self
            .budget
            .scan(touched)
            .and_then(|()| match function.body {
                Body::Plain(body) => body(&values, &mut self.budget),
                Body::Call => Err(functions::refuse_call(written.first(), &values)),
                Body::ShortCircuit { .. } => Ok(Operand::NOTHING),
            });
        result.map_err(|message| {
            self.at = whole;
            self.error(format!("error calling {}: {message}", function.name))
        })
    }

    /// `and` and `or`: the first argument whose truth is `stops_at`, else the last one.
    fn short_circuit(
        &mut self,
        dot: &Operand<'c>,
        stops_at: bool,
        arguments: Arguments<'c>,
    ) -> Result<Operand<'c>> {
        let mut value = Operand::NOTHING;
        for expr in arguments.written {
            value = self.argument(dot, Parameter::Any, expr)?;
            if value.datum.is_true() == stops_at {
                return Ok(value);
            }
        }
        Ok(arguments.last.unwrap_or(value))
    }

    fn argument(
        &mut self,
        dot: &Operand<'c>,
        parameter: Parameter,
        expr: &'c Expr,
    ) -> Result<Operand<'c>> {
        self.at = At::Expr(expr);
        let wanted = parameter.type_name();
        match (parameter, &expr.kind) {
            (Parameter::Text, ExprKind::Nil) => {
                Err(self.error(format!("cannot assign nil to {wanted}")))
            }
            (Parameter::Text, ExprKind::Bool(_) | ExprKind::Number { .. }) => {
                Err(self.error(format!("expected {wanted}; found {expr}")))
            }
            (
                Parameter::Texts,
                ExprKind::Bool(_) | ExprKind::Number { .. } | ExprKind::String { .. },
            ) => Err(self.error(format!("can't handle {expr} for arg of type {wanted}"))),
            _ => {
                let value = self.operand(dot, expr)?;
                self.fit(value, parameter)
            }
        }
    }

    /// The value as a function takes it, if it takes it.
    fn fit(&self, value: Operand<'c>, parameter: Parameter) -> Result<Operand<'c>> {
        let wanted = parameter.type_name();
        match (parameter, &value.datum) {
            (Parameter::Any, _)
            | (Parameter::Text, Datum::Text(_))
            | (Parameter::Texts, Datum::Texts(_) | Datum::Paths(_)) => Ok(value),
            (Parameter::Printed, _) => Ok(value.unboxed()),
            (Parameter::Texts, Datum::Nil) if !value.boxed => Ok(value),
            (Parameter::Text, Datum::Nil) if !value.boxed => {
                Err(self.error(format!("invalid value; expected {wanted}")))
            }
            (Parameter::Text | Parameter::Texts, datum) => {
                let got = datum.type_name();
                Err(self.error(format!(
                    "wrong type for value; expected {wanted}; got {got}"
                )))
            }
        }
    }
}
