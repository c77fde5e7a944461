//! The values that templates compute with.
//!
//! Outputs and variables are borrowed, never copied; only what functions make is owned.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::Rc;

use crate::value::{Time, Value};

/// A value of some type.
#[derive(Debug, Clone)]
pub(super) enum Datum<'c> {
    /// Nothing.
    Nil,
    Bool(bool),
    Int(i64),
    /// A byte of a string, from `index`.
    Byte(u8),
    Float(f64),
    Complex(f64, f64),
    Text(Text<'c>),
    /// A list of strings only: the file lists and what `split` makes.
    Texts(Texts<'c>),
    /// `repository.search_result_paths`: a list of strings that prints without brackets.
    Paths(&'c [String]),
    /// A list of anything, from outputs.
    List(&'c [Value]),
    Map(Map<'c>),
    Time(Time),
}

/// A string.
#[derive(Debug, Clone)]
pub(super) enum Text<'c> {
    Borrowed(&'c str),
    Shared(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

/// A list of strings.
#[derive(Debug, Clone)]
pub(super) enum Texts<'c> {
    Borrowed(&'c [String]),
    Shared(Rc<[Text<'c>]>),
}

impl<'c> Texts<'c> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Borrowed(texts) => texts.len(),
            Self::Shared(texts) => texts.len(),
        }
    }

    pub(super) fn get(&self, i: usize) -> Option<Text<'c>> {
        match self {
            Self::Borrowed(texts) => texts.get(i).map(|text| Text::Borrowed(text)),
            Self::Shared(texts) => texts.get(i).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Text<'c>> + '_ {
        (0..self.len()).filter_map(|i| self.get(i))
    }
}

/// Values by name, in sorted order.
#[derive(Debug, Clone)]
pub(super) enum Map<'c> {
    /// From outputs.
    Data(&'c BTreeMap<String, Value>),
    /// A variable of the context.
    Variable(Rc<[(&'static str, Datum<'c>)]>),
}

impl<'c> Map<'c> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(map) => map.len(),
            Self::Variable(keys) => keys.len(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Datum<'c>> {
        match self {
            Self::Data(map) => map.get(key).map(Datum::from),
            Self::Variable(keys) => keys
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.clone()),
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = (&'c str, Datum<'c>)> + '_> {
        match self {
            Self::Data(map) => Box::new(
                map.iter()
                    .map(|(key, value)| (key.as_str(), Datum::from(value))),
            ),
            Self::Variable(keys) => Box::new(keys.iter().map(|(key, value)| (*key, value.clone()))),
        }
    }
}

impl<'c> From<&'c Value> for Datum<'c> {
    fn from(value: &'c Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Float(*value),
            Value::String(value) => Self::Text(Text::Borrowed(value)),
            Value::List(value) => Self::List(value),
            Value::Map(value) => Self::Map(Map::Data(value)),
            Value::Time(value) => Self::Time(*value),
        }
    }
}

impl<'c> Datum<'c> {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Shared(text.into()))
    }

    /// The type's name in error messages and `%T`.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "interface {}",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Complex(..) => "complex128",
            Self::Text(_) => "string",
            Self::Texts(_) => "[]string",
            Self::Paths(_) => "template.fileMatchPathList",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Time(_) => "time.Time",
        }
    }

    /// Truth: everything but `false`, zero, nothing, and what is empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Self::Time(_) => true,
            Self::Text(text) => !text.is_empty(),
            _ => self.len() != Some(0),
        }
    }

    /// Number of elements, or of bytes; `None` for what has no length.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.len()),
            Self::Texts(texts) => Some(texts.len()),
            Self::Paths(paths) => Some(paths.len()),
            Self::List(list) => Some(list.len()),
            Self::Map(map) => Some(map.len()),
            _ => None,
        }
    }

    /// An element of a list, or a byte of a string.
    pub(super) fn element(&self, i: usize) -> Option<Operand<'c>> {
        match self {
            Self::Text(text) => text
                .as_bytes()
                .get(i)
                .map(|byte| Operand::bare(Self::Byte(*byte))),
            Self::Texts(texts) => texts.get(i).map(|text| Operand::bare(Self::Text(text))),
            Self::Paths(paths) => paths
                .get(i)
                .map(|path| Operand::bare(Self::Text(Text::Borrowed(path)))),
            Self::List(list) => list.get(i).map(|value| Operand::boxed(value.into())),
            _ => None,
        }
    }

    /// The strings of a list of strings.
    pub(super) fn as_texts(&self) -> Option<Texts<'c>> {
        match self {
            Self::Texts(texts) => Some(texts.clone()),
            Self::Paths(paths) => Some(Texts::Borrowed(paths)),
            _ => None,
        }
    }
}

/// A value on its way to or from a function.
///
/// An element of a map or mixed list is `boxed`: its own type is hidden, as error messages tell, and
/// an empty box is nothing, yet not the same nothing as a value that never was.
#[derive(Debug, Clone)]
pub(super) struct Operand<'c> {
    pub(super) datum: Datum<'c>,
    pub(super) boxed: bool,
}

impl<'c> Operand<'c> {
    pub(super) const NOTHING: Self = Self {
        datum: Datum::Nil,
        boxed: false,
    };

    pub(super) fn bare(datum: Datum<'c>) -> Self {
        Self {
            datum,
            boxed: false,
        }
    }

    pub(super) fn boxed(datum: Datum<'c>) -> Self {
        Self { datum, boxed: true }
    }

    pub(super) fn unboxed(self) -> Self {
        Self {
            boxed: false,
            ..self
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        !self.boxed && matches!(self.datum, Datum::Nil)
    }

    /// The type's name as far as it is known without looking into the box.
    pub(super) fn type_name(&self) -> &'static str {
        if self.boxed {
            Datum::Nil.type_name()
        } else {
            self.datum.type_name()
        }
    }

    /// The string, for a function that has declared to take one.
    pub(super) fn as_str(&self) -> &str {
        match &self.datum {
            Datum::Text(text) => text,
            _ => "",
        }
    }
}
