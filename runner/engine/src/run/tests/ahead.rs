//! Containers that are made before their step is due.

use super::*;
use crate::run::containers::make;
use crate::run::networks::Networks;
use crate::sandbox::Files;
use crate::sandbox::Gated as _;

const FOUR: &str = "
- {container: alpine, run: 'print 1'}
- {container: alpine, run: 'print 2'}
- {container: alpine, run: 'print 3'}
- {container: alpine, run: 'print 4'}";

/// How many depends on how long things take, but there is a limit, and one at least.
#[tokio::test]
async fn not_more_than_the_settings_say() {
    for most in [0, 1, 3, 9] {
        let mut bench = Bench::new().await;
        bench.settings.prepare_ahead = most;
        // Each step waits for what should be prepared while it runs.
        let mut steps = String::new();
        for step in 1..=4 {
            let next = (step + most.min(1)).min(4);
            steps += &format!("- {{container: alpine, run: 'await prepare {next}'}}\n");
        }
        bench.run(&steps).await;
        let calls = bench.fake.calls_of(&["prepare", "end"]);
        let (mut prepared, mut ended) = (0, 0);
        for call in calls.split(", ") {
            match call.starts_with("prepare") {
                true => prepared += 1,
                false => ended += 1,
            }
            assert!(prepared <= ended + 1 + most, "{most}: {calls}");
        }
        assert_eq!((prepared, ended), (4, 4), "{most}: {calls}");
    }
}

#[tokio::test]
async fn the_first_container_is_made_before_the_files_are_there() {
    let bench = Bench::new().await;
    *bench.recorder.cancel_on.lock().unwrap() = Some("1 preparing".to_owned());
    bench.run(FOUR).await;
    // Nothing asked for it after the workspace was there.
    assert!(bench.fake.calls().contains(&"image alpine".to_owned()));
}

#[tokio::test]
async fn steps_that_are_certainly_skipped_are_left_out() {
    let bench = Bench::new().await;
    bench
        .printed(
            "
- {container: alpine, run: 'await prepare 4'}
- {container: alpine, run: 'print 2', if: false}
- {container: alpine, run: 'print 3', if: '${{ matches repository.name \"x\" }}'}
- {container: alpine, run: 'print 4', if: true}",
        )
        .await;
    let mut calls: Vec<String> = bench.fake.calls();
    calls.retain(|call| call.starts_with("prepare"));
    calls.sort_unstable();
    assert_eq!(calls, ["prepare 1", "prepare 4"]);
}

