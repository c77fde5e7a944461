//! The figures of `tests/bench/README.md`: the binary against its goals, and against plain `docker run`.
//!
//! Run by `make bench`, which builds the release binary and brings up the engine. What is compared is measured in
//! turns in one run, so that a busy machine is busy for both.

mod components;
mod containers;
mod executor;
mod hub;
mod measure;
mod pods;
mod rival;
mod run;
mod watch;

use capstan_tests::Engine;

/// How often a run is repeated; its median counts.
const ROUNDS: usize = 5;

fn main() {
    Engine::require();
    let parts: [(&str, fn()); 5] = [
        ("containers", containers::measure),
        ("components", components::measure),
        ("executor", executor::measure),
        ("hub", hub::measure),
        ("pods", pods::measure),
    ];
    // `cargo bench` adds flags of its own.
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    measure::row("figure", "measured", "goal");
    measure::row("---", "---", "---");
    for (name, measure) in parts {
        if chosen.is_empty() || chosen.iter().any(|chosen| chosen == name) {
            measure();
        }
    }
}
