//! What has become of a tree: read off the layer of an overlay that has the changes.
//!
//! Of a file that was changed, the layer has the file; of one that is gone, a mark. A directory in it has what changed in that
//! directory, unless it is marked as opaque: then it hides the one below (overlayfs.rst, "whiteouts and opaque directories").

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, FileTypeExt as _, Metadata, MetadataExt as _};
use capstan_core::git_index::Index;
use rustix::io::Errno;

use super::tree::{at, open_child};

/// The attribute of an opaque directory in an overlay that root has mounted, and in one for everybody (`userxattr`).
const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// What is at a path that was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    /// A file, or a directory of which nothing is from below.
    There,
    /// Nothing any more.
    Gone,
}

/// The paths that were touched, none of them below another. A path that is not among them, nor below one, is as it is in `base`.
///
/// Directories that only exist to have something touched in them are not told, nor is anything that is called `.git`, which git never looks at
/// as a file. A file may turn out to have the same content as before.
///
/// # Errors
/// The file system's, with the path.
pub(super) fn touched(upper: &Dir, base: &Index) -> io::Result<BTreeMap<Vec<u8>, Touch>> {
    let mut touched = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        let handle = match directory.as_os_str().is_empty() {
            true => upper.try_clone(),
            false => upper.open_dir(&directory),
        };
        let entries = handle.and_then(|handle| handle.entries());
        for entry in entries.map_err(|error| at(&directory, &error))? {
            let entry = entry.map_err(|error| at(&directory, &error))?;
            let name = entry.file_name();
            if name == ".git" {
                continue;
            }
            let path = directory.join(&name);
            let metadata = entry.metadata().map_err(|error| at(&path, &error))?;
            let bytes = path.as_os_str().as_bytes().to_vec();
            if is_whiteout(&metadata) {
                if base.has(&bytes) {
                    touched.insert(bytes, Touch::Gone);
                }
            } else if metadata.is_dir() && continues(&path, upper, base)? {
                pending.push(path);
            } else {
                touched.insert(bytes, Touch::There);
            }
        }
    }
    Ok(touched)
}

/// Whether a directory of the layer shows what changed in one of the base.
fn continues(path: &Path, upper: &Dir, base: &Index) -> io::Result<bool> {
    let [file, inside] = base.below(path.as_os_str().as_bytes());
    // What is in the place of another repository is for git to judge as a whole.
    if !file.is_empty() || inside.is_empty() {
        return Ok(false);
    }
    // Attributes cannot be read through what cap-std opens. All directories on the way were seen to be some.
    let handle = open_child(upper, path.as_os_str()).map_err(|error| at(path, &error))?;
    for name in OPAQUE {
        let mut value = [0; 8];
        match rustix::fs::fgetxattr(&handle, name, &mut value) {
            Ok(length) if value[..length] == *b"y" => return Ok(false),
            Ok(_) | Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => {}
            Err(error) => return Err(at(path, &error.into())),
        }
    }
    Ok(true)
}

fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

/// At most about `most` paths that cover all of `paths`: as deep as that allows, in the limit the root. A path that is a directory stands for all below
/// it.
pub(super) fn cover(paths: &[&[u8]], most: usize) -> Vec<Vec<u8>> {
    let deepest = paths.iter().map(|path| depth(path)).max().unwrap_or(0);
    for levels in (1..=deepest).rev() {
        // Of paths in order, those that become the same follow each other.
        let mut cover: Vec<&[u8]> = paths.iter().map(|path| shortened(path, levels)).collect();
        cover.dedup();
        if cover.len() <= most {
            cover.sort_unstable();
            cover.dedup();
            return cover.into_iter().map(<[u8]>::to_vec).collect();
        }
    }
    match deepest {
        0 => Vec::new(),
        _ => vec![Vec::new()],
    }
}

/// How many names a path has.
fn depth(path: &[u8]) -> usize {
    1 + memchr::memchr_iter(b'/', path).count()
}

/// The first names of a path.
fn shortened(path: &[u8], levels: usize) -> &[u8] {
    let end = memchr::memchr_iter(b'/', path).nth(levels - 1);
    &path[..end.unwrap_or(path.len())]
}

/// The directories that a path is in, the outermost first, without the root.
pub(super) fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr::memchr_iter(b'/', path).map(|slash| &path[..slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_paths_cover_many() {
        let paths: [&[u8]; 5] = [b"a/b/c", b"a/b/d", b"a/x", b"e", b"f/g/h"];
        let cover = |most| {
            let cover = cover(&paths, most).into_iter();
            let text: Vec<String> = cover.map(|path| String::from_utf8(path).unwrap()).collect();
            text.join(" ")
        };
        assert_eq!(cover(9), "a/b/c a/b/d a/x e f/g/h");
        assert_eq!(cover(4), "a/b a/x e f/g");
        assert_eq!(cover(3), "a e f");
        assert_eq!(cover(2), "");
        assert_eq!(super::cover(&[], 2), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_path_is_in_directories() {
        let above: Vec<&[u8]> = above(b"a/b/c").collect();
        assert_eq!(above, [b"a".as_slice(), b"a/b"]);
    }
}
