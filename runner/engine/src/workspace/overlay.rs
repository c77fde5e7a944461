//! Overlays: a tree that nobody changes, and above it a directory that has what was changed
//! (the kernel's Documentation/filesystems/overlayfs.rst).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, unmount as unmount_now,
};

/// The directories of an overlay; all exist.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layers<'a> {
    /// The tree below, which is only read.
    pub(crate) lower: &'a Path,
    /// What was changed.
    pub(crate) upper: &'a Path,
    /// The kernel's own, empty and on the same file system as `upper`.
    pub(crate) work: &'a Path,
}

/// What may not be in the path of a layer: it has a meaning in the options of the mount.
const SPECIAL: [char; 4] = [',', ':', '\\', '"'];

/// What a table of mounts says of our overlays.
const KIND: &[u8] = b" - overlay capstan ";

/// Options that make directories show what has become of them: no renamed directory that names its origin, no file whose
/// content is elsewhere.
pub(crate) const PLAIN: [(&str, &str); 3] = [
    ("redirect_dir", "nofollow"),
    ("metacopy", "off"),
    ("index", "off"),
];

/// Whether the path can be that of a layer.
pub(crate) fn may_be_layer(path: &Path) -> bool {
    path.to_str().is_some_and(|path| !path.contains(SPECIAL))
}

/// Mounts an overlay at a directory. Nothing in it outlives a crash of the machine.
///
/// # Errors
/// The kernel's: no right to mount, no overlays here.
pub(crate) fn mount(at: &Path, layers: Layers<'_>) -> io::Result<()> {
    let system = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let set = |name: &str, value: &OsStr| fsconfig_set_string(&system, name, value.as_bytes());
    set("source", "capstan".as_ref())?;
    set("lowerdir", layers.lower.as_os_str())?;
    set("upperdir", layers.upper.as_os_str())?;
    set("workdir", layers.work.as_os_str())?;
    for (name, value) in PLAIN {
        set(name, value.as_ref())?;
    }
    // Without it the end of the mount waits until the whole disk is written. Kernels before 5.10 do not know it.
    let _ = fsconfig_set_flag(&system, "volatile");
    fsconfig_create(&system)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    let mounted = fsmount(&system, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    move_mount(
        &mounted,
        "",
        rustix::fs::CWD,
        at,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?;
    Ok(())
}

/// Takes the mount at a directory away. Whoever still uses it goes on until it ends.
///
/// # Errors
/// The kernel's; that nothing is mounted there is none.
pub(crate) fn unmount(at: &Path) -> io::Result<()> {
    match unmount_now(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Takes all mounts below a directory away, as those that a killed process has left.
///
/// # Errors
/// The kernel's.
pub(crate) fn unmount_below(directory: &Path) -> io::Result<()> {
    let Ok(directory) = fs_err::canonicalize(directory) else {
        return Ok(());
    };
    let mounts = fs_err::read("/proc/self/mountinfo").unwrap_or_default();
    let mut below: Vec<PathBuf> = mount_points(&mounts)
        .filter(|point| point.starts_with(&directory) && *point != directory)
        .collect();
    // What is mounted in a mount goes first.
    below.sort();
    below.iter().rev().try_for_each(|point| unmount(point))
}

/// Whether somebody with this table of mounts sees one of our overlays at `at`.
pub(crate) fn is_seen(mountinfo: &[u8], at: &Path) -> bool {
    mountinfo.split(|&byte| byte == b'\n').any(|line| {
        mount_points(line).any(|point| point == at) && memchr::memmem::find(line, KIND).is_some()
    })
}

/// The places in a table of mounts as in proc_pid_mountinfo(5).
fn mount_points(mountinfo: &[u8]) -> impl Iterator<Item = PathBuf> {
    mountinfo
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.split(|&byte| byte == b' ').nth(4))
        .map(|point| PathBuf::from(OsStr::from_bytes(&unescaped(point))))
}

/// Without the octal spelling of blanks and backslashes.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|digits| {
            byte == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit))
        });
        match digits {
            Some(digits) => {
                let value = digits
                    .iter()
                    .fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
                plain.push(value as u8);
                rest = &after[3..];
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /state/a\\040b/work rw,nodev - overlay capstan rw,lowerdir=/c/tree,upperdir=/state/a/upper,workdir=/state/a/w
31 30 0:41 / /work rw - overlay overlay rw,upperdir=/state/b/upper
";

    #[test]
    fn tables_of_mounts_are_read() {
        let points: Vec<PathBuf> = mount_points(TABLE).collect();
        assert_eq!(points, ["/", "/state/a b/work", "/work"].map(PathBuf::from));
        for (at, expected) in [
            ("/state/a b/work", true),
            ("/work", false),
            ("/", false),
            ("/state/a", false),
        ] {
            assert_eq!(is_seen(TABLE, Path::new(at)), expected, "{at}");
        }
    }

    #[test]
    fn some_paths_cannot_be_layers() {
        for (path, expected) in [
            ("/a/b c", true),
            ("/a,b", false),
            ("/a:b", false),
            ("/a\\b", false),
        ] {
            assert_eq!(may_be_layer(Path::new(path)), expected, "{path}");
        }
    }
}
