//! Values as the executor's variables have them: in Go's spelling.

use std::path::PathBuf;
use std::time::Duration;

use capstan_engine::docker::Mirror;
use capstan_engine::sandbox::BindMount;
use capstan_protocol::DockerAuthConfig;

/// `90s`, `1h30m`, `1.5h`, `250ms`, `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const WRONG: &str = "expected a duration such as 90s, 30m or 1h30m";
    let wrong = || WRONG.to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = 0.0;
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        total += number
            * match &rest[..letters] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(wrong()),
            };
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(total).map_err(|_| wrong())
}

/// As Go's `ParseBool` reads it.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// Credentials for registries.
pub(super) fn docker_auth(text: &str) -> Result<DockerAuthConfig, String> {
    let decoded = DockerAuthConfig::decode(text.as_bytes());
    decoded.map_err(|error| format!("failed to parse: {error}"))
}

/// A whole number of at least `least`.
pub(super) fn number(text: &str, least: u32) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!("expected a whole number of at least {least}")),
    }
}

/// An address to listen at: `:8080`, `127.0.0.1:8080`, `[::1]:8080`.
pub(super) fn address(text: &str) -> Result<String, String> {
    let wrong = || "expected an address such as :8080 or 127.0.0.1:8080".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    port.parse::<u16>().map_err(|_| wrong())?;
    Ok(match host {
        "" => format!("0.0.0.0:{port}"),
        _ => text.to_owned(),
    })
}

/// An absolute path.
pub(super) fn absolute(text: &str) -> Result<PathBuf, String> {
    match text.starts_with('/') {
        true => Ok(PathBuf::from(text)),
        false => Err(format!("{text:?} is no absolute path")),
    }
}

/// Registries, separated by commas.
pub(super) fn mirrors(text: &str) -> Result<Vec<Mirror>, String> {
    let all = text.split(',').map(str::trim);
    all.filter(|mirror| !mirror.is_empty())
        .map(Mirror::parse)
        .collect()
}

/// Mounts as `docker run --mount` takes them, separated by `;`. Of the kinds there are, only bind mounts are known.
pub(super) fn mounts(text: &str) -> Result<Vec<(String, BindMount)>, String> {
    let specs = text
        .split(';')
        .map(str::trim)
        .filter(|spec| !spec.is_empty());
    specs
        .map(|spec| Ok((spec.to_owned(), mount(spec)?)))
        .collect()
}

fn mount(spec: &str) -> Result<BindMount, String> {
    let (mut kind, mut source, mut target, mut read_only) = (None, None, None, false);
    for field in spec.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, "true"));
        match key.trim() {
            "type" => kind = Some(value),
            "source" | "src" => source = Some(value),
            "target" | "dst" | "destination" => {
                if target.replace(value).is_some() {
                    return Err(format!(
                        "{spec:?} has more than one target; mounts are separated by `;`"
                    ));
                }
            }
            "readonly" | "ro" => read_only = boolean(value)?,
            "bind-propagation" | "consistency" => {}
            other => return Err(format!("{spec:?}: {other:?} is not supported")),
        }
    }
    if kind != Some("bind") {
        return Err(format!("{spec:?}: only type=bind is supported"));
    }
    let (Some(source), Some(target)) = (source, target) else {
        return Err(format!("{spec:?} needs a source and a target"));
    };
    if !source.starts_with('/') || !target.starts_with('/') {
        return Err(format!("{spec:?}: source and target have to be absolute"));
    }
    Ok(BindMount {
        source: PathBuf::from(source),
        target: target.to_owned(),
        read_only,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_has_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            ("30m0s", 1_800_000),
            ("2000us", 2),
            ("2000µs", 2),
        ] {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
        for text in ["", "5", "s", "1d", "-1s", "1e9h", "1h 30m", "+"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(address(":8080").unwrap(), "0.0.0.0:8080");
        assert_eq!(address("[::1]:0").unwrap(), "[::1]:0");
        for text in ["8080", ":", ":http", "host:99999"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn mounts_as_docker_has_them() {
        let all =
            mounts("type=bind,source=/a,target=/b,readonly; type=bind,src=/c,dst=/d").unwrap();
        let shown: Vec<_> = all
            .iter()
            .map(|(_, mount)| {
                (
                    mount.source.to_str().unwrap(),
                    &*mount.target,
                    mount.read_only,
                )
            })
            .collect();
        assert_eq!(shown, [("/a", "/b", true), ("/c", "/d", false)]);
        for (text, reason) in [
            (
                "type=bind,source=/a,target=/b,type=bind,source=/c,target=/d",
                "more than one target",
            ),
            ("type=volume,source=a,target=/b", "only type=bind"),
            ("source=/a,target=/b", "only type=bind"),
            ("type=bind,target=/b", "needs a source"),
            ("type=bind,source=a,target=/b", "absolute"),
            (
                "type=bind,source=/a,target=/b,volume-opt=x",
                "\"volume-opt\" is not supported",
            ),
        ] {
            let error = mounts(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
