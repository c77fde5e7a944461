//! How many containers a task has made before their steps are due.
//!
//! One is enough where steps take longer than making a container; short steps need more, made at the same time, and then it is the machine that
//! bounds them.

use std::time::Duration;

use super::Settings;

/// What a task begins with: nothing is known of its steps yet.
const AT_FIRST: usize = 3;

/// The part of the engine's memory, one in so many, that may be promised to containers which only wait.
const MEMORY_SHARE: u64 = 2;

/// How many are made ahead at the moment.
#[derive(Debug)]
pub(super) struct Ahead {
    now: usize,
    most: usize,
}

impl Ahead {
    /// Never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        Self {
            now: AT_FIRST.min(most),
            most,
        }
    }

    /// How many.
    pub(super) fn now(&self) -> usize {
        self.now
    }

    /// A step was due before its container was there.
    pub(super) fn was_late(&mut self) {
        self.now = (self.now + 1).min(self.most);
    }

    /// A step `ran` so long, and making a container takes `making`.
    pub(super) fn ran(&mut self, ran: Duration, making: Duration) {
        if ran > making {
            self.now = 1.min(self.most);
        }
    }
}

/// Most containers that each of `slots` tasks may have made ahead: what the settings say, unless the `memory` of the engine, in bytes, does not suffice
/// for what their limits promise to them.
pub(super) fn most(settings: &Settings, memory: Option<u64>, slots: usize) -> usize {
    let wanted = settings.prepare_ahead;
    let (Some(each), Some(memory)) = (settings.limits.memory, memory) else {
        return wanted;
    };
    let slots = u64::try_from(slots.max(1)).unwrap_or(u64::MAX);
    let fit = memory / MEMORY_SHARE / slots.saturating_mul(each.max(1));
    // Of those that fit one is the container of the step that runs.
    usize::try_from(fit.saturating_sub(1)).map_or(wanted, |fit| wanted.min(fit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Limits;

    #[test]
    fn more_for_short_steps_and_one_for_long_ones() {
        let mut ahead = Ahead::new(4);
        let mut seen = vec![ahead.now()];
        for _ in 0..3 {
            ahead.was_late();
            seen.push(ahead.now());
        }
        ahead.ran(Duration::from_millis(5), Duration::from_millis(80));
        seen.push(ahead.now());
        ahead.ran(Duration::from_secs(1), Duration::from_millis(80));
        seen.push(ahead.now());
        assert_eq!(seen, [3, 4, 4, 4, 4, 1]);
        let mut none = Ahead::new(0);
        none.was_late();
        none.ran(Duration::from_secs(1), Duration::ZERO);
        assert_eq!(none.now(), 0);
    }

    #[test]
    fn memory_limits_bound_it() {
        const GIB: u64 = 1 << 30;
        for (limit, memory, slots, expected) in [
            (None, Some(8 * GIB), 2, 4),
            (Some(GIB), None, 2, 4),
            (Some(GIB), Some(64 * GIB), 2, 4),
            (Some(GIB), Some(8 * GIB), 2, 1),
            (Some(2 * GIB), Some(8 * GIB), 2, 0),
            (Some(u64::MAX), Some(8 * GIB), 2, 0),
            (Some(0), Some(8 * GIB), 0, 4),
        ] {
            let settings = Settings {
                limits: Limits {
                    memory: limit,
                    ..Limits::default()
                },
                ..Settings::default()
            };
            let most = most(&settings, memory, slots);
            assert_eq!(most, expected, "{limit:?} {memory:?} {slots}");
        }
    }
}
