//! `capstan hub logs`.

use capstan_hub::Client;
use capstan_hub::people::wire::{JobDetail, LogEntry};
use owo_colors::OwoColorize as _;

use super::contact;
use crate::args::hub::Logs;
use crate::config::Environment;
use crate::failure::{Exit, Failed};
use crate::{printer, text};

pub(super) async fn run(args: &Logs, environment: &Environment) -> Result<Exit, Failed> {
    let client = contact::client(&args.contact, environment)?;
    let detail = client.execution(args.id).await?;
    let mut jobs = detail.jobs;
    if let Some(wanted) = args.job {
        jobs.retain(|job| job.id == wanted);
        if jobs.is_empty() {
            return Err(Failed::usage(format!(
                "execution {} has no job {wanted}",
                args.id
            )));
        }
    }
    for job in &jobs {
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
        .log_text(job.id, entry.number, |bytes| {
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
        .log_text(job.id, entry.number, |bytes| {
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
