//! Finding the JSON in what was printed.

use serde_json::{Map, Value};

use crate::config::{Config, From};

/// The object; `None` if there is nothing that looks like one.
///
/// # Errors
///
/// If what must be an object is none: what it is instead.
pub(crate) fn find(config: &Config, printed: &[u8]) -> Result<Option<Map<String, Value>>, String> {
    match config.from {
        From::LastObject => Ok(last_object(printed)),
        From::Marker => marked(config.marker.as_bytes(), printed),
        From::Whole => match printed.trim_ascii() {
            [] => Ok(None),
            text => object(text).map(Some),
        },
    }
}

fn last_object(printed: &[u8]) -> Option<Map<String, Value>> {
    printed
        .rsplit(|&b| b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| line.starts_with(b"{") && line.ends_with(b"}"))
        .find_map(|line| object(line).ok())
}

fn marked(marker: &[u8], printed: &[u8]) -> Result<Option<Map<String, Value>>, String> {
    let mut all: Option<Map<String, Value>> = None;
    for line in printed.split(|&b| b == b'\n') {
        if let Some(text) = line.trim_ascii().strip_prefix(marker) {
            all.get_or_insert_default().extend(object(text)?);
        }
    }
    Ok(all)
}

fn object(text: &[u8]) -> Result<Map<String, Value>, String> {
    let shown = || {
        let text = String::from_utf8_lossy(text);
        let mut shown: String = text.trim().chars().take(60).collect();
        if shown.len() < text.trim().len() {
            shown.push_str("...");
        }
        shown
    };
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(format!("`{}` is JSON, but no object", shown())),
        Err(error) => Err(format!("`{}` is no JSON: {error}", shown())),
    }
}
