//! The private registry that `tests/scripts/registry` starts.

use std::env;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

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
        self.log_in_at(&self.address, world, password);
    }

    /// The same for another address that leads to it.
    pub fn log_in_at(&self, address: &str, world: &World, password: &str) {
        let secret = STANDARD.encode(format!("{}:{password}", self.user));
        let config = serde_json::json!({ "auths": { address: { "auth": secret } } });
        let path = world.home().join(".docker/config.json");
        crate::world::write_file(&path, config.to_string().as_bytes());
    }

    /// Asks it over HTTP as no client of ours would: `method` and what follows `/v2/`, headers besides the password, a body. Panics,
    /// with the answer, unless it is a success.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let secret = STANDARD.encode(format!("{}:{}", self.user, self.password));
        // The version without chunks and with an end.
        let mut request = format!(
            "{method} /v2/{path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Basic {secret}\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(&self.address).expect("the registry is up");
        let sent = stream
            .write_all(format!("{request}\r\n").as_bytes())
            .and_then(|()| stream.write_all(body));
        sent.expect("the registry reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let body = answer.split_off(end.expect("the answer has a head") + 4);
        let head = String::from_utf8(answer).expect("it is text");
        let status = head.split_whitespace().nth(1).unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        assert!(status.starts_with('2'), "{method} {path}: {head}{text}");
        Answer { head, body }
    }

    /// Stores a blob with this digest, `sha256:...`, in a repository.
    pub fn put_blob(&self, repository: &str, digest: &str, bytes: &[u8]) {
        let begun = self.ask("POST", &format!("{repository}/blobs/uploads/"), &[], b"");
        let location = begun.header("Location").expect("it says where to");
        let (_, path) = location.split_once("/v2/").expect("it is in the registry");
        let path = format!("{path}&digest={digest}");
        let kind = ("Content-Type", "application/octet-stream");
        self.ask("PUT", &path, &[kind], bytes);
    }
}

/// What a registry answered.
pub struct Answer {
    head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header; its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = headers.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }
}
