//! `capstan hub retry`.

use capstan_hub::people::wire::Retry;

use super::{contact, show};
use crate::args::hub::Change;
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{printer, text};

pub(super) async fn run(args: &Change, environment: &Environment) -> Result<Exit, Failed> {
    let client = contact::client(&args.contact, environment)?;
    let detail = client.execution(args.id).await?;
    // The hub has forgotten the values when the execution ended.
    let values = detail.secrets.iter().filter_map(|name| {
        let value = environment.all().get(name)?;
        Some((name.clone(), value.clone()))
    });
    let retry = Retry {
        secrets: values.collect(),
    };
    match client.retry(args.id, &retry).await? {
        0 => printer::note(format_args!("no job of execution {} failed", args.id)),
        jobs => printer::note(format_args!(
            "execution {}: {} again",
            args.id,
            text::plural(jobs, "job")
        )),
    }
    if args.json {
        show::print_json(&client.execution(args.id).await?)?;
    }
    Ok(Exit::Success)
}
