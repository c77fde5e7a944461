//! `capstan hub logs`.

use capstan_hub::Client;
use capstan_hub::people::wire::{Detail, JobDetail, LogEntry};
use owo_colors::OwoColorize as _;

use super::{contact, follow};
use crate::args::hub::Logs;
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{printer, text};

pub(super) async fn run(args: &Logs, environment: &Environment) -> Result<Exit, Failed> {
    let client = contact::client(&args.contact, environment)?;
    if args.follow {
        return follow::run(&client, args).await;
    }
    let detail = client.execution(args.id).await?;
    for job in wanted(&detail, args.job)? {
        for entry in client.log(job.id).await? {
            if args.json {
                print_json(&client, job, &entry).await?;
            } else {
                print(&client, job, &entry).await?;
            }
        }
    }
    Ok(Exit::Success)
}

/// The jobs whose logs are wanted.
pub(super) fn wanted(detail: &Detail, job: Option<i64>) -> Result<Vec<&JobDetail>, Failed> {
    let is_wanted = |detail: &&JobDetail| job.is_none_or(|wanted| wanted == detail.id);
    let jobs: Vec<&JobDetail> = detail.jobs.iter().filter(is_wanted).collect();
    match (job, jobs.is_empty()) {
        (Some(job), true) => {
            let all: Vec<String> = detail.jobs.iter().map(|job| job.id.to_string()).collect();
            let failed = Failed::usage(format!("execution {} has no job {job}", detail.id));
            Err(failed.hint(match all.as_slice() {
                [] => "it has no jobs".to_owned(),
                [first] => format!("its job is {first}"),
                [first, .., last] => format!(
                    "its jobs are {first} to {last}; `capstan hub show {}` lists them",
                    detail.id
                ),
            }))
        }
        _ => Ok(jobs),
    }
}

async fn print(client: &Client, job: &JobDetail, entry: &LogEntry) -> Result<(), Failed> {
    let ended = match entry.exit_code {
        None => "runs".to_owned(),
        Some(code) => format!("exit {code}"),
    };
    let heading = format!(
        "# job {} {}: {} ({ended})",
        job.id,
        text::name(&job.workspace()),
        text::name(&entry.key)
    );
    printer::result_line(heading.bold()).map_err(Failed::environment)?;
    let is_read = printer::results_are_read();
    let mut failed = None;
    let mut line = Vec::new();
    client
        .log_text(job.id, entry.number, 0, |bytes| {
            let written = if is_read {
                // What could control the terminal is taken out, line by line.
                line.extend_from_slice(bytes);
                match line.iter().rposition(|&byte| byte == b'\n') {
                    Some(end) => {
                        let whole: Vec<u8> = line.drain(..=end).collect();
                        let shown = text::lines(&String::from_utf8_lossy(&whole));
                        printer::result(shown.as_bytes())
                    }
                    None => Ok(()),
                }
            } else {
                printer::result(bytes)
            };
            failed = written.err();
            failed.is_none()
        })
        .await?;
    if !line.is_empty() && failed.is_none() {
        let shown = text::lines(&String::from_utf8_lossy(&line));
        failed = printer::result_line(shown).err();
    }
    failed.map_or(Ok(()), |error| Err(Failed::environment(error)))
}

async fn print_json(client: &Client, job: &JobDetail, entry: &LogEntry) -> Result<(), Failed> {
    let mut out = Vec::new();
    client
        .log_text(job.id, entry.number, 0, |bytes| {
            out.extend_from_slice(bytes);
            true
        })
        .await?;
    let line = serde_json::json!({
        "job": job.id,
        "entry": entry,
        "out": String::from_utf8_lossy(&out),
    });
    printer::result_line(line).map_err(Failed::environment)
}
