//! Reading archives: nothing of them is trusted.

pub(crate) mod gzip;
pub(crate) mod tar;
pub(crate) mod zip;

use std::io::Read;

/// Something in an archive.
pub(crate) struct Entry<'a> {
    /// Its path, as the archive has it.
    pub(crate) path: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// What is in it, if it is a file.
    pub(crate) content: &'a mut dyn Read,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A directory.
    Directory,
    /// A link, a device, a pipe.
    Other,
}

#[cfg(test)]
pub(crate) mod tests;
