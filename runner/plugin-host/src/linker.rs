//! What this host offers to components: WASI 0.2, denied by its context unless it is granted, and `capstan:plugin`.

use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::guard;
use crate::interfaces;
use crate::state::State;

/// The version of `capstan:plugin` that this host offers: that of `wit/`.
pub(crate) const API: &str = "0.1.0";

/// The packages that are offered with the line of their versions, and their interfaces.
const OFFERED: [(&str, &str, &[&str]); 7] = [
    (
        "capstan:plugin",
        "0.1",
        &[
            "types", "log", "config", "scratch", "job", "step", "changes", "files",
        ],
    ),
    (
        "wasi:cli",
        "0.2",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:clocks", "0.2", &["monotonic-clock", "wall-clock"]),
    ("wasi:filesystem", "0.2", &["preopens", "types"]),
    ("wasi:io", "0.2", &["error", "poll", "streams"]),
    (
        "wasi:random",
        "0.2",
        &["random", "insecure", "insecure-seed"],
    ),
    (
        "wasi:sockets",
        "0.2",
        &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// All that is offered.
pub(crate) fn offer(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    guard::add_to_linker(&mut linker)?;
    interfaces::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Why a component cannot be linked: what it needs, what this host offers, and what to do.
pub(crate) fn explain(error: &wasmtime::Error) -> String {
    // The linker has no error type: it names, in quotes, what is imported, and then what is wrong in it.
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let named: Vec<&str> = causes
        .iter()
        .filter_map(|cause| cause.split('`').nth(1))
        .collect();
    let Some((&import, inner)) = named.split_first() else {
        return format!("{error:#}");
    };
    let Some((_, offered, _)) = OFFERED.iter().find(|(package, line, interfaces)| {
        parts(import).is_some_and(|(its_package, interface, version)| {
            its_package == *package && line_of(version) == *line && interfaces.contains(&interface)
        })
    }) else {
        return missing(import);
    };
    let cause = causes.last().map_or("", String::as_str);
    let Some(item) = inner.first() else {
        return format!("it imports {import} in another shape than this host's: {cause}");
    };
    let (what, advice) = if cause.ends_with("implementation is missing") {
        ("does not have", "use a newer capstan")
    } else {
        (
            "has with another type",
            "build it for the interface as this host has it",
        )
    };
    let version = if import.starts_with("capstan:") {
        API
    } else {
        offered
    };
    format!(
        "it needs `{item}` of {import}, which this host, with {version}, {what} ({cause}): {advice}"
    )
}

fn missing(import: &str) -> String {
    if let Some((package @ "capstan:plugin", _, version)) = parts(import)
        && line_of(version) != line_of(API)
    {
        return format!(
            "it needs {import}; this host offers {package} {API}: build it for {API}, or use a version of capstan that offers {version}"
        );
    }
    let (contract, wasi): (Vec<_>, Vec<_>) = OFFERED
        .iter()
        .map(|(package, _, _)| *package)
        .partition(|package| package.starts_with("capstan:"));
    format!(
        "it imports {import}; this host offers {} 0.2 and {} {API}: build it without what needs that import",
        wasi.join(", "),
        contract.join(", ")
    )
}

/// Package, interface and version of `package/interface@version`.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let (name, version) = name.split_once('@')?;
    let (package, interface) = name.split_once('/')?;
    Some((package, interface, version))
}

/// What two versions have in common if one can stand for the other: the major version, or `0.` and the minor one.
fn line_of(version: &str) -> &str {
    let dots = if version.starts_with("0.") { 2 } else { 1 };
    let end = version
        .match_indices('.')
        .nth(dots - 1)
        .map_or(version.len(), |(end, _)| end);
    &version[..end]
}
