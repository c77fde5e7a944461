//! The files of a Secret in a volume.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::volumes::give_to_group;
use crate::cluster::resource::Kind;
use crate::cluster::state::Shared;
use crate::cluster::store::list;
use crate::privilege::as_root;

/// Writes the files of a Secret into a directory, or says what is missing.
pub(super) fn write(
    shared: &Shared,
    spec: &Value,
    path: &Path,
    group: Option<i64>,
) -> Result<(), String> {
    let name = spec["secretName"].as_str().unwrap_or_default();
    let is_optional = spec["optional"] == true;
    let secret = shared.lock().store.get(Kind::Secret, name).cloned();
    let data = match secret {
        Some(secret) => secret["data"].clone(),
        None if is_optional => Value::Null,
        None => return Err(format!("secret {name:?} not found")),
    };
    let default = spec["defaultMode"].as_u64().unwrap_or(0o644);
    let mut files = Vec::new();
    if list(&spec["items"]).next().is_none() {
        let all = data.as_object().into_iter().flatten();
        files.extend(all.map(|(key, value)| (key.clone(), value.clone(), default)));
    }
    for item in list(&spec["items"]) {
        let text = |field: &str| item[field].as_str().unwrap_or_default();
        let Some(value) = data.get(text("key")) else {
            if is_optional {
                continue;
            }
            return Err(format!(
                "references non-existent secret key: {}",
                text("key")
            ));
        };
        let mode = item["mode"].as_u64().unwrap_or(default);
        files.push((text("path").to_owned(), value.clone(), mode));
    }
    let written = write_files(&files, path);
    written.map_err(|error| format!("{}: {error}", path.display()))?;
    let owned = as_root("chown").args(["-R", "0:0"]).arg(path).status();
    assert!(owned.expect("chown runs").success(), "{}", path.display());
    if let Some(group) = group {
        give_to_group(path, group, "g+rX");
    }
    Ok(())
}

fn write_files(files: &[(String, Value, u64)], path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)?;
    for (name, value, mode) in files {
        let bytes = STANDARD.decode(value.as_str().unwrap_or_default());
        let file = path.join(name);
        fs::create_dir_all(file.parent().expect("it is below"))?;
        fs::write(&file, bytes.expect("it was looked at before"))?;
        let mode = u32::try_from(*mode).expect("it is a mode");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}
