//! Any bytes as a diff: parsed, and if that succeeds, all from the first section on is in the sections.
#![no_main]

use capstan_core::diff::Diff;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(diff) = Diff::parse(data) {
        let raw: Vec<u8> = diff
            .sections
            .iter()
            .flat_map(|section| section.raw)
            .copied()
            .collect();
        assert!(data.ends_with(&raw), "sections lose or invent text");
        for section in &diff.sections {
            section.hunks().for_each(drop);
        }
        let _ = diff.changed_files();
    }
});
