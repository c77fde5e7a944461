//! Git's index: what is read can be written and is read again as the same.
#![no_main]

use capstan_core::git_index::{Index, Status, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Vec<u8>)| {
    let (sha256, bytes) = input;
    let id_length = if sha256 { 32 } else { 20 };
    let Ok(index) = Index::parse(bytes, id_length) else {
        return;
    };
    let entries: Vec<_> = index.iter().map(|entry| (entry, Status::Known)).collect();
    let again = Index::parse(write(&entries, id_length), id_length).expect("it was written");
    assert!(again.iter().eq(index.iter()));
    for entry in index.iter() {
        assert!(index.has_file(entry.path()) && index.has(entry.path()));
    }
});
