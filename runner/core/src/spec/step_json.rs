//! Steps from JSON, as `batch exec` gets them: trusted, so that only their types are checked.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Map, Value};

use super::{Condition, EnvVar, Environment, Mount, Output, OutputFormat, Step};

/// The value of a key: that of the exact key, else of one that differs only in case, as in Go.
/// `null` counts as absent.
pub(crate) fn field<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object
        .get(key)
        .or_else(|| {
            let same = |(k, _): &(&String, &Value)| k.eq_ignore_ascii_case(key);
            object.iter().find(same).map(|(_, value)| value)
        })
        .filter(|value| !value.is_null())
}

/// The object that a value is; the error names it.
pub(crate) fn object<'a>(value: &'a Value, name: &str) -> Result<&'a Map<String, Value>, String> {
    let object = value.as_object();
    object.ok_or_else(|| wrong(name, "an object", value))
}

/// The text of a key, empty if it is absent.
pub(crate) fn text(object: &Map<String, Value>, key: &str) -> Result<String, String> {
    match field(object, key) {
        None => Ok(String::new()),
        Some(value) => string(value, key),
    }
}

/// The boolean of a key, false if it is absent.
pub(crate) fn boolean(object: &Map<String, Value>, key: &str) -> Result<bool, String> {
    match field(object, key) {
        None => Ok(false),
        Some(Value::Bool(b)) => Ok(*b),
        Some(value) => Err(wrong(key, "a boolean", value)),
    }
}

/// The entries of a key, none if it is absent.
pub(crate) fn list<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], String> {
    match field(object, key) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(value) => Err(wrong(key, "an array", value)),
    }
}

pub(crate) fn string(value: &Value, name: &str) -> Result<String, String> {
    let text = value.as_str();
    text.map(str::to_owned)
        .ok_or_else(|| wrong(name, "a string", value))
}

fn wrong(name: &str, wanted: &str, value: &Value) -> String {
    let given = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    format!("{name} has to be {wanted}, not {given}")
}

impl<'de> Deserialize<'de> for Step {
    /// Accepts `env` as object, list or null, and `image` (version 3) where `container` is absent.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).map_err(D::Error::custom)
    }
}

impl Step {
    pub(crate) fn from_json(value: &Value) -> Result<Self, String> {
        let fields = object(value, "step")?;
        let mut step = Self {
            run: text(fields, "run")?,
            container: text(fields, "container")?,
            ..Self::default()
        };
        if step.container.is_empty() {
            step.container = text(fields, "image")?;
        }
        if let Some(env) = field(fields, "env") {
            step.env = environment(env)?;
        }
        if let Some(files) = field(fields, "files") {
            for (target, content) in object(files, "files")? {
                step.files.insert(target.clone(), string(content, target)?);
            }
        }
        if let Some(outputs) = field(fields, "outputs") {
            for (name, value) in object(outputs, "outputs")? {
                step.outputs.insert(name.clone(), output(value, name)?);
            }
        }
        for mount in list(fields, "mount")? {
            let mount = object(mount, "mount")?;
            step.mount.push(Mount {
                path: text(mount, "path")?,
                mountpoint: text(mount, "mountpoint")?,
            });
        }
        step.if_ = match field(fields, "if") {
            None => Condition::Absent,
            Some(Value::Bool(b)) => Condition::Bool(*b),
            Some(value) => Condition::Text(string(value, "if")?),
        };
        Ok(step)
    }
}

fn environment(value: &Value) -> Result<Environment, String> {
    let pairs = |pairs: &Map<String, Value>| -> Result<Vec<EnvVar>, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                Ok(EnvVar::Static {
                    name: name.clone(),
                    value: string(value, name)?,
                })
            })
            .collect()
    };
    let vars = match value {
        Value::Object(object) => pairs(object)?,
        Value::Array(items) => {
            let mut vars = Vec::new();
            for item in items {
                match item {
                    Value::String(name) => vars.push(EnvVar::Forwarded { name: name.clone() }),
                    item => vars.extend(pairs(object(item, "an entry of env")?)?),
                }
            }
            vars
        }
        value => return Err(wrong("env", "an object or an array", value)),
    };
    Ok(Environment { vars })
}

fn output(value: &Value, name: &str) -> Result<Output, String> {
    let fields = object(value, name)?;
    let format = text(fields, "format")?;
    Ok(Output {
        value: text(fields, "value")?,
        format: match format.as_str() {
            "" => None,
            "text" => Some(OutputFormat::Text),
            "json" => Some(OutputFormat::Json),
            "yaml" => Some(OutputFormat::Yaml),
            other => return Err(format!("output {name} has the unknown format {other:?}")),
        },
    })
}
