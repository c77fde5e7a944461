//! Any bytes as YAML.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = capstan_core::yaml::load(data);
});
