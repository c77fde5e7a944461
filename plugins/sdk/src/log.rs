//! Messages to the log of the run: [`info!`](crate::log::info) and the like, with the arguments of [`format!`].
//!
//! Secrets in them are redacted. What exceeds the call's limit is counted and dropped.

use std::fmt;

use crate::host;

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Steps of the plugin's own work.
    Trace,
    /// What its author looks at.
    Debug,
    /// What its operator may want to know.
    Info,
    /// What somebody should look at.
    Warn,
    /// What went wrong.
    Error,
}

/// Writes a message; the macros call this.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    use host::log::Level as HostLevel;
    let level = match level {
        Level::Trace => HostLevel::Trace,
        Level::Debug => HostLevel::Debug,
        Level::Info => HostLevel::Info,
        Level::Warn => HostLevel::Warn,
        Level::Error => HostLevel::Error,
    };
    match message.as_str() {
        Some(message) => host::log::write(level, message),
        None => host::log::write(level, &message.to_string()),
    }
}

/// Logs a step of the plugin's own work.
#[doc(hidden)]
#[macro_export]
macro_rules! __trace {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Trace, format_args!($($argument)*)) };
}

/// Logs what the plugin's author looks at.
#[doc(hidden)]
#[macro_export]
macro_rules! __debug {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Debug, format_args!($($argument)*)) };
}

/// Logs what the plugin's operator may want to know.
#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Info, format_args!($($argument)*)) };
}

/// Logs what somebody should look at.
#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Warn, format_args!($($argument)*)) };
}

/// Logs what went wrong.
#[doc(hidden)]
#[macro_export]
macro_rules! __error {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Error, format_args!($($argument)*)) };
}

#[doc(inline)]
pub use crate::{
    __debug as debug, __error as error, __info as info, __trace as trace, __warn as warn,
};
