//! Any bytes as a component, read by what looks at plugins before anything else does.
#![no_main]

#[path = "../../../runner/cli/src/commands/plugin/anatomy.rs"]
mod anatomy;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let anatomy = anatomy::Anatomy::read(data);
    let names = anatomy.imports.iter().chain(&anatomy.exports);
    assert!(
        names.map(String::len).sum::<usize>() <= data.len(),
        "names that were not there"
    );
    let _ = (anatomy.hooks(), anatomy.api(), anatomy.is_command());
});
