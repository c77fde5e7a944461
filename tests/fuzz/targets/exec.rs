//! Any text as the input of `batch exec`, and any bytes as a cached step result.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = capstan_core::result::StepResult::from_json(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = capstan_core::exec_input::parse(text);
    }
});
