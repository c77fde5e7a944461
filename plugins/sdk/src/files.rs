//! What `std::fs` cannot do in a plugin.

use crate::{Result, host};

/// Makes a regular file of the workspace executable or not. The path is relative to the workspace.
///
/// # Errors
///
/// If it is no regular file of the workspace, or the workspace may not be written.
pub fn set_executable(path: &str, executable: bool) -> Result<()> {
    host::files::set_executable(path, executable)
}
