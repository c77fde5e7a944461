//! Writes git's tree objects: what a diff of a few files is against.

use std::io::{self, Write as _};
use std::path::Path;

use capstan_core::git_index::Entry;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// A directory whose entries are being collected.
#[derive(Default)]
struct Level {
    name: Vec<u8>,
    content: Vec<u8>,
}

/// Writes the trees of these entries, which are in the order of an index, into the directory of objects of a repository whose ids have
/// `id_length` bytes; returns the id of the root's. Objects that the trees name need not be there.
///
/// # Errors
/// The file system's.
pub(super) fn write_trees<'a>(
    objects: &Path,
    entries: impl IntoIterator<Item = Entry<'a>>,
    id_length: usize,
) -> io::Result<String> {
    let mut levels = vec![Level::default()];
    for entry in entries {
        let path = entry.path();
        let mut names = path.split(|&byte| byte == b'/');
        let name = names.next_back().unwrap_or_default();
        let directories: Vec<&[u8]> = names.collect();
        let open = levels.iter().skip(1).map(|level| level.name.as_slice());
        let same = open.zip(&directories).take_while(|(a, b)| a == *b).count();
        close(objects, &mut levels, same + 1, id_length)?;
        levels.extend(directories[same..].iter().map(|name| Level {
            name: name.to_vec(),
            content: Vec::new(),
        }));
        if let Some(level) = levels.last_mut() {
            add(&mut level.content, entry.mode(), name, entry.id());
        }
    }
    close(objects, &mut levels, 1, id_length)?;
    let root = levels.pop().unwrap_or_default();
    let id = write(objects, &root.content, id_length)?;
    Ok(hex(&id))
}

/// Writes the trees of all levels but the first `keep`, the deepest first.
fn close(objects: &Path, levels: &mut Vec<Level>, keep: usize, id_length: usize) -> io::Result<()> {
    const DIRECTORY: u32 = 0o40_000;
    while levels.len() > keep {
        let done = levels.pop().unwrap_or_default();
        let id = write(objects, &done.content, id_length)?;
        if let Some(above) = levels.last_mut() {
            add(&mut above.content, DIRECTORY, &done.name, &id);
        }
    }
    Ok(())
}

fn add(content: &mut Vec<u8>, mode: u32, name: &[u8], id: &[u8]) {
    content.extend_from_slice(format!("{mode:o} ").as_bytes());
    content.extend_from_slice(name);
    content.push(0);
    content.extend_from_slice(id);
}

/// Writes a loose tree, unless it is there.
fn write(objects: &Path, content: &[u8], id_length: usize) -> io::Result<Vec<u8>> {
    let header = format!("tree {}\0", content.len());
    let id = if id_length == 20 {
        let hash = Sha1::new().chain_update(&header).chain_update(content);
        hash.finalize().to_vec()
    } else {
        let hash = Sha256::new().chain_update(&header).chain_update(content);
        hash.finalize().to_vec()
    };
    let name = hex(&id);
    let directory = objects.join(&name[..2]);
    let path = directory.join(&name[2..]);
    if !path.exists() {
        fs_err::create_dir_all(directory)?;
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(header.as_bytes())?;
        packed.write_all(content)?;
        fs_err::write(path, packed.finish()?)?;
    }
    Ok(id)
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::git::fixture::Fixture;
    use capstan_core::git_index::Index;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_trees_are_those_of_git(
            names in prop::collection::btree_set("[ab./-]{1,7}", 0..12),
        ) {
            let fixture = Fixture::new();
            for name in names {
                let parts: Vec<&str> = name.split('/').collect();
                let path = fixture.path.join(&name);
                let suits = !parts.iter().any(|part| matches!(*part, "" | "." | ".."))
                    && !path.exists()
                    && !path.ancestors().any(Path::is_file);
                if suits {
                    fixture.write(&name, &name);
                }
            }
            fixture.commit("all");
            let bytes = fs_err::read(fixture.path.join(".git/index"));
            let Ok(bytes) = bytes else { return Ok(()) };
            let index = Index::parse(bytes, 20).unwrap();
            let objects = tempfile::tempdir().unwrap();
            let id = write_trees(objects.path(), index.iter(), 20).unwrap();
            prop_assert_eq!(&id, &fixture.rev("HEAD^{tree}"));
            // Git reads what was written.
            let from = fixture.path.join(".git/objects/info/alternates");
            fs_err::remove_dir_all(fixture.path.join(".git/objects")).unwrap();
            fs_err::create_dir_all(from.parent().unwrap()).unwrap();
            fs_err::write(from, format!("{}\n", objects.path().display())).unwrap();
            fixture.git(&["ls-tree", "-r", &id]);
        }
    }
}
