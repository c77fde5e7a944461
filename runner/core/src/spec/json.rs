//! The spec and its steps as JSON, keys in upstream's order (facts/batch-spec.md 1.9).

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::{
    Author, BatchSpec, ChangesetTemplate, Condition, EnvVar, Environment, Group, ImportChangesets,
    Mount, On, Output, OutputFormat, Published, PublishedRule, PublishedValue, Step,
    TransformChanges, WorkspaceRule,
};

/// A map that leaves empty values out, as Go's `omitempty` does.
struct Fields<M>(M);

impl<M: SerializeMap> Fields<M> {
    fn always(
        &mut self,
        key: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), M::Error> {
        self.0.serialize_entry(key, value)
    }

    fn text(&mut self, key: &'static str, text: &str) -> Result<(), M::Error> {
        self.when(!text.is_empty(), key, text)
    }

    fn list<T: Serialize>(&mut self, key: &'static str, items: &[T]) -> Result<(), M::Error> {
        self.when(!items.is_empty(), key, items)
    }

    fn option<T: Serialize>(
        &mut self,
        key: &'static str,
        value: &Option<T>,
    ) -> Result<(), M::Error> {
        match value {
            Some(value) => self.always(key, value),
            None => Ok(()),
        }
    }

    fn when(
        &mut self,
        present: bool,
        key: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), M::Error> {
        if present {
            self.always(key, value)
        } else {
            Ok(())
        }
    }
}

macro_rules! fields {
    ($serializer:expr, |$fields:ident| $body:block) => {{
        let mut $fields = Fields($serializer.serialize_map(None)?);
        $body
        $fields.0.end()
    }};
}

impl Serialize for BatchSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields!(serializer, |fields| {
            fields.when(self.version != 0, "version", &self.version)?;
            fields.text("name", &self.name)?;
            fields.text("description", &self.description)?;
            fields.list("on", &self.on)?;
            fields.list("workspaces", &self.workspaces)?;
            fields.list("steps", &self.steps)?;
            fields.option("transformChanges", &self.transform_changes)?;
            fields.list("importChangesets", &self.import_changesets)?;
            fields.option("changesetTemplate", &self.changeset_template)?;
        })
    }
}

/// One branch is written as `branch`, several as `branches`.
impl Serialize for On {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields!(serializer, |fields| {
            match self {
                Self::Query(query) => fields.text("repositoriesMatchingQuery", query)?,
                Self::Repository { name, branches } => {
                    fields.text("repository", name)?;
                    match branches.as_slice() {
                        [branch] => fields.text("branch", branch)?,
                        branches => fields.list("branches", branches)?,
                    }
                }
            }
        })
    }
}

impl Serialize for WorkspaceRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields!(serializer, |fields| {
            fields.text("rootAtLocationOf", &self.root_at_location_of)?;
            fields.text("in", self.in_.as_deref().unwrap_or_default())?;
            fields.when(self.only_fetch_workspace, "onlyFetchWorkspace", &true)?;
        })
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields!(serializer, |fields| {
            fields.text("run", &self.run)?;
            fields.text("container", &self.container)?;
            fields.always("env", &self.env)?;
            fields.when(!self.files.is_empty(), "files", &self.files)?;
            fields.when(!self.outputs.is_empty(), "outputs", &self.outputs)?;
            fields.list("mount", &self.mount)?;
            match &self.if_ {
                Condition::Absent => {}
                Condition::Bool(b) => fields.always("if", b)?,
                Condition::Text(text) => fields.always("if", text)?,
            }
        })
    }
}

/// Normalised: an object with sorted keys, the last duplicate wins; a list, as written, if a variable
/// is forwarded.
impl Serialize for Environment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_forwarded = |var: &EnvVar| matches!(var, EnvVar::Forwarded { .. });
        if !self.vars.iter().any(is_forwarded) {
            let pairs = self.vars.iter().filter_map(|var| match var {
                EnvVar::Static { name, value } => Some((name, value)),
                EnvVar::Forwarded { .. } => None,
            });
            return serializer.collect_map(pairs.collect::<BTreeMap<_, _>>());
        }
        let mut list = serializer.serialize_seq(Some(self.vars.len()))?;
        for var in &self.vars {
            match var {
                EnvVar::Forwarded { name } => list.serialize_element(name)?,
                EnvVar::Static { name, value } => {
                    list.serialize_element(&BTreeMap::from([(name, value)]))?;
                }
            }
        }
        list.end()
    }
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields!(serializer, |fields| {
            fields.text("value", &self.value)?;
            fields.option("format", &self.format)?;
        })
    }
}

impl Serialize for OutputFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Yaml => "yaml",
        })
    }
}

impl Serialize for Mount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut mount = serializer.serialize_struct("Mount", 2)?;
        mount.serialize_field("mountpoint", &self.mountpoint)?;
        mount.serialize_field("path", &self.path)?;
        mount.end()
    }
}

impl Serialize for TransformChanges {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields!(serializer, |fields| {
            fields.list("group", &self.group)?;
        })
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields!(serializer, |fields| {
            fields.text("directory", &self.directory)?;
            fields.text("branch", &self.branch)?;
            fields.text("repository", self.repository.as_deref().unwrap_or_default())?;
        })
    }
}

impl Serialize for ImportChangesets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields!(serializer, |fields| {
            fields.text("repository", &self.repository)?;
            fields.always("externalIDs", &self.external_ids)?;
        })
    }
}

impl Serialize for ChangesetTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields!(serializer, |fields| {
            fields.text("title", &self.title)?;
            fields.text("body", &self.body)?;
            fields.text("branch", &self.branch)?;
            fields.option("fork", &self.fork)?;
            let (message, author) = (&self.message, &self.author);
            fields.always("commit", &Commit { message, author })?;
            fields.always("published", &self.published)?;
        })
    }
}

/// `changesetTemplate.commit`.
struct Commit<'a> {
    message: &'a str,
    author: &'a Option<Author>,
}

impl Serialize for Commit<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields!(serializer, |fields| {
            fields.text("message", self.message)?;
            fields.option("author", self.author)?;
        })
    }
}

impl Serialize for Author {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields!(serializer, |fields| {
            fields.always("name", &self.name)?;
            fields.always("email", &self.email)?;
        })
    }
}

/// Facts 1.8: one rule for all is its bare value, no rule is `false`, suffixes are lost.
impl Serialize for Published {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.rules.as_slice() {
            [] => serializer.serialize_bool(false),
            [rule] if rule.pattern == "*" => rule.value.serialize(serializer),
            rules => serializer.collect_seq(rules),
        }
    }
}

impl Serialize for PublishedRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(&self.pattern, self.value)])
    }
}

impl Serialize for PublishedValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
            Self::Draft => serializer.serialize_str("draft"),
        }
    }
}
