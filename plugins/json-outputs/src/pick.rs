//! From an object to outputs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Names of outputs with their values: those of the map, or without one all of the object's own.
///
/// # Errors
///
/// The place at which the object has nothing.
pub(crate) fn pick(
    map: &BTreeMap<String, String>,
    object: Map<String, Value>,
) -> Result<Vec<(String, Value)>, String> {
    if map.is_empty() {
        return Ok(object.into_iter().collect());
    }
    let object = Value::Object(object);
    map.iter()
        .map(|(name, place)| match at(&object, place) {
            Some(value) => Ok((name.clone(), value.clone())),
            None => Err(place.clone()),
        })
        .collect()
}

/// The value at `release.files.0`: names and places in lists, joined by dots. A name with a dot in it is found as a whole first.
fn at<'a>(value: &'a Value, place: &str) -> Option<&'a Value> {
    match value {
        Value::Object(object) => {
            if let Some(value) = object.get(place) {
                return Some(value);
            }
            let (name, rest) = place.split_once('.')?;
            at(object.get(name)?, rest)
        }
        Value::Array(list) => match place.split_once('.') {
            Some((number, rest)) => at(list.get(number.parse::<usize>().ok()?)?, rest),
            None => list.get(place.parse::<usize>().ok()?),
        },
        _ => None,
    }
}
