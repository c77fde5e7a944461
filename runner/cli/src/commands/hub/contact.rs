//! Getting in touch with a hub.

use std::time::{Duration, Instant};

use capstan_hub::{Client, ClientError};

use super::tokens::{self, PEOPLE};
use crate::args::hub::Contact;
use crate::config::Environment;
use crate::failure::Failed;

/// Where a hub of this machine is.
const HERE: &str = "http://127.0.0.1:7080";

/// How long a hub that is starting is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// The wait between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// The hub that is meant, asked by who is meant.
pub(super) fn client(contact: &Contact, environment: &Environment) -> Result<Client, Failed> {
    let url = url(contact, environment);
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Failed::usage(format!(
            "{url:?} is no URL of a hub: it begins with http:// or https://"
        )));
    }
    let token = match PEOPLE.given(contact.token_file.as_deref(), environment)? {
        Some(token) => token,
        // It is nobody else's business: another machine does not get it.
        None if is_here(url) => own(environment)?,
        None => {
            return Err(Failed::usage(format!("the hub at {url} needs a token"))
                .hint("set CAPSTAN_HUB_TOKEN, or name a file with --token-file"));
        }
    };
    Ok(Client::new(url, token)?)
}

/// The same, if it answers. A hub of this machine may be starting just now, so it is waited for a moment.
pub(super) async fn client_that_answers(
    contact: &Contact,
    environment: &Environment,
) -> Result<Client, Failed> {
    let url = url(contact, environment);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answered = match client(contact, environment) {
            Ok(client) => match client.executors().await {
                Ok(_) => return Ok(client),
                Err(error @ ClientError::Unreachable { .. }) => Failed::from(error),
                Err(error) => return Err(error.into()),
            },
            Err(failed) => failed,
        };
        if !is_here(url) || Instant::now() > deadline {
            return Err(answered);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn url<'a>(contact: &'a Contact, environment: &'a Environment) -> &'a str {
    contact
        .hub
        .as_deref()
        .or_else(|| environment.get("CAPSTAN_HUB_URL"))
        .unwrap_or(HERE)
}

/// The token that a hub of this user on this machine has made.
fn own(environment: &Environment) -> Result<capstan_hub::Token, Failed> {
    let path = tokens::default_data(environment).join(PEOPLE.file);
    match tokens::read(&path) {
        Ok(text) => Ok(capstan_hub::Token::given(text)),
        Err(error) => Err(Failed::usage(format!(
            "there is no token for the hub: {}: {error}",
            path.display()
        ))
        .hint(
            "start a hub with `capstan hub serve`, or set CAPSTAN_HUB_TOKEN for one of somebody else",
        )),
    }
}

/// Whether a URL leads to this machine.
fn is_here(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Unreachable { .. } => {
                Self::environment(&error).hint("is the hub running? `capstan hub serve` starts one")
            }
            ClientError::Unauthorized { .. } => Self::usage(&error)
                .hint("set CAPSTAN_HUB_TOKEN to the hub's token, or name a file with --token-file"),
            ClientError::Refused { status, .. } if *status >= 500 => Self::environment(&error),
            ClientError::Refused { .. } => Self::usage(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_this_machine_stays_here() {
        for (url, here) in [
            ("http://127.0.0.1:7080", true),
            ("http://localhost", true),
            ("http://[::1]:80/x", true),
            ("http://127.0.0.1.example:7080", false),
            ("http://localhost@evil.example/", false),
            ("http://evil.example?localhost", false),
            ("https://hub.example", false),
        ] {
            assert_eq!(is_here(url), here, "{url}");
        }
    }
}
