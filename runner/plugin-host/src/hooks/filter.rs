//! The hook `output`: filters of streams.

use std::sync::Arc;
use std::time::Duration;

use capstan_core::plugin::Hook;
use wasmtime::component::{Resource, ResourceAny};

use super::answer;
use crate::bindings::host::types::Error;
use crate::bindings::output::{self as wit, OutputPlugin};
use crate::call::Live;
use crate::command::Stream;
use crate::failure::{Ending, Failure};
use crate::interfaces::StepHandle;
use crate::job::Step;
use crate::session::Session;

const FILTER: &str = "output.filter";

/// Longest chunk that is handed to a filter, in bytes.
const CHUNK: usize = 64 * 1024;

/// What a filter may add, beside twice of what it was given: bytes.
const GROWTH: u64 = 1024 * 1024;

/// What a filter may compute for each KiB of its stream.
const CPU_PER_KIB: Duration = Duration::from_millis(2);

/// A filter of one stream; an instance of its own, for as long as the stream lasts.
pub struct Filter {
    live: Live,
    plugin: OutputPlugin,
    filter: ResourceAny,
    lines: Option<Lines>,
    /// What it may compute however short its stream is.
    cpu: Option<Duration>,
    taken: u64,
    given: u64,
}

impl Session {
    /// A filter for one stream of a step; `None` if the plugin lets it pass.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`].
    pub async fn filter(
        &self,
        step: &Arc<Step>,
        stream: Stream,
    ) -> Result<Option<Filter>, Failure> {
        let channel = match stream {
            Stream::Stdout => wit::Channel::Stdout,
            Stream::Stderr => wit::Channel::Stderr,
        };
        let limits = self.limits(Hook::Output);
        let mut live = Live::new(
            Arc::clone(self.plugin.component()),
            self.caller(Hook::Output),
            self.plugin.surroundings(),
            limits,
            FILTER,
        )?;
        let made = live
            .call(FILTER, async |store, instance| {
                let plugin = match self.plugin.hooks().output(store, instance) {
                    Ok(plugin) => plugin,
                    Err(ending) => return Ok(Err(ending)),
                };
                let step = store
                    .data_mut()
                    .hand_out(StepHandle::Given(Arc::clone(step)))?;
                let lent = || Resource::new_borrow(step.rep());
                let hook = plugin.capstan_plugin_output();
                let chunks = hook.call_chunking(&mut *store, lent(), channel).await?;
                let lines = match chunks {
                    wit::Chunks::Any => None,
                    wit::Chunks::Lines => Some(Lines::default()),
                    wit::Chunks::None => return Ok(Ok(None)),
                };
                let filter = hook
                    .filter()
                    .call_constructor(&mut *store, lent(), channel)
                    .await?;
                store.data_mut().table.delete(step)?;
                Ok(Ok(Some((plugin, filter, lines))))
            })
            .await?;
        Ok(made.map(|(plugin, filter, lines)| Filter {
            live,
            plugin,
            filter,
            lines,
            cpu: limits.cpu,
            taken: 0,
            given: 0,
        }))
    }
}

