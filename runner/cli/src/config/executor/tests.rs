use capstan_executor::cluster::Access;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::of(variables)
}

const LEAST: [(&str, &str); 3] = [
    ("EXECUTOR_FRONTEND_URL", "https://sourcegraph.example"),
    ("EXECUTOR_FRONTEND_PASSWORD", "hunter2hunter2hunter2"),
    ("EXECUTOR_QUEUE_NAME", "batches"),
];

fn read(variables: &[(&str, &str)]) -> Result<ExecutorConfig, Vec<String>> {
    let all: Vec<_> = LEAST.iter().chain(variables).copied().collect();
    ExecutorConfig::read(&environment(&all)).map_err(|problems| problems.0)
}

#[test]
fn the_defaults_are_those_of_the_original() {
    let config = read(&[]).unwrap();
    assert_eq!(config.queues, Queues::Single("batches".into()));
    assert_eq!((config.slots, config.tries), (1, 20));
    assert_eq!(config.poll, Duration::from_secs(1));
    assert_eq!(config.maximum_runtime, Some(Duration::from_secs(1800)));
    assert_eq!((config.total, config.active), (None, None));
    assert_eq!((config.cpus, config.told_cpus), (Some(4.0), 4));
    assert_eq!(
        (config.memory, &*config.told_memory),
        (Some(12 << 30), "12G")
    );
    assert_eq!(config.told_disk, "20G");
    assert!(!config.keep_workspaces && !config.host_gateway);
    assert_eq!(config.warnings, Vec::<String>::new());
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn empty_variables_count_as_unset() {
    // As the Helm chart for Kubernetes sets them.
    let empty: Vec<_> = VARIABLES
        .iter()
        .map(|variable| (variable.name, ""))
        .filter(|(name, _)| LEAST.iter().all(|(least, _)| least != name))
        .collect();
    let config = read(&empty).unwrap();
    assert_eq!(config.poll, Duration::from_secs(1));
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn draft_names_count_if_the_real_ones_are_not_set() {
    let config = ExecutorConfig::read(&environment(&[
        ("EXECUTOR_FRONTEND_URL", "http://hub:1234/base"),
        ("EXECUTOR_REGISTRATION_TOKEN", "draft"),
        ("EXECUTOR_QUEUE_NAMES", "codeintel, batches"),
        ("EXECUTOR_MAX_NUM_JOBS", "7"),
        ("EXECUTOR_FIRECRACKER_MEMORY", "0"),
        ("EXECUTOR_FIRECRACKER_NUM_CPUS", "0"),
        ("EXECUTOR_BACKEND", "docker"),
    ]));
    let config = config.unwrap();
    assert_eq!(config.secret.reveal(), "draft");
    assert_eq!(
        config.queues,
        Queues::Multi(vec!["codeintel".into(), "batches".into()])
    );
    assert_eq!((config.slots, config.memory, config.cpus), (7, None, None));
    assert_eq!((config.told_cpus, &*config.told_memory), (0, ""));

    let both = [
        ("EXECUTOR_MAX_NUM_JOBS", "7"),
        ("EXECUTOR_MAXIMUM_NUM_JOBS", "3"),
    ];
    assert_eq!(read(&both).unwrap().slots, 3);
    let own = [
        ("EXECUTOR_MAXIMUM_NUM_JOBS_executor", "5"),
        ("EXECUTOR_MAXIMUM_NUM_JOBS", "3"),
    ];
    assert_eq!(read(&own).unwrap().slots, 5);
}

#[test]
fn all_problems_are_told_together_and_no_secret() {
    let problems = ExecutorConfig::read(&environment(&[
        ("EXECUTOR_FRONTEND_URL", "sourcegraph.example"),
        ("EXECUTOR_QUEUE_NAME", "lsif"),
        ("EXECUTOR_QUEUE_POLL_INTERVAL", "5"),
        ("EXECUTOR_MAX_NUM_JOBS", "0"),
        ("EXECUTOR_KEEP_WORKSPACES", "yes"),
        (
            "EXECUTOR_DOCKER_AUTH_CONFIG",
            "{\"auths\":{\"r\":{\"auth\":\"s3cret\"}}}",
        ),
        ("SRC_LOG_LEVEL", "loud"),
    ]));
    assert_eq!(
        problems.unwrap_err().0,
        [
            "invalid value for EXECUTOR_FRONTEND_URL: expected scheme://host, for example https://sourcegraph.example.com",
            "no value supplied for EXECUTOR_FRONTEND_PASSWORD",
            "EXECUTOR_QUEUE_NAME must be set to one of 'batches, codeintel'",
            "invalid value for EXECUTOR_DOCKER_AUTH_CONFIG: failed to parse: auths{0}.auth: expected base64 of USER:PASSWORD",
            "invalid value for EXECUTOR_QUEUE_POLL_INTERVAL: expected a duration such as 90s, 30m or 1h30m",
            "invalid value for EXECUTOR_MAX_NUM_JOBS: expected a whole number of at least 1",
            "invalid value for EXECUTOR_KEEP_WORKSPACES: expected true or false",
            "invalid value for SRC_LOG_LEVEL: expected one of dbug, debug, info, warn, error, eror, crit",
        ]
    );
}

#[test]
fn what_is_not_supported_is_told_with_the_reason() {
    let config = read(&[
        ("EXECUTOR_USE_FIRECRACKER", "true"),
        ("EXECUTOR_USE_KUBERNETES", "false"),
        ("EXECUTOR_KUBE_NAMESPACE", "jobs"),
        ("EXECUTOR_FRONTEND_USERNAME", "executor"),
        ("EXECUTOR_HEALTH_SERVER_ADDR", ":8080"),
    ]);
    let config = config.unwrap();
    assert_eq!(
        config.warnings,
        [
            "EXECUTOR_KUBE_NAMESPACE is ignored: jobs run on a container engine; EXECUTOR_BACKEND=kubernetes has them run as pods",
            "EXECUTOR_USE_FIRECRACKER is ignored: jobs run in containers, not in virtual machines",
        ]
    );
    assert_eq!(config.health.unwrap(), "0.0.0.0:8080");
}

#[test]
fn where_jobs_run() {
    let in_cluster = |variables: &[(&str, &str)]| read(variables).unwrap().cluster.is_some();
    let pod = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    assert!(!in_cluster(&[]));
    assert!(in_cluster(&[pod]));
    assert!(in_cluster(&[("EXECUTOR_BACKEND", "kubernetes")]));
    assert!(in_cluster(&[("EXECUTOR_USE_KUBERNETES", "true")]));
    // An engine beside the executor, in the same pod.
    assert!(!in_cluster(&[pod, ("DOCKER_HOST", "tcp://localhost:2375")]));
    assert!(!in_cluster(&[pod, ("EXECUTOR_USE_KUBERNETES", "false")]));
    assert!(!in_cluster(&[pod, ("EXECUTOR_BACKEND", "docker")]));
    assert_eq!(
        read(&[("EXECUTOR_BACKEND", "nomad")]).unwrap_err(),
        ["invalid value for EXECUTOR_BACKEND: expected docker or kubernetes"]
    );
}

#[test]
fn what_pods_are() {
    let cluster = |variables: &[(&str, &str)]| {
        let all: Vec<_> = [("EXECUTOR_BACKEND", "kubernetes")]
            .iter()
            .chain(variables)
            .copied()
            .collect();
        read(&all).map(|config| config.cluster.unwrap())
    };
    let quantity = |quantity: &str| Some(quantity.to_owned());
    let plain = cluster(&[]).unwrap();
    assert_eq!(plain.access, Access::InPod);
    assert_eq!((plain.namespace, plain.image), (None, None));
    let text = |quantity: Option<_>| {
        quantity.map(|quantity: capstan_executor::cluster::Quantity| quantity.0)
    };
    assert_eq!(text(plain.pods.limits.memory), quantity("12Gi"));
    assert_eq!(text(plain.pods.requests.memory), quantity("1Gi"));
    assert_eq!(plain.pods.deadline, Duration::from_secs(1800 + 600 + 300));
    assert_eq!(plain.pods.start_timeout, Duration::from_secs(600));
    assert_eq!((plain.pods.user, plain.pods.fs_group), (None, None));

    let told = cluster(&[
        ("EXECUTOR_KUBERNETES_CONFIG_PATH", "/etc/kubeconfig"),
        ("EXECUTOR_KUBE_NAMESPACE", "jobs"),
        ("EXECUTOR_KUBERNETES_RUNNER_IMAGE", "acme/capstan:1"),
        ("EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY", "512Mi"),
        ("EXECUTOR_KUBERNETES_NODE_SELECTOR", "pool=batch, disk=ssd"),
        (
            "EXECUTOR_KUBERNETES_NODE_TOLERATIONS",
            r#"[{"key":"batch","operator":"Exists"}]"#,
        ),
        ("KUBERNETES_RUN_AS_USER", "1000"),
        ("KUBERNETES_RUN_AS_GROUP", "-1"),
        ("KUBERNETES_IMAGE_PULL_SECRETS", "one, two"),
        ("KUBERNETES_JOB_POD_ANNOTATIONS", r#"{"a":"b"}"#),
        ("KUBERNETES_JOB_VOLUME_TYPE", "pvc"),
        ("EXECUTOR_KUBERNETES_START_TIMEOUT", "0"),
        ("KUBERNETES_JOB_DEADLINE", "1200"),
        ("HTTPS_PROXY", "http://proxy:3128"),
    ]);
    let told = told.unwrap();
    assert_eq!(
        told.access,
        Access::Kubeconfig(vec!["/etc/kubeconfig".into()])
    );
    assert_eq!(told.namespace.as_deref(), Some("jobs"));
    // Not more than the limit.
    assert_eq!(text(told.pods.requests.memory), None);
    let selector = told.pods.placement.node_selector;
    assert_eq!(selector["disk"], "ssd");
    assert_eq!(told.pods.placement.tolerations.len(), 1);
    assert_eq!((told.pods.user, told.pods.group), (Some(1000), None));
    assert_eq!(told.pods.fs_group, Some(1000));
    assert_eq!(told.pods.pull_secrets, ["one", "two"]);
    assert_eq!(told.pods.deadline, Duration::from_secs(1200));
    assert_eq!(told.pods.start_timeout, told.pods.deadline);
    assert_eq!(told.pods.environment["HTTPS_PROXY"], "http://proxy:3128");

    for (name, value, problem) in [
        (
            "EXECUTOR_KUBERNETES_POD_AFFINITY",
            "[{}]",
            "element 0 has no topologyKey",
        ),
        (
            "EXECUTOR_KUBERNETES_NODE_SELECTOR",
            "pool",
            "\"pool\": expected NAME=VALUE",
        ),
        (
            "KUBERNETES_JOB_VOLUME_TYPE",
            "hostPath",
            "expected emptyDir or pvc",
        ),
        (
            "KUBERNETES_JOB_VOLUME_SIZE",
            "5GB",
            "expected a quantity such as 500m, 4 or 12Gi",
        ),
    ] {
        let expected = format!("invalid value for {name}: {problem}");
        assert_eq!(cluster(&[(name, value)]).unwrap_err(), [expected]);
    }
}

#[test]
fn where_the_engine_sees_workspaces() {
    let seen = |variables: &[(&str, &str)]| {
        let config = read(variables).unwrap();
        let text = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
        (text(config.workspaces), text(config.host_mount_path))
    };
    let (tmp, there) = (
        ("TMPDIR", "/scratch"),
        ("EXECUTOR_DOCKER_HOST_MOUNT_PATH", "/mnt/scratch"),
    );
    assert_eq!(seen(&[]), (None, None));
    assert_eq!(seen(&[tmp]), (Some("/scratch".into()), None));
    let both = (Some("/scratch".into()), Some("/mnt/scratch".into()));
    assert_eq!(seen(&[tmp, there]), both);
    let original = (Some("/tmp".into()), Some("/mnt/scratch".into()));
    assert_eq!(seen(&[there]), original);
}

#[test]
fn single_problems() {
    for (variables, problem) in [
        (
            &[("EXECUTOR_QUEUE_NAMES", "batches")][..],
            "both EXECUTOR_QUEUE_NAME and EXECUTOR_QUEUE_NAMES are set; set one of them",
        ),
        (
            &[("EXECUTOR_FRONTEND_URL", "http://host.docker.internal:3080")],
            "EXECUTOR_FRONTEND_URL has the host host.docker.internal, for which EXECUTOR_DOCKER_ADD_HOST_GATEWAY must be true",
        ),
        (
            &[(
                "EXECUTOR_FRONTEND_URL",
                "https://user:s3cret@sourcegraph.example",
            )],
            "invalid value for EXECUTOR_FRONTEND_URL: there must be no user and no password in it",
        ),
        (
            &[(
                "EXECUTOR_DOCKER_ADDITIONAL_MOUNTS",
                "type=bind,source=/a,target=/b,target=/c",
            )],
            "invalid value for EXECUTOR_DOCKER_ADDITIONAL_MOUNTS: \"type=bind,source=/a,target=/b,target=/c\" has more than one target; mounts are separated by `;`",
        ),
        (
            &[("EXECUTOR_DOCKER_HOST_MOUNT_PATH", "scratch")],
            "invalid value for EXECUTOR_DOCKER_HOST_MOUNT_PATH: \"scratch\" is no absolute path",
        ),
        (
            &[(
                "EXECUTOR_DOCKER_REGISTRY_MIRROR_URL",
                "https://mirror.example.com, https://mirror.example.com/hub",
            )],
            "invalid value for EXECUTOR_DOCKER_REGISTRY_MIRROR_URL: \"https://mirror.example.com/hub\": expected a registry such as https://mirror.example.com or http://10.0.0.1:5000, without a path",
        ),
    ] {
        assert_eq!(read(variables).unwrap_err(), [problem]);
    }
    let several = [
        ("EXECUTOR_QUEUE_NAME", ""),
        ("EXECUTOR_QUEUE_NAMES", "batches,lsif"),
    ];
    assert_eq!(
        read(&several).unwrap_err(),
        [
            "EXECUTOR_QUEUE_NAMES contains unknown names (lsif); they must be of 'batches, codeintel'"
        ]
    );
}

#[test]
fn the_documentation_has_every_variable() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/executor.md");
    let documentation = fs_err::read_to_string(path).unwrap();
    // The tables of variables, row by row and in order: what is not in the code is not in the documentation.
    let (_, tables) = documentation.split_once("\n| variable | ").unwrap();
    let (tables, _) = tables.split_once("\n## ").unwrap();
    let documented = tables.lines().filter(|line| line.starts_with("| `"));
    let documented: Vec<&str> = documented.collect();
    let rows: Vec<String> = VARIABLES.iter().map(variables::Variable::row).collect();
    assert_eq!(
        documented,
        rows,
        "docs/executor.md should have\n{}",
        rows.join("\n")
    );
}
