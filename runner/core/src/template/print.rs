//! Values as text, the way Go's formatted printing writes them.

use super::budget::{Budget, MAX_TEXT};
use super::datum::{Datum, Operand};
use super::float::{Notation, format_float};
use super::quote::{is_printable, quote_into};

/// How deep lists and maps may nest in a value that is printed.
const MAX_DEPTH: usize = 200;

/// A value alone, as an action writes it, nothing being `<nil>`.
pub(super) fn print(datum: &Datum<'_>, budget: &mut Budget) -> Result<String, String> {
    let mut printer = Printer::default();
    printer.value(datum, 'v');
    printer.finish(budget)
}

/// Values after one another, with a space between two that are not strings.
pub(super) fn print_all(args: &[Operand<'_>], budget: &mut Budget) -> Result<String, String> {
    let mut printer = Printer::default();
    let mut after_other = false;
    for arg in args {
        let is_text = matches!(arg.datum, Datum::Text(_));
        if after_other && !is_text {
            printer.push(" ");
        }
        printer.value(&arg.datum, 'v');
        after_other = !is_text;
    }
    printer.finish(budget)
}

/// Values with a space between any two, and a newline.
pub(super) fn print_line(args: &[Operand<'_>], budget: &mut Budget) -> Result<String, String> {
    let mut printer = Printer::default();
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            printer.push(" ");
        }
        printer.value(&arg.datum, 'v');
    }
    printer.push("\n");
    printer.finish(budget)
}

/// Flags, width and precision of a verb.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%#v`: as source text.
    pub(super) source: bool,
}

/// Writes values under verbs.
#[derive(Debug, Default)]
pub(super) struct Printer {
    out: String,
    pub(super) flags: Flags,
    /// Whether a value is being shown inside of a complaint about it.
    complaining: bool,
    failure: Option<String>,
}

