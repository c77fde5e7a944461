//! Any bytes as a diff: parsed, and if that succeeds, all of it is in the sections.
#![no_main]

use capstan_core::diff::Diff;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(diff) = Diff::parse(data) {
        let raw: Vec<u8> = diff.sections.iter().flat_map(|section| section.raw).copied().collect();
        assert_eq!(raw, data, "sections lose or invent text");
        let _ = diff.changed_files();
    }
});
