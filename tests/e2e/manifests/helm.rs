//! The Helm chart, rendered: gtmpl stands in for Go's templates, and what Helm adds to them is here, with Helm's meaning.
//!
//! The chart uses only what means the same in both. In gtmpl `and` and `or` look at all their arguments, an `else` of a `range` always runs, and a range over
//! nothing is an error.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use gtmpl::{Context, Func, FuncError, Template, Value};
use serde_json::Value as Json;

use super::documents::yaml;

pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy/helm/capstan-executor")
}

fn file(name: &str) -> String {
    std::fs::read_to_string(directory().join(name)).unwrap()
}

pub(crate) fn metadata() -> Json {
    yaml(&file("Chart.yaml")).remove(0)
}

pub(crate) fn schema() -> Json {
    serde_json::from_str(&file("values.schema.json")).unwrap()
}

/// `values.yaml`, and what is given over it.
pub(crate) fn values(given: &Json) -> Json {
    let mut values = yaml(&file("values.yaml")).remove(0);
    lay_over(&mut values, given);
    values
}

/// As Helm does it: maps are merged, null takes something away, and all else is replaced.
fn lay_over(values: &mut Json, given: &Json) {
    let (Some(values), Some(given)) = (values.as_object_mut(), given.as_object()) else {
        return;
    };
    for (name, given) in given {
        match values.get_mut(name) {
            Some(_) if given.is_null() => {
                values.remove(name);
            }
            Some(value) if value.is_object() && given.is_object() => lay_over(value, given),
            _ => {
                values.insert(name.clone(), given.clone());
            }
        }
    }
}

/// Each template's name and what becomes of it, under `release` in a namespace.
pub(crate) fn render(release: &str, namespace: &str, given: &Json) -> BTreeMap<String, String> {
    let chart = metadata();
    let context = serde_json::json!({
        "Values": values(given),
        "Release": { "Name": release, "Namespace": namespace, "Service": "Helm" },
        "Chart": {
            "Name": chart["name"],
            "Version": chart["version"],
            "AppVersion": chart["appVersion"],
        },
    });
    let context = Context::from(to_template(&context));
    DEFINITIONS.set(file("templates/_helpers.tpl"));
    let mut rendered = BTreeMap::new();
    for entry in std::fs::read_dir(directory().join("templates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "_helpers.tpl" {
            continue;
        }
        let mut template = template();
        let parsed = template.parse(file(&format!("templates/{name}")));
        parsed.unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let text = template.render(&context);
        let text = text.unwrap_or_else(|problem| panic!("{name}: {problem}"));
        rendered.insert(name, text);
    }
    rendered
}

thread_local! {
    /// What `include` looks into: functions of gtmpl cannot hold anything.
    static DEFINITIONS: RefCell<String> = const { RefCell::new(String::new()) };
}

fn template() -> Template {
    let mut template = Template::default();
    let functions: [(&str, Func); 11] = [
        ("contains", |given| {
            let [part, whole] = texts(given);
            Ok(whole.contains(&part).into())
        }),
        ("default", |given| {
            let [default, value] = given else {
                return Err(FuncError::ExactlyXArgs("default".into(), 2));
            };
            Ok(if is_empty(value) { default } else { value }.clone())
        }),
        ("include", include),
        ("indent", |given| {
            let [width, text] = texts(given);
            Ok(indented(&width, &text).into())
        }),
        ("kindIs", |given| {
            let [kind, _] = texts(given);
            Ok((kind == kind_of(&given[1])).into())
        }),
        ("nindent", |given| {
            let [width, text] = texts(given);
            Ok(format!("\n{}", indented(&width, &text)).into())
        }),
        ("quote", |given| {
            let [text] = texts(given);
            Ok(Json::from(text).to_string().into())
        }),
        ("replace", |given| {
            let [old, new, text] = texts(given);
            Ok(text.replace(&old, &new).into())
        }),
        ("toYaml", |given| {
            let text = serde_saphyr::to_string(&to_json(&given[0])).unwrap();
            Ok(text.trim_end_matches('\n').into())
        }),
        ("trimSuffix", |given| {
            let [suffix, text] = texts(given);
            Ok(text.strip_suffix(&suffix).unwrap_or(&text).into())
        }),
        ("trunc", |given| {
            let [length, text] = texts(given);
            Ok(text[..text.len().min(length.parse().unwrap())].into())
        }),
    ];
    template.add_funcs(&functions);
    template
}

fn include(given: &[Value]) -> Result<Value, FuncError> {
    let [Value::String(name), context] = given else {
        return Err(FuncError::ExactlyXArgs("include".into(), 2));
    };
    let mut template = template();
    let definitions = DEFINITIONS.with_borrow(Clone::clone);
    template.add_template("definitions", definitions).unwrap();
    template
        .parse(format!(r#"{{{{ template "{name}" . }}}}"#))
        .unwrap();
    let text = template.render(&Context::from(context.clone()));
    text.map(Value::from)
        .map_err(|problem| FuncError::Generic(problem.to_string()))
}

/// The arguments as they would be printed.
fn texts<const N: usize>(given: &[Value]) -> [String; N] {
    let texts: Vec<String> = given.iter().map(ToString::to_string).collect();
    texts.try_into().unwrap()
}

fn indented(width: &str, text: &str) -> String {
    let margin = " ".repeat(width.parse().unwrap());
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| format!("{margin}{line}"))
        .collect();
    lines.join("\n")
}

fn is_empty(value: &Value) -> bool {
    match to_json(value) {
        Json::Null => true,
        Json::Bool(flag) => !flag,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match to_json(value) {
        Json::Null => "invalid",
        Json::Bool(_) => "bool",
        Json::Number(_) => "float64",
        Json::String(_) => "string",
        Json::Array(_) => "slice",
        Json::Object(_) => "map",
    }
}

fn to_template(value: &Json) -> Value {
    match value {
        Json::Null => Value::Nil,
        Json::Bool(flag) => (*flag).into(),
        Json::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64().unwrap().into(),
        },
        Json::String(text) => text.into(),
        Json::Array(items) => Value::Array(items.iter().map(to_template).collect()),
        Json::Object(members) => {
            let members = members.iter();
            let members: HashMap<_, _> = members
                .map(|(name, member)| (name.clone(), to_template(member)))
                .collect();
            Value::Map(members)
        }
    }
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::NoValue | Value::Nil => Json::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => serde_json::from_str(&number.to_string()).unwrap(),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Map(members) | Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), to_json(member)))
            .collect(),
        Value::Function(_) => panic!("a function is no value"),
    }
}
