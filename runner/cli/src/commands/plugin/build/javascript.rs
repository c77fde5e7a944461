//! JavaScript: componentize-js puts SpiderMonkey and the source into one component.
//!
//! componentize-qjs, whose components are a seventh of the size, gives back what a call was lent only after the call has
//! ended, up to its version 0.4.5; that is a crash.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use capstan_core::plugin::Hook;

use super::Job;
use super::toolchain::Program;
use crate::failure::Failed;

/// What `--install` gets; newer ones are likely to do.
const PACKAGE: &str = "@bytecodealliance/componentize-js@0.23.0";

/// Its program.
const PROGRAM: &str = "componentize-js";

pub(super) async fn build(job: &Job<'_>) -> Result<(), Failed> {
    let compiler = find(job).await?;
    let mut arguments: Vec<OsString> = vec![job.manifest.entry.clone().into()];
    arguments.extend(["--wit".into(), job.wit.into()]);
    arguments.extend(["--world-name".into(), job.manifest.world.clone().into()]);
    arguments.extend(["-o".into(), job.output.clone().into()]);
    // Nothing has these; and only the hook that has files needs WASI. Without it a component computes the same every time.
    arguments.extend(["--disable", "http", "fetch-event"].map(Into::into));
    if job.manifest.hook != Hook::Workspace {
        arguments.extend(["random", "clocks", "stdio"].map(Into::into));
    }
    compiler.run(job.directory, arguments).await
}

/// The compiler: the plugin's own, or that of the `PATH`.
async fn find(job: &Job<'_>) -> Result<Program, Failed> {
    let own = bin(&job.tools()).join(PROGRAM);
    let local = bin(job.directory).join(PROGRAM);
    let found = [local, own.clone()]
        .into_iter()
        .find_map(Program::at)
        .or_else(|| Program::find(job.environment, &[PROGRAM]));
    if let Some(found) = found {
        return Ok(found);
    }
    let Some(npm) = Program::find(job.environment, &["npm"]) else {
        return Err(Failed::environment(
            "building a JavaScript plugin needs Node.js 20 or newer, with npm",
        )
        .hint("install Node.js, then run `capstan plugin build --install`"));
    };
    if !job.install {
        return Err(Failed::environment(
            "building a JavaScript plugin needs componentize-js, which is neither in node_modules nor in the PATH",
        )
        .hint(format!(
            "run `npm install {PACKAGE}`, or `capstan plugin build --install` to get it for this plugin only"
        )));
    }
    let place = job.tools();
    fs_err::create_dir_all(&place).map_err(Failed::environment)?;
    let arguments = [
        "install",
        "--no-fund",
        "--no-audit",
        "--loglevel=error",
        "--prefix",
    ];
    let arguments = arguments.map(OsString::from).into_iter();
    npm.run(
        job.directory,
        arguments.chain([place.into(), PACKAGE.into()]),
    )
    .await?;
    Program::at(own).ok_or_else(|| Failed::environment(format!("{PACKAGE} has no program")))
}

/// Where npm puts programs.
fn bin(directory: &Path) -> PathBuf {
    directory.join("node_modules/.bin")
}
