//! What a request asks for.

use axum::http::{Method, Uri};

use super::super::resource::Kind;

/// Parameters that belong to every verb.
const ALWAYS: &[&str] = &["pretty"];

/// A path of the API that is served.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    /// Whether it is about what the containers of a pod say.
    pub(super) is_log: bool,
}

impl Target {
    pub(super) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let (version, rest) = match &*parts {
            ["api", version, rest @ ..] => ((*version).to_owned(), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let (plural, name, sub) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, sub] => (*plural, Some(*name), Some(*sub)),
            _ => return None,
        };
        let kind = Kind::of(&version, plural)?;
        let is_log = match sub {
            None => false,
            Some("log") if kind == Kind::Pod => true,
            Some(_) => return None,
        };
        let target = Self {
            kind,
            namespace,
            name: name.map(decoded),
            is_log,
        };
        (kind.is_namespaced() == target.namespace.is_some()).then_some(target)
    }

    /// As a role names it.
    pub(super) fn resource(&self) -> String {
        let suffix = if self.is_log { "/log" } else { "" };
        format!("{}{suffix}", self.kind.plural())
    }

    /// As a role names it; `None` if nothing there takes this method.
    pub(super) fn verb(&self, method: &Method, query: &Query) -> Option<&'static str> {
        let verb = match (method.as_str(), &self.name) {
            ("GET", Some(_)) => "get",
            ("GET", None) if query.is_true("watch") => "watch",
            ("GET", None) => "list",
            ("POST", None) => "create",
            ("PATCH", Some(_)) => "patch",
            ("DELETE", Some(_)) => "delete",
            _ => return None,
        };
        match self.kind {
            _ if self.is_log => (verb == "get").then_some(verb),
            Kind::Review => (verb == "create").then_some(verb),
            Kind::Event | Kind::StorageClass => {
                matches!(verb, "get" | "list" | "watch").then_some(verb)
            }
            Kind::Pod => (verb != "create").then_some(verb),
            Kind::Job | Kind::Secret => Some(verb),
        }
    }
}

/// Which parameters a verb has.
pub(super) fn parameters(verb: &str, is_log: bool) -> Vec<&'static str> {
    let own: &[&str] = match verb {
        "get" if is_log => &[
            "container",
            "follow",
            "sinceSeconds",
            "sinceTime",
            "timestamps",
            "tailLines",
            "limitBytes",
            "previous",
        ],
        "get" => &["resourceVersion"],
        "list" | "watch" => &[
            "labelSelector",
            "fieldSelector",
            "limit",
            "continue",
            "resourceVersion",
            "resourceVersionMatch",
            "timeoutSeconds",
            "watch",
            "allowWatchBookmarks",
            "sendInitialEvents",
        ],
        "create" => &["dryRun", "fieldManager", "fieldValidation"],
        "patch" => &["dryRun", "fieldManager", "fieldValidation", "force"],
        _ => &["dryRun", "gracePeriodSeconds", "propagationPolicy"],
    };
    [ALWAYS, own].concat()
}

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&');
        let pairs = pairs.filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        });
        Self(pairs.collect())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Empty is as good as not there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found
            .map(|(_, value)| &**value)
            .filter(|value| !value.is_empty())
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

/// Without the escapes of URLs.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let escaped = escaped.and_then(|two| std::str::from_utf8(two).ok());
        match escaped.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
