//! `wasi:filesystem/types` with what WASI lacks: a quota, and no way to hang the host or to lay traps for those who read the workspace
//! later (facts/wasm-plugin-hosts.md 3.9).
//!
//! Paths are resolved by wasmtime's own implementation, which stays the wall; this looks first.

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, ErrorCode, HostDescriptor, HostDirectoryEntryStream,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use crate::files::{Files, Found};
use crate::quota::Metered;
use crate::state::State;

/// Replaces the interface in a linker that already has it.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<State, Guard>(linker, State::guarded)?;
    linker.allow_shadowing(false);
    Ok(())
}

struct Guard;

impl HasData for Guard {
    type Data<'a> = Guarded<'a>;
}

/// The file system of an instance.
struct Guarded<'a> {
    wasi: WasiFilesystemCtxView<'a>,
    files: &'a mut Files,
}

impl State {
    fn guarded(&mut self) -> Guarded<'_> {
        let (wasi, files) = self.file_system();
        Guarded { wasi, files }
    }
}

type Fd = Resource<Descriptor>;

impl Guarded<'_> {
    /// An error if the path leads to what must not be touched.
    fn check(&self, fd: &Fd, path: &str, follow: bool) -> FsResult<Found> {
        let Descriptor::Dir(directory) = self.wasi.table.get(fd)? else {
            return Err(ErrorCode::NotDirectory.into());
        };
        match self.files.look(&directory.dir, path, follow) {
            Found::Hidden => Err(ErrorCode::NotPermitted.into()),
            found => Ok(found),
        }
    }

    /// The same for something that is about to be made.
    fn make(&mut self, fd: &Fd, path: &str) -> FsResult<()> {
        self.files.is_written = true;
        self.check(fd, path, false)?;
        self.take_file()
    }

    fn take_file(&self) -> FsResult<()> {
        self.files.quota.take_file().map_err(full)
    }
}

fn full<T>(_: T) -> FsError {
    ErrorCode::InsufficientSpace.into()
}

fn follows(flags: types::PathFlags) -> bool {
    flags.contains(types::PathFlags::SYMLINK_FOLLOW)
}

impl types::Host for Guarded<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.wasi.convert_error_code(error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.wasi.filesystem_error_code(error)
    }
}

