//! What a JSON schema says of a value. A keyword that is not known here is an error, so that nothing is passed over.

use regex_lite::Regex;
use serde_json::Value;

/// All that is wrong with `value`, with the path to it.
pub(crate) fn violations(root: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Checker { root }.check(root, value, "", &mut found);
    found
}

struct Checker<'s> {
    root: &'s Value,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let keywords = match schema {
            Value::Object(keywords) => keywords,
            Value::Bool(true) => return,
            _ => return found.push(format!("{at}: nothing may be here")),
        };
        let mut wrong = |what: String| found.push(format!("{at}: {what}"));
        for (keyword, says) in keywords {
            match keyword.as_str() {
                "type" if !is_of(says, value) => wrong(format!("{value} is not of type {says}")),
                "enum" if !list(says).contains(value) => {
                    wrong(format!("{value} is not one of {says}"));
                }
                "pattern" => {
                    let pattern = Regex::new(says.as_str().unwrap()).unwrap();
                    if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                        wrong(format!("{value} does not match {says}"));
                    }
                }
                "minLength" if value.as_str().is_some_and(|text| text.len() < size(says)) => {
                    wrong(format!("{value} is too short"));
                }
                "minimum" if value.as_i64() < says.as_i64() && value.is_i64() => {
                    wrong(format!("{value} is less than {says}"));
                }
                "maximum" if value.as_i64() > says.as_i64() => {
                    wrong(format!("{value} is more than {says}"));
                }
                "required" => {
                    for name in list(says) {
                        let name = name.as_str().unwrap();
                        if value.as_object().is_some_and(|it| !it.contains_key(name)) {
                            wrong(format!("{name} is missing"));
                        }
                    }
                }
                _ => {}
            }
        }
        for (keyword, says) in keywords {
            match keyword.as_str() {
                "$ref" => self.check(self.resolve(says), value, at, found),
                "allOf" => {
                    for part in list(says) {
                        self.check(part, value, at, found);
                    }
                }
                "not" if violations_of(self, says, value).is_empty() => {
                    found.push(format!("{at}: {value} may not be here"));
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(says, item, &format!("{at}/{index}"), found);
                    }
                }
                "properties" | "additionalProperties" | "propertyNames" => {
                    for (name, member) in value.as_object().into_iter().flatten() {
                        let at = format!("{at}/{name}");
                        let own = keywords.get("properties").and_then(|known| known.get(name));
                        match (keyword.as_str(), own) {
                            ("properties", Some(own)) => self.check(own, member, &at, found),
                            ("additionalProperties", None) => self.check(says, member, &at, found),
                            ("propertyNames", _) => {
                                self.check(says, &Value::from(name.as_str()), &at, found);
                            }
                            _ => {}
                        }
                    }
                }
                "type" | "enum" | "pattern" | "minLength" | "minimum" | "maximum" | "required"
                | "not" => {}
                "$schema" | "$defs" | "definitions" | "title" | "description" | "default"
                | "format" => {}
                other if other.starts_with("x-kubernetes-") => {}
                other => panic!("{at}: the keyword {other} is not known"),
            }
        }
    }

    fn resolve(&self, reference: &Value) -> &Value {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        let target = self.root.pointer(pointer);
        target.unwrap_or_else(|| panic!("{pointer} leads nowhere"))
    }
}

fn violations_of(checker: &Checker<'_>, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    checker.check(schema, value, "", &mut found);
    found
}

fn is_of(types: &Value, value: &Value) -> bool {
    let one = |name: &Value| match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    };
    match types {
        Value::Array(types) => types.iter().any(one),
        name => one(name),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn size(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}
