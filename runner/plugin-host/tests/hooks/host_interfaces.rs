//! What the host offers to every hook.

use capstan_core::plugin::{Grants, Hook};
use capstan_plugin_host::Level;

use crate::fixture::{Settings, doing, session, step};

/// What the guest has to say of a task, as the message of its error.
async fn seen(config: &str) -> String {
    let failure = session(config).await.check_job().await.unwrap_err();
    let text = failure.ending.to_string();
    text.strip_suffix(" (seen)").expect("an answer").to_owned()
}

#[tokio::test]
async fn messages_have_levels() {
    let (session, heard) = Settings::default().session(r#"{"do": "log"}"#).await;
    session.check_step(&step()).await.unwrap();
    let said = |level, message: &str| (Hook::Policy, level, message.to_owned());
    assert_eq!(
        *heard.messages.lock().unwrap(),
        [
            said(Level::Trace, "a trace"),
            said(Level::Debug, "two\nlines"),
            said(Level::Info, "an info"),
            said(Level::Warn, "a warning"),
            said(Level::Error, "an error"),
            said(Level::Info, "printed"),
            said(Level::Warn, "printed as an error"),
        ]
    );
    assert_eq!(*heard.calls.lock().unwrap(), ["policy.check-step"]);
}

#[tokio::test]
async fn messages_beyond_the_limit_are_counted_and_dropped() {
    let (session, heard) = Settings::default().session(r#"{"do": "log-flood"}"#).await;
    session.check_step(&step()).await.unwrap();
    let messages = heard.messages.lock().unwrap();
    let bytes: usize = messages
        .iter()
        .map(|(_, _, message)| message.len() + 1)
        .sum();
    assert!((60_000..=70_000).contains(&bytes), "{bytes} bytes");
    let (_, level, last) = messages.last().unwrap();
    assert_eq!(*level, Level::Warn);
    insta::assert_snapshot!(last, @"957528 more bytes of messages were dropped");
}

#[tokio::test]
async fn configuration() {
    let config = r#"{"do": "config", "text": "as it is", "number": 1.5, "list": [1, "a"]}"#;
    insta::assert_snapshot!(seen(config).await, @r#"{"do": "config", "text": "as it is", "number": 1.5, "list": [1, "a"]} [Some("as it is"), Some("1.5"), Some("[1,\"a\"]"), None]"#);
}

#[tokio::test]
async fn scratch_has_a_quota() {
    insta::assert_snapshot!(seen(r#"{"do": "scratch"}"#).await, @r#"
    Err("key")
    Err("key")
    Ok(())
    Err("quota")
    Ok(())
    Err("quota")
    Ok(())
    Ok(())
    ["a", "b"]
    Some([115, 109, 97, 108, 108])
    None
    "#);
}

#[tokio::test]
async fn scratch_lasts_as_long_as_the_job() {
    let one = doing("count").await;
    let other = doing("count").await;
    let count = async |session: &capstan_plugin_host::Session| {
        session.check_job().await.unwrap_err().ending.to_string()
    };
    assert_eq!(count(&one).await, "1 (seen)");
    assert_eq!(count(&one).await, "2 (seen)");
    assert_eq!(count(&other).await, "1 (seen)");
}

#[tokio::test]
async fn the_world_is_what_was_granted() {
    insta::assert_snapshot!(seen(r#"{"do": "look-around"}"#).await, @"environment [] root false passwd false work false network false");
    let settings = Settings {
        grants: Grants {
            env: vec!["GRANTED".into(), "UNSET".into()],
            ..Grants::default()
        },
        ..Settings::default()
    };
    let (session, _) = settings.session(r#"{"do": "look-around"}"#).await;
    insta::assert_snapshot!(session.check_job().await.unwrap_err().ending, @r#"environment [("GRANTED", "value of GRANTED")] root false passwd false work false network false (seen)"#);
}
