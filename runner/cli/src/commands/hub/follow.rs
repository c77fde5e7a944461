//! `capstan hub logs --follow`: what jobs log, as they log it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use capstan_hub::people::wire::{JobDetail, LogEntry};
use capstan_hub::{Client, ExecutionState};
use owo_colors::OwoColorize as _;

use super::{logs, show};
use crate::args::hub::Logs;
use crate::failure::{Exit, Failed};
use crate::{printer, text};

/// Shortest wait between two questions; of a large execution the hub is asked less often.
const INTERVAL: Duration = Duration::from_millis(300);

/// Most that is printed of one entry at a time.
const PIECE: usize = 4 << 20;

/// What has been printed.
#[derive(Default)]
struct Printed {
    jobs: BTreeMap<i64, Job>,
    /// The entry that was printed last: its job and its number.
    last: Option<(i64, i64)>,
}

/// What has been printed of a job.
#[derive(Default)]
struct Job {
    /// The run that this is about: a job may be given to another executor, or tried again.
    started_at: Option<String>,
    /// Bytes of each entry, and whether its end was told.
    entries: BTreeMap<i64, (u32, bool)>,
    is_done: bool,
}

pub(super) async fn run(client: &Client, args: &Logs) -> Result<Exit, Failed> {
    let mut printed = Printed::default();
    loop {
        let begun = Instant::now();
        let detail = client.execution(args.id).await?;
        let state = ExecutionState::of(&detail.state);
        let is_resolved = !matches!(
            state,
            Some(ExecutionState::Draft | ExecutionState::Resolving)
        );
        let jobs = match is_resolved {
            true => logs::wanted(&detail, args.job)?,
            false => Vec::new(),
        };
        for job in &jobs {
            printed.go_on(client, job).await?;
        }
        let is_over = is_resolved && jobs.iter().all(|job| job.finished_at.is_some());
        if is_over && args.job.is_some() || state.is_none_or(ExecutionState::has_ended) {
            return Ok(match args.job {
                Some(_) => show::exit_of_jobs(&jobs),
                None => show::exit(&detail),
            });
        }
        tokio::time::sleep(INTERVAL.max(begun.elapsed() * 4)).await;
    }
}

impl Printed {
    /// Prints what a job has logged since.
    async fn go_on(&mut self, client: &Client, job: &JobDetail) -> Result<(), Failed> {
        let known = self.jobs.entry(job.id).or_default();
        if known.started_at != job.started_at {
            *known = Job {
                started_at: job.started_at.clone(),
                ..Job::default()
            };
        }
        if known.is_done || job.started_at.is_none() {
            return Ok(());
        }
        for entry in client.log(job.id).await? {
            while self.print(client, job, &entry).await? {}
        }
        if let Some(known) = self.jobs.get_mut(&job.id) {
            known.is_done = job.finished_at.is_some();
        }
        Ok(())
    }

    /// Prints the next piece of an entry. Whether there is more.
    async fn print(
        &mut self,
        client: &Client,
        job: &JobDetail,
        entry: &LogEntry,
    ) -> Result<bool, Failed> {
        let known = self.jobs.entry(job.id).or_default();
        let is_new = !known.entries.contains_key(&entry.number);
        let (from, is_told) = *known.entries.entry(entry.number).or_default();
        let has_ended = entry.exit_code.is_some();
        let has_grown = entry.size > i64::from(from);
        if !is_new && (is_told || !has_grown && !has_ended) {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        if has_grown {
            client
                .log_text(job.id, entry.number, from, |piece| {
                    bytes.extend_from_slice(piece);
                    bytes.len() < PIECE
                })
                .await?;
        }
        let is_all = i64::from(from) + bytes.len() as i64 >= entry.size;
        let goes_on = !is_all && !bytes.is_empty();
        // The rest of a line is printed when it is there.
        if !(has_ended && is_all)
            && let Some(end) = bytes.iter().rposition(|&byte| byte == b'\n')
        {
            bytes.truncate(end + 1);
        } else if !has_ended && bytes.len() < PIECE {
            bytes.clear();
        }
        let known = self.jobs.entry(job.id).or_default();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let is_end = has_ended && is_all;
        known
            .entries
            .insert(entry.number, (from.saturating_add(length), is_end));
        let name = format!(
            "# job {} {}: {}",
            job.id,
            text::name(&job.workspace()),
            text::name(&entry.key)
        );
        let failed = |error| Failed::environment(error);
        if is_new || !bytes.is_empty() && self.last != Some((job.id, entry.number)) {
            printer::result_line(name.bold()).map_err(failed)?;
            self.last = Some((job.id, entry.number));
        }
        if !bytes.is_empty() {
            let shown = match printer::results_are_read() {
                true => text::lines(&String::from_utf8_lossy(&bytes)).into_bytes(),
                false => bytes,
            };
            printer::result(&shown).map_err(failed)?;
            if is_end && !shown.ends_with(b"\n") {
                printer::result(b"\n").map_err(failed)?;
            }
        }
        if let Some(code) = entry.exit_code.filter(|code| is_end && *code != 0) {
            printer::result_line(format!("{name} (exit {code})").bold()).map_err(failed)?;
            self.last = None;
        }
        Ok(goes_on)
    }
}
