//! Jobs of all kinds, and what becomes of them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::site::Site;
use crate::executor::{REPOSITORY, container, legacy, native};

#[test]
fn a_native_job() {
    let site = Site::new();
    let runs = [
        "echo one s3cret-value; id -u; echo more >> README.md; git log --oneline | wc -l",
        "cat README.md; ls -a /var/run/secrets/kubernetes.io 2>/dev/null; echo end",
    ];
    let id = site.enqueue(&native(&site.commit, &runs));
    let running = site.started();
    site.completed(id);
    let log = site.server.log(id);
    let keys: Vec<&str> = log.iter().map(|entry| entry.key.as_str()).collect();
    for key in [
        "setup.kubernetes.job",
        "setup.git.fetch",
        "step.kubernetes.step.0.pre",
        "step.kubernetes.step.0.run",
        "step.kubernetes.step.0.post",
        "step.kubernetes.step.1.post",
        "teardown.kubernetes.job",
    ] {
        assert!(keys.contains(&key), "{key} is missing in {keys:?}");
    }
    assert!(
        log.iter().all(|entry| entry.exit_code == Some(0)),
        "{log:#?}"
    );
    let first = site.entry(id, "step.kubernetes.step.0.run").out;
    assert!(
        first.contains("stdout: one ${{ secrets.TOKEN }}\n"),
        "{first}"
    );
    let second = site.entry(id, "step.kubernetes.step.1.run").out;
    assert!(
        second.contains("stdout: hi\nstdout: more\nstdout: end\n"),
        "{second}"
    );
    let post = site.entry(id, "step.kubernetes.step.1.post").out;
    assert!(
        post.contains(r#""changedFiles":{"modified":["README.md"]"#),
        "{post}"
    );
    let said = site.stop(running);
    assert!(!said.contains("s3cret-value"), "{said}");
}

/// What the executor asks of the cluster is what its role in `examples/deploy` allows.
#[test]
fn the_executor_needs_no_more_than_its_role() {
    let site = Site::new();
    let validated = site.executor("validate").run();
    validated.assert_code(0);
    assert_eq!(validated.stdout(), "All checks passed!\n");
    let id = site.enqueue(&native(&site.commit, &["true"]));
    let running = site.started();
    site.completed(id);
    site.stop(running);
    // A real cluster has refused what is too much.
    let Some(cluster) = site.stand_in() else {
        return;
    };
    let rights: BTreeSet<(String, String)> = crate::manifests::RIGHTS
        .iter()
        .flat_map(|(_, resource, verbs)| {
            verbs
                .iter()
                .map(|verb| ((*verb).to_owned(), (*resource).to_owned()))
        })
        .collect();
    let asked: Vec<(String, String)> = cluster.requests().into_iter().collect();
    // Everybody may ask what they may do.
    let asked = asked
        .into_iter()
        .filter(|(_, resource)| resource != "selfsubjectaccessreviews");
    for right in asked {
        assert!(rights.contains(&right), "{right:?} is not in {rights:?}");
    }
}

#[test]
fn a_legacy_job() {
    let site = Site::new();
    let id = site.enqueue(&legacy(
        &site.commit,
        &["echo more >> README.md", "cat README.md"],
    ));
    let running = site.started();
    site.completed(id);
    let said = site.entry(id, "step.src.batch-exec");
    assert!(said.out.contains("+more"), "{said:?}");
    site.stop(running);
}

#[test]
fn plain_steps() {
    let site = Site::new();
    let mut job = container(&["cat README.md > out", "pwd", "id -u"]);
    job["repositoryName"] = REPOSITORY.into();
    job["commit"] = site.commit.clone().into();
    let id = site.enqueue(&job);
    let running = site.started();
    site.completed(id);
    let said = site.entry(id, "step.kubernetes.indexer");
    for line in ["stdout: /data\n", "stdout: 0\n"] {
        assert!(said.out.contains(line), "{said:?}");
    }
    // What runs in the container, not how one would be made.
    let command = said.command.unwrap_or_default();
    assert_eq!(command[0], "/bin/sh", "{command:?}");
    assert_eq!(command.len(), 2, "{command:?}");
    site.stop(running);
}

#[test]
fn a_step_that_fails_is_told_as_the_script_s_fault() {
    let site = Site::new();
    let id = site.enqueue(&native(&site.commit, &["echo said; exit 3", "true"]));
    let running = site.started();
    let message = site.errored(id);
    assert_eq!(
        message,
        "running command \"step.kubernetes.step.0.run\": command failed with exit code 3"
    );
    let step = site.entry(id, "step.kubernetes.step.0.run");
    assert_eq!(step.exit_code, Some(3), "{step:?}");
    assert!(step.out.contains("stdout: said"), "{step:?}");
    site.stop(running);
}

#[test]
fn output_is_there_while_a_step_runs() {
    let site = Site::new();
    let id = site.enqueue(&native(&site.commit, &["echo begun; sleep 600"]));
    let running = site.started();
    site.wait_for_output(id, "stdout: begun");
    site.server.cancel(id);
    assert_eq!(site.server.wait_for(id), capstan_tests::JobState::Canceled);
    site.stop(running);
}

#[test]
fn steps_of_several_users_share_their_files() {
    let site = Site::new();
    let Some(image) = site.image_with_user() else {
        return;
    };
    let mut job = native(
        &site.commit,
        &[
            "echo one > one; mkdir d; id -u",
            "echo two >> one; echo x > d/y; id -u",
        ],
    );
    job = crate::executor::of_image(&job, &image);
    let id = site.server.enqueue(job);
    let running = site.started();
    site.completed(id);
    let post = site.entry(id, "step.kubernetes.step.1.post").out;
    assert!(post.contains(r#""added":["d/y","one"]"#), "{post}");
    site.stop(running);
}

#[test]
fn all_containers_run_as_the_user_that_is_named() {
    let site = Site::new();
    site.restrict();
    let id = site.enqueue(&native(
        &site.commit,
        &["id -u; echo more >> README.md", "cat README.md"],
    ));
    let command = site.executor("run").env("KUBERNETES_RUN_AS_USER", "1000");
    let running = crate::executor::listening(command);
    site.completed(id);
    let first = site.entry(id, "step.kubernetes.step.0.run").out;
    assert!(first.contains("stdout: 1000\n"), "{first}");
    site.stop(running);
}

#[test]
fn plugins_are_called_in_the_pod() {
    let site = Site::new();
    // The runner has the executor's settings file, on a volume of the pod's.
    let plugins = site.world.root().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let policy = capstan_tests::official_plugin("image-policy");
    std::fs::copy(policy, plugins.join("policy.wasm")).unwrap();
    let config = plugins.join("capstan.toml");
    std::fs::write(
        &config,
        "[[plugin]]\nname = \"image-policy\"\nsource = \"policy.wasm\"\nconfig = { allow = [\"docker.io/library/*\"] }\n",
    )
    .unwrap();
    let id = site.enqueue(&native(&site.commit, &["true"]));
    let volume = serde_json::json!([site.volume_of("plugins", &plugins)]);
    let mount = serde_json::json!([{"name": "plugins", "mountPath": plugins, "readOnly": true}]);
    let command = site
        .executor("run")
        .arg("--config")
        .arg(&config)
        .env("KUBERNETES_ADDITIONAL_JOB_VOLUMES", volume.to_string())
        .env("KUBERNETES_ADDITIONAL_JOB_VOLUME_MOUNTS", mount.to_string());
    let running = crate::executor::listening(command);
    let state = site.server.wait_for(id);
    let capstan_tests::JobState::Failed(message) = state else {
        panic!("{state:?} {:#?}", site.server.log(id));
    };
    assert!(
        message.contains("refused by the plugin image-policy"),
        "{message}"
    );
    site.stop(running);
}

#[test]
fn a_job_on_a_volume_that_the_cluster_makes() {
    let site = Site::new();
    if !site.makes_volumes() {
        return;
    }
    let runs = ["echo more >> README.md", "cat README.md"];
    let id = site.enqueue(&native(&site.commit, &runs));
    let command = site
        .executor("run")
        .env("KUBERNETES_JOB_VOLUME_TYPE", "pvc")
        .env("KUBERNETES_JOB_VOLUME_SIZE", "1Gi");
    let running = crate::executor::listening(command);
    site.completed(id);
    let second = site.entry(id, "step.kubernetes.step.1.run").out;
    assert!(second.contains("stdout: more\n"), "{second}");
    site.stop(running);
}

#[test]
fn twenty_jobs_at_once() {
    let site = Site::new();
    let ids: Vec<i64> = (0..20)
        .map(|number| {
            let run = format!("echo number {number} >> README.md; cat README.md");
            site.enqueue(&native(&site.commit, &[&run]))
        })
        .collect();
    let command = site.executor("run").env("EXECUTOR_MAXIMUM_NUM_JOBS", "20");
    let running = crate::executor::listening(command);
    for (number, id) in ids.into_iter().enumerate() {
        site.completed(id);
        let said = site.entry(id, "step.kubernetes.step.0.run").out;
        assert!(
            said.contains(&format!("stdout: number {number}\n")),
            "{said}"
        );
    }
    site.stop(running);
}

/// Of what a pod is, and what its containers may do.
#[test]
fn what_a_pod_may_do() {
    let site = Site::new();
    let look = "cat /proc/self/status | grep -E '^(NoNewPrivs|CapEff):'; ls /job /etc/capstan-job 2>&1; sleep 600";
    let id = site.enqueue(&native(&site.commit, &[look]));
    let running = site.started();
    site.wait_for_output(id, "NoNewPrivs:\t1");
    let said = site.entry(id, "step.kubernetes.step.0.run").out;
    // Neither the job's volume as a whole nor its payload, which has the token.
    assert!(said.contains("/job: No such file"), "{said}");
    assert!(said.contains("/etc/capstan-job: No such file"), "{said}");
    let pods = site.pods();
    let [pod] = pods.as_slice() else {
        panic!("{pods:#?}");
    };
    let spec = &pod["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    let containers = spec["containers"].as_array().unwrap();
    for container in containers {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{container:#}");
        assert_ne!(context["privileged"], true, "{container:#}");
    }
    let requests: Vec<&Value> = containers
        .iter()
        .map(|container| &container["resources"]["requests"]["memory"])
        .collect();
    // A pod asks for one step's worth, however many it has.
    assert!(requests.iter().all(|asked| **asked == "0"), "{requests:?}");
    site.server.cancel(id);
    site.server.wait_for(id);
    site.stop(running);
}

#[test]
fn a_job_that_is_kept() {
    let site = Site::new();
    // The second container's gate is never opened.
    let id = site.enqueue(&native(&site.commit, &["exit 3", "true"]));
    let command = site.executor("run").env("KUBERNETES_KEEP_JOBS", "true");
    let running = crate::executor::listening(command);
    site.errored(id);
    site.wait_until("the pod has ended", |site| {
        site.pods()[0]["status"]["phase"] == "Failed"
    });
    let teardown = site.entry(id, "teardown.kubernetes.job");
    assert!(teardown.out.contains("is kept"), "{teardown:?}");
    let mut running = running;
    running.signal(capstan_tests::Signal::TERM);
    running.wait().assert_code(0);
    assert_eq!(site.jobs().len(), 1);
    assert_eq!(site.secrets().len(), 1);
}
