//! Figures to look at, not assertions: `cargo test -p capstan-engine --test docker speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use capstan_engine::run::Outcome;
use capstan_engine::sandbox::{Chunk, Gated, Sandbox};

use crate::engine::{Engine, inputs, open};
use crate::images::BUSYBOX;
use crate::pod::{Part, Pod};

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints measurements"]
async fn speed() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let step = engine.step(BUSYBOX).await;
    let (mut prepare, mut trivial, mut writing) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..30 {
        let start = Instant::now();
        let mut container = engine.sandbox.prepare(step.clone()).await.unwrap();
        prepare.push(start.elapsed());
        let script = if round % 2 == 0 {
            ":"
        } else {
            "echo hello; echo x >file"
        };
        let start = Instant::now();
        open(&mut container, inputs(script)).await.unwrap();
        let times = if round % 2 == 0 {
            &mut trivial
        } else {
            &mut writing
        };
        times.push(start.elapsed());
        container.discard().await;
    }
    eprintln!("prepare            {:?}", median(prepare));
    eprintln!("open, empty script {:?}", median(trivial));
    eprintln!("open, echo + write {:?}", median(writing));

    let mut container = engine.sandbox.prepare(step).await.unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Chunk>(16);
    let start = Instant::now();
    let count = async {
        let mut bytes = 0;
        while let Some(chunk) = receiver.recv().await {
            bytes += chunk.bytes.len();
        }
        bytes
    };
    let script = inputs("dd if=/dev/zero bs=1M count=1024 2>/dev/null");
    let (exit, bytes) = tokio::join!(container.open(script, sender), count);
    exit.unwrap();
    eprintln!("{bytes} bytes of output {:?}", start.elapsed());
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    eprintln!(
        "{}",
        status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or_default()
    );
    container.discard().await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints measurements"]
async fn ten_steps_in_a_pod() {
    let start = Instant::now();
    let Some(pod) = Pod::start(&[Part::of(BUSYBOX); 10]).await else {
        return;
    };
    eprintln!("starting ten containers       {:?}", start.elapsed());
    let step = format!("  - run: sleep 0.5\n    container: {BUSYBOX}\n");
    let start = Instant::now();
    let outcome = pod.run_steps(&step.repeat(10)).await;
    eprintln!("ten steps of 0.5 s in a pod   {:?}", start.elapsed());
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    pod.close().await;
}
