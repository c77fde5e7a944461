//! The functions that templates can call (facts/batch-spec.md 2.3 and 2.4).

use std::rc::Rc;

use super::ast::Expr;
use super::budget::Budget;
use super::compare::{Order, compare, equals_any};
use super::datum::{Datum, Operand, Text, Texts};
use super::escape;
use super::print::{print_all, print_line};
use super::printf::printf;
use crate::glob::Glob;

/// A function: what it takes and what it does.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    fixed: &'static [Parameter],
    /// For any number of further arguments.
    rest: Option<Parameter>,
    pub(super) body: Body,
}

/// What an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    /// Anything, as it is.
    Any,
    /// Anything; only its content counts.
    Printed,
    Text,
    Texts,
}

impl Parameter {
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Any => "reflect.Value",
            Self::Printed => "interface {}",
            Self::Text => "string",
            Self::Texts => "[]string",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// Evaluates arguments until one has this truth, and returns the last one evaluated.
    ShortCircuit {
        stops_at: bool,
    },
    /// Calls its first argument, which no template can have.
    Call,
    Plain(Plain),
}

/// Takes arguments that fit the parameters; its error follows `error calling <name>: `.
pub(super) type Plain = for<'c> fn(&[Operand<'c>], &mut Budget) -> Result<Operand<'c>, String>;

type Outcome<'c> = Result<Operand<'c>, String>;

/// The function of that name.
pub(super) fn named(name: &str) -> Option<&'static Function> {
    ALL.iter().find(|function| function.name == name)
}

/// Every function, standard ones first.
pub(super) static ALL: [Function; 24] = {
    use Parameter::{Any, Printed, Text, Texts};
    const fn plain(
        name: &'static str,
        fixed: &'static [Parameter],
        rest: Option<Parameter>,
        body: Plain,
    ) -> Function {
        Function {
            name,
            fixed,
            rest,
            body: Body::Plain(body),
        }
    }
    const fn special(name: &'static str, body: Body) -> Function {
        Function {
            name,
            fixed: &[Any],
            rest: Some(Any),
            body,
        }
    }
    [
        plain("eq", &[Any], Some(Any), |args, budget| {
            truth(equals_any(&args[0], &args[1..], budget)?)
        }),
        plain("ne", &[Any, Any], None, |args, budget| {
            truth(!equals_any(&args[0], &args[1..], budget)?)
        }),
        plain("lt", &[Any, Any], None, |args, _| {
            truth(compare(args)? == Order::Less)
        }),
        plain("le", &[Any, Any], None, |args, _| {
            truth(matches!(compare(args)?, Order::Less | Order::Equal))
        }),
        plain("gt", &[Any, Any], None, |args, _| {
            truth(!matches!(compare(args)?, Order::Less | Order::Equal))
        }),
        plain("ge", &[Any, Any], None, |args, _| {
            truth(compare(args)? != Order::Less)
        }),
        special("and", Body::ShortCircuit { stops_at: false }),
        special("or", Body::ShortCircuit { stops_at: true }),
        plain("not", &[Any], None, |args, _| {
            truth(!args[0].datum.is_true())
        }),
        plain("len", &[Any], None, length),
        plain("index", &[Any], Some(Any), index),
        plain("slice", &[Any], Some(Any), slice),
        plain("print", &[], Some(Printed), |args, budget| {
            made(print_all(args, budget))
        }),
        plain("printf", &[Text], Some(Printed), |args, budget| {
            made(printf(args[0].as_str(), &args[1..], budget))
        }),
        plain("println", &[], Some(Printed), |args, budget| {
            made(print_line(args, budget))
        }),
        plain("html", &[], Some(Printed), |args, budget| {
            escaped(args, budget, escape::html)
        }),
        plain("js", &[], Some(Printed), |args, budget| {
            escaped(args, budget, escape::js)
        }),
        plain("urlquery", &[], Some(Printed), |args, budget| {
            escaped(args, budget, escape::urlquery)
        }),
        special("call", Body::Call),
        plain("join", &[Texts, Text], None, join),
        plain("split", &[Text, Text], None, split),
        plain("replace", &[Text, Text, Text], None, replace),
        plain("join_if", &[Text], Some(Text), join_if),
        plain("matches", &[Text, Text], None, matches),
    ]
};

impl Function {
    /// What argument `i` must be.
    pub(super) fn parameter(&self, i: usize) -> Parameter {
        self.fixed
            .get(i)
            .copied()
            .or(self.rest)
            .unwrap_or(Parameter::Any)
    }

    /// Checks the number of arguments, `total` being those `written` and the one piped in.
    pub(super) fn check_count(&self, written: usize, total: usize) -> Result<(), String> {
        let (name, fixed) = (self.name, self.fixed.len());
        match self.rest {
            Some(_) if total < fixed => Err(format!(
                "wrong number of args for {name}: want at least {fixed} got {written}"
            )),
            None if total != fixed => Err(format!(
                "wrong number of args for {name}: want {fixed} got {total}"
            )),
            _ => Ok(()),
        }
    }
}

