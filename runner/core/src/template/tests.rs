//! The language as a whole: what texts render to, and what is said when they do not.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::spec::Condition;
use crate::value::{Time, Value};

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn map(keys: &[(&str, Value)]) -> BTreeMap<String, Value> {
    keys.iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect()
}

/// The context of facts/batch-spec.md 10.5, and a few outputs more.
fn step_context() -> StepContext {
    let files = ChangedFiles {
        modified: strings(&["m1", "m2"]),
        added: strings(&["a1"]),
        ..ChangedFiles::default()
    };
    let mixed = vec![
        Value::Nil,
        Value::Float(2.5),
        Value::Map(map(&[("z", Value::Bool(true))])),
    ];
    StepContext {
        repository: RepositoryVars {
            name: "github.com/a/b".to_owned(),
            branch: "main".to_owned(),
            search_result_paths: strings(&["a.go", "z.go"]),
        },
        batch_change: BatchChange {
            name: "bc".to_owned(),
            description: "say hi".to_owned(),
        },
        outputs: map(&[
            ("s", string("str")),
            ("i", Value::Int(7)),
            ("n", Value::Float(3.0)),
            (
                "l",
                Value::List(vec![string("a"), string("b"), Value::Int(1)]),
            ),
            (
                "m",
                Value::Map(map(&[("k", string("v")), ("a-b", string("dash"))])),
            ),
            ("nil", Value::Nil),
            ("yes", Value::Bool(true)),
            ("empty", Value::List(vec![])),
            ("mixed", Value::List(mixed)),
            (
                "day",
                Value::Time(Time {
                    instant: "2024-01-02T00:00:00Z".parse().unwrap(),
                    offset_seconds: 0,
                }),
            ),
        ]),
        steps: files.clone(),
        path: "sub/dir".to_owned(),
        previous_step: StepVars::default(),
        step: StepVars {
            files,
            stdout: "out\n".to_owned(),
            stderr: String::new(),
        },
    }
}

fn changeset_context() -> ChangesetContext {
    let StepContext {
        repository,
        batch_change,
        outputs,
        steps,
        path,
        ..
    } = step_context();
    ChangesetContext {
        repository,
        batch_change,
        outputs,
        steps,
        path,
    }
}

fn rendered(text: &str) -> String {
    render_step("t", text, &step_context()).unwrap_or_else(|e| e.to_string())
}

fn assert_renders(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(rendered(text), *expected, "{text}");
    }
}

