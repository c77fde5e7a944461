//! Where the hub's secrets come from: a file, the environment, or the data directory, in which they are made.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use capstan_hub::Token;
use fs_err::os::unix::fs::OpenOptionsExt as _;

use crate::config::Environment;
use crate::failure::Failed;

/// Shortest secret that somebody may choose, as in Sourcegraph.
const SHORTEST: usize = 20;

/// Longest file that is read.
const LONGEST: u64 = 4096;

/// The directory of a hub that was told none.
pub(super) fn default_data(environment: &Environment) -> PathBuf {
    let told = environment.get("CAPSTAN_HUB_DATA").map(PathBuf::from);
    told.unwrap_or_else(|| {
        let base = environment.get("XDG_DATA_HOME").map(PathBuf::from);
        let home = || Some(Path::new(environment.get("HOME")?).join(".local/share"));
        let base = base.or_else(home).unwrap_or_else(std::env::temp_dir);
        base.join("capstan/hub")
    })
}

/// A secret, and where it was found.
pub(super) struct Found {
    pub(super) token: Token,
    /// The file it is in, if it was made for this machine's own hub.
    pub(super) made_in: Option<PathBuf>,
}

/// One of the hub's secrets.
#[derive(Clone, Copy)]
pub(super) struct Secret {
    /// What it is, for people.
    pub(super) what: &'static str,
    pub(super) variable: &'static str,
    /// Name of the file in the data directory.
    pub(super) file: &'static str,
}

/// The token of people.
pub(super) const PEOPLE: Secret = Secret {
    what: "the hub's token",
    variable: "CAPSTAN_HUB_TOKEN",
    file: "token",
};

/// The secret that executors share.
pub(super) const EXECUTORS: Secret = Secret {
    what: "the executors' secret",
    variable: "EXECUTOR_FRONTEND_PASSWORD",
    file: "executor-secret",
};

impl Secret {
    /// From the file that was named, else from the environment.
    pub(super) fn given(
        self,
        file: Option<&Path>,
        environment: &Environment,
    ) -> Result<Option<Token>, Failed> {
        let text = match (file, environment.get(self.variable)) {
            (Some(file), _) => read(file).map_err(|error| {
                Failed::usage(format!(
                    "reading {} from {}: {error}",
                    self.what,
                    file.display()
                ))
            })?,
            (None, Some(text)) => text.to_owned(),
            (None, None) => return Ok(None),
        };
        if text.len() < SHORTEST || text.contains(char::is_whitespace) {
            return Err(Failed::usage(format!(
                "{} has to have at least {SHORTEST} characters, and no white space in it",
                self.what
            )));
        }
        Ok(Some(Token::given(text)))
    }

    /// From the data directory, which exists; made there if need be.
    pub(super) fn own(self, data: &Path) -> Result<Found, Failed> {
        let path = data.join(self.file);
        let failed =
            |error: std::io::Error| Failed::environment(format!("{}: {error}", path.display()));
        let mut options = fs_err::OpenOptions::new();
        options.create_new(true).write(true).mode(0o600);
        let token = match options.open(&path) {
            Ok(mut file) => {
                let token = Token::random().map_err(failed)?;
                file.write_all(token.reveal().as_bytes()).map_err(failed)?;
                token
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Token::given(read(&path).map_err(failed)?)
            }
            Err(error) => return Err(failed(error)),
        };
        if token.reveal().len() < SHORTEST {
            return Err(Failed::environment(format!(
                "{} does not hold {}: remove it, and a new one is made",
                path.display(),
                self.what
            )));
        }
        Ok(Found {
            token,
            made_in: Some(path),
        })
    }
}

/// The text of a short file, without the end of its line.
pub(super) fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs_err::File::open(path)?
        .take(LONGEST)
        .read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