fn truth<'c>(value: bool) -> Outcome<'c> {
    Ok(Operand::bare(Datum::Bool(value)))
}

fn made<'c>(text: Result<String, String>) -> Outcome<'c> {
    Ok(Operand::bare(Datum::text(text?)))
}

/// Why the first argument of `call` cannot be called.
pub(super) fn refuse_call(written: Option<&Expr>, args: &[Operand<'_>]) -> String {
    let Some(Operand { datum, .. }) = args.first() else {
        return "call of nil".to_owned();
    };
    match (datum, written) {
        (Datum::Nil, _) => "call of nil".to_owned(),
        (_, Some(expr)) => format!("non-function {expr} of type {}", datum.type_name()),
        (Datum::Text(text), None) => {
            let start: String = text.chars().take(100).collect();
            format!("non-function {start} of type string")
        }
        (_, None) => {
            let type_name = datum.type_name();
            format!("non-function <{type_name} Value> of type {type_name}")
        }
    }
}

fn escaped<'c>(
    args: &[Operand<'c>],
    budget: &mut Budget,
    escape: fn(&str) -> String,
) -> Outcome<'c> {
    let text = match args {
        [
            Operand {
                datum: Datum::Text(text),
                ..
            },
        ] => text.to_string(),
        [
            Operand {
                datum: Datum::Nil, ..
            },
        ] => "<no value>".to_owned(),
        _ => {
            let args: Vec<_> = args
                .iter()
                .map(|arg| match arg.datum {
                    Datum::Nil => Operand::bare(Datum::text("<no value>")),
                    _ => arg.clone(),
                })
                .collect();
            print_all(&args, budget)?
        }
    };
    // Escaping lengthens a text sixfold at most.
    budget.make(text.len().saturating_mul(6))?;
    made(Ok(escape(&text)))
}

fn length<'c>(args: &[Operand<'c>], _: &mut Budget) -> Outcome<'c> {
    let Operand { datum, boxed } = &args[0];
    match datum.len() {
        Some(length) => {
            let length = i64::try_from(length).map_err(|_| "too long".to_owned())?;
            Ok(Operand::bare(Datum::Int(length)))
        }
        None if matches!(datum, Datum::Nil) && *boxed => Err("len of nil pointer".to_owned()),
        None if matches!(datum, Datum::Nil) => {
            Err("reflect: call of reflect.Value.Type on zero Value".to_owned())
        }
        None => Err(format!("len of type {}", datum.type_name())),
    }
}

/// The position an index stands for in something `length` long, the end included.
fn position(index: &Datum<'_>, length: usize) -> Result<usize, String> {
    let index = match index {
        Datum::Int(index) => *index,
        Datum::Byte(index) => i64::from(*index),
        Datum::Nil => return Err("cannot index slice/array with nil".to_owned()),
        other => {
            return Err(format!(
                "cannot index slice/array with type {}",
                other.type_name()
            ));
        }
    };
    match usize::try_from(index) {
        Ok(position) if position <= length => Ok(position),
        _ => Err(format!("index out of range: {index}")),
    }
}

fn index<'c>(args: &[Operand<'c>], _: &mut Budget) -> Outcome<'c> {
    let mut item = args[0].clone();
    if matches!(item.datum, Datum::Nil) {
        return Err("index of untyped nil".to_owned());
    }
    for index in &args[1..] {
        item = match (&item.datum, item.datum.len()) {
            (Datum::Nil, _) => return Err("index of nil pointer".to_owned()),
            (Datum::Map(map), _) => match &index.datum {
                Datum::Text(key) => Operand::boxed(map.get(key).unwrap_or(Datum::Nil)),
                Datum::Nil => return Err("value is nil; should be of type string".to_owned()),
                other => {
                    let got = other.type_name();
                    return Err(format!("value has type {got}; should be string"));
                }
            },
            (datum, Some(length)) => {
                let i = position(&index.datum, length)?;
                let kind = if matches!(datum, Datum::Text(_)) {
                    "string"
                } else {
                    "slice"
                };
                datum
                    .element(i)
                    .ok_or_else(|| format!("reflect: {kind} index out of range"))?
            }
            (datum, None) => {
                return Err(format!("can't index item of type {}", datum.type_name()));
            }
        };
    }
    Ok(item)
}

