//! `capstan hub list`.

use capstan_hub::people::wire::Summary;
use owo_colors::OwoColorize as _;

use super::{contact, show};
use crate::args::hub::List;
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{printer, text};

/// Executions that a hub tells of at a time.
const PAGE: usize = 100;

/// Characters of a failure that are shown.
const SHOWN: usize = 60;

pub(super) async fn run(args: &List, environment: &Environment) -> Result<Exit, Failed> {
    let client = contact::client(&args.contact, environment)?;
    let executions = client.executions(args.before).await?;
    if args.json {
        show::print_json(&executions)?;
        return Ok(Exit::Success);
    }
    if executions.is_empty() {
        printer::note("nothing has been submitted; `capstan hub submit -f SPEC` does");
    }
    for line in table(&executions, printer::results_are_read()) {
        printer::result_line(line).map_err(Failed::environment)?;
    }
    if let (PAGE.., Some(last)) = (executions.len(), executions.last()) {
        printer::note(format_args!("older ones: --before {}", last.id));
    }
    Ok(Exit::Success)
}

/// Number, state, time, name and jobs, in columns; what they are called stands above them where people read.
fn table(executions: &[Summary], headed: bool) -> Vec<String> {
    let names: Vec<String> = executions.iter().map(|one| text::name(&one.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max();
    let width = width.unwrap_or_default().max("NAME".len());
    let mut lines = Vec::new();
    if headed && !executions.is_empty() {
        let head = format!(
            "{:>5}  {:<9}  {:<20}  {:<width$}  JOBS",
            "ID", "STATE", "SUBMITTED", "NAME"
        );
        lines.push(head.bold().to_string());
    }
    lines.extend(executions.iter().zip(&names).map(|(one, name)| {
        let state = show::coloured(&one.state, &format!("{:<9}", text::name(&one.state)));
        format!(
            "{:>5}  {state}  {:<20}  {name:<width$}  {}",
            one.id,
            seconds(&one.created_at),
            jobs(one)
        )
    }));
    lines
}

/// A time without what is below a second.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{}Z", text::name(seconds)),
        None => text::name(time),
    }
}

/// How many jobs are in each state, or why there are none.
fn jobs(one: &Summary) -> String {
    let counts: Vec<String> = one
        .jobs
        .iter()
        .map(|(state, count)| format!("{count} {}", text::name(state)))
        .collect();
    match (counts.as_slice(), &one.failure) {
        ([], None) => "no jobs".to_owned(),
        ([], Some(failure)) => text::printable(failure.lines().next().unwrap_or_default(), SHOWN),
        (counts, _) => counts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_for_people_and_for_programs() {
        let one = |id, state: &str, name: &str, jobs: &[(&str, i64)]| Summary {
            id,
            state: state.to_owned(),
            name: name.to_owned(),
            failure: jobs
                .is_empty()
                .then(|| "no such repository\nmore".to_owned()),
            created_at: "2026-03-01T10:00:00.25Z".to_owned(),
            finished_at: None,
            jobs: jobs
                .iter()
                .map(|(state, count)| ((*state).to_owned(), *count))
                .collect(),
        };
        let all = [
            one(
                12,
                "running",
                "a-longer-name",
                &[("completed", 3), ("queued", 2)],
            ),
            one(2, "failed", "x", &[]),
        ];
        insta::assert_snapshot!(anstream::adapter::strip_str(&table(&all, true).join("\n")).to_string(), @r"
           ID  STATE      SUBMITTED             NAME           JOBS
           12  running    2026-03-01T10:00:00Z  a-longer-name  3 completed, 2 queued
            2  failed     2026-03-01T10:00:00Z  x              no such repository
        ");
        assert_eq!(table(&all, false).len(), 2);
        assert_eq!(table(&[], true), Vec::<String>::new());
    }
}
