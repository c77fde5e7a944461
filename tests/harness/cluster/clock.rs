//! Times as objects have them: to the second, in UTC.

use jiff::Timestamp;

/// Now.
pub(super) fn now() -> String {
    text(Timestamp::now())
}

/// In so many seconds.
pub(super) fn after(seconds: i64) -> String {
    let now = Timestamp::now().as_second();
    text(Timestamp::from_second(now + seconds).expect("it is soon"))
}

/// How many seconds ago this was; 0 for what is no time.
pub(super) fn age(time: &str) -> i64 {
    let then = time.parse::<Timestamp>();
    then.map_or(0, |then| Timestamp::now().as_second() - then.as_second())
}

/// A time that the engine wrote, without the parts of seconds.
pub(super) fn to_the_second(time: &str) -> String {
    time.parse().map_or_else(|_| now(), text)
}

fn text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
