//! When a call is made again (facts/executor-protocol.md 1.10).

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// Shortest wait.
const SHORTEST: Duration = Duration::from_millis(50);

/// Longest wait that we choose.
const LONGEST: Duration = Duration::from_secs(1);

/// Longest wait that a server may ask for.
const ASKED: Duration = Duration::from_secs(30);

/// How often a name that is not known is looked for.
const NAME_TRIES: u32 = 3;

/// What came of one attempt, as far as trying again goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The server answered with this status, and perhaps asked for a wait.
    Answered(u16, Option<Duration>),
    /// The request did not reach the server.
    Unreached,
    /// There is no such host.
    NoSuchHost,
    /// The request may have reached the server, but there was no whole answer.
    Broken,
    /// It will never work: an unknown authority, a URL that is none.
    Hopeless,
}

/// How often a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tries {
    /// Once: the caller comes again by itself, or doing it twice would do harm.
    Once,
    /// Up to so many times.
    UpTo(u32),
}

/// The wait before the next attempt; `None` if there is none. `made` attempts have been made; `random` is from 0 to 1.
pub(super) fn wait(tries: Tries, made: u32, attempt: Attempt, random: f64) -> Option<Duration> {
    let Tries::UpTo(most) = tries else {
        return None;
    };
    let asked = match attempt {
        Attempt::Answered(429 | 500 | 502.., asked) => asked,
        Attempt::Unreached | Attempt::Broken => None,
        Attempt::NoSuchHost if made < NAME_TRIES => None,
        Attempt::Answered(..) | Attempt::NoSuchHost | Attempt::Hopeless => return None,
    };
    if made >= most {
        return None;
    }
    // Full jitter: anything up to what doubling gives.
    let ceiling = SHORTEST.saturating_mul(1 << made.min(10)).min(LONGEST);
    let jittered = SHORTEST + (ceiling - SHORTEST).mul_f64(random.clamp(0.0, 1.0));
    Some(jittered.max(asked.unwrap_or_default().min(ASKED)))
}

/// A number from 0 to 1 that nobody guesses.
pub(super) fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: Tries = Tries::UpTo(20);

    #[test]
    fn what_is_tried_again() {
        for (attempt, again) in [
            (Attempt::Answered(429, None), true),
            (Attempt::Answered(500, None), true),
            (Attempt::Answered(501, None), false),
            (Attempt::Answered(502, None), true),
            (Attempt::Answered(599, None), true),
            (Attempt::Answered(401, None), false),
            (Attempt::Answered(404, None), false),
            (Attempt::Answered(302, None), false),
            (Attempt::Unreached, true),
            (Attempt::Broken, true),
            (Attempt::NoSuchHost, true),
            (Attempt::Hopeless, false),
        ] {
            assert_eq!(wait(MANY, 1, attempt, 0.5).is_some(), again, "{attempt:?}");
            assert_eq!(wait(Tries::Once, 1, attempt, 0.5), None, "{attempt:?}");
        }
    }

    #[test]
    fn there_is_an_end() {
        assert!(wait(MANY, 19, Attempt::Broken, 0.5).is_some());
        assert_eq!(wait(MANY, 20, Attempt::Broken, 0.5), None);
        assert!(wait(MANY, 2, Attempt::NoSuchHost, 0.5).is_some());
        assert_eq!(wait(MANY, 3, Attempt::NoSuchHost, 0.5), None);
    }

    #[test]
    fn waits_are_spread_from_50_ms_to_1_s() {
        let millis = |made, random| {
            let wait = wait(MANY, made, Attempt::Broken, random).unwrap();
            wait.as_millis()
        };
        assert_eq!((millis(1, 0.0), millis(1, 1.0)), (50, 100));
        assert_eq!((millis(3, 0.0), millis(3, 1.0)), (50, 400));
        assert_eq!((millis(19, 0.0), millis(19, 1.0)), (50, 1000));
    }

    #[test]
    fn a_server_may_ask_for_a_longer_wait() {
        for (asked, expected) in [(0, 50), (7, 7_000), (3600, 30_000)] {
            let attempt = Attempt::Answered(503, Some(Duration::from_secs(asked)));
            let wait = wait(MANY, 1, attempt, 0.0).unwrap();
            assert_eq!(wait.as_millis(), expected, "{asked} s");
        }
    }

    #[test]
    fn random_numbers_are_in_range_and_differ() {
        let numbers: Vec<f64> = (0..8).map(|_| random()).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        assert!(numbers.iter().any(|number| *number != numbers[0]));
    }
}
