use insta::assert_snapshot;
use rstest::rstest;

use crate::fixture::{bytes, host};
use crate::inspect::LoadError;

async fn error_of(bytes: &[u8]) -> LoadError {
    match host().load(bytes, None).await {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error,
    }
}

#[rstest]
#[case::empty(b"", "it is empty")]
#[case::noise(b"#!/bin/sh\necho", "it is not WebAssembly")]
#[case::magic_cut_short(b"\0as", "it is cut short: get it again")]
#[case::version_cut_short(b"\0asm\x0d", "it is cut short: get it again")]
#[case::text(
    b"\n(component)",
    "it is WebAssembly as text: make it binary with `wasm-tools parse`"
)]
#[case::future(
    b"\0asm\x02\0\0\0",
    "it is of a version of WebAssembly that this host does not know"
)]
#[tokio::test]
async fn what_is_no_component_is_told_so(#[case] bytes: &[u8], #[case] expected: &str) {
    let error = error_of(bytes).await;
    assert!(matches!(error, LoadError::NotAComponent(_)), "{error:?}");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_core_module_is_told_what_to_do() {
    assert_snapshot!(
        error_of(&bytes("(module)")).await,
        @"it is a core module and not a component: build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`"
    );
}

#[tokio::test]
async fn compiled_code_is_refused() {
    let engine = crate::host::engine().unwrap();
    let code = engine.precompile_component(&bytes("(component)")).unwrap();
    assert_snapshot!(
        error_of(&code).await,
        @"it is code that wasmtime has compiled already, which could do anything: give the component (.wasm) that it was made from"
    );
}

#[tokio::test]
async fn a_component_that_is_cut_short_is_told_so() {
    let whole = bytes(r#"(component (core module (func (export "f"))))"#);
    let error = error_of(&whole[..whole.len() - 4]).await;
    assert!(matches!(error, LoadError::NotAComponent(_)), "{error:?}");
    assert!(error.to_string().starts_with("it is cut short"), "{error}");
}

#[tokio::test]
async fn a_component_that_is_too_large_is_not_even_read() {
    let error = error_of(&vec![0; 64 * 1024 * 1024 + 1]).await;
    assert_snapshot!(error, @"it has 67108865 bytes; a plugin may have 67108864");
}

#[tokio::test]
async fn another_digest_than_asked_for_is_refused() {
    let bytes = bytes("(component)");
    let error = host().load(&bytes, Some("sha256:00")).await.err().unwrap();
    assert_snapshot!(
        error,
        @"its digest is sha256:24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29, but sha256:00 was asked for"
    );
}

#[rstest]
#[case::http(
    r#"(component (import "wasi:http/outgoing-handler@0.2.6" (instance (export "handle" (func)))))"#,
    "it imports wasi:http/outgoing-handler@0.2.6; this host offers wasi:cli, wasi:clocks, wasi:filesystem, wasi:io, wasi:random, wasi:sockets 0.2 and capstan:plugin 0.1.0: build it without what needs that import"
)]
#[case::newer_line(
    r#"(component (import "capstan:plugin/log@0.2.0" (instance (export "flush" (func)))))"#,
    "it needs capstan:plugin/log@0.2.0; this host offers capstan:plugin 0.1.0: build it for 0.1.0, or use a version of capstan that offers 0.2.0"
)]
#[case::newer_function(
    r#"(component (import "capstan:plugin/log@0.1.7" (instance (export "flush" (func)))))"#,
    "it needs `flush` of capstan:plugin/log@0.1.7, which this host, with 0.1.0, does not have (function implementation is missing): use a newer capstan"
)]
#[case::another_type(
    r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "get-arguments" (func (result u32))))))"#,
    "it needs `get-arguments` of wasi:cli/environment@0.2.0, which this host, with 0.2, has with another type (expected `list` found `u32`): build it for the interface as this host has it"
)]
#[case::bare_function(
    r#"(component (import "shell" (func)))"#,
    "it imports shell; this host offers wasi:cli, wasi:clocks, wasi:filesystem, wasi:io, wasi:random, wasi:sockets 0.2 and capstan:plugin 0.1.0: build it without what needs that import"
)]
#[tokio::test]
async fn what_is_missing_is_named(#[case] component: &str, #[case] expected: &str) {
    let error = error_of(&bytes(component)).await;
    assert!(matches!(error, LoadError::Link(_)), "{error:?}");
    assert_eq!(error.to_string(), expected);
}

#[rstest]
#[case::nothing(
    "(component)",
    "it has no hook and is no command: this host calls capstan:plugin/policy@0.1.0, capstan:plugin/workspace@0.1.0, capstan:plugin/output@0.1.0, capstan:plugin/diff@0.1.0, and runs what exports wasi:cli/run; it exports nothing"
)]
#[case::another_line(
    r#"(component (instance $i) (export "capstan:plugin/policy@0.9.0" (instance $i)))"#,
    "it exports capstan:plugin/policy@0.9.0; this host calls capstan:plugin/policy@0.1.0: build it for 0.1.0, or use a version of capstan for it"
)]
#[case::half_a_hook(
    r#"(component (instance $i) (export "capstan:plugin/policy@0.1.3" (instance $i)))"#,
    "it exports capstan:plugin/policy@0.1.0 without the function check-job: build it with the bindings of 0.1.0"
)]
#[case::another_type(
    r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $f (result u32) (canon lift (core func $i "f")))
        (instance $diff (export "declare" (func $f)))
        (export "capstan:plugin/diff@0.1.0" (instance $diff)))"#,
    "its function declare of capstan:plugin/diff@0.1.0 has another type than the contract (expected `enum` found `u32`): build it with the bindings of 0.1.0"
)]
#[tokio::test]
async fn hooks_that_are_not_whole_are_refused(#[case] component: &str, #[case] expected: &str) {
    let error = error_of(&bytes(component)).await;
    assert!(matches!(error, LoadError::Link(_)), "{error:?}");
    assert_eq!(error.to_string(), expected);
}
