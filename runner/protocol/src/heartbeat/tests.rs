use super::*;

fn telemetry() -> Telemetry {
    Telemetry {
        os: "linux".into(),
        architecture: "amd64".into(),
        docker_version: "27.1".into(),
        executor_version: "0.0.0+dev".into(),
        git_version: "2.47.0".into(),
        ..Telemetry::default()
    }
}

fn text(request: &HeartbeatRequest) -> String {
    String::from_utf8(request.to_json()).unwrap()
}

#[test]
fn of_a_single_queue() {
    let mut request = HeartbeatRequest {
        executor_name: "host-1".into(),
        jobs: JobIds::Single(vec![42, 43]),
        telemetry: Some(telemetry()),
        metrics: "a 1\n".into(),
    };
    assert_eq!(
        text(&request),
        r#"{"version":"V2","executorName":"host-1","jobIds":[42,43],"os":"linux","architecture":"amd64","dockerVersion":"27.1","executorVersion":"0.0.0+dev","gitVersion":"2.47.0","igniteVersion":"","srcCliVersion":"","prometheusMetrics":"a 1\n"}"#
    );
    assert_eq!(
        HeartbeatRequest::decode(&request.to_json(), false).unwrap(),
        request
    );
    request.jobs = JobIds::Single(Vec::new());
    assert!(
        text(&request).starts_with(r#"{"version":"V2","executorName":"host-1","jobIds":null,"os""#)
    );
    assert_eq!(
        HeartbeatRequest::decode(&request.to_json(), false).unwrap(),
        request
    );
}

#[test]
fn of_several_queues() {
    let by_queue = |entries: &[(&str, &[i64])]| {
        let entries = entries.iter();
        entries
            .map(|(queue, ids)| ((*queue).to_owned(), ids.to_vec()))
            .collect()
    };
    let mut request = HeartbeatRequest {
        executor_name: "host-1".into(),
        jobs: JobIds::Multi {
            queue_names: vec!["batches".into(), "codeintel".into()],
            by_queue: by_queue(&[("codeintel", &[7]), ("batches", &[42, 1])]),
        },
        telemetry: Some(telemetry()),
        metrics: String::new(),
    };
    assert_eq!(
        text(&request),
        r#"{"version":"","executorName":"host-1","jobIdsByQueue":[{"queueName":"batches","jobIds":["42","1"]},{"queueName":"codeintel","jobIds":["7"]}],"queueNames":["batches","codeintel"],"os":"linux","architecture":"amd64","dockerVersion":"27.1","executorVersion":"0.0.0+dev","gitVersion":"2.47.0","igniteVersion":"","srcCliVersion":"","prometheusMetrics":""}"#
    );
    assert_eq!(
        HeartbeatRequest::decode(&request.to_json(), true).unwrap(),
        request
    );
    request.jobs = JobIds::Multi {
        queue_names: vec!["batches".into()],
        by_queue: by_queue(&[("batches", &[])]),
    };
    assert!(
        text(&request)
            .starts_with(r#"{"version":"","executorName":"host-1","queueNames":["batches"],"os""#)
    );
}

#[test]
fn the_ping_at_the_start_says_only_who() {
    let mut request = HeartbeatRequest {
        executor_name: "host-1".into(),
        jobs: JobIds::Single(Vec::new()),
        telemetry: None,
        metrics: String::new(),
    };
    assert_eq!(text(&request), r#"{"executorName":"host-1"}"#);
    request.jobs = JobIds::Multi {
        queue_names: vec!["batches".into(), "codeintel".into()],
        by_queue: BTreeMap::new(),
    };
    assert_eq!(
        text(&request),
        r#"{"executorName":"host-1","queueNames":["batches","codeintel"]}"#
    );
}

#[test]
fn ids_are_read_in_every_form() {
    let request = HeartbeatRequest::decode(br#"{"jobIDs":[1,"2",3.0]}"#, false).unwrap();
    assert_eq!(request.jobs, JobIds::Single(vec![1, 2, 3]));
    assert_eq!(request.telemetry, None);
}

#[test]
fn answers_are_read_in_every_form() {
    let known = |known: &[&str], cancelled: Option<&[&str]>| {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        HeartbeatResponse {
            known_ids: owned(known),
            cancel_ids: cancelled.map(owned),
        }
    };
    for (body, expected) in [
        (
            r#"{"knownIds":["42"],"cancelIds":["42"]}"#,
            known(&["42"], Some(&["42"])),
        ),
        (
            r#"{"knownIDs":["42-batches"],"cancelIDs":null}"#,
            known(&["42-batches"], Some(&[])),
        ),
        (r#"{"knownIds":[42,43.0]}"#, known(&["42", "43"], Some(&[]))),
        (r#"{"knownIds":null,"more":1}"#, known(&[], Some(&[]))),
        ("[42,\"43\"]", known(&["42", "43"], None)),
    ] {
        assert_eq!(
            HeartbeatResponse::decode(body.as_bytes()).unwrap(),
            expected,
            "{body}"
        );
    }
}

#[test]
fn nothing_is_concluded_from_rubbish() {
    for body in [
        "",
        "{}",
        "null",
        "ok",
        "<html></html>",
        r#"{"error":"database is down"}"#,
        r#"{"knownIds":"42"}"#,
        r#"{"knownIds":[{}]}"#,
        r#"{"knownIds":[null]}"#,
    ] {
        assert!(
            HeartbeatResponse::decode(body.as_bytes()).is_err(),
            "{body}"
        );
    }
}

#[test]
fn answers_are_written_to_the_letter() {
    let answer = HeartbeatResponse {
        known_ids: vec!["42-batches".into()],
        cancel_ids: Some(Vec::new()),
    };
    assert_eq!(
        answer.to_json(),
        br#"{"knownIds":["42-batches"],"cancelIds":[]}"#
    );
}

#[test]
fn old_servers_are_asked_about_cancelled_jobs() {
    let request = CanceledJobsRequest {
        executor_name: "host-1".into(),
        known_job_ids: vec![42],
    };
    assert_eq!(
        request.to_json(),
        br#"{"executorName":"host-1","knownJobIds":[42]}"#
    );
    assert_eq!(decode_ids(b"[42,\"1\"]").unwrap(), ["42", "1"]);
    assert_eq!(decode_ids(b"null").unwrap(), Vec::<String>::new());
    assert!(decode_ids(b"{}").is_err());
}
