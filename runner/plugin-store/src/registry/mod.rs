//! Registries: references, credentials, and components as artifacts in them.

mod artifact;
mod challenge;
mod credentials;
pub(crate) mod publish;
mod reference;
mod repository;

pub use self::artifact::Layer;
pub use self::challenge::Challenge;
pub use self::credentials::{Credential, Credentials, Found};
pub use self::reference::{HUB, Reference};
pub(crate) use self::repository::{Access, Repository};
