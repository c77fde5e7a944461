//! Any bytes as archives that the plugin `workspace-files` unpacks; of a bomb, only as much is read as somebody takes.
#![no_main]

use std::io::{Cursor, Read};

use capstan_plugin::{Error, Result};

#[path = "../../../plugins/workspace-files/src/archive/mod.rs"]
mod archive;

use archive::gzip::Gzip;
use archive::{Entry, tar, zip};

/// Bytes that are taken of one archive.
const MOST: u64 = 1 << 20;

/// Takes the content of entries as the plugin does.
fn take() -> impl FnMut(&mut Entry<'_>) -> Result<()> {
    let mut left = MOST;
    move |entry| {
        let _ = (&entry.path, entry.kind);
        let taken = std::io::copy(&mut (&mut *entry.content).take(left), &mut std::io::sink());
        left -= taken.map_err(|error| Error::new("input", error.to_string()))?;
        if left == 0 {
            Err(Error::new("limit", "that is enough"))
        } else {
            Ok(())
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = tar::read(&mut &*data, take());
    let _ = tar::read(&mut Gzip::new(data).take(4 * MOST), take());
    let _ = zip::read(Cursor::new(data), take());
});
