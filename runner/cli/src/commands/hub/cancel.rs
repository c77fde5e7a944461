//! `capstan hub cancel`.

use super::{contact, show};
use crate::args::hub::Change;
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::printer;

pub(super) async fn run(args: &Change, environment: &Environment) -> Result<Exit, Failed> {
    let client = contact::client(&args.contact, environment)?;
    match client.cancel(args.id).await? {
        true => printer::note(format_args!("execution {} is being cancelled", args.id)),
        false => printer::note(format_args!("execution {} has ended already", args.id)),
    }
    if args.json {
        show::print_json(&client.execution(args.id).await?)?;
    }
    Ok(Exit::Success)
}
