//! Any text as a glob, matched against any other. The first line is the pattern.
#![no_main]

use capstan_core::glob::Glob;

libfuzzer_sys::fuzz_target!(|data: &str| {
    let (pattern, text) = data.split_once('\n').unwrap_or((data, ""));
    if let Ok(glob) = Glob::new(pattern) {
        let _ = glob.is_match(text);
    }
});
