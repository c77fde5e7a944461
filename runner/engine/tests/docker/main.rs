//! The Docker sandbox against a real engine: Docker or Podman, wherever `DOCKER_HOST` or the usual sockets lead.
//! Without one these tests are skipped and say so.

#[cfg(test)]
mod ending;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod environment;
#[cfg(test)]
mod images;
#[cfg(test)]
mod losing;
#[cfg(test)]
mod networks;
#[cfg(test)]
mod pod;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod pulling;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod steps;
