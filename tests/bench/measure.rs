//! Times, and the lines of the table, which are kept as JSON, too.

#![expect(
    clippy::print_stdout,
    reason = "printing figures is what these programs are for"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

/// The one in the middle.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// How many times as long the one takes as the other.
pub(crate) fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// A time, in the unit that suits it.
pub(crate) fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 0.1 {
        format!("{seconds:.2} s")
    } else if seconds >= 0.001 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{:.1} µs", seconds * 1e6)
    }
}

/// A goal, and whether it is met.
pub(crate) fn goal(text: &str, met: bool) -> String {
    format!("{text}: {}", if met { "met" } else { "MISSED" })
}

/// Prints a line of the table. In JSON, what was measured is the number and the unit that `measured` begins with, and whether the goal is
/// met is how `goal` ends.
pub(crate) fn row(figure: &str, measured: &str, goal: &str) {
    println!("| {figure} | {measured} | {goal} |");
    if quantity(measured).is_some() {
        keep(figure, measured, None, goal);
    }
}

/// Keeps a line as JSON, together with how long a rival takes, and how many times as long we do.
///
/// Lines of earlier runs stay, unless they are of the same figure: several programs measure.
pub(crate) fn keep(figure: &str, measured: &str, rival: Option<(&str, &str, f64)>, goal: &str) {
    let rival_of = |(figure, took, _): (&str, &str, f64)| {
        let took = quantity(took);
        json!({ "figure": figure, "measured": took })
    };
    let line = json!({
        "figure": figure,
        "measured": quantity(measured),
        "rival": rival.map(rival_of),
        "ratio": rival.map(|(_, _, ratio)| (ratio * 1e3).round() / 1e3),
        "goal": Some(goal).filter(|goal| !goal.is_empty()),
        "met": met(goal),
    });
    let path = json_file();
    let text = fs::read(&path).unwrap_or_default();
    let mut lines: Vec<Value> = serde_json::from_slice(&text).unwrap_or_default();
    lines.retain(|line| line["figure"] != figure);
    lines.push(line);
    let text = serde_json::to_string_pretty(&lines).expect("it is JSON");
    fs::write(&path, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The number and the unit at the beginning of a text.
fn quantity(text: &str) -> Option<Value> {
    let (number, rest) = text.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    let unit = rest.split(',').next();
    Some(json!({ "value": number, "unit": unit }))
}

fn met(goal: &str) -> Option<bool> {
    let (_, word) = goal.rsplit_once(": ")?;
    match word {
        "met" => Some(true),
        "MISSED" => Some(false),
        _ => None,
    }
}

/// `CAPSTAN_BENCH_JSON`, or `bench.json` in the target directory.
fn json_file() -> PathBuf {
    let chosen = env::var_os("CAPSTAN_BENCH_JSON").map(PathBuf::from);
    chosen.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench.json"))
}
