//! C: clang makes a core module; what makes it a component is done here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wasi_preview1_component_adapter_provider as adapter;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use super::Job;
use super::toolchain::Program;
use crate::failure::Failed;

/// The generated bindings ask for this symbol, which an object file with the component's type would bring. The
/// type is added by [`componentize`] instead.
const LINK: &str = "void __component_type_object_force_link_plugin(void) {}\n";

const HINT: &str = "on Debian and Ubuntu run `apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32` \
    (14 stands for clang's version); elsewhere unpack https://github.com/WebAssembly/wasi-sdk and set WASI_SDK_PATH";

pub(super) async fn build(job: &Job<'_>) -> Result<(), Failed> {
    let (clang, target) = find(job).await?;
    let scratch = tempfile::TempDir::with_prefix("capstan-c-").map_err(Failed::environment)?;
    let link = scratch.path().join("link.c");
    fs_err::write(&link, LINK).map_err(Failed::environment)?;
    let module = scratch.path().join("module.wasm");
    let mut arguments: Vec<OsString> = [
        &format!("--target={target}"),
        "-mexec-model=reactor",
        "-Os",
        "-Wall",
        "-Wl,--strip-debug",
    ]
    .map(OsString::from)
    .into();
    arguments.extend(sources(job)?.into_iter().map(Into::into));
    arguments.extend([link.into(), "-o".into(), module.clone().into()]);
    clang.run(job.directory, arguments).await?;

    let module = fs_err::read(module).map_err(Failed::environment)?;
    let component = componentize(module, job.wit, &job.manifest.world).map_err(|reason| {
        Failed::run(format!("the module cannot be made a component: {reason}"))
            .hint("the bindings must be made from the WIT that the plugin is built for")
    })?;
    fs_err::write(&job.output, component).map_err(Failed::environment)
}

/// The entry, and the generated bindings.
fn sources(job: &Job<'_>) -> Result<Vec<PathBuf>, Failed> {
    let mut found = vec![job.manifest.entry.clone()];
    let bindings = Path::new("bindings");
    let entries = fs_err::read_dir(job.directory.join(bindings)).map_err(|error| {
        Failed::usage(error)
            .hint("the starter of `capstan plugin new` has bindings, and says how they are made")
    })?;
    for entry in entries {
        let name = entry.map_err(Failed::environment)?.file_name();
        if Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "c")
        {
            found.push(bindings.join(name));
        }
    }
    found.sort();
    Ok(found)
}

/// A clang that can link for WASI, and what it calls that.
async fn find(job: &Job<'_>) -> Result<(Program, &'static str), Failed> {
    let sdk = job.environment.get("WASI_SDK_PATH");
    let clang = sdk
        .and_then(|sdk| Program::at(Path::new(sdk).join("bin/clang")))
        .or_else(|| Program::find(job.environment, &["clang"]))
        .ok_or_else(|| Failed::environment("building a C plugin needs clang").hint(HINT))?;
    if sdk.is_none() && Program::find(job.environment, &["wasm-ld"]).is_none() {
        return Err(Failed::environment("building a C plugin needs wasm-ld").hint(HINT));
    }
    // The second name is that of clang up to 18.
    for target in ["wasm32-wasip1", "wasm32-wasi"] {
        let option = format!("--target={target}");
        // What is not there is answered with its bare name.
        let start = clang
            .answer(job.directory, &[&option, "-print-file-name=crt1-reactor.o"])
            .await;
        if !Path::new(&start).is_absolute() {
            continue;
        }
        let runtime = clang
            .answer(job.directory, &[&option, "-print-libgcc-file-name"])
            .await;
        if !Path::new(&runtime).is_file() {
            let message = format!("clang has no runtime library for WebAssembly ({runtime})");
            return Err(Failed::environment(message).hint(HINT));
        }
        return Ok((clang, target));
    }
    Err(
        Failed::environment("building a C plugin needs wasi-libc, which clang does not find")
            .hint(HINT),
    )
}

/// A component from a core module that was built with bindings for this world.
fn componentize(mut module: Vec<u8>, wit: &Path, world: &str) -> Result<Vec<u8>, String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        .map_err(|error| format!("{error:#}"))?;
    let world = resolve
        .select_world(&[package], Some(world))
        .map_err(|error| format!("{error:#}"))?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| format!("{error:#}"))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| {
            encoder.adapter(
                adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
                adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
            )
        })
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| format!("{error:#}"))
}
