use capstan_protocol::{JobKey, LogEntry, Mark, Outcome, Telemetry};
use capstan_tests::{JobState, SECRET, Sourcegraph};
use serde_json::json;

use super::*;

fn settings(server: &str, queues: Queues) -> ClientSettings {
    ClientSettings {
        frontend: server.parse().unwrap(),
        secret: Secret::new(SECRET.to_owned()),
        executor_name: "host-1".to_owned(),
        queues,
        tries: 5,
        cpus: 4,
        memory: "12G".to_owned(),
        disk: "20G".to_owned(),
    }
}

fn client_of(settings: ClientSettings) -> Client {
    Client::new(settings, Metrics::new(&[])).unwrap()
}

fn single(server: &Sourcegraph) -> Client {
    client_of(settings(server.url(), Queues::Single("batches".into())))
}

fn multi(server: &Sourcegraph) -> Client {
    let queues = Queues::Multi(vec!["batches".into(), "codeintel".into()]);
    client_of(settings(server.url(), queues))
}

fn telemetry() -> Telemetry {
    Telemetry {
        os: "linux".into(),
        ..Telemetry::default()
    }
}

fn entry(exit_code: Option<i32>) -> LogEntry {
    LogEntry {
        key: "setup.fs.extras".into(),
        command: None,
        start_time: "2026-03-01T10:00:00Z".parse().unwrap(),
        exit_code,
        out: "Wrote x\n".into(),
        duration_ms: exit_code.map(|_| 5),
    }
}

async fn take(client: &Client) -> Identity {
    client.ping().await.unwrap();
    client.dequeue().await.unwrap().unwrap().identity
}

fn count(server: &Sourcegraph, call: &str) -> usize {
    let requests = server.requests();
    requests
        .iter()
        .filter(|request| request.ends_with(call))
        .count()
}

#[tokio::test]
async fn a_job_from_its_queue_to_its_mark() {
    let server = Sourcegraph::start();
    let id = server.enqueue(json!({"queue": "codeintel", "dockerSteps": []}));
    let client = multi(&server);
    let job = take(&client).await;
    assert_eq!((job.id, &*job.queue), (id, "codeintel"));
    let key = job.key();
    let stranger = JobKey {
        queue: "batches".into(),
        id,
    };
    let running = [key.clone(), stranger];
    let beat = client
        .heartbeat(&running, &telemetry(), String::new())
        .await
        .unwrap();
    assert_eq!(
        (beat.unknown, beat.cancelled),
        (running[1..].to_vec(), Vec::new())
    );
    let number = client.add_log_entry(&job, &entry(None)).await.unwrap();
    assert_eq!(number, 1);
    client
        .update_log_entry(&job, number, &entry(Some(0)))
        .await
        .unwrap();
    assert_eq!(server.log(id)[0].exit_code, Some(0));
    server.cancel(id);
    let running = [key.clone()];
    let beat = client
        .heartbeat(&running, &telemetry(), String::new())
        .await
        .unwrap();
    assert_eq!(beat.cancelled, [key]);
    client
        .mark(&job, Outcome::Failed("stopped".into()))
        .await
        .unwrap();
    assert_eq!(server.job(id), JobState::Canceled);
    assert!(client.dequeue().await.unwrap().is_none());
    server.assert_pleased();
}

#[tokio::test]
async fn a_single_queue_is_named_by_the_path() {
    let server = Sourcegraph::start();
    let id = server.enqueue(json!({}));
    let client = single(&server);
    let job = take(&client).await;
    assert_eq!(job.key().to_string(), format!("{id}-batches"));
    let running = [
        job.key(),
        JobKey {
            queue: "batches".into(),
            id: 99,
        },
    ];
    let beat = client
        .heartbeat(&running, &telemetry(), "a 1\n".into())
        .await
        .unwrap();
    assert_eq!(beat.unknown, running[1..]);
    client
        .heartbeat(&[], &telemetry(), String::new())
        .await
        .unwrap();
    server.assert_pleased();
    let requests = server.requests();
    assert_eq!(requests[0], "POST /.executors/queue/batches/heartbeat");
    assert_eq!(requests[1], "POST /.executors/queue/batches/dequeue");
}

#[tokio::test]
async fn what_may_be_done_twice_is_tried_again() {
    let server = Sourcegraph::start();
    server.enqueue(json!({"queue": "codeintel"}));
    let client = multi(&server);
    let job = take(&client).await;
    server.fail("markComplete", 503, 3);
    client.mark(&job, Outcome::Complete).await.unwrap();
    assert_eq!(count(&server, "markComplete"), 4);
    server.fail("markComplete", 501, 9);
    let error = client.mark(&job, Outcome::Complete).await.unwrap_err();
    assert_eq!(error.cause, Cause::Status(501));
    assert_eq!(count(&server, "markComplete"), 5);
}

#[tokio::test]
async fn a_question_for_jobs_is_put_once() {
    let server = Sourcegraph::start();
    let client = single(&server);
    server.fail("dequeue", 500, 9);
    let error = client.dequeue().await.unwrap_err();
    assert_eq!(count(&server, "dequeue"), 1);
    assert!(
        error
            .to_string()
            .ends_with("answered with status code 500: as the test wants it"),
        "{error}"
    );
}

