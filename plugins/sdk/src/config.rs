//! The plugin's own configuration, as its operator wrote it in `config = { ... }`.

use crate::host;

/// All of it as the text of one JSON object; `{}` where nothing was configured.
pub fn json() -> String {
    host::config::json()
}

/// One value of its top level: a string as it is, anything else as JSON text; none if the key is absent.
pub fn get(key: &str) -> Option<String> {
    host::config::get(key)
}

/// The whole configuration as a type of the plugin's own.
///
/// Types that `#[serde(deny_unknown_fields)]` tell an operator of a misspelt key.
///
/// # Errors
///
/// If the configuration does not fit the type: code `config`, and a message that says which key and why.
#[cfg(feature = "serde")]
pub fn config<T: serde::de::DeserializeOwned>() -> crate::Result<T> {
    let json = json();
    let mut reader = serde_json::Deserializer::from_str(&json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.inner().to_string();
        // The position is one in the JSON text, which the operator did not write.
        let reason = match reason.rfind(" at line ") {
            Some(end) => &reason[..end],
            None => &reason,
        };
        crate::Error::new(
            "config",
            match path.as_str() {
                "." => format!("the configuration is not understood: {reason}"),
                path => format!("the configuration is not understood at `{path}`: {reason}"),
            },
        )
    })
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use crate::test;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    #[expect(dead_code, reason = "only the errors are looked at")]
    struct Settings {
        max_files: Option<u32>,
        #[serde(default)]
        rules: Vec<Rule>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only the errors are looked at")]
    struct Rule {
        name: String,
    }

    #[test]
    fn errors_name_the_key_and_the_reason() {
        for (json, message) in [
            (
                r#"{"max-files": "many"}"#,
                "at `max-files`: invalid type: string \"many\", expected u32",
            ),
            (
                r#"{"rules": [{"name": "a"}, {"name": 7}]}"#,
                "at `rules[1].name`: invalid type: integer `7`, expected a string",
            ),
            (
                r#"{"max-fils": 7}"#,
                "at `max-fils`: unknown field `max-fils`, expected `max-files` or `rules`",
            ),
        ] {
            test::config(json);
            let error = super::config::<Settings>().unwrap_err();
            assert_eq!(error.code, "config");
            assert_eq!(
                error.message,
                format!("the configuration is not understood {message}")
            );
        }
    }
}
