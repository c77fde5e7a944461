//! Values as people write them.

use std::path::Path;

pub(crate) use capstan_core::duration::parse as duration;
use capstan_engine::sandbox::BindMount;
use capstan_engine::workspace::Method;

/// `512MiB`, `2g`, `1000000`. As Docker has it, `k`, `kb`, `KiB` and so on are powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const WRONG: &str = "expected a size such as 512MiB or 2g";
    let text = text.trim().to_ascii_lowercase();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| WRONG)?;
    let unit = match text[digits..]
        .trim()
        .trim_end_matches("ib")
        .trim_end_matches('b')
    {
        "" => 1_u64,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return Err(WRONG.to_owned()),
    };
    let bytes = number * unit as f64;
    if bytes < 1.0 || bytes > u64::MAX as f64 {
        Err(WRONG.to_owned())
    } else {
        Ok(bytes as u64)
    }
}

/// `auto` is none of them.
pub(super) fn method(text: &str) -> Result<Option<Method>, String> {
    let found = Method::ALL.into_iter().find(|method| method.name() == text);
    match (found, text) {
        (Some(method), _) => Ok(Some(method)),
        (None, "auto") => Ok(None),
        (None, _) => {
            let names = Method::ALL.map(Method::name).join(", ");
            Err(format!("expected auto, or one of {names}"))
        }
    }
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number of at least 1".to_owned()),
        Ok(count) => Ok(count),
    }
}

pub(super) fn count_or_zero(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| "expected a whole number".to_owned())
}

pub(super) fn pids(text: &str) -> Result<u32, String> {
    match text.parse() {
        // The container's first process and the one that waits at the gate count too.
        Ok(count) if count >= 4 => Ok(count),
        _ => Err("expected a whole number of at least 4".to_owned()),
    }
}

pub(super) fn cpus(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(count) if count.is_finite() && count >= 0.01 => Ok(count),
        _ => Err("expected a number of processors such as 2 or 0.5".to_owned()),
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// `HOST:CONTAINER`, `HOST:CONTAINER:ro`, `HOST:CONTAINER:rw`; a relative HOST starts from `directory`.
pub(super) fn mount(text: &str, directory: &Path) -> Result<BindMount, String> {
    const WRONG: &str = "expected HOST:CONTAINER or HOST:CONTAINER:rw, CONTAINER absolute";
    let (paths, read_only) = match text.strip_suffix(":rw") {
        Some(paths) => (paths, false),
        None => (text.strip_suffix(":ro").unwrap_or(text), true),
    };
    let (host, container) = paths.rsplit_once(':').ok_or(WRONG)?;
    if host.is_empty() || !container.starts_with('/') {
        return Err(WRONG.to_owned());
    }
    let source = fs_err::canonicalize(directory.join(host)).map_err(|error| error.to_string())?;
    Ok(BindMount {
        source,
        target: container.to_owned(),
        read_only,
    })
}