impl Printer {
    /// The text, if it did not grow too long.
    pub(super) fn finish(self, budget: &mut Budget) -> Result<String, String> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        budget.make(self.out.len())?;
        Ok(self.out)
    }

    /// Whether nothing more can be written.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(super) fn push(&mut self, text: &str) {
        if self.out.len() + text.len() > MAX_TEXT {
            self.fail(format!("the result is longer than {} MiB", MAX_TEXT >> 20));
        } else {
            self.out.push_str(text);
        }
    }

    fn fail(&mut self, message: String) {
        self.failure.get_or_insert(message);
    }

    /// Writes `text` filled up to the width.
    fn pad(&mut self, text: &str) {
        let missing = match self.flags.width {
            Some(width) if width > 0 => width.saturating_sub(text.chars().count()),
            _ => 0,
        };
        if missing > MAX_TEXT {
            self.fail("a width is too large".to_owned());
            return;
        }
        if self.flags.minus {
            self.push(text);
            self.push(&" ".repeat(missing));
        } else {
            self.push(&if self.flags.zero { "0" } else { " " }.repeat(missing));
            self.push(text);
        }
    }

    /// Writes `text` filled up to the width with spaces, whatever the flags say.
    fn pad_with_spaces(&mut self, text: &str) {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(text);
        self.flags.zero = zero;
    }

    /// Writes a value under a verb.
    pub(super) fn value(&mut self, datum: &Datum<'_>, verb: char) {
        match (datum, verb) {
            (Datum::Nil, 'T' | 'v') => self.pad("<nil>"),
            (_, 'T') => self.text(datum.type_name(), 's'),
            (_, 'p') | (Datum::Nil, _) => self.complain(datum, verb),
            _ => self.nested(datum, verb, 0),
        }
    }

    fn nested(&mut self, datum: &Datum<'_>, verb: char, depth: usize) {
        if self.has_failed() {
            return;
        }
        if depth > MAX_DEPTH {
            self.fail(format!("the value nests deeper than {MAX_DEPTH} levels"));
            return;
        }
        match datum {
            Datum::Nil if self.flags.source => self.push("interface {}(nil)"),
            Datum::Nil => self.push("<nil>"),
            Datum::Bool(value) if matches!(verb, 't' | 'v') => {
                self.pad(if *value { "true" } else { "false" });
            }
            Datum::Int(value) => {
                self.integer(datum, value.unsigned_abs(), *value < 0, verb);
            }
            Datum::Byte(value) if self.flags.source && verb == 'v' => {
                self.flags.sharp = true;
                self.integer(datum, u64::from(*value), false, 'x');
                self.flags.sharp = false;
            }
            Datum::Byte(value) => self.integer(datum, u64::from(*value), false, verb),
            Datum::Float(value) => self.float(datum, *value, verb),
            Datum::Complex(re, im) => self.complex(datum, *re, *im, verb),
            Datum::Text(text) if matches!(verb, 'v' | 's' | 'q' | 'x' | 'X') => {
                self.text(text, verb);
            }
            Datum::Time(time) if matches!(verb, 'v' | 's' | 'q' | 'x' | 'X') => {
                self.text(&time.go_text(), verb);
            }
            Datum::Paths(paths)
                if !self.complaining
                    && !self.flags.source
                    && matches!(verb, 'v' | 's' | 'q' | 'x' | 'X') =>
            {
                self.text(&paths.join(" "), verb);
            }
            Datum::Texts(_) | Datum::Paths(_) | Datum::List(_) => self.list(datum, verb, depth),
            Datum::Map(map) => {
                let (open, separator, close) = self.brackets(datum, "map[", "]");
                self.push(&open);
                for (i, (key, value)) in map.iter().enumerate() {
                    if self.has_failed() {
                        return;
                    }
                    if i > 0 {
                        self.push(separator);
                    }
                    let key = Datum::Text(super::datum::Text::Borrowed(key));
                    self.nested(&key, verb, depth + 1);
                    self.push(":");
                    self.nested(&value, verb, depth + 1);
                }
                self.push(close);
            }
            Datum::Bool(_) | Datum::Text(_) | Datum::Time(_) => self.complain(datum, verb),
        }
    }

    fn list(&mut self, datum: &Datum<'_>, verb: char, depth: usize) {
        let (open, separator, close) = self.brackets(datum, "[", "]");
        self.push(&open);
        for i in 0..datum.len().unwrap_or(0) {
            if self.has_failed() {
                return;
            }
            if i > 0 {
                self.push(separator);
            }
            if let Some(element) = datum.element(i) {
                self.nested(&element.datum, verb, depth + 1);
            }
        }
        self.push(close);
    }

    /// What stands before, between and after the elements of a list or map.
    fn brackets(
        &self,
        datum: &Datum<'_>,
        open: &str,
        close: &'static str,
    ) -> (String, &'static str, &'static str) {
        if self.flags.source {
            (format!("{}{{", datum.type_name()), ", ", "}")
        } else {
            (open.to_owned(), " ", close)
        }
    }

    /// Says that the verb does not suit the value: `%!d(string=x)`.
    fn complain(&mut self, datum: &Datum<'_>, verb: char) {
        let outer = std::mem::replace(&mut self.complaining, true);
        self.push(&format!("%!{verb}("));
        match datum {
            Datum::Nil => self.push("<nil>"),
            _ => {
                self.push(datum.type_name());
                self.push("=");
                self.nested(datum, 'v', 0);
            }
        }
        self.push(")");
        self.complaining = outer;
    }

    fn text(&mut self, text: &str, verb: char) {
        let text = match self.flags.precision {
            Some(length) if !matches!(verb, 'x' | 'X') => {
                let end = text
                    .char_indices()
                    .nth(length)
                    .map_or(text.len(), |(i, _)| i);
                &text[..end]
            }
            _ => text,
        };
        match verb {
            'x' | 'X' => self.hexadecimal(text.as_bytes(), verb == 'X'),
            'v' if !self.flags.source => self.pad(text),
            's' => self.pad(text),
            _ if self.flags.sharp && is_raw(text) => {
                self.pad(&format!("`{text}`"));
            }
            _ => {
                let mut quoted = String::new();
                quote_into(&mut quoted, text.chars(), '"', self.flags.plus);
                self.pad(&quoted);
            }
        }
    }

    fn hexadecimal(&mut self, bytes: &[u8], upper: bool) {
        let bytes = &bytes[..self.flags.precision.unwrap_or(bytes.len()).min(bytes.len())];
        let prefix = match (self.flags.sharp, upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let mut digits = String::with_capacity(bytes.len() * 2);
        for (i, byte) in bytes.iter().enumerate() {
            if i > 0 && self.flags.space {
                digits.push(' ');
            }
            if i == 0 || self.flags.space {
                digits.push_str(prefix);
            }
            digits.push_str(&if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            });
        }
        self.pad(&digits);
    }

    fn integer(&mut self, datum: &Datum<'_>, magnitude: u64, negative: bool, verb: char) {
        let (digits, prefix) = match verb {
            'v' | 'd' => (format!("{magnitude}"), ""),
            'b' => (format!("{magnitude:b}"), "0b"),
            'o' => (format!("{magnitude:o}"), "0"),
            'O' => (format!("{magnitude:o}"), "0o"),
            'x' => (format!("{magnitude:x}"), "0x"),
            'X' => (format!("{magnitude:X}"), "0X"),
            'c' | 'q' | 'U' => {
                self.character(magnitude, negative, verb);
                return;
            }
            _ => {
                self.complain(datum, verb);
                return;
            }
        };
        let Flags {
            width, precision, ..
        } = self.flags;
        let sign = match (negative, self.flags.plus, self.flags.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        if precision == Some(0) && magnitude == 0 {
            self.pad_with_spaces("");
            return;
        }
        let wanted = match (precision, width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if self.flags.zero && !self.flags.minus => {
                width.saturating_sub(sign.len())
            }
            _ => 0,
        };
        let zeros = "0".repeat(wanted.saturating_sub(digits.len()));
        let prefix = match (verb, self.flags.sharp) {
            ('O', true) if zeros.is_empty() && !digits.starts_with('0') => "0o0",
            ('O', _) => prefix,
            ('o', true) if zeros.is_empty() && !digits.starts_with('0') => prefix,
            ('b' | 'x' | 'X', true) => prefix,
            _ => "",
        };
        self.pad_with_spaces(&format!("{sign}{prefix}{zeros}{digits}"));
    }

    /// An integer as the character it is the code of.
    fn character(&mut self, code: u64, negative: bool, verb: char) {
        let c = u32::try_from(code)
            .ok()
            .filter(|_| !negative)
            .and_then(char::from_u32);
        let shown = c.unwrap_or(char::REPLACEMENT_CHARACTER);
        match verb {
            'c' => self.pad(shown.encode_utf8(&mut [0; 4])),
            'q' => {
                let mut quoted = String::new();
                quote_into(&mut quoted, std::iter::once(shown), '\'', self.flags.plus);
                self.pad(&quoted);
            }
            _ => {
                let code = if negative { code.wrapping_neg() } else { code };
                let digits = format!("{code:X}");
                let wanted = self.flags.precision.unwrap_or(4).max(4);
                let zeros = "0".repeat(wanted.saturating_sub(digits.len()));
                let mut text = format!("U+{zeros}{digits}");
                if let Some(c) = c.filter(|c| self.flags.sharp && is_printable(*c)) {
                    text.push_str(&format!(" '{c}'"));
                }
                self.pad_with_spaces(&text);
            }
        }
    }

    fn complex(&mut self, datum: &Datum<'_>, re: f64, im: f64, verb: char) {
        if !matches!(
            verb,
            'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E'
        ) {
            self.complain(datum, verb);
            return;
        }
        self.push("(");
        self.float(datum, re, verb);
        let plus = std::mem::replace(&mut self.flags.plus, true);
        self.float(datum, im, verb);
        self.flags.plus = plus;
        self.push("i)");
    }

    fn float(&mut self, datum: &Datum<'_>, value: f64, verb: char) {
        let (notation, default_precision) = match verb {
            'v' | 'g' | 'G' => (Notation::Shorter, None),
            'e' | 'E' => (Notation::Exponent, Some(6)),
            'f' | 'F' => (Notation::Plain, Some(6)),
            'x' | 'X' => (Notation::Hexadecimal, None),
            'b' => (Notation::Binary, None),
            _ => {
                self.complain(datum, verb);
                return;
            }
        };
        let precision = self.flags.precision.or(default_precision);
        let mut text = format_float(value, notation, precision);
        if matches!(verb, 'E' | 'G' | 'X') && value.is_finite() {
            text.make_ascii_uppercase();
        }
        if self.flags.sharp && value.is_finite() && notation != Notation::Binary {
            let keeps_zeros = notation == Notation::Shorter || verb == 'x';
            let significant = keeps_zeros.then(|| precision.unwrap_or(6));
            text = with_point(&text, significant);
        }
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (&text[..1], digits),
            None => ("+", &text[..]),
        };
        let sign = match sign {
            "+" if self.flags.plus => "+",
            "+" if self.flags.space => " ",
            "+" if value.is_infinite() => "+",
            "+" => "",
            other => other,
        };
        if !value.is_finite() {
            self.pad_with_spaces(&format!("{sign}{digits}"));
            return;
        }
        let missing = self
            .flags
            .width
            .unwrap_or(0)
            .saturating_sub(sign.len() + digits.len());
        if self.flags.zero && !self.flags.minus && !sign.is_empty() {
            // Zeros go between the sign and the digits.
            self.push(&format!("{sign}{}{digits}", "0".repeat(missing)));
        } else {
            self.pad(&format!("{sign}{digits}"));
        }
    }
}

/// `%#g` and its like keep the decimal point, and trailing zeros up to the significant digits.
fn with_point(text: &str, significant: Option<usize>) -> String {
    let marks = if text.contains(['x', 'X']) {
        ['p', 'P']
    } else {
        ['e', 'E']
    };
    let at = text.find(marks).unwrap_or(text.len());
    let (mantissa, tail) = text.split_at(at);
    let digits = mantissa.trim_start_matches('-').replace('.', "");
    let used = match digits.trim_start_matches('0').len() {
        0 => 1,
        used => used,
    };
    let zeros = "0".repeat(significant.unwrap_or(0).saturating_sub(used));
    let point = if mantissa.contains('.') { "" } else { "." };
    format!("{mantissa}{point}{zeros}{tail}")
}

/// Whether a text can stand between back quotes.
fn is_raw(text: &str) -> bool {
    !text
        .chars()
        .any(|c| matches!(c, '`' | '\u{feff}' | '\x7f') || (c < ' ' && c != '\t'))
}
