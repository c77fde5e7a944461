//! The inside of actions: pipelines, commands, operands.

use super::super::ast::{Callee, Command, Expr, ExprKind, Pipeline};
use super::super::context::{self, Reference, Variable};
use super::super::error::nearest;
use super::super::functions;
use super::super::lexer::is_word;
use super::super::number::{Number, parse_character, parse_complex, parse_number};
use super::super::quote::quote;
use super::super::token::{Token, TokenKind};
use super::{Parser, Result};

/// How many variables may be in scope at once.
const MAX_VARIABLES: usize = 1000;

impl<'t> Parser<'t> {
    pub(super) fn pipeline(&mut self, context: &str, end: TokenKind) -> Result<Pipeline> {
        let offset = self.peek_non_space().offset;
        let (variables, assigns) = self.declarations(context)?;
        let mut commands = Vec::new();
        loop {
            let token = self.next_non_space();
            if token.kind == end {
                break;
            }
            if !token.kind.starts_operand() {
                return Err(self.unexpected(&token, context));
            }
            self.back(token);
            commands.push(self.command()?);
        }
        if commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        let stray = commands.iter().skip(1).position(|command: &Command| {
            matches!(
                command.head.kind,
                ExprKind::Bool(_)
                    | ExprKind::Dot
                    | ExprKind::Nil
                    | ExprKind::Number { .. }
                    | ExprKind::String { .. }
            )
        });
        if let Some(stray) = stray {
            let stage = stray + 2;
            return Err(self.error(format!("non executable command in pipeline stage {stage}")));
        }
        Ok(Pipeline {
            offset,
            variables,
            assigns,
            commands,
        })
    }

    /// The variables that get the pipeline's value, and whether they exist already.
    fn declarations(&mut self, context: &str) -> Result<(Vec<String>, bool)> {
        let mut declared = Vec::new();
        while self.peek_non_space().kind == TokenKind::Variable {
            let variable = self.next();
            let space = (self.peek().kind == TokenKind::Space).then(|| self.next());
            let next = self.peek_non_space().clone();
            let is_comma = next.kind == TokenKind::Punctuation && next.text == ",";
            let is_assignment = matches!(next.kind, TokenKind::Assign | TokenKind::Declare);
            if !is_comma && !is_assignment {
                self.ahead.extend(space);
                self.back(variable);
                break;
            }
            self.next_non_space();
            if self.frame.variables.len() == MAX_VARIABLES {
                return Err(self.error(format!("more than {MAX_VARIABLES} variables in scope")));
            }
            self.frame
                .variables
                .push(variable.text.clone().into_owned());
            declared.push(variable.text.into_owned());
            if is_assignment {
                return Ok((declared, next.kind == TokenKind::Assign));
            }
            if context != "range" || declared.len() > 1 {
                return Err(self.error(format!("too many declarations in {context}")));
            }
            if !matches!(
                self.peek_non_space().kind,
                TokenKind::Variable | TokenKind::RightDelimiter | TokenKind::RightParen
            ) {
                return Err(self.error("range can only initialize variables"));
            }
        }
        Ok((declared, false))
    }

    fn command(&mut self) -> Result<Command> {
        let offset = self.peek_non_space().offset;
        let mut operands = Vec::new();
        loop {
            self.peek_non_space();
            operands.extend(self.operand()?);
            let token = self.next();
            match token.kind {
                TokenKind::Space => continue,
                TokenKind::RightDelimiter | TokenKind::RightParen => self.back(token),
                TokenKind::Pipe => {}
                _ => return Err(self.unexpected(&token, "operand")),
            }
            break;
        }
        let mut operands = operands.into_iter();
        let head = operands.next().ok_or_else(|| self.error("empty command"))?;
        Ok(Command {
            offset,
            head,
            arguments: operands.collect(),
        })
    }

    fn operand(&mut self) -> Result<Option<Expr>> {
        let Some(mut term) = self.term()? else {
            return Ok(None);
        };
        let offset = self.peek().offset;
        let mut fields = Vec::new();
        while self.peek().kind == TokenKind::Field {
            fields.push(self.next().text[1..].to_owned());
        }
        if fields.is_empty() {
            if let ExprKind::Callee(Callee::Variable(variable)) = term.kind {
                self.references.insert(Reference {
                    variable,
                    key: None,
                    offset: term.offset,
                });
            }
            return Ok(Some(term));
        }
        term = match term.kind {
            ExprKind::Field(mut first) => {
                first.append(&mut fields);
                Expr {
                    offset,
                    kind: ExprKind::Field(first),
                }
            }
            ExprKind::Variable { name, .. } => Expr {
                offset,
                kind: ExprKind::Variable { name, fields },
            },
            ExprKind::Bool(_)
            | ExprKind::String { .. }
            | ExprKind::Number { .. }
            | ExprKind::Nil
            | ExprKind::Dot => {
                let term = quote(&term.to_string());
                return Err(self.error(format!("unexpected . after term {term}")));
            }
            kind => {
                if let ExprKind::Callee(Callee::Variable(variable)) = kind {
                    let key = fields.first().cloned();
                    self.references.insert(Reference {
                        variable,
                        key,
                        offset: term.offset,
                    });
                }
                let base = Box::new(Expr {
                    offset: term.offset,
                    kind,
                });
                Expr {
                    offset,
                    kind: ExprKind::Chain { base, fields },
                }
            }
        };
        Ok(Some(term))
    }

