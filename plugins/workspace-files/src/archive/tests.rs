use std::io::Cursor;

use capstan_plugin::Result;
use miniz_oxide::deflate::compress_to_vec;
use proptest::prelude::*;

use super::gzip::Gzip;
use super::*;

/// One entry, read: path, kind and content.
type Seen = (String, Kind, String);

const FILE: Kind = Kind::File { executable: false };

fn keep(seen: &mut Vec<Seen>) -> impl FnMut(&mut Entry<'_>) -> Result<()> {
    |entry| {
        let mut content = Vec::new();
        entry.content.read_to_end(&mut content)?;
        let content = String::from_utf8_lossy(&content).into_owned();
        seen.push((entry.path.clone(), entry.kind, content));
        Ok(())
    }
}

fn read_tar(bytes: &[u8]) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    tar::read(&mut &*bytes, keep(&mut seen))?;
    Ok(seen)
}

fn read_zip(bytes: &[u8]) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    zip::read(Cursor::new(bytes), keep(&mut seen))?;
    Ok(seen)
}

/// A header and its content.
pub(crate) fn tar_entry(path: &str, kind: u8, mode: u32, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0u8; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..107].copy_from_slice(format!("{mode:07o}").as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    block[148..156].fill(b' ');
    block[156] = kind;
    block[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

pub(crate) fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
    stream.extend_from_slice(b"name\0");
    stream.extend(compress_to_vec(bytes, 6));
    stream.extend([0; 8]);
    stream
}

/// Path, mode, whether compressed, content.
pub(crate) fn zipped(entries: &[(&str, u32, bool, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (path, mode, deflate, content) in entries {
        let offset = u32::try_from(file.len()).unwrap();
        let body = if *deflate {
            compress_to_vec(content, 6)
        } else {
            content.to_vec()
        };
        let method = if *deflate { 8u16 } else { 0 };
        let mut common = vec![20, 0, 0, 0];
        common.extend(method.to_le_bytes());
        common.extend([0; 8]);
        common.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        common.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        common.extend(u16::try_from(path.len()).unwrap().to_le_bytes());
        common.extend([0, 0]);
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(path.as_bytes());
        file.extend(body);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(path.as_bytes());
    }
    let offset = u32::try_from(file.len()).unwrap();
    let size = u32::try_from(directory.len()).unwrap();
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0\0\0\0\0");
    file.extend(size.to_le_bytes());
    file.extend(offset.to_le_bytes());
    file.extend([0, 0]);
    file
}

fn seen(path: &str, kind: Kind, content: &str) -> Seen {
    (path.to_owned(), kind, content.to_owned())
}

#[test]
fn tar_archives_are_read() {
    let long = format!("{}/x", "d".repeat(150));
    let pax = format!("{} path={long}\n", long.len() + 10);
    let archive = [
        tar_entry("dir/", b'5', 0o755, b""),
        tar_entry("dir/a.txt", b'0', 0o644, b"hello"),
        tar_entry("dir/run", b'0', 0o755, &b"#".repeat(1000)),
        tar_entry("@LongLink", b'L', 0, format!("{long}\0").as_bytes()),
        tar_entry("dddd", b'0', 0o644, b"gnu"),
        tar_entry("pax", b'x', 0, pax.as_bytes()),
        tar_entry("dddd", b'0', 0o644, b"pax"),
        tar_entry("pax", b'g', 0, b"12 comment=x\n"),
        tar_entry("link", b'2', 0o777, b""),
        vec![0; 1024],
    ]
    .concat();
    let expected = [
        seen("dir/", Kind::Directory, ""),
        seen("dir/a.txt", FILE, "hello"),
        seen(
            "dir/run",
            Kind::File { executable: true },
            &"#".repeat(1000),
        ),
        seen(&long, FILE, "gnu"),
        seen(&long, FILE, "pax"),
        seen("link", Kind::Other, ""),
    ];
    assert_eq!(read_tar(&archive).unwrap(), expected);

    let mut unzipped = Vec::new();
    let stream = [gzipped(&archive[..700]), gzipped(&archive[700..])].concat();
    Gzip::new(stream.as_slice())
        .read_to_end(&mut unzipped)
        .unwrap();
    assert!(unzipped == archive);
}

#[test]
fn zip_archives_are_read() {
    let archive = zipped(&[
        ("dir/", 0o040_755, false, b""),
        ("dir/a.txt", 0o100_644, false, b"hello"),
        ("dir/run", 0o100_755, true, &b"#".repeat(1000)),
        ("link", 0o120_777, false, b"/etc"),
    ]);
    let expected = [
        seen("dir/", Kind::Directory, ""),
        seen("dir/a.txt", FILE, "hello"),
        seen(
            "dir/run",
            Kind::File { executable: true },
            &"#".repeat(1000),
        ),
        seen("link", Kind::Other, "/etc"),
    ];
    assert_eq!(read_zip(&archive).unwrap(), expected);
}

#[test]
fn broken_archives_are_told() {
    let tar = [tar_entry("a", b'0', 0o644, b"hello"), vec![0; 1024]].concat();
    let mut damaged = tar.clone();
    damaged[0] = b'b';
    // As large as a number can be, and passed over.
    let endless = [
        tar_entry("pax", b'x', 0, b"29 size=18446744073709551615\n"),
        tar_entry("all", b'g', 0, b""),
    ]
    .concat();
    for (bytes, reason) in [
        (&tar[..100], "it ends too early"),
        (&tar[..514], "it ends too early"),
        (&endless, "it ends too early"),
        (&damaged[..], "it is no tar archive, or damaged"),
        (b"", "there is nothing in it"),
    ] {
        assert_eq!(read_tar(bytes).unwrap_err().message, reason);
    }

    let zip = zipped(&[("a", 0o100_644, true, b"hello hello hello")]);
    let mut damaged = zip.clone();
    damaged[31] = 0xff;
    for (bytes, reason) in [
        (
            &zip[..zip.len() - 1],
            "it is no zip archive, or ends too early",
        ),
        (&zip[5..], "its directory is damaged"),
        (&damaged[..], "its compressed data is damaged"),
        (b"", "it is no zip archive, or ends too early"),
    ] {
        assert_eq!(read_zip(bytes).unwrap_err().message, reason);
    }

    let stream = gzipped(b"hello");
    for (bytes, reason) in [
        (&stream[..12], "it ends too early"),
        (&stream[..18], "it ends too early"),
        (&stream[..stream.len() - 1], "it ends too early"),
        (b"hello hello hello", "it is not compressed with gzip"),
    ] {
        let error = Gzip::new(bytes).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), reason);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, at in 0usize..2000, byte: u8) {
        let _ = read_tar(&bytes);
        let _ = read_zip(&bytes);
        let _ = Gzip::new(bytes.as_slice()).read_to_end(&mut Vec::new());

        let mut tar = [tar_entry("a", b'0', 0o644, b"hello"), tar_entry("b", b'x', 0, b"9 path=z\n")].concat();
        let at_tar = at % tar.len();
        tar[at_tar] = byte;
        let _ = read_tar(&tar);
        let mut zip = zipped(&[("a", 0o100_644, true, b"hello hello hello")]);
        let at_zip = at % zip.len();
        zip[at_zip] = byte;
        let _ = read_zip(&zip);
        let mut stream = gzipped(b"hello hello hello");
        let at_stream = at % stream.len();
        stream[at_stream] = byte;
        let _ = Gzip::new(stream.as_slice()).take(1 << 20).read_to_end(&mut Vec::new());
    }
}
