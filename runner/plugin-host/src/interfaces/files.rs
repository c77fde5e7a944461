//! `capstan:plugin/files`.

use crate::bindings::host::files::Host;
use crate::bindings::host::types::Error;
use crate::state::State;

impl Host for State {
    fn set_executable(
        &mut self,
        path: String,
        executable: bool,
    ) -> wasmtime::Result<Result<(), Error>> {
        let (_, files) = self.file_system();
        files.is_written = true;
        let result = files.set_executable(&path, executable);
        Ok(result.map_err(|error| Error {
            code: "io".to_owned(),
            message: format!("changing whether {path:?} is executable: {error}"),
            retryable: false,
        }))
    }
}