impl HostDescriptor for Guarded<'_> {
    // What writes.

    async fn write(
        &mut self,
        fd: Fd,
        bytes: Vec<u8>,
        offset: types::Filesize,
    ) -> FsResult<types::Filesize> {
        self.files.is_written = true;
        if let Descriptor::File(file) = self.wasi.table.get(&fd)? {
            let length = bytes.len() as u64;
            self.files
                .quota
                .take_write(&file.file, offset, length)
                .map_err(full)?;
        }
        self.wasi.write(fd, bytes, offset).await
    }

    fn write_via_stream(
        &mut self,
        fd: Fd,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let file = file(self.wasi.table.get(&fd)?)?;
        let stream = self.wasi.write_via_stream(fd, offset)?;
        self.meter(stream, file, Some(offset))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let file = file(self.wasi.table.get(&fd)?)?;
        let stream = self.wasi.append_via_stream(fd)?;
        self.meter(stream, file, None)
    }

    async fn set_size(&mut self, fd: Fd, size: types::Filesize) -> FsResult<()> {
        self.files.is_written = true;
        if let Descriptor::File(file) = self.wasi.table.get(&fd)? {
            self.files
                .quota
                .take_resize(&file.file, size)
                .map_err(full)?;
        }
        self.wasi.set_size(fd, size).await
    }

    // What makes, moves and removes.

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Fd> {
        let makes = types::OpenFlags::CREATE | types::OpenFlags::TRUNCATE;
        if open_flags.intersects(makes) || flags.contains(types::DescriptorFlags::WRITE) {
            self.files.is_written = true;
        }
        match self.check(&fd, &path, follows(path_flags))? {
            Found::Special => return Err(ErrorCode::NotPermitted.into()),
            Found::Nothing if open_flags.contains(types::OpenFlags::CREATE) => {
                // A symbolic link to nothing: what would be made is somewhere else, perhaps where it is hidden.
                if self.check(&fd, &path, false)? == Found::Ordinary {
                    return Err(ErrorCode::NotPermitted.into());
                }
                self.take_file()?;
            }
            _ => {}
        }
        self.wasi
            .open_at(fd, path_flags, path, open_flags, flags)
            .await
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.make(&fd, &path)?;
        self.wasi.create_directory_at(fd, path).await
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        self.make(&fd, &path)?;
        if let Descriptor::Dir(directory) = self.wasi.table.get(&fd)?
            && !self.files.may_link(&directory.dir, &path, &target)
        {
            return Err(ErrorCode::NotPermitted.into());
        }
        self.wasi.symlink_at(fd, target, path).await
    }

    /// Refused: a file with two names would be changed through one and counted through the other.
    async fn link_at(
        &mut self,
        _fd: Fd,
        _path_flags: types::PathFlags,
        _path: String,
        _new_fd: Fd,
        _new_path: String,
    ) -> FsResult<()> {
        Err(ErrorCode::Unsupported.into())
    }

    async fn rename_at(
        &mut self,
        fd: Fd,
        path: String,
        new_fd: Fd,
        new_path: String,
    ) -> FsResult<()> {
        self.files.is_written = true;
        self.check(&fd, &path, false)?;
        self.check(&new_fd, &new_path, false)?;
        self.wasi.rename_at(fd, path, new_fd, new_path).await
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.files.is_written = true;
        self.check(&fd, &path, false)?;
        self.wasi.unlink_file_at(fd, path).await
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.files.is_written = true;
        self.check(&fd, &path, false)?;
        self.wasi.remove_directory_at(fd, path).await
    }

    /// Opens what it changes, so the same holds as for opening.
    async fn set_times_at(
        &mut self,
        fd: Fd,
        path_flags: types::PathFlags,
        path: String,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        self.files.is_written = true;
        if self.check(&fd, &path, follows(path_flags))? == Found::Special {
            return Err(ErrorCode::NotPermitted.into());
        }
        self.wasi
            .set_times_at(fd, path_flags, path, accessed, modified)
            .await
    }

    // What looks.

    async fn stat_at(
        &mut self,
        fd: Fd,
        path_flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::DescriptorStat> {
        self.see(&fd, &path, follows(path_flags))?;
        self.wasi.stat_at(fd, path_flags, path).await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        path_flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        self.see(&fd, &path, follows(path_flags))?;
        self.wasi.metadata_hash_at(fd, path_flags, path).await
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        self.see(&fd, &path, false)?;
        self.wasi.readlink_at(fd, path).await
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<types::DirectoryEntryStream>> {
        let hides = match self.wasi.table.get(&fd)? {
            Descriptor::Dir(directory) => self.files.hides_in(&directory.dir),
            Descriptor::File(_) => false,
        };
        let listing = self.wasi.read_directory(fd).await?;
        if hides {
            self.files.listings.insert(listing.rep());
        }
        Ok(listing)
    }

    // What concerns a file that is open already.

    async fn read(
        &mut self,
        fd: Fd,
        length: types::Filesize,
        offset: types::Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        self.wasi.read(fd, length, offset).await
    }

    fn read_via_stream(
        &mut self,
        fd: Fd,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        self.wasi.read_via_stream(fd, offset)
    }

    async fn advise(
        &mut self,
        fd: Fd,
        offset: types::Filesize,
        length: types::Filesize,
        advice: types::Advice,
    ) -> FsResult<()> {
        self.wasi.advise(fd, offset, length, advice).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.wasi.sync_data(fd).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.wasi.sync(fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<types::DescriptorFlags> {
        self.wasi.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<types::DescriptorType> {
        self.wasi.get_type(fd).await
    }

    async fn set_times(
        &mut self,
        fd: Fd,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        self.files.is_written = true;
        self.wasi.set_times(fd, accessed, modified).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<types::DescriptorStat> {
        self.wasi.stat(fd).await
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.wasi.is_same_object(one, other).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<types::MetadataHashValue> {
        self.wasi.metadata_hash(fd).await
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.wasi, fd)
    }
}

impl Guarded<'_> {
    /// Like `check`, but what is hidden is just not there.
    fn see(&self, fd: &Fd, path: &str, follow: bool) -> FsResult<()> {
        match self.check(fd, path, follow) {
            Err(error) if matches!(error.downcast_ref(), Some(ErrorCode::NotPermitted)) => {
                Err(ErrorCode::NoEntry.into())
            }
            result => result.map(|_| ()),
        }
    }

    fn meter(
        &mut self,
        stream: Resource<DynOutputStream>,
        file: std::sync::Arc<std::fs::File>,
        offset: Option<u64>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.wasi.table.delete(stream)?;
        let metered = Metered::new(stream, file, offset, self.files.quota.clone());
        let metered: DynOutputStream = Box::new(metered);
        Ok(self.wasi.table.push(metered)?)
    }
}

fn file(descriptor: &Descriptor) -> FsResult<std::sync::Arc<std::fs::File>> {
    match descriptor {
        Descriptor::File(file) => Ok(file.file.clone()),
        Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor.into()),
    }
}

impl HostDirectoryEntryStream for Guarded<'_> {
    async fn read_directory_entry(
        &mut self,
        listing: Resource<types::DirectoryEntryStream>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        let hides = self.files.listings.contains(&listing.rep());
        loop {
            let listing = Resource::new_borrow(listing.rep());
            match self.wasi.read_directory_entry(listing).await? {
                Some(entry) if hides && Files::is_hidden_name(&entry.name) => {}
                entry => return Ok(entry),
            }
        }
    }

    fn drop(&mut self, listing: Resource<types::DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.files.listings.remove(&listing.rep());
        HostDirectoryEntryStream::drop(&mut self.wasi, listing)
    }
}

#[cfg(test)]
mod tests;
