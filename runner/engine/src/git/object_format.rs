//! How a repository names its objects.

/// The hash function of a repository's object ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFormat {
    /// Git's first, and still its default.
    Sha1,
    /// For `git init --object-format=sha256`.
    Sha256,
}

impl ObjectFormat {
    /// That of a full object id in hexadecimal: the two differ in length.
    pub fn of(id: &str) -> Self {
        if id.len() == 2 * Self::Sha256.id_length() {
            Self::Sha256
        } else {
            Self::Sha1
        }
    }

    /// What git calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// How many bytes an id has.
    pub fn id_length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}
