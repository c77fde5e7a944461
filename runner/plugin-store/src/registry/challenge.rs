//! What a registry wants to see before it answers: the header `WWW-Authenticate` (RFC 9110, 11.6.1).

use std::collections::BTreeMap;

/// One way to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A user name and a password.
    Basic,
    /// A token, from this address.
    Bearer {
        /// Where tokens are.
        realm: String,
        /// The name of the service that the token is for.
        service: Option<String>,
    },
}

impl Challenge {
    /// The best way that a header offers; `None` if it offers none we know.
    pub fn read(header: &str) -> Option<Self> {
        let mut challenges: Vec<(String, BTreeMap<String, String>)> = Vec::new();
        for item in items(header) {
            // `Scheme`, `Scheme name=value` or `name=value`.
            let (scheme, parameter) = match item.split_once(char::is_whitespace) {
                Some((scheme, parameter)) if !scheme.contains('=') => (Some(scheme), parameter),
                None if !item.contains('=') => (Some(item), ""),
                _ => (None, item),
            };
            if let Some(scheme) = scheme {
                challenges.push((scheme.to_ascii_lowercase(), BTreeMap::new()));
            }
            if let (Some((_, parameters)), Some((name, value))) =
                (challenges.last_mut(), parameter.split_once('='))
            {
                parameters.insert(name.trim().to_ascii_lowercase(), unquoted(value.trim()));
            }
        }
        let bearer = challenges.iter().find_map(|(scheme, parameters)| {
            let realm = parameters.get("realm")?.clone();
            let service = parameters.get("service").cloned();
            (scheme == "bearer").then_some(Self::Bearer { realm, service })
        });
        let basic = challenges.iter().any(|(scheme, _)| scheme == "basic");
        bearer.or(basic.then_some(Self::Basic))
    }
}

/// The parts between commas, where those in quotes do not count.
fn items(header: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    header
        .split(move |c| {
            let escape = quoted && !escaped && c == '\\';
            if c == '"' && !escaped {
                quoted = !quoted;
            }
            escaped = escape;
            c == ',' && !quoted
        })
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn unquoted(value: &str) -> String {
    let Some(inside) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        })
    }

    #[rstest]
    #[case("Basic realm=\"x, y\"", Some(Challenge::Basic))]
    #[case("basic", Some(Challenge::Basic))]
    #[case(
        r#"Bearer realm="https://a.example/token",service="r.example",scope="repository:x:pull,push""#,
        bearer("https://a.example/token", Some("r.example"))
    )]
    #[case("BEARER Realm=https://a.example", bearer("https://a.example", None))]
    #[case(
        r#"Negotiate, Basic realm="a", Bearer realm="b\"c\\", service="d""#,
        bearer("b\"c\\", Some("d"))
    )]
    #[case("Bearer service=\"x\"", None)]
    #[case("Negotiate", None)]
    #[case("", None)]
    #[case("realm=\"x\"", None)]
    fn challenges_are_read(#[case] header: &str, #[case] expected: Option<Challenge>) {
        assert_eq!(Challenge::read(header), expected);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(header in r#"[A-Za-z=," \\]{0,60}"#) {
            let _ = Challenge::read(&header);
        }

        #[test]
        fn what_is_quoted_is_read_as_it_was(realm in any::<String>(), service in any::<String>(), before in r#"(Basic realm="x", |Negotiate, )?"#) {
            let quoted = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
            let header = format!(r#"{before}Bearer realm="{}",service="{}""#, quoted(&realm), quoted(&service));
            prop_assert_eq!(Challenge::read(&header), bearer(&realm, Some(&service)));
        }
    }
}
