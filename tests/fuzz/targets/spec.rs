//! Any bytes as a batch spec; what is wrong with them can be shown.
#![no_main]

use capstan_core::spec::{self, ParseOptions};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(problems) = spec::parse(data, &ParseOptions::default()) {
        let _ = problems.render("spec.yaml", data);
    }
});
