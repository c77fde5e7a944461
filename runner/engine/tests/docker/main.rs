//! The Docker sandbox against a real engine: Docker or Podman, wherever `DOCKER_HOST` or the usual sockets lead.
//! Without one these tests are skipped and say so.

mod ending;
mod engine;
mod environment;
mod images;
mod pulling;
mod speed;
mod steps;
