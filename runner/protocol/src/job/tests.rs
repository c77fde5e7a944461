use super::*;

/// The illustration of facts/executor-protocol.md 2.2.
const NATIVE: &str = r#"{
  "version": 2, "id": 42, "queue": "batches", "token": "f0e1",
  "repositoryName": "github.com/acme/app", "repositoryDirectory": "repository",
  "commit": "deadbeef", "fetchTags": false, "shallowClone": true, "sparseCheckout": null,
  "files": {
    "input.json":             {"content": "eyJiYXRj", "modifiedAt": "0001-01-01T00:00:00Z"},
    "workspace-files/tool.py": {"bucket": "batch-changes", "key": "spec1/file1", "modifiedAt": "2023-03-01T10:00:00Z"}
  },
  "dockerSteps": [
    {"key": "step.0.pre",  "image": "sourcegraph/batcheshelper:5.2.0", "commands": ["batcheshelper pre 0"],  "dir": ".", "env": ["TOKEN=s3cret"]},
    {"key": "step.0.run",  "image": "alpine:3", "commands": ["true"], "dir": "repository", "env": null},
    {"key": "step.0.post", "image": "sourcegraph/batcheshelper:5.2.0", "commands": ["batcheshelper post 0"], "dir": ".", "env": ["TOKEN=s3cret"]}
  ],
  "cliSteps": null,
  "redactedValues": {"s3cret": "${{ secrets.TOKEN }}"},
  "dockerAuthConfig": {"auths": {"registry.acme.io": {"auth": "dTpw"}}}
}"#;

fn decode(text: &str) -> Job {
    Job::decode(text.as_bytes()).unwrap()
}

#[test]
fn a_native_job() {
    let job = decode(NATIVE);
    assert_eq!(job.generation, Generation::V2);
    assert_eq!(job.identity.key().to_string(), "42-batches");
    assert_eq!(job.identity.token, "f0e1");
    assert_eq!(job.repository_name, "github.com/acme/app");
    assert_eq!(job.repository_directory, "repository");
    assert!(job.shallow_clone && !job.fetch_tags && job.sparse_checkout.is_empty());
    assert_eq!(
        job.files["input.json"],
        File {
            content: Content::Inline(b"{\"batc".to_vec()),
            modified_at: None,
        }
    );
    assert_eq!(
        job.files["workspace-files/tool.py"],
        File {
            content: Content::Stored {
                bucket: "batch-changes".into(),
                key: "spec1/file1".into()
            },
            modified_at: Some("2023-03-01T10:00:00Z".parse().unwrap()),
        }
    );
    let keys: Vec<&str> = job.docker_steps.iter().map(|step| &*step.key).collect();
    assert_eq!(keys, ["step.0.pre", "step.0.run", "step.0.post"]);
    assert_eq!(job.docker_steps[0].env, ["TOKEN=s3cret"]);
    assert!(job.docker_steps[1].env.is_empty() && job.cli_steps.is_empty());
    assert_eq!(job.redacted_values["s3cret"], "${{ secrets.TOKEN }}");
    let auth = &job.docker_auth_config.auths["registry.acme.io"];
    assert_eq!((auth.user.as_str(), auth.password.as_str()), ("u", "p"));
}

#[test]
fn a_legacy_job_of_the_first_generation() {
    let job = decode(
        r#"{"ID": "7", "Token": "t", "files": {"input.json": {"content": "{\"plain\": true}"}, "empty": {}},
            "cliSteps": [{"key": "batch-exec", "command": ["batch", "exec", "-f", "input.json"], "dir": ".", "env": ["A=b"]}]}"#,
    );
    assert_eq!((job.generation, job.id()), (Generation::V1, 7));
    let content = |path: &str| job.files[path].content.clone();
    assert_eq!(
        content("input.json"),
        Content::Inline(b"{\"plain\": true}".to_vec())
    );
    assert_eq!(content("empty"), Content::Inline(Vec::new()));
    assert_eq!(
        job.cli_steps[0].command.join(" "),
        "batch exec -f input.json"
    );
    assert_eq!(job.cli_steps[0].env, ["A=b"]);
}

#[test]
fn nulls_and_unknown_fields_do_not_matter() {
    let job = decode(
        r#"{"version": null, "id": 1, "files": null, "dockerSteps": [{"commands": null}], "redactedValues": null,
            "dockerAuthConfig": null, "repositoryName": null, "somethingNew": {"a": [1]}}"#,
    );
    let expected = Job {
        generation: Generation::V1,
        identity: Identity {
            id: 1,
            ..Identity::default()
        },
        docker_steps: vec![DockerStep::default()],
        ..Job::default()
    };
    assert_eq!(job, expected);
}

