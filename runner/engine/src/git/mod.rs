//! The one way in which Capstan runs git.
