//! The containers that are made of an image, told as they are made: an engine remembers only its last few events.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::engine::Engine;

/// Watches an engine from when it is made on.
pub struct Creations {
    engine: Engine,
    /// The image's id.
    image: String,
    client: Child,
    ids: Lines<BufReader<ChildStdout>>,
}

impl Creations {
    /// Watches for containers of the image with this id.
    pub fn of(engine: &Engine, image: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("it is after 1970").as_secs();
        let mut client = engine
            .command(&["events", "--filter=type=container", "--filter=event=create"])
            .arg(format!("--filter=image={image}"))
            .arg(format!("--since={now}"))
            .arg("--format={{.ID}}")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the docker client runs");
        let stdout = client.stdout.take().expect("it is piped");
        let mut creations = Self {
            engine: engine.clone(),
            image: image.to_owned(),
            client,
            ids: BufReader::new(stdout).lines(),
        };
        // Once it is told of one, it is told of all that follow.
        creations.so_far();
        creations
    }

    /// The ids of the containers that were made since it was last asked.
    pub fn so_far(&mut self) -> Vec<String> {
        let last = self.engine.docker(&["create", &self.image, "true"]);
        self.engine.docker(&["rm", &last]);
        let ids = self.ids.by_ref().map(|id| id.expect("it is text"));
        ids.take_while(|id| *id != last).collect()
    }
}

impl Drop for Creations {
    fn drop(&mut self) {
        // Fails if the client has ended by itself.
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}
