//! Format strings: `%s`, `%05d`, `%-8.3f`, `%[2]*d`.

use super::budget::Budget;
use super::datum::{Datum, Operand};
use super::print::{Flags, Printer};

/// Largest width, precision or argument number; larger ones make the verb invalid.
const MAX_NUMBER: usize = 1_000_000;

/// Writes `format` with each verb replaced by its argument. What is wrong with the format shows in the
/// text: `%!d(string=x)`, `%!s(MISSING)`, `%!(EXTRA int=1)`.
pub(super) fn printf(
    format: &str,
    args: &[Operand<'_>],
    budget: &mut Budget,
) -> Result<String, String> {
    let mut directives = Directives {
        rest: format,
        args,
        next: 0,
        reordered: false,
        printer: Printer::default(),
    };
    directives.run();
    directives.printer.finish(budget)
}

struct Directives<'f, 'c> {
    rest: &'f str,
    args: &'f [Operand<'c>],
    /// Argument that the next verb takes.
    next: usize,
    /// Whether the format chose an argument by number anywhere.
    reordered: bool,
    printer: Printer,
}

impl Directives<'_, '_> {
    fn run(&mut self) {
        while let Some(percent) = memchr::memchr(b'%', self.rest.as_bytes()) {
            let (text, rest) = self.rest.split_at(percent);
            self.printer.push(text);
            self.rest = &rest[1..];
            self.reordered |= self.directive();
            if self.printer.has_failed() {
                return;
            }
        }
        self.printer.push(self.rest);
        if !self.reordered && self.next < self.args.len() {
            self.extra();
        }
    }

    fn take(&mut self, prefix: char) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// One directive after its percent sign; whether it chose an argument by number.
    fn directive(&mut self) -> bool {
        self.printer.flags = Flags::default();
        self.flags();
        let mut numbered = Numbered::default();
        self.argument_number(&mut numbered);
        self.width(&mut numbered);
        self.precision(&mut numbered);
        if !numbered.fresh {
            self.argument_number(&mut numbered);
        }
        let mut chars = self.rest.chars();
        let Some(verb) = chars.next() else {
            self.printer.push("%!(NOVERB)");
            return numbered.any;
        };
        self.rest = chars.as_str();
        match self.args.get(self.next) {
            _ if verb == '%' => self.printer.push("%"),
            _ if numbered.bad => self.printer.push(&format!("%!{verb}(BADINDEX)")),
            None => self.printer.push(&format!("%!{verb}(MISSING)")),
            Some(arg) => {
                if verb == 'v' {
                    let flags = &mut self.printer.flags;
                    flags.source = std::mem::take(&mut flags.sharp);
                    flags.plus = false;
                }
                self.printer.value(&arg.datum, verb);
                self.next += 1;
            }
        }
        numbered.any
    }

    fn flags(&mut self) {
        loop {
            let flags = &mut self.printer.flags;
            let flag = match self.rest.as_bytes().first() {
                Some(b'#') => &mut flags.sharp,
                Some(b'0') => &mut flags.zero,
                Some(b'+') => &mut flags.plus,
                Some(b'-') => &mut flags.minus,
                Some(b' ') => &mut flags.space,
                _ => return,
            };
            *flag = true;
            self.rest = &self.rest[1..];
        }
    }

    fn width(&mut self, numbered: &mut Numbered) {
        if self.take('*') {
            match self.number_from_argument() {
                Some(width) => {
                    let flags = &mut self.printer.flags;
                    flags.width = Some(width.unsigned_abs());
                    flags.minus |= width < 0;
                }
                None => self.printer.push("%!(BADWIDTH)"),
            }
            numbered.fresh = false;
        } else {
            let width = self.number();
            self.printer.flags.width = width;
            numbered.bad |= numbered.fresh && width.is_some();
        }
    }

    fn precision(&mut self, numbered: &mut Numbered) {
        if !self.take('.') {
            return;
        }
        numbered.bad |= numbered.fresh;
        numbered.fresh = false;
        self.argument_number(numbered);
        if self.take('*') {
            match self.number_from_argument() {
                Some(precision) => {
                    self.printer.flags.precision = usize::try_from(precision).ok();
                    if precision < 0 {
                        self.printer.push("%!(BADPREC)");
                    }
                }
                None => self.printer.push("%!(BADPREC)"),
            }
            numbered.fresh = false;
        } else {
            self.printer.flags.precision = Some(self.number().unwrap_or(0));
        }
    }

    /// A number in digits. One that is too large swallows the rest, so that no verb is left.
    fn number(&mut self) -> Option<usize> {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(length);
        match digits.parse::<usize>() {
            Ok(number) if number <= MAX_NUMBER => {
                self.rest = rest;
                Some(number)
            }
            _ if digits.is_empty() => None,
            _ => {
                self.rest = "";
                None
            }
        }
    }

    /// A width or precision given as the next argument.
    fn number_from_argument(&mut self) -> Option<isize> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        let number = match arg.datum {
            Datum::Int(number) => isize::try_from(number).ok()?,
            Datum::Byte(number) => isize::from(number),
            _ => return None,
        };
        (number.unsigned_abs() <= MAX_NUMBER).then_some(number)
    }

    /// A choice of argument: `[2]`, counted from 1.
    fn argument_number(&mut self, numbered: &mut Numbered) {
        numbered.fresh = false;
        if !self.rest.starts_with('[') {
            return;
        }
        numbered.any = true;
        let Some((inside, rest)) = self.rest[1..]
            .split_once(']')
            .filter(|_| self.rest.len() >= 3)
        else {
            numbered.bad = true;
            self.rest = &self.rest[1..];
            return;
        };
        self.rest = rest;
        let number = inside
            .parse::<usize>()
            .ok()
            .filter(|_| !inside.starts_with('+'));
        match number {
            Some(number) if (1..=self.args.len()).contains(&number) => {
                self.next = number - 1;
                numbered.fresh = true;
            }
            Some(_) => {
                numbered.bad = true;
                numbered.fresh = true;
            }
            None => numbered.bad = true,
        }
    }

    /// Shows the arguments that no verb took.
    fn extra(&mut self) {
        self.printer.flags = Flags::default();
        self.printer.push("%!(EXTRA ");
        let (args, next) = (self.args, self.next);
        for (i, arg) in args[next..].iter().enumerate() {
            if i > 0 {
                self.printer.push(", ");
            }
            if !matches!(arg.datum, Datum::Nil) {
                self.printer.push(arg.datum.type_name());
                self.printer.push("=");
            }
            self.printer.value(&arg.datum, 'v');
        }
        self.printer.push(")");
    }
}

/// What a directive has said of argument numbers so far.
#[derive(Default)]
struct Numbered {
    any: bool,
    /// Whether one stands directly before this place.
    fresh: bool,
    /// Whether one is out of range or in a place where it may not be.
    bad: bool,
}
