use std::path::Path;
use std::time::Duration;

use super::units::{duration, size};
use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::of(variables)
}

#[test]
fn later_layers_win_and_values_know_their_origin() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("capstan.toml");
    fs_err::write(&file, "jobs = 2\ntimeout = \"2m\"\nmemory = \"1g\"\n").unwrap();
    let environment = environment(&[("CAPSTAN_TIMEOUT", "3m"), ("CAPSTAN_MEMORY", "")]);
    let flags = SettingFlags {
        jobs: Some("4".to_owned()),
        ..SettingFlags::default()
    };
    let config = Config::load(None, &environment, &flags, directory.path()).unwrap();
    assert_eq!(config.jobs, Some(4));
    assert_eq!(config.timeout, Duration::from_secs(180));
    assert_eq!(
        config.memory,
        Some(1 << 30),
        "an empty variable counts as unset"
    );
    assert_eq!(config.origins["jobs"].1, Origin::Flag("jobs"));
    assert_eq!(
        config.origins["timeout"].1,
        Origin::Environment("CAPSTAN_TIMEOUT")
    );
    assert_eq!(config.origins["memory"].1, Origin::File(file));
    assert_eq!(config.origins["prepare-ahead"].1, Origin::Default);
}

#[test]
fn unknown_keys_warn_with_a_suggestion() {
    let directory = tempfile::tempdir().unwrap();
    fs_err::write(directory.path().join("capstan.toml"), "job = 2\n").unwrap();
    let flags = SettingFlags::default();
    let config = Config::load(None, &environment(&[]), &flags, directory.path()).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(
        config.warnings[0].ends_with("unknown setting \"job\" is ignored; did you mean \"jobs\"?")
    );
}

#[test]
fn a_bad_value_is_told_with_its_origin() {
    let flags = SettingFlags::default();
    let environment = environment(&[("CAPSTAN_MEMORY", "lots")]);
    let error = Config::load(None, &environment, &flags, Path::new("/")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "memory = \"lots\" from the environment variable CAPSTAN_MEMORY: \
         expected a size such as 512MiB or 2g"
    );
}

#[test]
fn durations() {
    for (text, millis) in [
        ("90s", 90_000),
        ("1h30m", 5_400_000),
        ("1.5h", 5_400_000),
        ("250ms", 250),
        ("1m0s", 60_000),
    ] {
        assert_eq!(
            duration(text).unwrap(),
            Duration::from_millis(millis),
            "{text}"
        );
    }
    for text in ["", "5", "s", "1d", "0s", "-1s", "1e400s"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn sizes() {
    for (text, bytes) in [
        ("512MiB", 512 << 20),
        ("2g", 2 << 30),
        ("1000", 1000),
        ("1.5k", 1536),
        ("1 GB", 1 << 30),
    ] {
        assert_eq!(size(text).unwrap(), bytes, "{text}");
    }
    for text in ["", "g", "0", "-1", "5x"] {
        assert!(size(text).is_err(), "{text}");
    }
}

#[test]
fn the_documentation_has_every_setting() {
    let documentation = fs_err::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/configuration.md"
    ))
    .unwrap();
    for setting in SETTINGS {
        let default = setting
            .default
            .map_or(String::new(), |default| format!("`{default}`"));
        let row = format!(
            "| `{}` | `{}` | {default} | {} |",
            setting.key, setting.environment, setting.about
        );
        assert!(
            documentation.contains(&row),
            "docs/configuration.md lacks this row:\n{row}"
        );
    }
}

#[test]
fn another_file_of_plugins_takes_the_place_of_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs_err::write(directory.path().join(name), text).unwrap();
    let plugin = |name: &str| format!("[[plugin]]\nname = \"{name}\"\nsource = \"{name}.wasm\"\n");
    write("capstan.toml", &format!("jobs = 2\n{}", plugin("a")));
    write(
        "other.toml",
        &format!("jobs = 9\n{}{}", plugin("c"), plugin("b")),
    );
    let load = |plugins: Option<&str>| {
        let flags = SettingFlags {
            plugins: plugins.map(str::to_owned),
            ..SettingFlags::default()
        };
        let config = Config::load(None, &environment(&[]), &flags, directory.path()).unwrap();
        let names: Vec<String> = config.plugins.into_iter().map(|entry| entry.name).collect();
        (names.join(" "), config.jobs, config.warnings)
    };
    assert_eq!(load(None), ("a".to_owned(), Some(2), Vec::new()));
    assert_eq!(
        load(Some("other.toml")),
        ("c b".to_owned(), Some(2), Vec::new())
    );
}

#[test]
fn a_file_of_plugins_that_is_missing_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment(&[("CAPSTAN_PLUGINS", "gone.toml")]);
    let flags = SettingFlags::default();
    let error = Config::load(None, &environment, &flags, directory.path()).unwrap_err();
    assert!(error.to_string().contains("gone.toml"), "{error}");
}
