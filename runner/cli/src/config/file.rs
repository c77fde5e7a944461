//! The settings file.

use std::path::{Path, PathBuf};

use super::{ConfigError, Environment, Origin, SETTINGS, Values};

/// The file to read: the one asked for, else `capstan.toml` in `directory`, else the user's.
pub(super) fn find(
    asked: Option<&Path>,
    environment: &Environment,
    directory: &Path,
) -> Option<PathBuf> {
    if let Some(path) = asked {
        return Some(directory.join(path));
    }
    let user = environment
        .get("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| {
            environment
                .get("HOME")
                .map(|home| Path::new(home).join(".config"))
        })
        .map(|base| base.join("capstan/capstan.toml"));
    [Some(directory.join("capstan.toml")), user]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
}

/// Reads the settings of a file; unknown keys become warnings. Its plugins are read by [`super::plugins`].
pub(super) fn read(path: &Path, warnings: &mut Vec<String>) -> Result<Values, ConfigError> {
    let text = fs_err::read_to_string(path)?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| ConfigError::Parse {
        path: path.to_path_buf(),
        message: error.to_string(),
    })?;
    let mut values = Values::new();
    for (key, value) in table {
        if key == "plugin" {
            continue;
        }
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            warnings.push(unknown(path, &key));
            continue;
        };
        let wrong = || ConfigError::Parse {
            path: path.to_path_buf(),
            message: format!(
                "{key} has to be {}",
                if setting.list {
                    "a list of strings"
                } else {
                    "a single value"
                }
            ),
        };
        let text = match value {
            toml::Value::Array(items) if setting.list => items
                .iter()
                .map(|item| item.as_str().ok_or_else(wrong))
                .collect::<Result<Vec<_>, _>>()?
                .join("\n"),
            _ if setting.list => return Err(wrong()),
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            _ => return Err(wrong()),
        };
        values.insert(setting.key, (text, Origin::File(path.to_path_buf())));
    }
    Ok(values)
}

fn unknown(path: &Path, key: &str) -> String {
    let keys = SETTINGS.iter().map(|setting| setting.key);
    format!(
        "{}: unknown setting {key:?} is ignored{}",
        path.display(),
        suggestion(keys.chain(["plugin"]), key)
    )
}

/// The end of a message about an unknown key; empty if no known one is like it.
pub(super) fn suggestion(known: impl Iterator<Item = &'static str>, key: &str) -> String {
    let distance = |known: &str| strsim::damerau_levenshtein(known, key);
    let nearest = known.map(|known| (distance(known), known)).min();
    // Of a short key nothing would be left.
    let most = key.len().div_ceil(2).min(3);
    match nearest.filter(|(distance, _)| *distance <= most) {
        Some((_, nearest)) => format!("; did you mean {nearest:?}?"),
        None => String::new(),
    }
}
