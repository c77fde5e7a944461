//! Any bytes as what a registry answers: a manifest, and the header that says how to sign in.
#![no_main]

use capstan_plugin_store::registry::{Challenge, Layer};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(reason) = Layer::of(data) {
        assert!(!reason.contains(char::is_control), "it reaches a terminal");
        assert!(reason.chars().count() < 4096, "it floods a terminal");
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(Challenge::Bearer { realm, service }) = Challenge::read(text)
    {
        assert!(realm.len() + service.map_or(0, |service| service.len()) <= text.len());
    }
});
