//! The environment of a container, and what is replaced in its command.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::cluster::resource::Kind;
use crate::cluster::scheduler::NODE;
use crate::cluster::state::Shared;
use crate::cluster::store::list;

/// What every container finds.
const OF_THE_CLUSTER: [(&str, &str); 8] = [
    ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
    ("KUBERNETES_SERVICE_PORT", "443"),
    ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
    ("KUBERNETES_PORT", "tcp://10.96.0.1:443"),
    ("KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"),
    ("KUBERNETES_PORT_443_TCP_PROTO", "tcp"),
    ("KUBERNETES_PORT_443_TCP_PORT", "443"),
    ("KUBERNETES_PORT_443_TCP_ADDR", "10.96.0.1"),
];

/// Names and values, in order. A later one of the same name counts.
pub(super) type Variables = Vec<(String, String)>;

/// The variables of a container, or why it cannot have them.
pub(super) fn of(shared: &Shared, pod: &Value, spec: &Value) -> Result<Variables, String> {
    let of_cluster = OF_THE_CLUSTER.iter();
    let mut variables: Variables = of_cluster
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    for variable in list(&spec["env"]) {
        let name = variable["name"].as_str().unwrap_or_default().to_owned();
        let source = &variable["valueFrom"];
        let value = if let Some(key) = source.get("secretKeyRef") {
            from_secret(shared, key)?
        } else if let Some(field) = source.get("fieldRef") {
            Some(from_pod(
                pod,
                field["fieldPath"].as_str().unwrap_or_default(),
            )?)
        } else {
            let text = variable["value"].as_str().unwrap_or_default();
            Some(expand(text, &variables))
        };
        variables.extend(value.map(|value| (name, value)));
    }
    Ok(variables)
}

fn from_secret(shared: &Shared, wanted: &Value) -> Result<Option<String>, String> {
    let text = |field: &str| wanted[field].as_str().unwrap_or_default();
    let (name, key) = (text("name"), text("key"));
    let is_optional = wanted["optional"] == true;
    let state = shared.lock();
    let Some(secret) = state.store.get(Kind::Secret, name) else {
        return match is_optional {
            true => Ok(None),
            false => Err(format!("secret {name:?} not found")),
        };
    };
    match secret["data"][key].as_str() {
        Some(data) => {
            let bytes = STANDARD.decode(data).expect("it was looked at before");
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
        None if is_optional => Ok(None),
        None => Err(format!("couldn't find key {key} in Secret capstan/{name}")),
    }
}

fn from_pod(pod: &Value, path: &str) -> Result<String, String> {
    let map = path
        .strip_suffix("']")
        .and_then(|path| path.split_once("['"));
    let found = match (path, map) {
        (_, Some((path, key))) => {
            let pointer = format!("/{}", path.replace('.', "/"));
            pod.pointer(&pointer).map(|map| &map[key])
        }
        ("spec.nodeName", _) => return Ok(NODE.to_owned()),
        ("status.podIP" | "status.hostIP", _) => return Ok("127.0.0.1".to_owned()),
        _ => pod.pointer(&format!("/{}", path.replace('.', "/"))),
    };
    let text = found.and_then(Value::as_str);
    text.map(str::to_owned)
        .ok_or_else(|| format!("unsupported fieldPath: {path}"))
}

/// Replaces `$(NAME)` by a variable that there is; `$$` is a dollar.
pub(super) fn expand(text: &str, variables: &Variables) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded += before;
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
            continue;
        }
        let reference = rest
            .strip_prefix('(')
            .and_then(|after| after.split_once(')'));
        let known = reference.and_then(|(name, after)| {
            let mut latest = variables.iter().rev();
            let (_, value) = latest.find(|(other, _)| other == name)?;
            Some((value, after))
        });
        match known {
            Some((value, after)) => {
                expanded += value;
                rest = after;
            }
            None => expanded.push('$'),
        }
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn only_what_is_known_is_replaced() {
        let variables = vec![("A".to_owned(), "1".to_owned())];
        for (text, expanded) in [
            ("$(A)-$(B)", "1-$(B)"),
            ("$$(A) $$$$ $A $", "$(A) $$ $A $"),
            ("$(A", "$(A"),
            ("echo $(date)", "echo $(date)"),
        ] {
            assert_eq!(expand(text, &variables), expanded);
        }
    }
}
