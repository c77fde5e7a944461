//! Networks that containers share.

use capstan_engine::sandbox::{NetworkOrder, SharedNetwork};

use crate::engine::{Engine, inputs};
use crate::images::{BASH_ONLY, BUSYBOX};

impl Engine {
    async fn share(&self, image: &str) -> SharedNetwork {
        let order = NetworkOrder {
            image: self.image(image).await,
            hosts: vec!["far.example:192.0.2.7".to_owned()],
            platform: None,
        };
        self.sandbox.share_network(order).await.unwrap()
    }
}

/// They share the network and nothing else: what one writes to the files of the network, the next does not see.
#[tokio::test]
async fn containers_join_a_network() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    let network = engine.share(BUSYBOX).await;
    let mut step = engine.step(BUSYBOX).await;
    step.network = None;
    step.shared = Some(network);
    let script = "readlink /proc/self/ns/net; cat /etc/hosts /etc/resolv.conf; echo 192.0.2.9 evil >>/etc/hosts";
    let first = engine.run(step.clone(), inputs(script)).await.unwrap();
    assert_eq!(first.exit.code, 0, "{first:?}");
    assert!(first.stdout.contains("far.example"), "{first:?}");
    let second = engine.run(step.clone(), inputs(script)).await.unwrap();
    assert_eq!(first.stdout, second.stdout);
    assert!(!second.stdout.contains("evil"), "{second:?}");
    // The container that holds it.
    assert!(!engine.containers().await.is_empty());
    drop(step);
    engine.close().await;
}

/// The first attempt to make one is for a shell that the image does not have.
#[tokio::test]
async fn a_network_that_is_given_up_is_left_to_nobody() {
    let Some(engine) = Engine::start().await else {
        return;
    };
    drop(engine.share(BUSYBOX).await);
    let mut step = engine.step(BASH_ONLY).await;
    step.network = None;
    step.shared = Some(engine.share(BASH_ONLY).await);
    assert!(engine.run(step.clone(), inputs(":")).await.is_err());
    step.shared = Some(engine.share(BASH_ONLY).await);
    engine.run(step, inputs(":")).await.unwrap();
    engine.close().await;
}
