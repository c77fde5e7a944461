use std::time::Instant;

use super::*;

/// Waits until `holds`, a minute at most.
fn eventually(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60));
        thread::sleep(TICK);
    }
}

#[test]
fn it_sleeps_when_nothing_runs_and_wakes_for_a_call() {
    let engine = crate::host::engine().unwrap();
    let clock = Clock::start(&engine).unwrap();
    let asleep = || clock.shared.asleep.load(Ordering::SeqCst);
    eventually(asleep);
    let ticking = clock.run();
    eventually(|| !asleep());
    drop(ticking);
    eventually(asleep);
}

#[test]
fn it_ends_with_its_host() {
    let engine = crate::host::engine().unwrap();
    let clock = Clock::start(&engine).unwrap();
    let shared = Arc::downgrade(&clock.shared);
    drop(clock);
    eventually(|| shared.strong_count() == 0);
}
