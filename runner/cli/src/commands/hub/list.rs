//! `capstan hub list`.

use super::{contact, show};
use crate::args::hub::List;
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{printer, text};

pub(super) async fn run(args: &List, environment: &Environment) -> Result<Exit, Failed> {
    let client = contact::client(&args.contact, environment)?;
    let executions = client.executions(None).await?;
    if args.json {
        show::print_json(&executions)?;
        return Ok(Exit::Success);
    }
    if executions.is_empty() {
        printer::note("nothing has been submitted");
    }
    for one in &executions {
        let jobs: Vec<String> = one
            .jobs
            .iter()
            .map(|(state, count)| format!("{count} {}", text::name(state)))
            .collect();
        let jobs = match jobs.is_empty() {
            true => "no jobs".to_owned(),
            false => jobs.join(", "),
        };
        printer::result_line(format_args!(
            "{:>5}  {:<10} {}  {} ({jobs})",
            one.id,
            text::name(&one.state),
            text::name(&one.created_at),
            text::name(&one.name)
        ))
        .map_err(Failed::environment)?;
    }
    Ok(Exit::Success)
}
