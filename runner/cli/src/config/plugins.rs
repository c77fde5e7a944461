//! The `[[plugin]]` tables of a settings file.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use capstan_core::plugin::{Access, Entry, Grants, Limits, OnFailure};
use capstan_plugin_store::{Digest, NotADigest, Source};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, units};

/// Keys of a `[[plugin]]`.
const KEYS: &[&str] = &[
    "name",
    "source",
    "digest",
    "config",
    "grants",
    "limits",
    "on-failure",
    "audit",
];

/// Keys of `grants`.
const GRANTS: &[&str] = &["workspace", "env", "network"];

/// Keys of `limits`.
const LIMITS: &[&str] = &["memory", "cpu", "wall"];

type Value<'i> = Spanned<DeValue<'i>>;

/// Reads the plugins of a file, in its order. Paths among the sources start from the file's directory; unknown keys become
/// warnings. All other settings in the file are passed over.
pub(super) fn read(path: &Path, warnings: &mut Vec<String>) -> Result<Vec<Entry>, ConfigError> {
    parse(&fs_err::read_to_string(path)?, path, warnings)
}

/// The same of the text of the file `path`.
fn parse(text: &str, path: &Path, warnings: &mut Vec<String>) -> Result<Vec<Entry>, ConfigError> {
    let file = DeTable::parse(text).map_err(|error| ConfigError::Parse {
        path: path.to_path_buf(),
        message: error.to_string(),
    })?;
    let mut reader = Reader {
        path,
        text,
        warnings,
    };
    let Some(tables) = file.get_ref().get("plugin") else {
        return Ok(Vec::new());
    };
    let mut entries = Vec::new();
    let mut names = BTreeSet::new();
    for table in reader.array(tables, "plugin", "[[plugin]] tables")? {
        let entry = reader.entry(table)?;
        if !names.insert(entry.name.clone()) {
            let name = &entry.name;
            return Err(reader.wrong(
                &table.span(),
                &format!("there is another plugin called {name:?}: give one of them another name"),
            ));
        }
        entries.push(entry);
    }
    Ok(entries)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    warnings: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn entry(&mut self, value: &Value<'_>) -> Result<Entry, ConfigError> {
        let table = self.table(value, "plugin")?;
        let name = match table.get("name") {
            Some(value) => self.name(value)?,
            None => return Err(self.wrong(&value.span(), "a plugin needs a name")),
        };
        let place = format!("the plugin {name:?}");
        self.known(table, KEYS, &place);
        let Some(source) = table.get("source") else {
            let message = format!("{place} needs a source: a path, https://... or oci://...");
            return Err(self.wrong(&value.span(), &message));
        };
        Ok(Entry {
            source: self.source(source)?,
            digest: self.optional(table, "digest", Self::digest)?,
            config: self
                .optional(table, "config", Self::config)?
                .unwrap_or_else(|| "{}".to_owned()),
            grants: self
                .optional(table, "grants", |reader, value| {
                    reader.grants(value, &place)
                })?
                .unwrap_or_default(),
            limits: self
                .optional(table, "limits", |reader, value| {
                    reader.limits(value, &place)
                })?
                .unwrap_or_default(),
            on_failure: self
                .optional(table, "on-failure", |reader, value| {
                    reader.one_of(
                        value,
                        "on-failure",
                        &[("refuse", OnFailure::Refuse), ("skip", OnFailure::Skip)],
                    )
                })?
                .unwrap_or_default(),
            audit: self
                .optional(table, "audit", |reader, value| reader.flag(value, "audit"))?
                .unwrap_or(false),
            name,
        })
    }

    fn name(&self, value: &Value<'_>) -> Result<String, ConfigError> {
        let name = self.string(value, "name")?;
        let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(is_known) {
            let message = format!(
                "name = {name:?}: a plugin's name is made of lower-case letters, digits and hyphens"
            );
            return Err(self.wrong(&value.span(), &message));
        }
        Ok(name.to_owned())
    }

    /// A path is made absolute: whoever loads the plugin need not know this file.
    fn source(&self, value: &Value<'_>) -> Result<String, ConfigError> {
        let text = self.string(value, "source")?;
        match text.parse() {
            Ok(Source::Path(path)) => {
                let directory = self.path.parent().unwrap_or(Path::new(""));
                let path = directory.join(path);
                let path = std::path::absolute(&path).unwrap_or(path);
                Ok(path.to_string_lossy().into_owned())
            }
            Ok(_) => Ok(text.to_owned()),
            Err(error) => Err(self.wrong(&value.span(), &format!("source: {error}"))),
        }
    }

    fn digest(&mut self, value: &Value<'_>) -> Result<String, ConfigError> {
        self.parsed(value, "digest", |text| {
            let digest: Result<Digest, NotADigest> = text.parse();
            digest
                .map(|digest| digest.to_string())
                .map_err(|_| NotADigest::RULE.to_owned())
        })
    }

    fn config(&mut self, value: &Value<'_>) -> Result<String, ConfigError> {
        self.table(value, "config")?;
        Ok(self.json(value)?.to_string())
    }

    fn json(&self, value: &Value<'_>) -> Result<serde_json::Value, ConfigError> {
        let wrong = |message: &str| self.wrong(&value.span(), message);
        Ok(match value.get_ref() {
            DeValue::String(text) => text.as_ref().into(),
            DeValue::Boolean(flag) => (*flag).into(),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| wrong("the number does not fit into 64 bits"))?
                .into(),
            DeValue::Float(number) => number
                .as_str()
                .parse()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .ok_or_else(|| wrong("JSON, which the plugin gets, has no such number"))?
                .into(),
            DeValue::Datetime(time) => time.to_string().into(),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| self.json(item));
                items.collect::<Result<Vec<_>, _>>()?.into()
            }
            DeValue::Table(table) => {
                let fields = table.iter().map(|(key, value)| {
                    let value = self.json(value)?;
                    Ok((key.get_ref().clone().into_owned(), value))
                });
                serde_json::Value::Object(fields.collect::<Result<_, ConfigError>>()?)
            }
        })
    }

    fn grants(&mut self, value: &Value<'_>, place: &str) -> Result<Grants, ConfigError> {
        let table = self.table(value, "grants")?;
        self.known(table, GRANTS, &format!("the grants of {place}"));
        let access = |reader: &mut Self, value: &Value<'_>| {
            let all = [
                ("none", Access::None),
                ("read", Access::Read),
                ("write", Access::Write),
            ];
            reader.one_of(value, "workspace", &all)
        };
        let names = |reader: &mut Self, value: &Value<'_>| {
            let names = reader.array(value, "env", "names of environment variables")?;
            let names = names.iter().map(|name| reader.string(name, "env"));
            names
                .map(|name| name.map(str::to_owned))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Grants {
            workspace: self
                .optional(table, "workspace", access)?
                .unwrap_or_default(),
            env: self.optional(table, "env", names)?.unwrap_or_default(),
            network: self
                .optional(table, "network", |reader, value| {
                    reader.flag(value, "network")
                })?
                .unwrap_or(false),
        })
    }

    fn limits(&mut self, value: &Value<'_>, place: &str) -> Result<Limits, ConfigError> {
        let table = self.table(value, "limits")?;
        self.known(table, LIMITS, &format!("the limits of {place}"));
        Ok(Limits {
            memory: self.optional(table, "memory", |reader, value| {
                reader.parsed(value, "memory", units::size)
            })?,
            cpu: self.optional(table, "cpu", |reader, value| {
                reader.parsed(value, "cpu", units::duration)
            })?,
            wall: self.optional(table, "wall", |reader, value| {
                reader.parsed(value, "wall", units::duration)
            })?,
        })
    }

    fn optional<'i, T>(
        &mut self,
        table: &DeTable<'i>,
        key: &str,
        read: impl FnOnce(&mut Self, &Value<'i>) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        table.get(key).map(|value| read(self, value)).transpose()
    }

    fn parsed<T>(
        &self,
        value: &Value<'_>,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let text = self.string(value, key)?;
        parse(text)
            .map_err(|error| self.wrong(&value.span(), &format!("{key} = {text:?}: {error}")))
    }

    fn one_of<T: Copy>(
        &self,
        value: &Value<'_>,
        key: &str,
        all: &[(&str, T)],
    ) -> Result<T, ConfigError> {
        let text = self.string(value, key)?;
        let found = all.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<String> = all.iter().map(|(name, _)| format!("{name:?}")).collect();
            let message = format!("{key} = {text:?}: it has to be {}", names.join(" or "));
            self.wrong(&value.span(), &message)
        })
    }

    fn string<'v>(&self, value: &'v Value<'_>, key: &str) -> Result<&'v str, ConfigError> {
        let text = value.get_ref().as_str();
        text.ok_or_else(|| self.wrong(&value.span(), &format!("{key} has to be a string")))
    }

    fn flag(&self, value: &Value<'_>, key: &str) -> Result<bool, ConfigError> {
        let flag = value.get_ref().as_bool();
        flag.ok_or_else(|| self.wrong(&value.span(), &format!("{key} has to be true or false")))
    }

    fn table<'v, 'i>(
        &self,
        value: &'v Value<'i>,
        key: &str,
    ) -> Result<&'v DeTable<'i>, ConfigError> {
        let table = value.get_ref().as_table();
        table.ok_or_else(|| self.wrong(&value.span(), &format!("{key} has to be a table")))
    }

    fn array<'v, 'i>(
        &self,
        value: &'v Value<'i>,
        key: &str,
        of: &str,
    ) -> Result<&'v [Value<'i>], ConfigError> {
        match value.get_ref() {
            DeValue::Array(items) => Ok(items),
            _ => Err(self.wrong(&value.span(), &format!("{key} has to be a list of {of}"))),
        }
    }

    fn known(&mut self, table: &DeTable<'_>, known: &[&'static str], place: &str) {
        for (key, _) in table {
            if !known.contains(&key.get_ref().as_ref()) {
                let what = format!("unknown key {:?} of {place}", key.get_ref());
                let (path, line) = (self.path.display(), self.line(&key.span()));
                let suggestion = super::file::suggestion(known.iter().copied(), key.get_ref());
                self.warnings
                    .push(format!("{path}:{line}: {what} is ignored{suggestion}"));
            }
        }
    }

    fn wrong(&self, span: &Range<usize>, message: &str) -> ConfigError {
        ConfigError::At {
            path: self.path.to_path_buf(),
            line: self.line(span),
            message: message.to_owned(),
        }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        1 + before.filter(|&&byte| byte == b'\n').count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn read_text(text: &str) -> (Result<Vec<Entry>, String>, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.toml");
        fs_err::write(&path, text).unwrap();
        let mut warnings = Vec::new();
        let shown = |text: String| text.replace(&*directory.path().to_string_lossy(), "DIR");
        let entries = read(&path, &mut warnings).map_err(|error| shown(error.to_string()));
        let entries = entries.map(|mut entries| {
            for entry in &mut entries {
                entry.source = shown(std::mem::take(&mut entry.source));
            }
            entries
        });
        (entries, warnings.into_iter().map(shown).collect())
    }

    #[test]
    fn everything_that_can_be_said() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let text = format!(
            r#"
jobs = 4
[[plugin]]
name = "image-policy"
source = "oci://registry.example/policies/image:1.2"
digest = "{digest}"
config = {{ allow = ["docker.io/library/*"], most = 0x10, rate = 0.5, since = 2026-01-02 }}
grants = {{ workspace = "write", env = ["TOKEN"], network = true }}
limits = {{ memory = "64MiB", cpu = "250ms", wall = "2s" }}
on-failure = "skip"
audit = true

[[plugin]]
name = "b2"
source = "plugins/b.wasm"
"#
        );
        let (entries, warnings) = read_text(&text);
        let expected = [
            Entry {
                name: "image-policy".to_owned(),
                source: "oci://registry.example/policies/image:1.2".to_owned(),
                digest: Some(digest),
                config:
                    r#"{"allow":["docker.io/library/*"],"most":16,"rate":0.5,"since":"2026-01-02"}"#
                        .to_owned(),
                grants: Grants {
                    workspace: Access::Write,
                    env: vec!["TOKEN".to_owned()],
                    network: true,
                },
                limits: Limits {
                    memory: Some(64 << 20),
                    cpu: Some(Duration::from_millis(250)),
                    wall: Some(Duration::from_secs(2)),
                },
                on_failure: OnFailure::Skip,
                audit: true,
            },
            Entry {
                name: "b2".to_owned(),
                source: "DIR/plugins/b.wasm".to_owned(),
                digest: None,
                config: "{}".to_owned(),
                grants: Grants::default(),
                limits: Limits::default(),
                on_failure: OnFailure::Refuse,
                audit: false,
            },
        ];
        assert_eq!(entries.unwrap(), expected);
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let head = "[[plugin]]\nname = \"a\"\nsource = \"a.wasm\"\n";
        for (text, expected) in [
            (
                "[plugin]\nname = \"a\"".to_owned(),
                "1: plugin has to be a list of [[plugin]] tables",
            ),
            (
                "[[plugin]]\nsource = \"a.wasm\"".to_owned(),
                "1: a plugin needs a name",
            ),
            (
                "[[plugin]]\nname = \"A\"".to_owned(),
                "2: name = \"A\": a plugin's name is made of lower-case letters, digits and hyphens",
            ),
            (
                "[[plugin]]\nname = \"a\"".to_owned(),
                "1: the plugin \"a\" needs a source: a path, https://... or oci://...",
            ),
            (
                format!("{head}{head}"),
                "4: there is another plugin called \"a\": give one of them another name",
            ),
            (
                format!("{head}digest = \"sha256:12\""),
                "4: digest = \"sha256:12\": it has to be `sha256:` and 64 digits or letters from a to f",
            ),
            (format!("{head}config = 1"), "4: config has to be a table"),
            (
                format!("{head}config = {{ a = inf }}"),
                "4: JSON, which the plugin gets, has no such number",
            ),
            (
                format!("{head}grants = {{ workspace = \"all\" }}"),
                "4: workspace = \"all\": it has to be \"none\" or \"read\" or \"write\"",
            ),
            (
                format!("{head}grants = {{ env = \"A\" }}"),
                "4: env has to be a list of names of environment variables",
            ),
            (
                format!("{head}grants.network = 1"),
                "4: network has to be true or false",
            ),
            (
                format!("{head}[plugin.limits]\nmemory = \"lots\""),
                "5: memory = \"lots\": expected a size such as 512MiB or 2g",
            ),
            (format!("{head}limits.cpu = 5"), "4: cpu has to be a string"),
            (
                format!("{head}on-failure = \"ignore\""),
                "4: on-failure = \"ignore\": it has to be \"refuse\" or \"skip\"",
            ),
            (
                format!("{head}audit = \"yes\""),
                "4: audit has to be true or false",
            ),
        ] {
            let (entries, _) = read_text(&text);
            assert_eq!(
                entries.unwrap_err(),
                format!("DIR/p.toml:{expected}"),
                "{text}"
            );
        }
    }

    #[test]
    fn unknown_keys_warn_with_a_suggestion() {
        let (entries, warnings) = read_text(
            "[[plugin]]\nname = \"a\"\nsource = \"a.wasm\"\nonfailure = \"skip\"\n\
             grants = { envs = [] }\n[plugin.limits]\nfuel = \"1\"\n",
        );
        assert_eq!(entries.unwrap()[0].on_failure, OnFailure::Refuse);
        assert_eq!(
            warnings,
            [
                "DIR/p.toml:4: unknown key \"onfailure\" of the plugin \"a\" is ignored; did you mean \"on-failure\"?",
                "DIR/p.toml:5: unknown key \"envs\" of the grants of the plugin \"a\" is ignored; did you mean \"env\"?",
                "DIR/p.toml:7: unknown key \"fuel\" of the limits of the plugin \"a\" is ignored",
            ]
        );
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let head = "[[plugin]]\nname = \"a\"\nsource = \"a.wasm\"\n";
        for text in [
            format!("{head}config.a = {}", "[".repeat(100_000)),
            format!("{head}config.a = {}", "{a=".repeat(100_000)),
            format!("{head}config{} = 1", ".a".repeat(100_000)),
            format!("{head}[plugin.config{}]", ".a".repeat(100_000)),
        ] {
            let _ = parse(&text, Path::new("p.toml"), &mut Vec::new());
        }
    }

    proptest! {
        #[test]
        fn anything_has_an_answer(
            key in "(name|source|digest|config|grants|limits|on-failure|audit|[a-z]{1,3})",
            value in prop_oneof![r#"[a-z0-9"'.\[\]{}=, -]{0,40}"#, Just("{ a = 1e999 }".to_owned()), Just("{ a = 0xffffffffffffffff }".to_owned())],
            rest in any::<String>(),
        ) {
            let head = "[[plugin]]\nname = \"a\"\nsource = \"a.wasm\"\n";
            for text in [format!("{head}{key} = {value}\n{rest}"), format!("{head}[plugin.{key}]\na = {value}"), rest.clone()] {
                let mut warnings = Vec::new();
                if let Ok(entries) = parse(&text, Path::new("p.toml"), &mut warnings) {
                    for entry in entries {
                        let config: serde_json::Value = serde_json::from_str(&entry.config).unwrap();
                        prop_assert!(config.is_object(), "{config}");
                    }
                }
            }
        }
    }
}
