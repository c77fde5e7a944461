//! `capstan plugin new`: a starter that builds at once.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use capstan_core::plugin::Hook;

use super::manifest::check_name;
use super::starters::{self, NAME, SDK, WIT};
use super::wit;
use crate::args::plugin::{Language, New};
use crate::failure::{Exit, Failed};
use crate::printer;

pub(super) fn run(args: &New) -> Result<Exit, Failed> {
    check_name(&args.name).map_err(Failed::usage)?;
    let directory = args.dir.clone().unwrap_or_else(|| args.name.clone().into());
    must_be_free(&directory)?;
    let sdk = sdk(args, &directory)?;
    let hook = args.hook.into();
    for file in starters::files(args.lang, hook) {
        let mut text = file.text.replace(NAME, &args.name);
        if let Some(sdk) = &sdk {
            text = text.replace(SDK, sdk);
        }
        write(&directory.join(file.path), &text)?;
    }
    if let Some(place) = wit_place(args.lang, hook) {
        for file in WIT {
            write(&directory.join(place).join(file.path), file.text)?;
        }
    }
    printer::result(what_next(args, hook, &directory).as_bytes()).map_err(Failed::environment)?;
    Ok(Exit::Success)
}

fn must_be_free(directory: &Path) -> Result<(), Failed> {
    let taken = match fs_err::read_dir(directory) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Failed::usage(error)),
    };
    if !taken {
        return Ok(());
    }
    let message = format!("{} exists and is not empty", directory.display());
    Err(Failed::usage(message).hint("choose another directory with --dir"))
}

/// How a plugin in Rust depends on the SDK by its path; `None`: as the starter has it.
fn sdk(args: &New, directory: &Path) -> Result<Option<String>, Failed> {
    let is_sdk =
        |path: &Path| path.join("Cargo.toml").is_file() && path.join("src/lib.rs").is_file();
    let path = match &args.sdk {
        Some(_) if args.lang != Language::Rust => {
            return Err(Failed::usage("--sdk is for plugins in Rust"));
        }
        Some(path) if is_sdk(path) => fs_err::canonicalize(path).map_err(Failed::usage)?,
        Some(path) => {
            let message = format!("{} is not the SDK", path.display());
            return Err(Failed::usage(message).hint("name plugins/sdk of a checkout of Capstan"));
        }
        None if args.lang != Language::Rust => return Ok(None),
        None => {
            let inside = std::path::absolute(directory).map_err(Failed::usage)?;
            let mut above = inside.ancestors().zip(0..).skip(1);
            let Some((_, steps)) = above.find(|(path, _)| is_sdk(&path.join("plugins/sdk"))) else {
                return Ok(None);
            };
            PathBuf::from("../".repeat(steps)).join("plugins/sdk")
        }
    };
    let path = toml::Value::String(path.display().to_string());
    Ok(Some(format!("{{ path = {path} }}")))
}

fn write(path: &Path, text: &str) -> Result<(), Failed> {
    wit::write(path, text).map_err(Failed::environment)
}

/// Where the starter keeps the WIT package. That of Rust comes with the SDK.
fn wit_place(language: Language, hook: Hook) -> Option<&'static str> {
    match (language, hook) {
        (Language::Rust, _) => None,
        // Its world is its own, for it has WASI's files in it.
        (Language::Js, Hook::Workspace) => Some("wit/deps/capstan"),
        _ => Some("wit"),
    }
}

fn what_next(args: &New, hook: Hook, directory: &Path) -> String {
    let (language, tool) = match args.lang {
        Language::Rust => ("Rust", "cargo"),
        Language::Python => ("Python", "componentize-py; --install gets it"),
        Language::Js => ("JavaScript", "componentize-js; --install gets it"),
        Language::C => ("C", "clang and wasi-libc"),
    };
    let mut text = format!(
        "wrote {}: a plugin for the {hook} hook, in {language}\n\n",
        args.name
    );
    let _ = writeln!(text, "  cd {}", directory.display());
    let _ = writeln!(text, "  capstan plugin build    # with {tool}");
    let _ = writeln!(text, "  capstan plugin test     # runs it on fixtures/");
    let _ = writeln!(text, "\nREADME.md says what is where.");
    text
}
