use super::*;
use crate::value::Value;
use proptest::prelude::*;

/// The document in JSON-like text, with kinds told apart.
fn show(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "null".to_owned(),
        Kind::Bool(b) => b.to_string(),
        Kind::Int(n) => n.to_string(),
        Kind::Unsigned(n) => format!("{n}u"),
        Kind::Float(n) => format!("{n:?}f"),
        Kind::Time(t) => time::rfc3339(*t),
        Kind::String(text) => format!("{text:?}"),
        Kind::List(items) => {
            let items: Vec<_> = items.iter().map(show).collect();
            format!("[{}]", items.join(" "))
        }
        Kind::Map(entries) => {
            let pairs = entries.iter();
            let pairs: Vec<_> = pairs
                .map(|e| format!("{}: {}", show(&e.key), show(&e.value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

fn read(text: &str) -> String {
    match load(text.as_bytes()) {
        Ok(Some(node)) => show(&node),
        Ok(None) => "nothing".to_owned(),
        Err(e) => e.to_string(),
    }
}

#[test]
fn scalars_have_the_types_of_go_yaml() {
    for (text, want) in [
        ("yes", r#""yes""#),
        ("no", r#""no""#),
        ("on", r#""on""#),
        ("off", r#""off""#),
        ("y", r#""y""#),
        ("True", "true"),
        ("TRUE", "true"),
        ("tRUE", r#""tRUE""#),
        ("~", "null"),
        ("NULL", "null"),
        ("nil", r#""nil""#),
        ("017", "15"),
        ("-017", "-15"),
        ("08", "8.0f"),
        ("0o17", "15"),
        ("0b11", "3"),
        ("-0b11", "-3"),
        ("0x1F", "31"),
        ("0X1f", "31"),
        ("1_000", "1000"),
        ("+12", "12"),
        ("- 12", "[12]"),
        ("-", "[null]"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551615", "18446744073709551615u"),
        ("99999999999999999999", "1e20f"),
        ("1.0", "1.0f"),
        ("1.", "1.0f"),
        (".5", "0.5f"),
        ("1e3", "1000.0f"),
        ("1e999", r#""1e999""#),
        ("1_0.5", "10.5f"),
        (".inf", "inff"),
        ("-.INF", "-inff"),
        (".nan", "NaNf"),
        (".", r#"".""#),
        ("1.2.3", r#""1.2.3""#),
        ("0x", r#""0x""#),
        ("1:30", r#""1:30""#),
        ("2024-01-02", "2024-01-02T00:00:00Z"),
        ("'2024-01-02'", r#""2024-01-02""#),
        ("\"017\"", r#""017""#),
        ("!!str 017", r#""017""#),
        ("!!int \"017\"", "15"),
        ("!!float 1", "1.0f"),
        ("!!binary aGk=", r#""hi""#),
        (
            "!!int x",
            "yaml: unmarshal errors:\n  line 1: cannot decode !!str `x` as a !!int",
        ),
        (
            "!secret x",
            "yaml: unmarshal errors:\n  line 1: cannot decode !!str `x` as a !secret",
        ),
    ] {
        assert_eq!(read(text), want, "{text}");
    }
}

#[test]
fn documents() {
    for (text, want) in [
        ("", "nothing"),
        ("# only a comment\n", "nothing"),
        ("---\n", "null"),
        ("a: 1\n---\nb: [", "{\"a\": 1}"),
        (
            "\u{feff}a: 1\r\nb: |\r\n  x\r\n  y\r\n",
            r#"{"a": 1, "b": "x\ny\n"}"#,
        ),
        (
            r#"{"a": [1, 2.5, null, true], "b": {}}"#,
            r#"{"a": [1 2.5f null true], "b": {}}"#,
        ),
        ("a: &x {k: 1}\nb: *x\n", r#"{"a": {"k": 1}, "b": {"k": 1}}"#),
        ("a: [\n  b,\n]\n", r#"{"a": ["b"]}"#),
        ("a:\n- 1\n- 2\n", r#"{"a": [1 2]}"#),
        ("1: x\n", r#"{1: "x"}"#),
        ("run: |\n  a\n  \tb\n", r#"{"run": "a\n\tb\n"}"#),
        (
            "{\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n}\n",
            r#"{"a": {"b": 1}}"#,
        ),
        ("a: >-\n  b\n  c\n", r#"{"a": "b c"}"#),
    ] {
        assert_eq!(read(text), want, "{text}");
    }
}

#[test]
fn merge_keys() {
    for (text, want) in [
        (
            "b: &b {x: 1, y: 2}\na:\n  x: 9\n  <<: *b\n",
            r#"{"b": {"x": 1, "y": 2}, "a": {"x": 9, "y": 2}}"#,
        ),
        (
            "a:\n  <<: [{x: 1}, {x: 2, y: 3}]\n",
            r#"{"a": {"x": 1, "y": 3}}"#,
        ),
        ("a: {'<<': 1}\n", r#"{"a": {"<<": 1}}"#),
        (
            "a:\n  <<: 1\n",
            "yaml: line 2: map merge requires map or sequence of maps as the value",
        ),
    ] {
        assert_eq!(read(text), want, "{text}");
    }
}

#[test]
fn refused() {
    for (text, want) in [
        (
            "name: a\nname: b\nname: c\n",
            "yaml: unmarshal errors:\n  line 2: mapping key \"name\" already defined at line 1\n  line 3: mapping key \"name\" already defined at line 1",
        ),
        (
            "name: x\n\tdescription: y\n",
            "yaml: line 2: found a tab character that violates indentation",
        ),
        (
            "steps:\n\t- run: x\n",
            "yaml: line 2: found a tab character that violates indentation",
        ),
        (
            "a: \"x\"\n\tb: y\n",
            "yaml: line 2: found a tab character that violates indentation",
        ),
        (
            "a:\n  b: y\n  \tc: x\n",
            "yaml: line 3: found a tab character that violates indentation",
        ),
        (
            "a: &x [*x]\n",
            "yaml: line 1: an anchor's value contains itself",
        ),
        (
            "? [a]\n: b\n",
            "yaml: line 1: a list or mapping cannot be a mapping key",
        ),
        (
            "a: \u{0}\n",
            "yaml: line 1: control characters are not allowed",
        ),
    ] {
        assert_eq!(read(text), want, "{text}");
    }
    assert_eq!(
        load(b"a: \xff").unwrap_err().to_string(),
        "yaml: line 1: invalid UTF-8"
    );
}

#[test]
fn hostile_documents_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..20 {
        let before = n - 1;
        let refs = vec![format!("*a{before}"); 9].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
    }
    assert!(read(&bomb).contains("excessive aliasing"));

    let long = "x".repeat(1 << 20);
    let refs = vec!["*a"; 100].join(", ");
    let quiet_bomb = format!("a: &a {long}\nb: [{refs}]\n");
    assert!(read(&quiet_bomb).contains("excessive aliasing"));

    assert!(read(&"[".repeat(100_000)).contains("nested too deeply"));
    assert!(read(&"- ".repeat(100_000)).contains("nested deeper"));
    assert!(read(&"? ".repeat(100_000)).contains("nested deeper"));
    assert!(read(&"x\n".repeat(5 << 20)).contains("8 MiB"));
    let flow = read(&format!("a: [{}]", "1,".repeat(400_000)));
    assert!(flow.starts_with("yaml: line 1: the rest of the document has more than 512 KiB"));
    assert!(read(&"- \n".repeat(MAX_NODES + 1)).contains("more than 250000 values"));
}

#[test]
fn places_are_bytes_lines_and_columns() {
    let text = "\u{feff}é: ü\nlist:\n  - {日: \"本\"}\n";
    let node = load(text.as_bytes()).unwrap().unwrap();
    let mut found = Vec::new();
    visit(&node, &mut |n| {
        let span = n.span;
        let slice = &text[span.start as usize..span.end as usize];
        found.push(format!("{}:{} {slice}", span.line, span.column));
    });
    insta::assert_snapshot!(found.join("\n---\n"), @r#"
    1:1 é: ü
    list:
      - {日: "本"}
    ---
    1:1 é
    ---
    1:4 ü
    ---
    2:1 list
    ---
    3:3 - {日: "本"}
    ---
    3:5 {日: "本"}
    ---
    3:6 日
    ---
    3:9 "本"
    "#);
}

fn visit(node: &Node, f: &mut impl FnMut(&Node)) {
    f(node);
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| visit(item, f)),
        Kind::Map(entries) => {
            for entry in entries {
                visit(&entry.key, f);
                visit(&entry.value, f);
            }
        }
        _ => {}
    }
}

#[test]
fn output_values() {
    let value = output_value("n: 7\nf: 7.0\nd: 2024-01-02\n1: yes\n~: x\n").unwrap();
    let Value::Map(map) = value else {
        panic!("{value:?}");
    };
    assert_eq!(map["n"], Value::Int(7));
    assert_eq!(map["f"], Value::Float(7.0));
    assert_eq!(map["1"], Value::String("yes".to_owned()));
    assert_eq!(map["null"], Value::String("x".to_owned()));
    assert!(matches!(map["d"], Value::Time(t) if t.instant.to_string() == "2024-01-02T00:00:00Z"));

    assert_eq!(output_value("").unwrap_err().to_string(), "EOF");
    assert_eq!(output_value("---").unwrap(), Value::Nil);
    assert!(
        output_value("a: [")
            .unwrap_err()
            .to_string()
            .starts_with("yaml: line 1: ")
    );
}

proptest! {
    #[test]
    fn never_panics_on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = load(&bytes);
    }

    #[test]
    fn never_panics_on_yaml_like_text(
        text in "([a-z]|[ \n\t:\\-?\\[\\]{},&*!|>'\"%@#<0-9\\.~\r\\\\é日]|: |- |\n  |---\n|&a |\\*a|<<: |!!int ){0,60}"
    ) {
        if let Ok(Some(node)) = load(text.as_bytes()) {
            visit(&node, &mut |n| {
                // Every place lies in the text, on character boundaries.
                let (start, end) = (n.span.start as usize, n.span.end as usize);
                assert!(text.get(start..end).is_some(), "{text:?} {:?}", n.span);
            });
        }
    }

    /// What a JSON writer quotes comes back as it was, wherever it stands.
    #[test]
    fn quoted_text_survives(text in "[ -~é日\n\t]{0,40}") {
        let json = serde_json::to_string(&text).unwrap();
        let node = load(format!("a:\n  - {json}\n").as_bytes()).unwrap().unwrap();
        prop_assert_eq!(show(&node), format!("{{\"a\": [{text:?}]}}"));
    }
}
