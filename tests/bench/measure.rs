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
    if let Some(quantity) = quantity(measured) {
        keep(json!({
            "figure": figure,
            "measured": quantity,
            "rival": null,
            "ratio": null,
            "goal": Some(goal).filter(|goal| !goal.is_empty()),
            "met": met(goal),
        }));
    }
}

/// Prints two lines: what a rival takes for the same, and what we take, which should be `at_most` so many times as long.
pub(crate) fn compared(figure: &str, ours: Duration, rival: &str, theirs: Duration, at_most: f64) {
    println!("| {rival} | {} | |", shown(theirs));
    let ratio = ratio(ours, theirs);
    let goal = goal(&format!("at most {at_most} of the above"), ratio <= at_most);
    println!(
        "| {figure} | {}, {ratio:.2} of the above | {goal} |",
        shown(ours)
    );
    let mut theirs = json!(quantity(&shown(theirs)));
    theirs["figure"] = rival.into();
    keep(json!({
        "figure": figure,
        "measured": quantity(&shown(ours)),
        "rival": theirs,
        "ratio": (ratio * 1e3).round() / 1e3,
        "goal": goal,
        "met": met(&goal),
    }));
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

/// Adds a line to those of this program and of others, at once, so that it is there even if a later figure cannot be had.
fn keep(line: Value) {
    let path = json_file();
    let kept = fs::read(&path).unwrap_or_default();
    let mut rows: Vec<Value> = serde_json::from_slice(&kept).unwrap_or_default();
    rows.push(line);
    let text = serde_json::to_string_pretty(&rows).expect("it is JSON");
    fs::write(&path, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// `CAPSTAN_BENCH_JSON`, or `bench.json` in the target directory. Whoever begins a measurement removes it.
fn json_file() -> PathBuf {
    let chosen = env::var_os("CAPSTAN_BENCH_JSON").map(PathBuf::from);
    chosen.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench.json"))
}