impl Filter {
    /// Hands in what was printed, any length, and appends what is to follow in its place to `into`. Chunks
    /// are cut as the plugin wants them.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`]. The filter is of no use then; the chunk with which it failed and those after it are appended as they
    /// are.
    pub async fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<(), Failure> {
        let mut rest = bytes;
        let Some(mut lines) = self.lines.take() else {
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
                rest = after;
                self.hand_in_or_pass(chunk, rest, into).await?;
            }
            return Ok(());
        };
        while let Some(chunk) = lines.next(&mut rest) {
            self.hand_in_or_pass(chunk, rest, into).await?;
        }
        self.lines = Some(lines);
        Ok(())
    }

    /// The stream has ended: appends the rest.
    ///
    /// # Errors
    ///
    /// See [`Filter::push`].
    pub async fn finish(mut self, into: &mut Vec<u8>) -> Result<(), Failure> {
        let last = self.lines.take().map(Lines::rest).unwrap_or_default();
        if !last.is_empty() {
            self.hand_in_or_pass(&last, &[], into).await?;
        }
        let Self {
            live,
            plugin,
            filter,
            ..
        } = &mut self;
        let answer = live
            .call("output.filter.finish", async |store, _| {
                let filter_of = plugin.capstan_plugin_output().filter();
                let answer = filter_of.call_finish(&mut *store, *filter).await?;
                Ok(answer.map_err(answer::failed))
            })
            .await?;
        self.take_out(&answer, into)
            .map_err(|ending| self.live.failure(ending))
    }

    /// Hands in a chunk; should that fail, it and the rest pass as they are.
    async fn hand_in_or_pass(
        &mut self,
        chunk: &[u8],
        rest: &[u8],
        into: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let handed_in = self.hand_in(chunk, into).await;
        if handed_in.is_err() {
            into.extend_from_slice(chunk);
            into.extend_from_slice(rest);
        }
        handed_in
    }

    async fn hand_in(&mut self, chunk: &[u8], into: &mut Vec<u8>) -> Result<(), Failure> {
        self.taken += chunk.len() as u64;
        let earned = u32::try_from(self.taken / 1024).unwrap_or(u32::MAX);
        let earned = CPU_PER_KIB.saturating_mul(earned);
        self.live.set_cpu(self.cpu.map(|least| least.max(earned)));
        let Self {
            live,
            plugin,
            filter,
            ..
        } = &mut *self;
        let answer: Vec<u8> = live
            .call("output.filter.push", async |store, _| {
                let filter_of = plugin.capstan_plugin_output().filter();
                let answer: Result<Vec<u8>, Error> =
                    filter_of.call_push(&mut *store, *filter, chunk).await?;
                Ok(answer.map_err(answer::failed))
            })
            .await?;
        self.take_out(&answer, into)
            .map_err(|ending| self.live.failure(ending))
    }

    fn take_out(&mut self, answer: &[u8], into: &mut Vec<u8>) -> Result<(), Ending> {
        self.given += answer.len() as u64;
        let limit = self.taken.saturating_mul(2).saturating_add(GROWTH);
        if self.given > limit {
            return Err(Ending::TooMuch {
                what: "gave more bytes than twice what it was given and 1 MiB",
                limit,
            });
        }
        into.extend_from_slice(answer);
        Ok(())
    }
}

/// Cuts a stream at line ends.
#[derive(Debug, Default)]
struct Lines {
    /// The beginning of a line, shorter than a chunk; or, until the next cut, a chunk that was cut from it.
    held: Vec<u8>,
    /// Whether `held` was handed out.
    handed_out: bool,
}

impl Lines {
    /// The next chunk, taken off `rest`; `None` once what is left of it is held back.
    fn next<'a, 'rest: 'a>(&'a mut self, rest: &mut &'rest [u8]) -> Option<&'a [u8]> {
        if std::mem::take(&mut self.handed_out) {
            self.held.clear();
        }
        let room = CHUNK - self.held.len();
        let window = &rest[..rest.len().min(room)];
        let cut = match memchr::memrchr(b'\n', window) {
            Some(end) => end + 1,
            // The line is too long.
            None if window.len() == room => room,
            None => {
                self.held.extend_from_slice(window);
                *rest = &[];
                return None;
            }
        };
        let (chunk, after) = rest.split_at(cut);
        *rest = after;
        if self.held.is_empty() {
            return Some(chunk);
        }
        self.held.extend_from_slice(chunk);
        self.handed_out = true;
        Some(&self.held)
    }

    /// What is held back.
    fn rest(self) -> Vec<u8> {
        if self.handed_out {
            Vec::new()
        } else {
            self.held
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut chunks = Vec::new();
        for piece in pieces {
            let mut rest = piece.as_slice();
            while let Some(chunk) = lines.next(&mut rest) {
                chunks.push(chunk.to_vec());
            }
        }
        chunks.push(lines.rest());
        chunks
    }

    proptest! {
        #[test]
        fn lines_stay_whole(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(prop::sample::select(b"ab\n".as_slice()), 0..40),
                    (0..3 * CHUNK).prop_map(|length| vec![b'x'; length]),
                    Just([vec![b'y'; CHUNK - 1], b"\n".to_vec()].concat()),
                ],
                0..6,
            ),
        ) {
            let chunks = cut(&pieces);
            prop_assert_eq!(chunks.concat(), pieces.concat(), "nothing is lost");
            let (last, whole) = chunks.split_last().unwrap();
            prop_assert!(last.len() < CHUNK && !last.contains(&b'\n'));
            for chunk in whole {
                prop_assert!(!chunk.is_empty() && chunk.len() <= CHUNK);
                prop_assert!(chunk.ends_with(b"\n") || (chunk.len() == CHUNK && !chunk.contains(&b'\n')));
            }
        }
    }
}
