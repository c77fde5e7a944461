//! Any bytes as a batch spec.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = capstan_core::spec::parse(data);
});
