use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempDir;

use super::*;
use crate::compile::Compiler;
use crate::fixture::bytes;
use crate::host::{Host, HostError, Options};

struct World {
    home: TempDir,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        Self { home }
    }

    fn cache(&self) -> PathBuf {
        self.home.path().join("cache/plugins")
    }

    fn key(&self) -> PathBuf {
        self.home.path().join("state/key")
    }

    fn host(&self, limit: u64) -> Result<Host, HostError> {
        Host::new(Options {
            cache: Some(self.cache()),
            key: Some(self.key()),
            cache_limit: limit,
            compiler: Compiler::Here,
        })
    }

    /// The files of compiled code.
    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(self.cache())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }
}

/// A command that does nothing, different for each `number`.
fn command(number: u32) -> Vec<u8> {
    bytes(&format!(
        r#"(component
            (core module $m
                (func (export "run") (result i32) (i32.const 0))
                (func (export "number") (result i32) (i32.const {number})))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $command)))"#
    ))
}

const ENOUGH: u64 = 1 << 30;

#[tokio::test]
async fn code_is_kept_for_its_owner_alone_and_found_again() {
    let world = World::new();
    let wasm = command(1);
    world.host(ENOUGH).unwrap().load(&wasm, None).await.unwrap();
    let [file] = world.files().try_into().unwrap();
    assert_eq!(World::mode(&world.cache()), 0o700);
    assert_eq!(World::mode(&world.key()), 0o600);
    assert_eq!(World::mode(&file), 0o400);
    let inode = fs::metadata(&file).unwrap().ino();

    let again = world.host(ENOUGH).unwrap().load(&wasm, None).await.unwrap();
    assert!(again.inspection().command);
    assert_eq!(fs::metadata(&file).unwrap().ino(), inode);
}

#[tokio::test]
async fn code_that_was_tampered_with_is_compiled_again() {
    let world = World::new();
    let wasm = command(1);
    world.host(ENOUGH).unwrap().load(&wasm, None).await.unwrap();
    let [file] = world.files().try_into().unwrap();
    let good = fs::read(&file).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    for forged in [bad, good[..100].to_vec(), Vec::new()] {
        fs::remove_file(&file).unwrap();
        fs::write(&file, &forged).unwrap();
        world.host(ENOUGH).unwrap().load(&wasm, None).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), good);
    }
}

#[tokio::test]
async fn code_of_another_component_is_not_believed() {
    let world = World::new();
    world
        .host(ENOUGH)
        .unwrap()
        .load(&command(1), None)
        .await
        .unwrap();
    let [one] = world.files().try_into().unwrap();
    world
        .host(ENOUGH)
        .unwrap()
        .load(&command(2), None)
        .await
        .unwrap();
    let [two] = world
        .files()
        .into_iter()
        .filter(|file| *file != one)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let code = fs::read(&one).unwrap();
    fs::rename(&two, &one).unwrap();
    world
        .host(ENOUGH)
        .unwrap()
        .load(&command(1), None)
        .await
        .unwrap();
    assert_eq!(fs::read(&one).unwrap(), code);
}

#[tokio::test]
async fn what_was_used_longest_ago_makes_room() {
    let world = World::new();
    let host = world.host(ENOUGH).unwrap();
    host.load(&command(1), None).await.unwrap();
    let [one] = world.files().try_into().unwrap();
    let size = fs::metadata(&one).unwrap().len();
    host.load(&command(2), None).await.unwrap();
    // Two fit, and the first is used again.
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    for file in world.files() {
        fs::File::open(file)
            .unwrap()
            .file()
            .set_modified(long_ago)
            .unwrap();
    }
    let host = world.host(size * 5 / 2).unwrap();
    host.load(&command(1), None).await.unwrap();
    host.load(&command(3), None).await.unwrap();
    let files = world.files();
    assert_eq!(files.len(), 2);
    assert!(files.contains(&one));
}

#[test]
fn the_key_must_not_lie_with_the_code() {
    let world = World::new();
    let error = Host::new(Options {
        cache: Some(world.cache()),
        key: Some(world.cache().join("key")),
        cache_limit: ENOUGH,
        compiler: Compiler::Here,
    })
    .err()
    .unwrap();
    assert!(
        error.to_string().contains("must not lie with the code"),
        "{error}"
    );
}

#[test]
fn a_key_that_others_can_read_is_no_key() {
    let world = World::new();
    world.host(ENOUGH).unwrap();
    fs::set_permissions(world.key(), Permissions::from_mode(0o644)).unwrap();
    let error = world.host(ENOUGH).err().unwrap();
    assert!(error.to_string().contains("others could read"), "{error}");
}

#[test]
fn a_directory_that_others_can_read_becomes_private() {
    let world = World::new();
    fs::create_dir_all(world.cache()).unwrap();
    fs::set_permissions(world.cache(), Permissions::from_mode(0o755)).unwrap();
    world.host(ENOUGH).unwrap();
    assert_eq!(World::mode(&world.cache()), 0o700);
}
