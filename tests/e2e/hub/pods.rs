//! A hub whose executor runs jobs as the pods of a cluster.

use capstan_tests::{Cluster, image};

use super::scene::{executor, stop};
use super::{Hub, world};

#[test]
fn a_hub_whose_jobs_are_pods() {
    let (world, cluster) = (world(), Cluster::start());
    let hub = Hub::start(&world);
    let mut running = executor(&world, &hub.address)
        .env("EXECUTOR_BACKEND", "kubernetes")
        .env("EXECUTOR_KUBERNETES_CONFIG_PATH", cluster.kubeconfig())
        .env("EXECUTOR_KUBERNETES_RUNNER_IMAGE", image())
        .spawn();
    running.wait_for("listening for jobs");
    let submit = ["submit", "-f", "spec.yaml", "widgets", "--wait"];
    hub.command(&world, &submit).run().assert_code(0);
    let shown = hub.json(&world, &["show", "1"]);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    let log = hub.command(&world, &["logs", "1"]).run();
    assert!(log.stdout().contains("step.kubernetes.step.0.run"), "{log}");
    cluster.wait_until("nothing is left", |cluster| {
        cluster.jobs().is_empty() && cluster.pods().is_empty()
    });
    stop(running);
    cluster.assert_pleased();
    hub.stop();
}
