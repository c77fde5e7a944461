//! Makes git directories without running git, so that nothing but what is written here is in them.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::ObjectFormat;

/// Makes an empty git directory that borrows objects from elsewhere. The directory exists and is empty.
///
/// `settings` are keys and values; the section of a key is written as it stands in brackets: `remote "origin".url`.
///
/// # Errors
/// The file system's.
pub fn layout(
    directory: &Path,
    objects: &[PathBuf],
    object_format: ObjectFormat,
    settings: &[(&str, String)],
) -> io::Result<()> {
    for path in [
        "objects/info",
        "objects/pack",
        "refs/heads",
        "refs/tags",
        "info",
    ] {
        fs_err::create_dir_all(directory.join(path))?;
    }
    fs_err::write(directory.join("HEAD"), "ref: refs/heads/main\n")?;
    let mut text = String::from("[core]\n\tfilemode = true\n\tbare = false\n");
    text.push_str(match object_format {
        ObjectFormat::Sha1 => "\trepositoryformatversion = 0\n",
        ObjectFormat::Sha256 => {
            "\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n"
        }
    });
    let settings: Vec<_> = settings
        .iter()
        .map(|(key, value)| (*key, &**value))
        .collect();
    text.push_str(&config(&settings));
    fs_err::write(directory.join("config"), text)?;
    fs_err::write(
        directory.join("objects/info/alternates"),
        alternates(objects),
    )
}

/// Settings as a file of git's has them; keys as those of [`layout`].
pub(super) fn config(settings: &[(&str, &str)]) -> String {
    let mut config = String::new();
    for (key, value) in settings {
        let (section, name) = key.rsplit_once('.').unwrap_or(("core", key));
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        config.push_str(&format!("[{section}]\n\t{name} = \"{value}\"\n"));
    }
    config
}

/// Writes a name in the C quotes that git takes where names end with their lines.
pub(crate) fn quote(name: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in name {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The content of `objects/info/alternates`.
pub fn alternates(objects: &[PathBuf]) -> Vec<u8> {
    let mut lines = Vec::new();
    for path in objects {
        let bytes = path.as_os_str().as_bytes();
        if bytes.starts_with(b"\"") || bytes.starts_with(b"#") || bytes.contains(&b'\n') {
            quote(bytes, &mut lines);
        } else {
            lines.extend_from_slice(bytes);
        }
        lines.push(b'\n');
    }
    lines
}
