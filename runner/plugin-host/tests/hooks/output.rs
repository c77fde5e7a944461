use capstan_core::value::Value;

use crate::fixture::{doing, step};

#[tokio::test]
async fn outputs_are_derived() {
    let session = doing("derive").await;
    let stdout = br#"{"a": [1, "x", null, true]}"#;
    let derived = session
        .derive_outputs(&step(), stdout, b"\"error\"")
        .await
        .unwrap();
    let list = vec![
        Value::Float(1.0),
        Value::String("x".into()),
        Value::Nil,
        Value::Bool(true),
    ];
    assert_eq!(
        derived,
        [
            (
                "stdout".to_owned(),
                Value::Map([("a".to_owned(), Value::List(list))].into())
            ),
            ("stderr".to_owned(), Value::String("error".into())),
            ("step".to_owned(), Value::Float(2.0)),
        ]
    );
    assert_eq!(
        doing("")
            .await
            .derive_outputs(&step(), b"", b"")
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn a_value_must_be_json() {
    let session = doing("derive").await;
    let failure = session
        .derive_outputs(&step(), b"{", b"1")
        .await
        .unwrap_err();
    insta::assert_snapshot!(failure, @"the plugin tester failed in output.derive-outputs: its answer is not allowed: the output `stdout` is not JSON text: EOF while parsing an object at line 1 column 1");
    let deep = "[".repeat(100_000);
    let failure = session
        .derive_outputs(&step(), deep.as_bytes(), b"1")
        .await
        .unwrap_err();
    insta::assert_snapshot!(failure.ending, @"its answer is not allowed: the output `stdout` is not JSON text: recursion limit exceeded at line 1 column 128");
}

#[tokio::test]
async fn an_output_must_have_a_name() {
    let failure = doing("nameless")
        .await
        .derive_outputs(&step(), b"", b"")
        .await;
    insta::assert_snapshot!(failure.unwrap_err().ending, @"its answer is not allowed: an output has no name");
}