    fn term(&mut self) -> Result<Option<Expr>> {
        let token = self.next_non_space();
        let kind = match token.kind {
            TokenKind::Identifier => ExprKind::Callee(self.callee(&token.text)?),
            TokenKind::Dot => {
                self.check_dot(&token)?;
                ExprKind::Dot
            }
            TokenKind::Field => {
                self.check_dot(&token)?;
                ExprKind::Field(vec![token.text[1..].to_owned()])
            }
            TokenKind::Nil => ExprKind::Nil,
            TokenKind::Variable => self.variable(&token)?,
            TokenKind::Bool => ExprKind::Bool(token.text == "true"),
            TokenKind::Character => self.number(&token, parse_character)?,
            TokenKind::Complex => self.number(&token, parse_complex)?,
            TokenKind::Number => self.number(&token, parse_number)?,
            TokenKind::String | TokenKind::RawString => {
                let value = self.unquoted(&token)?;
                ExprKind::String {
                    source: token.text.into_owned(),
                    value,
                }
            }
            TokenKind::LeftParen => {
                let pipeline = self.deeper(|parser| {
                    parser.pipeline("parenthesized pipeline", TokenKind::RightParen)
                })?;
                // What stands in an error message is the pipeline, not the parenthesis.
                let offset = pipeline.offset;
                let kind = ExprKind::Pipeline(Box::new(pipeline));
                return Ok(Some(Expr { offset, kind }));
            }
            _ => {
                self.back(token);
                return Ok(None);
            }
        };
        Ok(Some(Expr {
            offset: token.offset,
            kind,
        }))
    }

    fn number(
        &self,
        token: &Token<'t>,
        parse: impl FnOnce(&str) -> std::result::Result<Number, String>,
    ) -> Result<ExprKind> {
        let value = parse(&token.text).map_err(|message| self.error(message))?;
        Ok(ExprKind::Number {
            source: token.text.clone().into_owned(),
            value,
        })
    }

    fn callee(&self, name: &str) -> Result<Callee> {
        if let Some(variable) = Variable::named(name, self.scope) {
            return Ok(Callee::Variable(variable));
        }
        if let Some(function) = functions::named(name) {
            return Ok(Callee::Function(function));
        }
        let known = context::variables(self.scope)
            .map(Variable::name)
            .chain(functions::ALL.iter().map(|function| function.name));
        Err(self
            .error(format!("function {} not defined", quote(name)))
            .with_suggestion(nearest(name, known)))
    }

    fn variable(&self, token: &Token<'t>) -> Result<ExprKind> {
        if !self
            .frame
            .variables
            .iter()
            .any(|known| *known == token.text)
        {
            let known = self
                .frame
                .variables
                .iter()
                .map(String::as_str)
                .filter(|name| *name != "$");
            return Err(self
                .error_at(
                    token.offset,
                    format!("undefined variable {}", quote(&token.text)),
                )
                .with_suggestion(nearest(&token.text, known)));
        }
        if token.text == "$" && !self.frame.is_definition {
            return Err(self.error_at(
                token.offset,
                "$ stands for nothing here: name the variable itself, such as repository.name",
            ));
        }
        Ok(ExprKind::Variable {
            name: token.text.clone().into_owned(),
            fields: Vec::new(),
        })
    }

    /// Refuses a dot where there is no element or argument it could mean. The fields that it has
    /// in other tools are an accident of their implementation (facts/batch-spec.md 2.2).
    fn check_dot(&self, token: &Token<'t>) -> Result<()> {
        if self.frame.is_definition || self.frame.dots > 0 {
            return Ok(());
        }
        let rest = &self.text[token.offset..];
        let length = rest.find(|c| !is_word(c) && c != '.').unwrap_or(rest.len());
        let path = &rest[..length];
        Err(self
            .error_at(
                token.offset,
                format!(
                    "{path} stands for nothing outside range, with and define: \
                 variables are written without a leading dot, such as repository.name"
                ),
            )
            .with_suggestion(context::spelled_as_variable(path, self.scope)))
    }
}
