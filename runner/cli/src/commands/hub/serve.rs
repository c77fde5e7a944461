//! `capstan hub serve`.

use std::net::SocketAddr;
use std::path::Path;

use capstan_hub::{Access, Hub, HubError, Settings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::tokens::{self, EXECUTORS, Found, PEOPLE};
use crate::args::hub::Serve;
use crate::commands::executor;
use crate::config::{Environment, duration};
use crate::failure::{Exit, Failed};
use crate::{interrupt, printer, tools};

pub(super) async fn run(
    args: &Serve,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let directory = std::env::current_dir().map_err(Failed::environment)?;
    let data = match &args.data {
        Some(data) => directory.join(data),
        None => directory.join(tokens::default_data(environment)),
    };
    let listener = TcpListener::bind(&args.listen).await.map_err(|error| {
        Failed::environment(format!("listening on {}: {error}", args.listen))
            .hint("name another address with --listen; port 0 takes any that is free")
    })?;
    let address = listener.local_addr().map_err(Failed::environment)?;
    let is_here = address.ip().is_loopback();

    let executors = EXECUTORS.given(args.executor_secret_file.as_deref(), environment)?;
    let people = PEOPLE.given(args.token_file.as_deref(), environment)?;
    if !is_here && (executors.is_none() || people.is_none()) {
        return Err(Failed::usage(format!(
            "refusing to listen on {address} without secrets that were chosen for it"
        ))
        .hint("set EXECUTOR_FRONTEND_PASSWORD and CAPSTAN_HUB_TOKEN, or listen on 127.0.0.1"));
    }
    let settings = settings(args, data, is_here)?;
    capstan_hub::make_private(&settings.data)?;
    let own = |given: Option<capstan_hub::Token>, secret: tokens::Secret| match given {
        Some(token) => Ok(Found {
            token,
            made_in: None,
        }),
        None => secret.own(&settings.data),
    };
    let executors = own(executors, EXECUTORS)?;
    let people = own(people, PEOPLE)?;
    let access = Access {
        executors: executors.token.clone(),
        people: people.token.clone(),
    };
    let git = tools::open_git(environment).await?;
    let hub = Hub::open(settings, &access, git)?;
    for argument in &args.repository {
        let (name, repository) = named(argument);
        let name = hub.register(name, repository, &directory).await?;
        printer::note(format_args!("repository {}", crate::text::name(&name)));
    }
    tell(address, &executors, &people);
    if args.with_executor {
        // Asking oneself costs little, and nobody likes to wait.
        let poll = environment.get("EXECUTOR_QUEUE_POLL_INTERVAL");
        let poll = poll.unwrap_or("100ms").to_owned();
        let environment = environment.with([
            (
                "EXECUTOR_FRONTEND_URL",
                format!("http://{}", reached_at(address)),
            ),
            (EXECUTORS.variable, executors.token.reveal().to_owned()),
            ("EXECUTOR_QUEUE_NAME", "batches".to_owned()),
            ("EXECUTOR_QUEUE_NAMES", String::new()),
            ("EXECUTOR_QUEUE_POLL_INTERVAL", poll),
        ]);
        return serve_with_executor(&hub, listener, config_file, &environment).await;
    }
    let told = || printer::note("the hub ends when it has answered; once more to leave at once");
    let cancel = interrupt::token_with(told).map_err(Failed::environment)?;
    hub.serve(listener, cancel).await?;
    Ok(Exit::Success)
}

/// Serves until the executor has ended: it takes signals, and what it is at has to be reported.
async fn serve_with_executor(
    hub: &Hub,
    listener: TcpListener,
    config_file: Option<&Path>,
    environment: &Environment,
) -> Result<Exit, Failed> {
    let cancel = CancellationToken::new();
    let mut serving = std::pin::pin!(hub.serve(listener, cancel.clone()));
    let ended = tokio::select! {
        served = &mut serving => {
            served?;
            return Err(Failed::environment("the hub has ended before its executor"));
        }
        ended = executor::run(None, config_file, environment) => ended,
    };
    cancel.cancel();
    serving.await?;
    ended
}

/// Where an executor of this machine reaches a hub that listens there.
fn reached_at(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let here: std::net::IpAddr = match address {
        SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(here, address.port())
}

fn settings(args: &Serve, data: std::path::PathBuf, is_here: bool) -> Result<Settings, Failed> {
    let kept = |flag: &str, text: &str| {
        duration(text).map_err(|error| Failed::usage(format!("--{flag} {text:?}: {error}")))
    };
    Ok(Settings {
        data,
        helper_image: args.helper_image.clone(),
        lease: kept("lease", &args.lease)?,
        keep: kept("keep", &args.keep)?,
        keep_results: kept("keep-results", &args.keep_results)?,
        open_to_new_repositories: is_here,
    })
}

/// `NAME=REPO`. The `=` of a URL is behind its first `/`.
fn named(argument: &str) -> (Option<&str>, &str) {
    match argument.split_once('=') {
        Some((name, repository))
            if !name.is_empty() && !name.contains("://") && !name.starts_with(['.', '/']) =>
        {
            (Some(name), repository)
        }
        _ => (None, argument),
    }
}

fn tell(address: SocketAddr, executors: &Found, people: &Found) {
    printer::note(format_args!("✱ Capstan hub listening on http://{address}"));
    // To be pasted into a shell.
    let secret = match &executors.made_in {
        Some(path) => format!("$(cat {})", path.display()),
        None => "(the one that was given)".to_owned(),
    };
    printer::note(format_args!(
        "  executors: EXECUTOR_FRONTEND_URL=http://{address} EXECUTOR_QUEUE_NAME=batches EXECUTOR_FRONTEND_PASSWORD={secret}"
    ));
    let password = match &people.made_in {
        Some(path) => format!("what is in {}", path.display()),
        None => "the token that was given".to_owned(),
    };
    printer::note(format_args!(
        "  pages: http://{address}/, with any user name and for a password {password}"
    ));
}

impl From<HubError> for Failed {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Repository { .. } => Self::usage(error),
            HubError::InUse(_) => {
                Self::environment(error).hint("end it, or name another directory with --data")
            }
            _ => Self::environment(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn names_stand_before_the_first_equals_sign() {
        for (argument, expected) in [
            ("tools=https://h/a?b=c", (Some("tools"), "https://h/a?b=c")),
            (
                "github.com/acme/x=/srv/x",
                (Some("github.com/acme/x"), "/srv/x"),
            ),
            ("https://h/a?b=c", (None, "https://h/a?b=c")),
            ("./a=b", (None, "./a=b")),
            ("/srv/a=b", (None, "/srv/a=b")),
            ("widgets", (None, "widgets")),
        ] {
            assert_eq!(named(argument), expected, "{argument}");
        }
    }
}
