//! What all who make requests need: whether a URL is on this machine, and words for what went wrong.

use std::error::Error as _;
use std::net::IpAddr;

use reqwest::Url;

/// Whether a URL is on this machine, as Docker decides which registries may do without TLS.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A text of others on its way to a terminal: one line without control characters, not too long.
pub fn clean(text: &str) -> String {
    let printable = text.chars().filter(|c| !c.is_control()).take(300);
    printable.collect::<String>().trim().to_owned()
}

/// A URL for people, without its query, which may hold a signature, and without credentials.
pub fn place(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    // Fails for a URL that cannot have any.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.into()
}

/// What is at the bottom of an error; the levels above say that a request failed.
pub fn cause(error: &reqwest::Error) -> String {
    let mut deepest = error.source();
    while let Some(below) = deepest.and_then(std::error::Error::source) {
        deepest = Some(below);
    }
    match deepest {
        Some(cause) => clean(&cause.to_string()),
        None if error.is_timeout() => "it took too long".to_owned(),
        None => "the request failed".to_owned(),
    }
}
