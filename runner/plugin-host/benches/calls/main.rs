//! What calls of plugins cost, beside bare wasmtime doing the same. Run by `make bench`, after `plugins/build`.

#[path = "../../../../tests/bench/measure.rs"]
mod measure;

mod bare;
mod capstan;

use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::bare::Bare;
use crate::measure::{goal, median, ratio, row, shown};

/// Calls of each kind; their median counts.
const CALLS: usize = 2_000;

/// Bytes that go through a filter.
const STREAM: usize = 256 << 20;
/// Bytes of one chunk of them.
const CHUNK: usize = 64 << 10;
const GIB: f64 = (1_u64 << 30) as f64;

fn main() {
    let runtime = Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        policy_check().await;
        filter().await;
        cached_load().await;
    });
}

/// An official plugin, as `plugins/build` made it.
fn official(name: &str) -> Vec<u8> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let path = target.join(format!("plugins/{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; plugins/build builds it", path.display()))
}

/// `policy.check-step` of image-policy: an instance, the call, the answer.
async fn policy_check() {
    let bytes = official("image-policy");
    let config = r#"{"allow": ["docker.io/library/*"]}"#;
    let session = capstan::session(&capstan::host(None), &bytes, config).await;
    let bare = Bare::new(&bytes, config);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        theirs.push(bare.check_step().await);
        ours.push(capstan::check_step(&session).await);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    row(
        "bare wasmtime: an instance of image-policy, and one check of a step",
        &shown(theirs),
        "",
    );
    let times = ratio(ours, theirs);
    row(
        "the same by capstan, within all limits",
        &format!("{}, {times:.2} of the above", shown(ours)),
        &goal(
            "at most 1.5 of the above, and under 150 µs",
            times <= 1.5 && ours < Duration::from_micros(150),
        ),
    );
}

/// Output through ansi-strip, beside copying it.
async fn filter() {
    let bytes = official("ansi-strip");
    let session = capstan::session(&capstan::host(None), &bytes, "{}").await;
    let plain =
        text("a line of output that is as long as such lines are, more or less, 0123456789\n");
    let coloured = text(
        "\x1b[32mok\x1b[0m a line of output with a coloured word in it, as test runners print\n",
    );
    let (mut copied, mut of_plain, mut of_coloured) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        copied.push(capstan::copy(&plain, STREAM));
        of_plain.push(capstan::filter(&session, &plain, STREAM).await);
        of_coloured.push(capstan::filter(&session, &coloured, STREAM).await);
    }
    let speed = |times| STREAM as f64 / GIB / median(times).as_secs_f64();
    let (copied, of_plain, of_coloured) = (speed(copied), speed(of_plain), speed(of_coloured));
    row(
        "copying output, in chunks of 64 KiB",
        &format!("{copied:.1} GiB/s"),
        "",
    );
    row(
        "the same through the filter ansi-strip: plain text",
        &format!("{of_plain:.2} GiB/s"),
        &goal("at least 1 GiB/s", of_plain >= 1.0),
    );
    row(
        "the same: text with two colours a line",
        &format!("{of_coloured:.2} GiB/s"),
        "",
    );
}

/// One chunk of these lines.
fn text(line: &str) -> Vec<u8> {
    line.bytes().cycle().take(CHUNK).collect()
}

/// Loading image-policy in a process that has not seen it, from the cache of compiled code.
async fn cached_load() {
    let bytes = official("image-policy");
    let directory = tempfile::tempdir().expect("there is a temporary directory");
    capstan::load(&capstan::host(Some(directory.path())), &bytes).await;
    let mut times = Vec::new();
    for _ in 0..200 {
        let host = capstan::host(Some(directory.path()));
        times.push(capstan::load(&host, &bytes).await);
    }
    let time = median(times);
    row(
        "loading image-policy, compiled before",
        &shown(time),
        &goal("under 1 ms", time < Duration::from_millis(1)),
    );
}