#[test]
fn what_is_written_is_read_again() {
    let job = decode(NATIVE);
    let json = job.to_json();
    assert_eq!(Job::decode(&json).unwrap(), job);
    assert_eq!(
        str::from_utf8(&json).unwrap(),
        concat!(
            r#"{"version":2,"id":42,"queue":"batches","token":"f0e1","repositoryName":"github.com/acme/app","#,
            r#""repositoryDirectory":"repository","commit":"deadbeef","fetchTags":false,"shallowClone":true,"sparseCheckout":null,"#,
            r#""files":{"input.json":{"content":"eyJiYXRj","modifiedAt":"0001-01-01T00:00:00Z"},"#,
            r#""workspace-files/tool.py":{"bucket":"batch-changes","key":"spec1/file1","modifiedAt":"2023-03-01T10:00:00Z"}},"#,
            r#""dockerSteps":[{"key":"step.0.pre","image":"sourcegraph/batcheshelper:5.2.0","commands":["batcheshelper pre 0"],"dir":".","env":["TOKEN=s3cret"]},"#,
            r#"{"key":"step.0.run","image":"alpine:3","commands":["true"],"dir":"repository","env":null},"#,
            r#"{"key":"step.0.post","image":"sourcegraph/batcheshelper:5.2.0","commands":["batcheshelper post 0"],"dir":".","env":["TOKEN=s3cret"]}],"#,
            r#""cliSteps":null,"redactedValues":{"s3cret":"${{ secrets.TOKEN }}"},"#,
            r#""dockerAuthConfig":{"auths":{"registry.acme.io":{"auth":"dTpw"}}}}"#
        )
    );
}

#[test]
fn a_job_that_cannot_be_read_says_which_it_is() {
    for (text, id, reason) in [
        (
            r#"{"id": 42, "token": "t0ken", "dockerSteps": [{}, {"commands": "true"}]}"#,
            Some(42),
            "dockerSteps[1].commands: expected a list",
        ),
        (
            r#"{"version": 2, "id": 42, "files": {"a": {"content": "s3cret!"}}}"#,
            Some(42),
            "files{0}.content: expected base64",
        ),
        (
            r#"{"id": 42, "files": {"a": {"modifiedAt": "then"}}}"#,
            Some(42),
            "files{0}.modifiedAt: expected a time such as 2006-01-02T15:04:05Z",
        ),
        (
            r#"{"id": 42, "dockerAuthConfig": {"auths": {"r": {"auth": "AAAA"}}}}"#,
            Some(42),
            "dockerAuthConfig.auths{0}.auth: expected base64 of USER:PASSWORD",
        ),
        (r#"{"id": 42.5}"#, None, "id: expected a whole number"),
        ("{}", None, "id: expected a whole number"),
        ("[]", None, ": expected an object"),
        ("<html>", None, "invalid JSON at line 1, column 1"),
    ] {
        let error = Job::decode(text.as_bytes()).unwrap_err();
        assert_eq!(error.identity.as_ref().map(|job| job.id), id, "{text}");
        assert_eq!(error.reason.to_string(), reason, "{text}");
        let shown = format!("{error:?} {error}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("t0ken"),
            "{shown}"
        );
    }
}

#[test]
fn credentials_of_registries_in_every_form() {
    let config = DockerAuthConfig::decode(
        br#"{"auths": {"a": {"auth": "dTpwOnE="}, "b": {"username": "u", "password": "p"}, "c": {}}, "credsStore": "x"}"#,
    );
    let config = config.unwrap();
    let pairs: Vec<_> = config
        .auths
        .iter()
        .map(|(host, auth)| (&**host, &*auth.user, &*auth.password))
        .collect();
    assert_eq!(pairs, [("a", "u", "p:q"), ("b", "u", "p")]);
    assert!(DockerAuthConfig::decode(b"[]").is_err());
}

#[test]
fn nothing_secret_is_shown() {
    let job = decode(NATIVE);
    let shown = format!(
        "{job:?} {:?} {:?} {:?} {:?}",
        job.files, job.docker_steps, job.docker_auth_config, job.docker_auth_config.auths
    );
    for secret in ["s3cret", "f0e1", "password: ", "123, 34"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in r#"(\{|\}|\[|\]|"(id|files|dockerSteps|content|env|version|a)"|:|,|null|2|"b"|\PC){0,40}"#) {
        let _ = Job::decode(text.as_bytes());
    }
}
