//! What is no plugin for this host: refused when it is loaded, with words that help.

use std::path::PathBuf;

use rstest::rstest;

use crate::alone::alone;
use crate::case::Case;
use crate::memory::Memory;
use crate::{HOST, RUNTIME, assert_unharmed, unloadable, weave};

fn load(bytes: &[u8]) -> (String, String) {
    match RUNTIME.block_on(HOST.load(bytes, None)) {
        Ok(component) => ("loaded".to_owned(), format!("{:?}", component.inspection())),
        Err(error) => unloadable(&error),
    }
}

#[rstest]
fn is_refused_as_it_says(#[files("../../tests/hostile/load/*.wat")] path: PathBuf) {
    let case = Case::read(&path);
    let (ended, message) = load(&wat::parse_str(&case.text).unwrap());
    case.check(&ended, &message);
    assert_unharmed();
}

#[rstest]
#[case::nothing(Vec::new(), "empty")]
#[case::text(b"(component)".to_vec(), "text")]
#[case::a_program(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec(), "not WebAssembly")]
#[case::noise((0_u32..4096).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect(), "not WebAssembly")]
fn what_is_no_component_is_refused(#[case] bytes: Vec<u8>, #[case] says: &str) {
    let (ended, message) = load(&bytes);
    assert_eq!(ended, "not-a-component", "{message}");
    assert!(message.contains(says), "{message}");
}

#[test]
fn every_truncation_of_a_plugin_is_refused() {
    let whole = weave::component("policy", "");
    for length in (0..whole.len()).step_by(whole.len() / 97) {
        let (ended, message) = load(&whole[..length]);
        assert_ne!(
            ended,
            "loaded",
            "{length} bytes of {}: {message}",
            whole.len()
        );
    }
    assert_unharmed();
}

#[test]
fn compiled_code_is_not_a_plugin() {
    let engine = wasmtime::Engine::default();
    let compiled = engine
        .precompile_component(&weave::component("policy", ""))
        .unwrap();
    let (ended, message) = load(&compiled);
    assert_eq!(ended, "not-a-component", "{message}");
    assert!(message.contains("compiled"), "{message}");
}

#[test]
fn a_plugin_of_65_mib_is_refused_without_a_look_at_it() {
    alone(&[], || {
        let mut bytes = weave::component("policy", "");
        bytes.resize(65 << 20, 0);
        let memory = Memory::now();
        let (ended, message) = load(&bytes);
        memory.grew_by_less_than(8 << 20);
        assert_eq!(ended, "too-large", "{message}");
    });
}

#[test]
fn another_digest_is_refused() {
    let bytes = weave::component("policy", "");
    let other = format!("sha256:{}", "0".repeat(64));
    let error = RUNTIME
        .block_on(HOST.load(&bytes, Some(&other)))
        .err()
        .unwrap();
    assert_eq!(unloadable(&error).0, "digest");
}
