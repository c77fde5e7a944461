//! What the server is told about a job.

use capstan_protocol::Outcome;

use super::running::Why;
use crate::job::Ending;
use crate::log::LogError;

/// Most characters of a message.
const LONGEST: usize = 32 << 10;

/// What the server is told; `None`: nothing, as the job is another's, or is to become so.
pub(super) fn outcome(
    ending: Ending,
    why: Option<Why>,
    flushed: Result<(), LogError>,
) -> Option<Outcome> {
    let ending = match (ending, flushed) {
        (ending, Ok(())) => ending,
        (Ending::Complete, Err(error)) => {
            Ending::Errored(format!("the log could not be sent: {error}"))
        }
        (Ending::Errored(text), Err(error)) => {
            Ending::Errored(format!("{text}; and the log could not be sent: {error}"))
        }
        (Ending::Failed(text), Err(_)) => Ending::Failed(text),
    };
    match (why, ending) {
        (Some(Why::Lost), _) => None,
        (_, Ending::Complete) => Some(Outcome::Complete),
        // Without a mark the server gives it to another executor.
        (Some(Why::Shutdown), _) => None,
        (Some(Why::Cancelled), Ending::Errored(text) | Ending::Failed(text)) => {
            Some(Outcome::Failed(short(text)))
        }
        (None, Ending::Errored(text)) => Some(Outcome::Errored(short(text))),
        (None, Ending::Failed(text)) => Some(Outcome::Failed(short(text))),
    }
}

fn short(text: String) -> String {
    if text.chars().nth(LONGEST).is_none() {
        return text;
    }
    let kept: String = text.chars().take(LONGEST).collect();
    format!("{kept} [...]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_is_told() {
        use Outcome::{Complete, Errored, Failed};
        let flawed = || Err(LogError("gone".into()));
        let (errored, failed) = (
            || Ending::Errored("e".into()),
            || Ending::Failed("f".into()),
        );
        for (ending, why, flushed, expected) in [
            (Ending::Complete, None, Ok(()), Some(Complete)),
            (errored(), None, Ok(()), Some(Errored("e".into()))),
            (failed(), None, Ok(()), Some(Failed("f".into()))),
            (
                Ending::Complete,
                None,
                flawed(),
                Some(Errored("the log could not be sent: gone".into())),
            ),
            (
                errored(),
                None,
                flawed(),
                Some(Errored("e; and the log could not be sent: gone".into())),
            ),
            (
                failed(),
                Some(Why::Cancelled),
                Ok(()),
                Some(Failed("f".into())),
            ),
            (
                errored(),
                Some(Why::Cancelled),
                Ok(()),
                Some(Failed("e".into())),
            ),
            (
                Ending::Complete,
                Some(Why::Cancelled),
                Ok(()),
                Some(Complete),
            ),
            (failed(), Some(Why::Lost), Ok(()), None),
            (Ending::Complete, Some(Why::Lost), Ok(()), None),
            (failed(), Some(Why::Shutdown), Ok(()), None),
            (
                Ending::Complete,
                Some(Why::Shutdown),
                Ok(()),
                Some(Complete),
            ),
        ] {
            let case = format!("{ending:?} {why:?} {flushed:?}");
            assert_eq!(outcome(ending, why, flushed), expected, "{case}");
        }
    }

    #[test]
    fn messages_are_not_endless() {
        let long = Ending::Errored("ä".repeat(LONGEST + 1));
        let Some(Outcome::Errored(text)) = outcome(long, None, Ok(())) else {
            panic!("it is errored");
        };
        assert!(text.ends_with("ä [...]") && text.chars().count() == LONGEST + 6);
    }
}