/// Checks the text after `template: t:1:<column>: executing "t" at `.
fn assert_fails(table: &[(&str, usize, &str)]) {
    for (text, column, expected) in table {
        let error = render_step("t", text, &step_context()).expect_err(text);
        assert!(!error.is_parse(), "{text}: {error}");
        let expected = format!("template: t:1:{column}: executing \"t\" at {expected}");
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

fn assert_does_not_parse(table: &[(&str, &str)]) {
    for (text, expected) in table {
        let error = Template::parse("t", text, Scope::Step).expect_err(text);
        assert!(error.is_parse(), "{text}: {error}");
        assert_eq!(
            error.to_string(),
            format!("template: t:{expected}"),
            "{text}"
        );
    }
}

#[test]
fn vectors_render_as_upstream() {
    assert_renders(&[
        ("${{ repository.search_result_paths }}", "a.go z.go"),
        ("${{ step.modified_files }}", "[m1 m2]"),
        (r#"${{ join step.modified_files "|" }}"#, "m1|m2"),
        ("${{ previous_step.modified_files }}", "[]"),
        ("${{ outputs.l }}", "[a b 1]"),
        ("${{ outputs.m }}", "map[a-b:dash k:v]"),
        ("${{ outputs.nil }}", "<no value>"),
        (r#"${{ index outputs.m "nope" }}"#, "<no value>"),
        ("${{ 1.0 }} ${{ 0x10 }} ${{ 'a' }}", "1 16 97"),
        ("${{ eq outputs.n 3.0 }} ${{ eq outputs.i 7 }}", "true true"),
        (r#"${{ eq "x" "y" "x" }}"#, "true"),
        (r#"${{ or "" "y" }}"#, "y"),
        (r#"${{ "x" | replace "axb" "a" }}"#, "xxb"),
        (r#"a ${{- " x " -}} b"#, "a x b"),
        (r#"${{ print 1 2 "a" }}"#, "1 2a"),
        (r#"${{ split "a,b" "," }}"#, "[a b]"),
        ("$${{ repository.name }}", "$github.com/a/b"),
    ]);
    assert_fails(&[(
        "${{ eq outputs.n 3 }}",
        4,
        "<eq outputs.n 3>: error calling eq: incompatible types for comparison: float64 and int",
    )]);
}

#[test]
fn numbers_of_json_outputs_print_as_floats() {
    let table = [
        (3.0, "3"),
        (1.5, "1.5"),
        (1000.0, "1000"),
        (12_345_678.0, "1.2345678e+07"),
        (123_456_789_012_345_678.0, "1.2345678901234568e+17"),
        (1e21, "1e+21"),
        (1.0, "1"),
        (100_000.0, "100000"),
        (999_999.0, "999999"),
        (123_456.5, "123456.5"),
        (0.0001, "0.0001"),
        (1e6, "1e+06"),
        (1e-5, "1e-05"),
        (3e-7, "3e-07"),
        (-0.5, "-0.5"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Inf"),
    ];
    for (value, expected) in table {
        let context = StepContext {
            outputs: map(&[("v", Value::Float(value))]),
            ..StepContext::default()
        };
        assert_eq!(
            render_step("t", "${{ outputs.v }}", &context).unwrap(),
            expected
        );
    }
}

#[test]
fn text_around_actions_is_kept_or_trimmed() {
    assert_renders(&[
        ("{{ x }} $ {{ x }} }}", "{{ x }} $ {{ x }} }}"),
        (r#"${{ "}}" }}${{ "${{" }}"#, "}}${{"),
        ("a \n${{- 1 -}}\t\r\n b", "a1b"),
        ("a ${{/* c */}} b", "a  b"),
        ("a ${{- /* c\nd */ -}} b", "ab"),
        ("${{\n  print\n  1\n}}", "1"),
        ("", ""),
        ("${{-3 }}", "-3"),
    ]);
}

#[test]
fn literals_pipelines_and_variables() {
    assert_renders(&[
        ("${{ true }}${{ false }}", "truefalse"),
        (r"${{ `r\n` }}", r"r\n"),
        (r#"${{ "\t\x41\u00e9\"" }}"#, "\tAé\""),
        (
            "${{ 1_000 }} ${{ 0o17 }} ${{ 0b11 }} ${{ 1e3 }} ${{ 2i }}",
            "1000 15 3 1000 (0+2i)",
        ),
        (r#"${{ "," | split "a,b" | len }}"#, "2"),
        (r#"${{ (index outputs.m "a-b") | printf "%s!" }}"#, "dash!"),
        ("${{ ((outputs)).m.k }}", "v"),
        ("${{ $x := 1 }}${{ $x }}${{ $x = 2 }}${{ $x }}", "12"),
        (
            "${{ $x := 1 }}${{ if true }}${{ $x := 2 }}${{ $x = 3 }}${{ end }}${{ $x }}",
            "1",
        ),
        ("${{ $m := outputs.m }}${{ $m.k }}", "v"),
    ]);
}

#[test]
fn control_structures() {
    assert_renders(&[
        (
            "${{ if 0 }}a${{ else if outputs.s }}b${{ else }}c${{ end }}",
            "b",
        ),
        ("${{ if outputs.nil }}a${{ else }}b${{ end }}", "b"),
        (
            "${{ if outputs.empty }}a${{ end }}${{ if outputs.day }}t${{ end }}",
            "t",
        ),
        ("${{ range outputs.l }}[${{ . }}]${{ end }}", "[a][b][1]"),
        (
            "${{ range $i, $v := outputs.m }}${{ $i }}=${{ $v }};${{ end }}",
            "a-b=dash;k=v;",
        ),
        (
            "${{ range $v := step.modified_files }}${{ $v }};${{ end }}",
            "m1;m2;",
        ),
        ("${{ range 3 }}${{ . }}${{ end }}", "012"),
        ("${{ range $i := 2 }}${{ $i }}${{ else }}x${{ end }}", "01"),
        ("${{ range 0 }}a${{ else }}none${{ end }}", "none"),
        ("${{ range outputs.nil }}a${{ else }}none${{ end }}", "none"),
        (
            "${{ range outputs.l }}${{ if eq . \"b\" }}${{ continue }}${{ end }}${{ . }}${{ end }}",
            "template: t:1:29: executing \"t\" at <eq . \"b\">: error calling eq: \
             incompatible types for comparison: int and string",
        ),
        (
            "${{ range $i, $_ := outputs.l }}${{ if eq $i 1 }}${{ continue }}${{ end }}${{ . }}${{ end }}",
            "a1",
        ),
        (
            "${{ range $i, $_ := outputs.l }}${{ if eq $i 1 }}${{ break }}${{ end }}${{ . }}${{ end }}",
            "a",
        ),
        (
            "${{ $v := 0 }}${{ range $v = outputs.l }}${{ end }}${{ $v }}",
            "1",
        ),
        ("${{ with outputs.m }}${{ .k }}${{ end }}", "v"),
        (
            "${{ with $x := outputs.s }}${{ $x }}${{ . }}${{ end }}",
            "strstr",
        ),
        (
            "${{ with 0 }}a${{ else with 5 }}${{ . }}${{ else }}c${{ end }}",
            "5",
        ),
        (
            r#"${{ define "x" }}<${{ . }}${{ $ }}>${{ end }}${{ template "x" 1 }}"#,
            "<11>",
        ),
        (
            r#"${{ define "x" }}<${{ . }}>${{ end }}${{ template "x" }}"#,
            "<<no value>>",
        ),
        (r#"${{ block "x" outputs.i }}<${{ . }}>${{ end }}"#, "<7>"),
        (
            r#"${{ define "x" }} ${{ end }}${{ define "x" }}b${{ end }}${{ template "x" }}"#,
            "b",
        ),
    ]);
    assert_fails(&[
        (
            "${{ range $i, $v := 3 }}${{ end }}",
            20,
            "<3>: can't use 3 to iterate over more than one variable",
        ),
        (
            "${{ range 1.5 }}${{ end }}",
            10,
            "<1.5>: range can't iterate over 1.5",
        ),
        (
            "${{ range outputs.yes }}${{ end }}",
            10,
            "<outputs>: range can't iterate over true",
        ),
        (
            r#"${{ template "nope" }}"#,
            13,
            r#"<{{template "nope"}}>: template "nope" not defined"#,
        ),
        ("${{ $x = 1 }}", 9, "<1>: undefined variable: $x"),
    ]);
}

#[test]
fn standard_functions() {
    assert_renders(&[
        (
            "${{ ne 1 2 }}${{ lt 1 2 }}${{ le 2 2 }}${{ gt 1.5 2.5 }}${{ ge \"b\" \"a\" }}",
            "truetruetruefalsetrue",
        ),
        (
            "${{ eq nil nil }} ${{ eq outputs.nil nil }} ${{ eq 1 nil }}",
            "true true false",
        ),
        ("${{ eq (index \"a\" 0) 97 }}", "true"),
        (
            "${{ and 1 0 2 }} ${{ or 0 \"\" }} ${{ and 1 outputs.s }} ${{ not \"\" }}",
            "0  str true",
        ),
        ("${{ or 1 outputs.zz }} ${{ and 0 outputs.zz }}", "1 0"),
        (
            "${{ len \"né\" }} ${{ len outputs.l }} ${{ len outputs.m }}",
            "3 3 2",
        ),
        ("${{ index outputs.l 1 }} ${{ index \"a\" 0 }}", "b 97"),
        (
            "${{ slice \"abcd\" 1 3 }} ${{ slice outputs.l 1 }} ${{ slice \"é\" 1 }}",
            "bc [b 1] \u{fffd}",
        ),
        ("${{ slice repository.search_result_paths 1 }}", "z.go"),
        ("${{ println 1 2 \"a\" }}", "1 2 a\n"),
        ("${{ print nil true outputs.nil }}", "<nil> true <nil>"),
        (
            "${{ html \"<a href='x'>&\" nil }}",
            "&lt;a href=&#39;x&#39;&gt;&amp;&lt;no value&gt;",
        ),
        (
            "${{ js \"a'b<>=\\n\\u200bé\" }}",
            "a\\'b\\u003C\\u003E\\u003D\\u000A\\u200Bé",
        ),
        ("${{ urlquery \"a b/é?\" }}", "a+b%2F%C3%A9%3F"),
        (
            "${{ outputs.mixed }} ${{ outputs.day }}",
            "[<nil> 2.5 map[z:true]] 2024-01-02 00:00:00 +0000 UTC",
        ),
    ]);
    assert_fails(&[
        (
            "${{ eq outputs.l outputs.l }}",
            4,
            "<eq outputs.l outputs.l>: error calling eq: non-comparable type [a b %!s(int=1)]: []interface {}",
        ),
        (
            "${{ lt 1 2.0 }}",
            4,
            "<lt 1 2.0>: error calling lt: incompatible types for comparison: int and float64",
        ),
        (
            "${{ lt true false }}",
            4,
            "<lt true false>: error calling lt: invalid type for comparison",
        ),
        (
            "${{ eq 1 }}",
            4,
            "<eq 1>: error calling eq: missing argument for comparison",
        ),
        (
            "${{ index outputs.l 9 }}",
            4,
            "<index outputs.l 9>: error calling index: index out of range: 9",
        ),
        (
            "${{ index outputs.l 3 }}",
            4,
            "<index outputs.l 3>: error calling index: reflect: slice index out of range",
        ),
        (
            "${{ index outputs.m 1 }}",
            4,
            "<index outputs.m 1>: error calling index: value has type int; should be string",
        ),
        (
            "${{ len outputs.nil }}",
            4,
            "<len outputs.nil>: error calling len: len of nil pointer",
        ),
        (
            "${{ len 1 }}",
            4,
            "<len 1>: error calling len: len of type int",
        ),
        (
            "${{ slice \"ab\" 2 1 }}",
            4,
            "<slice \"ab\" 2 1>: error calling slice: invalid slice index: 2 > 1",
        ),
        (
            "${{ call \"x\" }}",
            4,
            "<call \"x\">: error calling call: non-function \"x\" of type string",
        ),
        (
            "${{ not }}",
            4,
            "<not>: wrong number of args for not: want 1 got 0",
        ),
        (
            "${{ and }}",
            4,
            "<and>: wrong number of args for and: want at least 1 got 0",
        ),
        ("${{ printf 1 }}", 11, "<1>: expected string; found 1"),
    ]);
}

#[test]
fn batch_functions() {
    assert_renders(&[
        (r#"${{ join (split "a,b" ",") "-" }}"#, "a-b"),
        (
            r#"${{ join repository.search_result_paths ";" }}"#,
            "a.go;z.go",
        ),
        (
            r#"${{ len (split "né" "") }}${{ split "" "" }}${{ len (split "" ",") }}"#,
            "2[]1",
        ),
        (
            r#"${{ replace "né" "" "." }} ${{ replace "aaa" "a" "" }}"#,
            ".n.é. ",
        ),
        (
            r#"${{ join_if "," "a" "" "b" }}${{ "z" | join_if "," "" }}"#,
            "a,bz",
        ),
        (r#"${{ matches repository.name "github.com/*" }}"#, "true"),
    ]);
    assert_fails(&[
        (
            r#"${{ join outputs.l "," }}"#,
            9,
            "<outputs>: wrong type for value; expected []string; got []interface {}",
        ),
        (
            "${{ join outputs.l }}",
            4,
            "<join>: wrong number of args for join: want 2 got 1",
        ),
        (
            r#"${{ join "a" "," }}"#,
            9,
            r#"<"a">: can't handle "a" for arg of type []string"#,
        ),
        (r#"${{ split 1 "," }}"#, 10, "<1>: expected string; found 1"),
        (
            r#"${{ split nil "," }}"#,
            10,
            "<nil>: cannot assign nil to string",
        ),
        (
            r#"${{ split outputs.nil "," }}"#,
            10,
            "<outputs>: wrong type for value; expected string; got interface {}",
        ),
        (
            r#"${{ matches "a" "[" }}"#,
            4,
            r#"<matches "a" "[">: error calling matches: unexpected end of input"#,
        ),
    ]);
}

#[test]
fn printf_follows_gos_verbs() {
    assert_renders(&[
        (
            r#"${{ printf "%d %v %s %q %t %c" 7 1.5 "a" "b\"" true 233 }}"#,
            r#"7 1.5 a "b\"" true é"#,
        ),
        (
            r#"${{ printf "%5.2f|%-5s|%05d|%+d|%%|%x|%X|%o|%b" 3.14159 "ab" 42 5 255 255 8 5 }}"#,
            " 3.14|ab   |00042|+5|%|ff|FF|10|101",
        ),
        (
            r#"${{ printf "%e %g %.3g %E %G" 123456.789 1e6 1234.5 0.5 1e-10 }}"#,
            "1.234568e+05 1e+06 1.23e+03 5.000000E-01 1E-10",
        ),
        (
            r#"${{ printf "%#v %+v %T" outputs.l outputs.m step.modified_files }}"#,
            r#"[]interface {}{"a", "b", 1} map[a-b:dash k:v] []string"#,
        ),
        (
            r#"${{ printf "%x % X %#x" "hi" "hi" "hi" }}"#,
            "6869 68 69 0x6869",
        ),
        (
            r#"${{ printf "%.2s|%6.1s|%U|%#q" "héllo" "xyz" 8364 "a" }}"#,
            "hé|     x|U+20AC|`a`",
        ),
        (r#"${{ printf "%[2]d %[1]d %*d" 1 2 }}"#, "2 1 %!d(MISSING)"),
        (r#"${{ printf "%[3]*.[2]*[1]f" 3.14159 2 8 }}"#, "    3.14"),
        (
            r#"${{ printf "%d" "x" }} ${{ printf "%s" 5 }} ${{ printf "%s" nil }}"#,
            "%!d(string=x) %!s(int=5) %!s(<nil>)",
        ),
        (r#"${{ printf "%d %s" 1 }}"#, "1 %!s(MISSING)"),
        (
            r#"${{ printf "%d" 1 2 "x" nil }}"#,
            "1%!(EXTRA int=2, string=x, <nil>)",
        ),
        (
            r#"${{ printf "%" }}${{ printf "%z" 1 }}"#,
            "%!(NOVERB)%!z(int=1)",
        ),
        (
            r#"${{ printf "%d" outputs.l }}"#,
            "[%!d(string=a) %!d(string=b) 1]",
        ),
        (r#"${{ 5 | printf "%03d|%d" 7 }}"#, "007|5"),
        (
            r#"${{ printf "%1000000000d" 1 }}"#,
            "%!(NOVERB)%!(EXTRA int=1)",
        ),
    ]);
}

#[test]
fn variables_depend_on_the_context() {
    assert_renders(&[
        (
            "${{ repository.branch }} ${{ batch_change.name }} ${{ batch_change.description }}",
            "main bc say hi",
        ),
        (
            "${{ steps.path }}|${{ steps.stdout }}|${{ steps.added_files }}",
            "sub/dir||[a1]",
        ),
        ("${{ step.stdout }}", "out\n"),
        (
            "${{ repository }}",
            "map[branch:main name:github.com/a/b search_result_paths:a.go z.go]",
        ),
        (
            "${{ previous_step }}",
            "map[added_files:[] deleted_files:[] modified_files:[] renamed_files:[] stderr: stdout:]",
        ),
    ]);
    assert_does_not_parse(&[(
        "${{ batch_change_link }}",
        "1: function \"batch_change_link\" not defined",
    )]);
    let context = changeset_context();
    let table = [
        ("${{ batch_change_link }}", "${{ batch_change_link }}"),
        (
            "${{ steps.modified_files }} ${{ steps.path }}",
            "[m1 m2] sub/dir",
        ),
        ("${{ outputs.s }} ${{ repository.branch }}", "str main"),
        (
            "${{ step.stdout }}",
            "template: body:1: function \"step\" not defined",
        ),
        (
            "${{ previous_step.stdout }}",
            "template: body:1: function \"previous_step\" not defined",
        ),
        (
            "${{ steps.stdout }}",
            "template: body:1:4: executing \"body\" at <steps>: map has no entry for key \"stdout\"",
        ),
    ];
    for (text, expected) in table {
        let rendered = render_changeset("body", text, &context).unwrap_or_else(|e| e.to_string());
        assert_eq!(rendered, expected, "{text}");
    }
}

#[test]
fn a_template_for_the_other_scope_fails_where_it_matters() {
    let template = Template::parse("t", "${{ batch_change_link }}", Scope::Changeset).unwrap();
    let error = template.render_step(&step_context()).unwrap_err();
    assert_eq!(
        error.message(),
        r#""batch_change_link" is not a defined function"#
    );
}

#[test]
fn keys_and_fields_that_do_not_exist() {
    assert_fails(&[
        (
            "${{ outputs.zz }}",
            4,
            "<outputs>: map has no entry for key \"zz\"",
        ),
        (
            "${{ outputs.s.yy }}",
            4,
            "<outputs>: can't evaluate field yy in type interface {}",
        ),
        (
            "${{ outputs.nil.x }}",
            4,
            "<outputs>: nil pointer evaluating interface {}.x",
        ),
        (
            "${{ (outputs.nil).x }}",
            5,
            "<outputs>: nil data; no entry for key \"x\"",
        ),
        (
            "${{ outputs.s \"x\" }}",
            4,
            "<outputs>: s is not a method but has arguments",
        ),
        (
            "${{ outputs \"x\" }}",
            4,
            "<outputs>: wrong number of args for outputs: want 0 got 1",
        ),
        (
            "${{ true \"x\" }}",
            4,
            "<true>: can't give argument to non-function true",
        ),
        ("${{ nil }}", 4, "<nil>: nil is not a command"),
    ]);
}

#[test]
fn texts_that_do_not_parse() {
    assert_does_not_parse(&[
        ("${{ nope }}", "1: function \"nope\" not defined"),
        ("${{ outputs.a-b }}", "1: bad character U+002D '-'"),
        ("a\n${{ 1", "2: unclosed action"),
        ("${{ \"a }}", "1: unterminated quoted string"),
        ("${{ `a }}", "1: unterminated raw quoted string"),
        ("${{ 'a }}", "1: unterminated character constant"),
        ("${{ (1 }}", "1: unclosed left paren"),
        ("${{ 1) }}", "1: unexpected right paren"),
        ("${{ end }}", "1: unexpected {{end}}"),
        ("${{ else }}", "1: unexpected {{else}}"),
        ("${{ if true }}x", "1: unexpected EOF"),
        ("${{ if }}x${{ end }}", "1: missing value for if"),
        ("${{ }}", "1: missing value for command"),
        ("${{ | 1 }}", "1: unexpected \"|\" in command"),
        (
            "${{ 1 | 2 }}",
            "1: non executable command in pipeline stage 2",
        ),
        ("${{ $x }}", "1: undefined variable \"$x\""),
        ("${{ $a, $b := 1 }}", "1: too many declarations in command"),
        ("${{ break }}", "1: {{break}} outside {{range}}"),
        (
            "${{ range outputs.l }}${{ else if true }}${{ end }}",
            "1: unexpected <if> in input",
        ),
        ("${{ /* c */ }}", "1: unexpected \"/\" in command"),
        ("${{/* c */ }}", "1: comment ends before closing delimiter"),
        ("${{/* c", "1: unclosed comment"),
        ("${{ \"a\".x }}", "1: unexpected . after term \"\\\"a\\\"\""),
        ("${{ \"\\z\" }}", "1: invalid syntax"),
        ("${{ 3d }}", "1: bad number syntax: \"3d\""),
        (
            "${{ 9 → }}",
            "1: unrecognized character in action: U+2192 '→'",
        ),
        (
            "${{ print\n1\n\"a }}",
            "3: unterminated quoted string in action started at t:1",
        ),
        ("${{ print\n1", "2: unclosed action started at t:1"),
        (
            "${{ template x }}",
            "1: unexpected \"x\" in template clause",
        ),
        (
            "${{ define \"x\" }}a${{ end }}${{ define \"x\" }}b${{ end }}",
            "1: template: multiple definition of template \"x\"",
        ),
    ]);
}

#[test]
fn the_dot_means_nothing_at_top_level() {
    let table = [
        ("${{ .Repository.Name }}", Some("repository.name")),
        ("${{ .BatchChange.Name }}", Some("batch_change.name")),
        ("${{ . }}", None),
        ("${{ with .Steps.Path }}${{ end }}", Some("steps.path")),
        (
            "${{ range outputs.l }}${{ else }}${{ .PreviousStep }}${{ end }}",
            Some("previous_step"),
        ),
    ];
    for (text, suggestion) in table {
        let error = Template::parse("t", text, Scope::Step).unwrap_err();
        assert!(error.message().contains("stands for nothing"), "{error}");
        assert_eq!(error.did_you_mean(), suggestion, "{text}");
    }
    assert!(Template::parse("t", "${{ $ }}", Scope::Step).is_err());
    assert!(Template::parse("t", "${{ range 1 }}${{ $ }}${{ end }}", Scope::Step).is_err());
}

#[test]
fn errors_point_at_a_place_and_suggest() {
    let table = [
        ("x\n ${{ reposiotry.name }}", 2, 5, Some("repository")),
        ("${{ repository.nmae }}", 1, 4, Some("name")),
        ("${{ jion step.modified_files \",\" }}", 1, 4, Some("join")),
        ("${{ $file := 1 }}${{ $fiel }}", 1, 21, Some("$file")),
        (
            "${{ outputs.m.a-b }}",
            1,
            13,
            Some("index outputs.m \"a-b\""),
        ),
        ("${{ outputs.qqqqqqqq }}", 1, 4, None),
    ];
    for (text, line, column, suggestion) in table {
        let error = render_step("t", text, &step_context()).unwrap_err();
        assert_eq!((error.line(), error.column()), (line, column), "{text}");
        assert_eq!(error.did_you_mean(), suggestion, "{text}");
    }
}

#[test]
fn an_error_in_a_named_template_names_it() {
    let text = "\n${{ define \"x\" }}${{ .k.q }}${{ end }}${{ template \"x\" outputs.m }}";
    assert_eq!(
        rendered(text),
        "template: t:2:23: executing \"x\" at <.k.q>: can't evaluate field q in type interface {}"
    );
}

#[test]
fn references_tell_what_is_final_before_steps() {
    let table = [
        ("plain", true),
        ("${{ repository.name }}-${{ batch_change.name }}", true),
        ("${{ steps.path }}", true),
        ("${{ steps }}", false),
        ("${{ steps.modified_files }}", false),
        ("${{ (steps).path }}", false),
        ("${{ outputs.tag }}", false),
        (
            "${{ if false }}${{ previous_step.stdout }}${{ end }}",
            false,
        ),
        ("${{ define \"x\" }}${{ step.stdout }}${{ end }}", false),
    ];
    for (text, expected) in table {
        let template = Template::parse("t", text, Scope::Step).unwrap();
        assert_eq!(template.is_final_before_steps(), expected, "{text}");
    }
    let template = Template::parse("t", "${{ print outputs repository.name }}", Scope::Step);
    let references: Vec<_> = template.unwrap().references().iter().cloned().collect();
    assert_eq!(
        references,
        [
            Reference {
                variable: Variable::Repository,
                key: Some("name".to_owned()),
                offset: 18,
            },
            Reference {
                variable: Variable::Outputs,
                key: None,
                offset: 10,
            },
        ]
    );
}

#[test]
fn static_evaluation_knows_names_only() {
    let batch_change = BatchChange {
        name: "bc".to_owned(),
        description: "d".to_owned(),
    };
    let vars = StaticVars {
        repository_name: "x",
        batch_change: &batch_change,
    };
    let table = [
        (r#"${{ eq repository.name "x" }}"#, Some("true")),
        (r#"${{ not (matches repository.name "x") }}"#, Some("false")),
        (r#"${{ not (matches repository.name "y") }}"#, Some("true")),
        ("${{ and true true }}", None),
        ("${{ if true }}true${{ end }}", None),
        ("${{ repository.name }}", Some("x")),
        (r#"tr${{ "ue" }}"#, Some("true")),
        ("${{ true | not }}", None),
        (
            "img:${{ batch_change.name }}-${{ batch_change.description }}",
            Some("img:bc-d"),
        ),
        ("${{ repository.branch }}", None),
        ("${{ repository.search_result_paths }}", None),
        ("${{ repository }}", None),
        ("${{ steps.path }}", None),
        ("${{ outputs.a }}", None),
        ("${{ eq 1 1.0 }}", Some("false")),
        ("${{ eq 1 1 1 }}", None),
        ("${{ ne 1 2 }}", Some("true")),
        ("${{ (eq 1 1) }}", None),
        ("${{ eq (eq 1 1) true }}", Some("true")),
        (r#"${{ join (split "a,b" ",") "-" }}"#, Some("a-b")),
        (r#"${{ join "a" "-" }}"#, None),
        (r#"${{ matches "a" "[" }}"#, None),
        (
            r#"${{ replace "aa" "a" "b" }}${{ join_if "," "" "c" }}"#,
            Some("bbc"),
        ),
        ("${{ 1.0 }}${{ 12345678.0 }}", Some("11.2345678e+07")),
        ("${{ $x := 1 }}", None),
        (r#"${{ printf "x" }}"#, None),
        (r#"${{ repository.name | eq "a" "a" }}"#, Some("true")),
        ("", Some("")),
    ];
    for (text, expected) in table {
        assert_eq!(
            static_text(text, &vars).unwrap().as_deref(),
            expected,
            "{text}"
        );
    }
    assert_eq!(
        static_text("${{ bogus }}", &vars).unwrap_err().to_string(),
        "template: partial-eval:1: function \"bogus\" not defined"
    );
}

#[test]
fn conditions_are_decided_as_early_as_possible() {
    let batch_change = BatchChange::default();
    let vars = StaticVars {
        repository_name: "x",
        batch_change: &batch_change,
    };
    let text = |text: &str| Condition::Text(text.to_owned());
    let table = [
        (Condition::Absent, StaticCondition::Runs),
        (text(""), StaticCondition::Runs),
        (text("  "), StaticCondition::Skips),
        (Condition::Bool(true), StaticCondition::Runs),
        (Condition::Bool(false), StaticCondition::Skips),
        (text("true"), StaticCondition::Runs),
        (text("TRUE"), StaticCondition::Skips),
        (
            text(" ${{ eq repository.name \"x\" }}\n"),
            StaticCondition::Runs,
        ),
        (text("${{ repository.name }}"), StaticCondition::Skips),
        (text("${{ outputs.go }}"), StaticCondition::Undecided),
    ];
    for (written, expected) in table {
        assert_eq!(condition(&written, &vars).unwrap(), expected, "{written:?}");
    }
    assert!(is_true(" true\n") && !is_true("True") && !is_true("true true") && !is_true(""));
}

#[test]
fn hostile_templates_end_with_an_error() {
    let deep_parens = format!("${{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    let deep_blocks = "${{ if true }}".repeat(100_000);
    let doubling = "${{ $x := \"0123456789\" }}".to_owned()
        + &"${{ $x = print $x $x }}".repeat(40)
        + "${{ len $x }}";
    let table = [
        (
            "${{ range 1000000000 }}${{ range 1000000000 }}${{ end }}${{ end }}",
            "operations",
        ),
        (
            "${{ range 1000000000 }}0123456789012345678901234567890123456789${{ end }}",
            "64 MiB",
        ),
        (
            r#"${{ define "x" }}${{ template "x" }}${{ end }}${{ template "x" }}"#,
            "nests deeper",
        ),
        (&doubling, "MiB"),
        (
            r#"${{ $x := printf "%1000000d" 1 }}${{ $x = replace $x "" $x }}"#,
            "MiB",
        ),
        (
            r#"${{ $x := printf "%1000000d" 1 }}${{ range 100 }}${{ $x }}${{ end }}"#,
            "64 MiB",
        ),
        (
            r#"${{ printf "%[1]1000000d%[1]1000000d" 1 | printf "%[1]s%[1]s%[1]s" | split "" | len }}"#,
            "",
        ),
        (&deep_parens, "nest deeper"),
        (&deep_blocks, "nest deeper"),
    ];
    for (text, expected) in table {
        let rendered = rendered(text);
        let start: String = rendered.chars().take(200).collect();
        assert!(rendered.contains(expected), "{start}");
    }
    let variables: String = (0..2000)
        .map(|i| format!("${{{{ $v{i} := 1 }}}}"))
        .collect();
    assert!(rendered(&variables).contains("more than 1000 variables"));
}

#[test]
fn the_deepest_allowed_nesting_fits_the_stack() {
    let parens = format!("${{{{ {}print 1{} }}}}", "(".repeat(100), ")".repeat(100));
    assert_eq!(rendered(&parens), "1");
    let blocks = "${{ if true }}".repeat(100) + "x" + &"${{ end }}".repeat(100);
    assert_eq!(rendered(&blocks), "x");
}

/// Texts that are nearly templates.
fn nearly_a_template() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(vec![
            "${{", "}}", " -}}", "${{- ", " ", "\n", "\"", "`", "'", ".", ".a", "$", "$x", "(", ")",
            "|", ":=", "=", ",", "1", "-", "0x", "e", "i", "if ", "else", "end", "range ", "with ",
            "define ", "template ", "block ", "break", "nil", "true", "\"x\"", "outputs", "print ",
            "printf ", "\"%5.2f%[1]*d%v\"", "index ", "outputs.l", "repository.name", "/*", "*/", "é",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn text_without_delimiters_is_itself(text in "[^$]{0,80}") {
        prop_assert_eq!(rendered(&text), text);
    }

    #[test]
    fn any_text_renders_or_fails_in_order(text in nearly_a_template()) {
        let vars = StaticVars { repository_name: "x", batch_change: &BatchChange::default() };
        let parsed = Template::parse("t", &text, Scope::Step);
        prop_assert_eq!(static_text(&text, &vars).is_ok(), parsed.is_ok());
        let Ok(template) = parsed else { return Ok(()); };
        if let Err(e) = template.render_step(&step_context()) {
            prop_assert!(!e.is_parse());
        }
    }

    #[test]
    fn any_action_renders_or_fails_in_order(action in nearly_a_template()) {
        let _ = rendered(&format!("${{{{ {action} }}}}"));
        let _ = rendered(&format!("${{{{ range outputs.mixed }}}}${{{{ {action} }}}}${{{{ end }}}}"));
    }

    #[test]
    fn printf_takes_any_format(format in "(%[-+# 0]{0,3}[0-9*]{0,3}(\\[[0-9]\\])?(\\.[0-9*]{0,2})?[a-zA-Z%]|[a-z%é]){0,4}") {
        let text = format!("${{{{ printf {} 7 outputs.l nil 1.5 \"né\" }}}}", quote::quote(&format));
        let rendered = render_step("t", &text, &step_context());
        prop_assert!(rendered.is_ok(), "{:?}", rendered);
    }

    #[test]
    fn quoted_text_reads_back(text in "\\PC{0,20}|[\\x00-\\x7f]{0,10}") {
        let quoted = quote::quote(&text);
        prop_assert_eq!(quote::unquote(&quoted), Some(text));
    }
}