/// A container for a step that does not run is for nothing, and those after it are due soon if it does not.
#[tokio::test]
async fn steps_that_may_be_skipped_are_left_out() {
    let bench = Bench::new().await;
    bench
        .printed(
            "
- {container: alpine, run: \"print 1\\nawait prepare 3\"}
- {container: alpine, run: 'print 2', if: '${{ eq previous_step.stdout \"x\" }}'}
- {container: alpine, run: 'print 3'}
- {container: alpine, run: 'print 4', if: '${{ eq previous_step.stdout \"3\" }}'}",
        )
        .await;
    let calls = bench.fake.calls();
    assert!(!calls.contains(&"prepare 2".to_owned()), "{calls:?}");
    let place = |wanted| calls.iter().position(|call| call == wanted).unwrap();
    assert!(place("end 3") < place("prepare 4"), "{calls:?}");
}

/// What a container is made of must be certain: the image, and variables that no shell can set.
#[tokio::test]
async fn what_depends_on_earlier_steps_waits_for_them() {
    for step in [
        "{container: '${{ outputs.image }}', run: 'print 2'}",
        "{container: alpine, run: 'print 2', env: {'not-a-name': '${{ outputs.image }}'}}",
        "{container: alpine, run: 'print 2', env: {UID: '${{ outputs.image }}'}}",
    ] {
        let mut bench = Bench::new().await;
        bench.settings.prepare_ahead = 3;
        let steps = format!(
            "
- {{container: alpine, run: 'print 1', outputs: {{image: {{value: alpine}}}}}}
- {step}
- {{container: alpine, run: 'print 3'}}"
        );
        bench.printed(&steps).await;
        let calls = bench.fake.calls();
        let place = |wanted| calls.iter().position(|call| call == wanted).unwrap();
        assert!(place("end 1") < place("prepare 2"), "{step}: {calls:?}");
        assert!(bench.fake.inputs()[1].env.is_empty(), "{step}");
    }
}

/// A mistake in a later step must not keep the steps before it from running.
#[tokio::test]
async fn what_cannot_be_made_is_told_when_it_is_due() {
    for later in ["missing", "broken", "engine-down", "${{ nope }}", " "] {
        let bench = Bench::new().await;
        let steps = format!(
            "
- {{container: alpine, run: \"write a 1\\nprint 1\"}}
- {{container: '{later}', run: 'print 2'}}"
        );
        let report = bench.report(&steps).await;
        let order = [
            "1 done",
            "2 preparing",
            "2 preparing failed: ",
            "2 failed: ",
        ];
        let places: Vec<usize> = order
            .iter()
            .map(|line| report.find(line).unwrap())
            .collect();
        assert!(places.is_sorted(), "{later}: {report}");
    }
}

#[tokio::test]
async fn mounts_and_files_are_part_of_the_container() {
    let mut bench = Bench::new().await;
    let spec_directory = fs_err::canonicalize(bench.directory.path()).unwrap();
    fs_err::write(spec_directory.join("tool"), "x").unwrap();
    bench.settings.mounts = vec![crate::sandbox::BindMount {
        source: spec_directory.clone(),
        target: "/extra".to_owned(),
        read_only: false,
    }];
    bench
        .printed(
            "
- {container: alpine, run: 'print 1'}
- {container: alpine, run: 'print 2', mount: [{path: ./tool, mountpoint: /tool}], files: {/f: x}}",
        )
        .await;
    let made = &bench.fake.preparations(2)[0];
    assert_eq!(made.files, ["/f"]);
    let mounts: Vec<(&str, bool)> = made
        .mounts
        .iter()
        .map(|mount| (mount.target.as_str(), mount.read_only))
        .collect();
    let expected = [
        ("/tool", true),
        ("/extra", false),
        ("/.capstan-objects/0", true),
    ];
    assert_eq!(mounts, expected);
    assert_eq!(made.mounts[0].source, spec_directory.join("tool"));
}

impl Bench {
    /// The networks that the containers of these steps share.
    fn networks(&self, steps: usize) -> Vec<Option<String>> {
        let shared = |step| self.fake.preparations(step)[0].shared.clone();
        (1..=steps)
            .map(|step| shared(step).map(|network| network.mode))
            .collect()
    }
}

#[tokio::test]
async fn the_containers_of_a_task_share_a_network() {
    let bench = Bench::new().await;
    bench.printed(FOUR).await;
    assert_eq!(bench.networks(4), vec![Some("network 1".to_owned()); 4]);
}

/// One that runs at the same time has another, which the fake engine looks after.
#[tokio::test]
async fn tasks_hand_their_network_on() {
    for (parallel, expected) in [(1, 1), (2, 2)] {
        let bench = Bench::new().await;
        let step = "- {container: alpine, run: 'print x'}";
        let jobs: Vec<Job> = (0..8).map(|_| bench.job(step)).collect();
        let finished = bench.run_jobs(jobs, parallel, false).await;
        assert!(finished.iter().all(|finished| ending(finished) == "done"));
        let made = bench.fake.calls_of(&["network"]);
        assert_eq!(made.split(", ").count(), expected, "{made}");
        let preparations = bench.fake.preparations(1);
        assert!(preparations.iter().all(|made| made.shared.is_some()));
    }
}

/// Policies may choose a network for a single step, which must not end up in that of the others.
#[tokio::test]
async fn a_step_with_a_network_of_its_own_does_not_share() {
    let bench = Bench::new().await;
    bench.printed(FOUR).await;
    let mut wanted = bench.fake.preparations(1)[0].clone();
    wanted.workspace = Files::Directory(bench.fixture.path.clone());
    wanted.mounts.clear();
    let engine = FakeEngine(Arc::clone(&bench.fake));
    let lease = Networks::new(&bench.settings, 4, 1).lease();
    for (network, shares) in [(None, true), (Some("none".to_owned()), false)] {
        wanted.network = network;
        wanted.shared = None;
        let made = make(&engine, &lease, wanted.clone()).await;
        made.unwrap().0.discard().await;
        let seen = bench.fake.preparations(1).pop().unwrap();
        assert_eq!(seen.shared.is_some(), shares);
    }
}

#[tokio::test]
async fn the_users_network_is_kept_and_few_steps_share_nothing() {
    let mut bench = Bench::new().await;
    bench.settings.network = Some("host".to_owned());
    bench.printed(FOUR).await;
    let chosen = |step| bench.fake.preparations(step)[0].network.clone();
    assert_eq!(
        [1, 2, 3, 4].map(chosen),
        [(); 4].map(|()| Some("host".to_owned()))
    );
    assert_eq!(bench.networks(4), vec![None; 4]);

    let bench = Bench::new().await;
    let two = FOUR.lines().take(3).collect::<Vec<_>>().join("\n");
    bench.printed(&two).await;
    assert_eq!(bench.networks(2), [None, None]);
    assert_eq!(bench.fake.calls_of(&["network"]), "");
}

/// Sharing is for speed only: whoever cannot join gets a network of its own.
#[tokio::test]
async fn a_network_that_cannot_be_joined_does_no_harm() {
    for (first, second, last) in [
        ("alpine", "loner", "alpine"),
        ("loner", "alpine", "missing"),
        ("broken", "alpine", "alpine"),
    ] {
        let bench = Bench::new().await;
        let steps = format!(
            "
- {{container: {first}, run: 'print 1'}}
- {{container: {second}, run: 'print 2'}}
- {{container: {last}, run: 'print 3'}}"
        );
        let report = bench.report(&steps).await;
        let expected = match (first, last) {
            ("broken", _) => "1 failed: ",
            (_, "missing") => "\n2 done\n",
            _ => "\n3 done\n",
        };
        assert!(report.contains(expected), "{first} {second}: {report}");
        let alone = bench.fake.preparations(usize::from(second == "loner") + 1);
        assert!(
            alone.iter().all(|made| made.shared.is_none()),
            "{first} {second}"
        );
    }
}

#[tokio::test]
async fn no_step_waits_for_the_image_of_another() {
    let bench = Bench::new().await;
    let report = bench
        .report(
            "
- {container: alpine, run: 'await image endless'}
- {container: alpine, run: 'cancel'}
- {container: endless, run: 'print 3'}",
        )
        .await;
    assert!(report.contains("2 started: cancel {}"), "{report}");
}

/// A component is there in no time: it takes no container's place, and needs no network.
#[tokio::test]
async fn components_are_not_counted() {
    let mut bench = Bench::new().await;
    bench.settings.prepare_ahead = 1;
    bench
        .printed(
            "
- {container: alpine, run: 'await prepare 3'}
- {container: 'wasm://./fix', run: 'print 2'}
- {container: alpine, run: 'await prepare 4'}
- {container: alpine, run: 'print 4'}
- {container: 'wasm://./fix', run: 'print 5'}",
        )
        .await;
    let shared = bench.networks(5);
    let shared: Vec<bool> = shared.iter().map(Option::is_some).collect();
    assert_eq!(shared, [true, false, true, true, false]);
}
