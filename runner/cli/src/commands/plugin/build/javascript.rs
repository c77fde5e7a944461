//! JavaScript: componentize-qjs puts QuickJS and the source into one component.

use std::ffi::OsString;
use std::path::PathBuf;

use capstan_core::plugin::Hook;

use super::Job;
use super::toolchain::Program;
use crate::failure::Failed;

/// What `--install` gets; newer ones are likely to do.
const PACKAGE: &str = "componentize-qjs@0.4.5";

pub(super) async fn build(job: &Job<'_>) -> Result<(), Failed> {
    let compiler = find(job).await?;
    // Only the hook that has files needs WASI. Without it a component computes the same every time.
    let stub = job.manifest.hook != Hook::Workspace;
    let mut arguments: Vec<OsString> = vec!["--wit".into(), job.wit.into()];
    let world = job.manifest.world.clone().into();
    let entry = job.manifest.entry.clone().into();
    let program = match compiler {
        Compiler::Qjs(program) => {
            arguments.extend([
                "--world".into(),
                world,
                "--js".into(),
                entry,
                "--sync".into(),
            ]);
            arguments.extend(stub.then(|| "--stub-wasi".into()));
            program
        }
        Compiler::Jco(program) => {
            arguments.extend(["--world-name".into(), world, entry]);
            arguments.extend(["--backend", "qjs", "--backend-qjs-disable-async"].map(Into::into));
            arguments.extend(stub.then(|| "--backend-qjs-stub-wasi".into()));
            program.with(["componentize"])
        }
    };
    arguments.extend(["-o".into(), job.output.clone().into()]);
    program.run(job.directory, arguments).await
}

/// Programs that do it.
enum Compiler {
    /// componentize-qjs.
    Qjs(Program),
    /// jco, which brings it along.
    Jco(Program),
}

/// A compiler: the plugin's own, or that of the `PATH`.
async fn find(job: &Job<'_>) -> Result<Compiler, Failed> {
    let qjs = "componentize-qjs";
    let local = |program: &str| {
        let places = [job.directory.to_owned(), job.tools()];
        places
            .into_iter()
            .find_map(|place| Program::at(bin(place).join(program)))
            .or_else(|| Program::find(job.environment, &[program]))
    };
    if let Some(found) = local(qjs) {
        return Ok(Compiler::Qjs(found));
    }
    if let Some(found) = local("jco") {
        return Ok(Compiler::Jco(found));
    }
    let Some(npm) = Program::find(job.environment, &["npm"]) else {
        return Err(Failed::environment(
            "building a JavaScript plugin needs Node.js 18 or newer, with npm",
        )
        .hint("install Node.js, then run `capstan plugin build --install`"));
    };
    if !job.install {
        return Err(Failed::environment(
            "building a JavaScript plugin needs componentize-qjs, which is neither in node_modules nor in the PATH",
        )
        .hint(format!(
            "run `npm install {PACKAGE}`, or `capstan plugin build --install` to get it for this plugin only"
        )));
    }
    let place = job.tools();
    fs_err::create_dir_all(&place).map_err(Failed::environment)?;
    let quiet = ["--no-fund", "--no-audit", "--loglevel=error"].map(OsString::from);
    let install = [
        "install".into(),
        "--prefix".into(),
        place.clone().into(),
        PACKAGE.into(),
    ];
    npm.run(job.directory, install.into_iter().chain(quiet))
        .await?;
    Program::at(bin(place).join(qjs))
        .map(Compiler::Qjs)
        .ok_or_else(|| Failed::environment(format!("{PACKAGE} has no program")))
}

/// Where npm puts programs.
fn bin(directory: PathBuf) -> PathBuf {
    directory.join("node_modules/.bin")
}