#[tokio::test]
async fn a_job_that_is_another_s_is_not_asked_for_again_and_again() {
    let server = Sourcegraph::start();
    let id = server.enqueue(json!({}));
    let client = single(&server);
    let mut job = take(&client).await;
    server.take_away(id);
    let error = client.mark(&job, Outcome::Complete).await.unwrap_err();
    assert_eq!(error.cause, Cause::Refused, "its token is dead");
    // As with servers that gave no token.
    job.token.clear();
    let error = client.add_log_entry(&job, &entry(None)).await.unwrap_err();
    assert_eq!(error.cause, Cause::Lost);
    assert_eq!(count(&server, "addExecutionLogEntry"), 1);
    let error = client.mark(&job, Outcome::Complete).await.unwrap_err();
    assert_eq!(error.cause, Cause::Lost);
}

#[tokio::test]
async fn the_mark_of_an_executor_that_is_gone() {
    let server = Sourcegraph::start();
    let id = server.enqueue(json!({"queue": "codeintel"}));
    let job = take(&multi(&server)).await;
    let settings = ClientSettings {
        executor_name: "host-2".into(),
        ..settings(server.url(), Queues::Single("batches".into()))
    };
    let mark = Mark {
        executor_name: "host-1".into(),
        job_id: job.id,
        outcome: Outcome::Complete,
    };
    client_of(settings)
        .mark_of_former("codeintel", &mark)
        .await
        .unwrap();
    assert_eq!(server.job(id), JobState::Completed);
    server.assert_pleased();
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_not_told() {
    let server = Sourcegraph::start();
    let settings = ClientSettings {
        secret: Secret::new("wr0ng".into()),
        ..settings(server.url(), Queues::Single("batches".into()))
    };
    let client = client_of(settings);
    for error in [
        client.ping().await.unwrap_err(),
        client.test_auth().await.unwrap_err(),
        client
            .heartbeat(&[], &telemetry(), String::new())
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.cause, Cause::Refused);
        assert!(error.to_string().contains("status code 401"), "{error}");
        assert!(!format!("{error:?} {client:?}").contains("wr0ng"));
    }
    assert_eq!(count(&server, "heartbeat"), 2, "it is no use to try again");
    single(&server).test_auth().await.unwrap();
}

#[tokio::test]
async fn rubbish_is_no_job() {
    let server = Sourcegraph::start();
    let client = single(&server);
    for (answer, expected) in [
        (
            "<html>",
            "the job cannot be read: invalid JSON at line 1, column 1",
        ),
        ("[]", "the job cannot be read: : expected an object"),
        (
            "{\"id\":true}",
            "the job cannot be read: id: expected a whole number",
        ),
        (
            "{\"id\":7,\"files\":3}",
            "the job cannot be read: files: expected an object",
        ),
    ] {
        server.answer_dequeue(answer);
        let error = client.dequeue().await.unwrap_err();
        assert_eq!(error.to_string(), expected, "{answer}");
    }
    for answer in ["", "null", " \n"] {
        server.answer_dequeue(answer);
        assert!(client.dequeue().await.unwrap().is_none(), "{answer:?}");
    }
}

#[tokio::test]
async fn files_of_the_store() {
    let server = Sourcegraph::start();
    server.enqueue(json!({}));
    server.file("spec/file", b"content");
    let client = single(&server);
    let job = take(&client).await;
    let mut bytes = Vec::new();
    let mut each = |chunk: &[u8]| {
        bytes.extend_from_slice(chunk);
        Ok(())
    };
    client
        .file(&job, "batch-changes", "spec/file", &mut each)
        .await
        .unwrap();
    let missing = client
        .file(&job, "batch-changes", "spec/other", &mut each)
        .await;
    let missing = missing.unwrap_err();
    assert!(
        missing
            .to_string()
            .ends_with("status code 404: workspace file does not exist"),
        "{missing}"
    );
    let wrong = client
        .file(&job, "..", "queue/batches/dequeue", &mut each)
        .await;
    assert_eq!(wrong.unwrap_err().cause, Cause::Rubbish);
    assert_eq!(bytes, b"content");
    server.assert_pleased();
}

#[tokio::test]
async fn where_nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = client_of(settings(&url, Queues::Single("batches".into())));
    assert_eq!(client.ping().await.unwrap_err().cause, Cause::NotThere);
}

#[test]
fn the_path_of_the_frontend_is_kept() {
    for (frontend, expected) in [
        (
            "https://example.com",
            "https://example.com/.executors/test/auth",
        ),
        (
            "https://example.com/",
            "https://example.com/.executors/test/auth",
        ),
        (
            "http://example.com:8080/a/b/",
            "http://example.com:8080/a/b/.executors/test/auth",
        ),
    ] {
        let client = client_of(settings(frontend, Queues::Single("batches".into())));
        assert_eq!(client.url(route::TEST_AUTH).as_str(), expected);
    }
}

#[test]
fn names_of_executors_are_unlike_each_other() {
    let (one, two) = (
        executor_name("ho\nst").unwrap(),
        executor_name("host").unwrap(),
    );
    assert_ne!(one, two);
    let uuid = one.strip_prefix("host-").unwrap();
    let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    assert_eq!(&uuid[14..15], "4");
}
