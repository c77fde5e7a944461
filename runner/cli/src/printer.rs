//! The only mouth: results on standard output, everything else on standard error.
//!
//! Colours go through `anstream`, which takes them away in pipes and under `NO_COLOR`. Writing to a reader
//! that is gone is not an error of ours: `capstan ... | head` ends quietly.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use owo_colors::OwoColorize as _;

use crate::failure::Failed;
use crate::text;

/// Writes a result, exactly.
pub(crate) fn result(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    quiet(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes a line of results.
pub(crate) fn result_line(text: impl Display) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    quiet(writeln!(stdout, "{text}"))
}

/// Tells something on standard error.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Tells something that the user should look at.
pub(crate) fn warning(text: impl Display) {
    let text = text::lines(&text.to_string());
    note(format_args!("{} {text}", "warning:".yellow().bold()));
}

/// Tells why the program ends.
pub(crate) fn failure(failed: &Failed) {
    if !failed.message.is_empty() {
        let message = text::lines(&failed.message);
        note(format_args!("{} {message}", "error:".red().bold()));
    }
    if let Some(hint) = &failed.hint {
        self::hint(hint);
    }
}

/// Tells what to do next.
pub(crate) fn hint(text: &str) {
    let text = text::lines(text);
    note(format_args!("{} {text}", "hint:".cyan().bold()));
}

/// Whether results go to a terminal, where people read them.
pub(crate) fn results_are_read() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard error is a terminal on which a live display makes sense.
pub(crate) fn live() -> bool {
    io::stderr().is_terminal()
}

fn quiet(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
