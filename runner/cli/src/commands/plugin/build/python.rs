//! Python: componentize-py puts CPython and the sources into one component.

use std::path::PathBuf;

use capstan_core::plugin::Hook;

use super::Job;
use super::toolchain::Program;
use crate::failure::Failed;

/// What `--install` gets; newer ones are likely to do.
const PACKAGE: &str = "componentize-py==0.25.1";

pub(super) async fn build(job: &Job<'_>) -> Result<(), Failed> {
    let componentize = find(job).await?;
    let module = job.manifest.entry.with_extension("");
    // A component without WASI computes the same every time. Only the hook that has files needs it.
    let stub = (job.manifest.hook != Hook::Workspace).then(|| PathBuf::from("--stub-wasi"));
    let arguments = ["-d".into(), job.wit.to_owned(), "-w".into()]
        .into_iter()
        .chain([job.manifest.world.clone().into(), "componentize".into()])
        .chain(stub)
        .chain([module, "-o".into(), job.output.clone()]);
    componentize.run(job.directory, arguments).await
}

/// componentize-py: the plugin's own, that of the `PATH`, or that of the `PATH`'s Python.
async fn find(job: &Job<'_>) -> Result<Program, Failed> {
    let own = job.tools().join("python/bin/componentize-py");
    if let Some(found) = Program::at(own.clone()) {
        return Ok(found);
    }
    if let Some(found) = Program::find(job.environment, &["componentize-py"]) {
        return Ok(found);
    }
    let Some(python) = Program::find(job.environment, &["python3", "python"]) else {
        return Err(
            Failed::environment("building a Python plugin needs Python 3.10 or newer")
                .hint("install Python, then run `capstan plugin build --install`"),
        );
    };
    if python.works(&["-c", "import componentize_py"]).await {
        return Ok(python.with(["-m", "componentize_py"]));
    }
    if !job.install {
        return Err(Failed::environment(
            "building a Python plugin needs componentize-py, which is neither in the PATH nor among Python's modules",
        )
        .hint(format!(
            "run `pip install {PACKAGE}`, or `capstan plugin build --install` to get it for this plugin only"
        )));
    }
    let place = job.tools().join("python");
    python
        .run(job.directory, ["-m".into(), "venv".into(), place.clone()])
        .await?;
    let pip = Program::at(place.join("bin/python"));
    let pip = pip.ok_or_else(|| Failed::environment("the virtual environment has no Python"))?;
    pip.with(["-m", "pip"])
        .run(
            job.directory,
            ["install", "--quiet", "--disable-pip-version-check", PACKAGE],
        )
        .await?;
    Program::at(own).ok_or_else(|| Failed::environment(format!("{PACKAGE} has no program")))
}
