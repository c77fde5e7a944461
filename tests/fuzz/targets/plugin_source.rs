//! Any text as the source of a plugin, as a `container` that is a component, and as what such a step runs.
#![no_main]

use capstan_core::wasm_step::{Invocation, Place, Reference};
use capstan_plugin_store::Source;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match text.parse::<Source>() {
        Ok(source) => assert_eq!(
            source.to_string().parse(),
            Ok(source),
            "shown as another source"
        ),
        Err(error) => drop(error.to_string()),
    }
    match Reference::parse(&format!("wasm://{text}")) {
        Some(Ok(reference)) => {
            let rest = match reference.place {
                Place::File(path) => path.to_string_lossy().into_owned(),
                Place::Address(text) | Place::Registry(text) => text,
            };
            let _ = Source::of_step(&rest);
        }
        Some(Err(error)) => drop(error.to_string()),
        None => panic!("a component is taken for an image"),
    }
    match Invocation::parse(text) {
        Ok(invocation) => {
            assert!(
                text.ends_with(&invocation.input),
                "input that was not there"
            );
            let length: usize = invocation.arguments.iter().map(String::len).sum();
            assert!(
                length + invocation.input.len() <= text.len(),
                "arguments that were not there"
            );
        }
        Err(error) => drop(error.to_string()),
    }
});