fn slice<'c>(args: &[Operand<'c>], budget: &mut Budget) -> Outcome<'c> {
    let item = &args[0].datum;
    let indexes = &args[1..];
    if matches!(item, Datum::Nil) {
        return Err("slice of untyped nil".to_owned());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let length = match item {
        Datum::Map(_) => None,
        Datum::Text(_) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        item => item.len(),
    };
    let Some(length) = length else {
        return Err(format!("can't slice item of type {}", item.type_name()));
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(&index.datum, length)?;
    }
    if let Some(pair) = bounds.windows(2).find(|pair| pair[0] > pair[1]) {
        return Err(format!("invalid slice index: {} > {}", pair[0], pair[1]));
    }
    let range = bounds[0]..bounds[1];
    Ok(Operand::bare(match item {
        Datum::Text(Text::Borrowed(text)) if text.get(range.clone()).is_some() => {
            Datum::Text(Text::Borrowed(&text[range]))
        }
        Datum::Text(text) => {
            budget.make(range.len())?;
            // The cut may go through a character; the pieces are replaced when they are written.
            Datum::text(String::from_utf8_lossy(&text.as_bytes()[range]).as_ref())
        }
        Datum::Texts(Texts::Borrowed(texts)) => Datum::Texts(Texts::Borrowed(&texts[range])),
        Datum::Texts(Texts::Shared(texts)) => {
            budget.make(range.len() * size_of::<Text<'_>>())?;
            Datum::Texts(Texts::Shared(Rc::from(&texts[range])))
        }
        Datum::Paths(paths) => Datum::Paths(&paths[range]),
        Datum::List(list) => Datum::List(&list[range]),
        other => other.clone(),
    }))
}

fn join<'c>(args: &[Operand<'c>], budget: &mut Budget) -> Outcome<'c> {
    let texts = args[0].datum.as_texts().unwrap_or(Texts::Borrowed(&[]));
    joined(texts.iter(), args[1].as_str(), budget)
}

fn join_if<'c>(args: &[Operand<'c>], budget: &mut Budget) -> Outcome<'c> {
    let parts = args[1..].iter().filter_map(|arg| match &arg.datum {
        Datum::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    });
    joined(parts, args[0].as_str(), budget)
}

fn joined<'c>(
    texts: impl Iterator<Item = Text<'c>>,
    separator: &str,
    budget: &mut Budget,
) -> Outcome<'c> {
    let mut result = String::new();
    for (i, text) in texts.enumerate() {
        let separator = if i > 0 { separator } else { "" };
        budget.work(1)?;
        budget.make(separator.len() + text.len())?;
        result.push_str(separator);
        result.push_str(&text);
    }
    budget.make(result.len())?;
    made(Ok(result))
}

fn split<'c>(args: &[Operand<'c>], budget: &mut Budget) -> Outcome<'c> {
    /// Cost of a piece beyond its text: its place in the list and its own head.
    const PIECE: usize = size_of::<Text<'_>>() + 16;
    let (text, separator) = (&args[0].datum, args[1].as_str());
    let Datum::Text(text) = text else {
        return Ok(Operand::NOTHING);
    };
    let count = if separator.is_empty() {
        text.chars().count()
    } else {
        text.matches(separator).count() + 1
    };
    budget.make(text.len() + count * PIECE)?;
    budget.work(count as u64)?;
    let pieces: Rc<[Text<'c>]> = match text {
        Text::Borrowed(text) => pieces(text, separator).map(Text::Borrowed).collect(),
        Text::Shared(text) => pieces(text, separator)
            .map(|piece| Text::Shared(piece.into()))
            .collect(),
    };
    Ok(Operand::bare(Datum::Texts(Texts::Shared(pieces))))
}

fn pieces<'t: 's, 's>(text: &'t str, separator: &'s str) -> Box<dyn Iterator<Item = &'t str> + 's> {
    if separator.is_empty() {
        Box::new(text.char_indices().map(|(i, c)| &text[i..i + c.len_utf8()]))
    } else {
        Box::new(text.split(separator))
    }
}

fn replace<'c>(args: &[Operand<'c>], budget: &mut Budget) -> Outcome<'c> {
    let (text, old, new) = (args[0].as_str(), args[1].as_str(), args[2].as_str());
    let count = text.matches(old).count();
    let added = count
        .checked_mul(new.len())
        .ok_or("the result is too long")?;
    budget.make(text.len() - count * old.len() + added)?;
    made(Ok(text.replace(old, new)))
}

fn matches<'c>(args: &[Operand<'c>], budget: &mut Budget) -> Outcome<'c> {
    /// Room that a character of a pattern takes when compiled.
    const COMPILED: usize = 64;
    let (text, pattern) = (args[0].as_str(), args[1].as_str());
    budget.make(pattern.len().saturating_mul(COMPILED))?;
    budget.work((text.len() as u64 + 1).saturating_mul(pattern.len() as u64) / 64)?;
    let glob = Glob::new(pattern).map_err(|e| e.to_string())?;
    truth(glob.is_match(text))
}
