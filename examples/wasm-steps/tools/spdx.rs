//! Puts an SPDX licence line at the top of source files that have none.
//!
//! An ordinary command-line program. As a step it runs on the workspace, which is its current directory:
//!
//! ```console
//! $ rustc --edition 2024 --target wasm32-wasip2 -O -C strip=debuginfo -o spdx.wasm spdx.rs
//! ```
//!
//! Arguments: the licence, then file name endings. Standard input: paths that are left alone, one a line. Standard
//! output: a JSON list of the files that were changed.

use std::collections::HashSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Lines in which a licence is looked for.
const HEAD: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let licence = arguments.next().ok_or("usage: spdx LICENCE ENDING...")?;
    let endings: HashSet<String> = arguments.collect();
    let alone: HashSet<PathBuf> = io::stdin()
        .lines()
        .map(|line| line.map(PathBuf::from))
        .collect::<Result<_, _>>()?;

    let mut changed = Vec::new();
    let mut pending = vec![PathBuf::from(".")];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            let name = path.strip_prefix(".")?.to_path_buf();
            let kind = entry.file_type()?;
            if kind.is_dir() && entry.file_name() != ".git" {
                pending.push(path);
            } else if kind.is_file() && wants(&name, &endings) && !alone.contains(&name) {
                if mark(&path, &licence)? {
                    changed.push(name.display().to_string());
                }
            }
        }
    }
    changed.sort();
    let quoted: Vec<_> = changed.iter().map(|name| format!("{name:?}")).collect();
    println!("[{}]", quoted.join(", "));
    Ok(())
}

fn wants(path: &Path, endings: &HashSet<String>) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| endings.contains(ending))
}

/// Puts the licence into a file; tells whether that was needed.
fn mark(path: &Path, licence: &str) -> Result<bool, Box<dyn Error>> {
    let Ok(text) = fs::read_to_string(path) else {
        // Not text.
        return Ok(false);
    };
    if text.lines().take(HEAD).any(|line| line.contains("SPDX-License-Identifier")) {
        return Ok(false);
    }
    let comment = match path.extension().and_then(|ending| ending.to_str()) {
        Some("py" | "sh" | "toml" | "yaml") => "#",
        _ => "//",
    };
    // A line that names an interpreter stays the first.
    let (first, rest) = match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#!") => (format!("{first}\n"), rest),
        _ => (String::new(), text.as_str()),
    };
    fs::write(path, format!("{first}{comment} SPDX-License-Identifier: {licence}\n{rest}"))?;
    Ok(true)
}
