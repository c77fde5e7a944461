//! The private registry that `tests/scripts/registry` starts.

use std::env;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::world::World;

/// Where the registry is and how to get in.
pub struct Registry {
    /// `host:port`.
    pub address: String,
    /// Full name of the image it holds; the engine does not have it.
    pub image: String,
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl Registry {
    /// The registry; panics, saying what to do, if there is none.
    pub fn require() -> Self {
        let get = |name: &str| {
            env::var(name).unwrap_or_else(|_| {
                panic!("{name} is not set: run `make test`, or export what `tests/scripts/registry start` prints")
            })
        };
        Self {
            address: get("CAPSTAN_TEST_REGISTRY"),
            image: get("CAPSTAN_TEST_REGISTRY_IMAGE"),
            user: get("CAPSTAN_TEST_REGISTRY_USER"),
            password: get("CAPSTAN_TEST_REGISTRY_PASSWORD"),
        }
    }

    /// Writes a Docker configuration with a password for this registry into a world's home.
    pub fn log_in(&self, world: &World, password: &str) {
        let secret = STANDARD.encode(format!("{}:{password}", self.user));
        let config = serde_json::json!({ "auths": { &self.address: { "auth": secret } } });
        let path = world.home().join(".docker/config.json");
        crate::world::write_file(&path, config.to_string().as_bytes());
    }
}
