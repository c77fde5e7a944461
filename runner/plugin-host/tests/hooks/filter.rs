use capstan_plugin_host::{Ending, Failure, Filter, Stream};
use rstest::rstest;

use crate::fixture::{doing, session, step};

const CHUNK: usize = 64 * 1024;

async fn filter(task: &str, chunks: &str) -> Filter {
    let config = format!(r#"{{"do": "{task}", "chunks": "{chunks}"}}"#);
    let filter = session(&config).await.filter(&step(), Stream::Stdout).await;
    filter.unwrap().expect("a filter")
}

/// What comes out for these pieces.
async fn filtered(task: &str, chunks: &str, pieces: &[&[u8]]) -> Result<Vec<u8>, Failure> {
    let mut filter = filter(task, chunks).await;
    let mut output = Vec::new();
    for piece in pieces {
        filter.push(piece, &mut output).await?;
    }
    filter.finish(&mut output).await?;
    Ok(output)
}

#[tokio::test]
async fn a_stream_passes_through() {
    let large = vec![b'x'; 3 * CHUNK + 1];
    let pieces = [b"one\n".as_slice(), b"", &large, b"\ntwo"];
    for chunks in ["any", "lines"] {
        let output = filtered("copy", chunks, &pieces).await.unwrap();
        assert!(output == pieces.concat(), "{chunks}");
    }
    let output = filtered("upper", "any", &pieces).await.unwrap();
    assert!(output == pieces.concat().to_ascii_uppercase());
}

#[rstest]
#[case::as_they_come("any", &["ab", "c\nd"], "[ab][c\nd]end")]
#[case::nothing("any", &[], "end")]
#[case::empty("any", &["", ""], "end")]
#[case::lines_at_once("lines", &["a\nb\n"], "[a\nb\n]end")]
#[case::line_in_pieces("lines", &["a", "b", "c\nd"], "[abc\n][d]end")]
#[case::line_completed_and_more("lines", &["a", "b\nc\nd", "e\n"], "[ab\nc\n][de\n]end")]
#[case::no_line_end("lines", &["a", "b"], "[ab]end")]
#[tokio::test]
async fn chunks_are_cut_as_the_plugin_wants(
    #[case] chunks: &str,
    #[case] pieces: &[&str],
    #[case] expected: &str,
) {
    let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
    let output = filtered("mark", chunks, &pieces).await.unwrap();
    assert_eq!(String::from_utf8(output).unwrap(), expected);
}

#[rstest]
#[case("any")]
#[case("lines")]
#[tokio::test]
async fn what_is_too_long_is_cut(#[case] chunks: &str) {
    let long = vec![b'x'; CHUNK + 10];
    let output = filtered("mark", chunks, &[&long, b"yy"]).await.unwrap();
    let expected = match chunks {
        "any" => [b"[", &long[..CHUNK], b"][", &long[CHUNK..], b"][yy]end"].concat(),
        _ => [b"[", &long[..CHUNK], b"][", &long[CHUNK..], b"yy]end"].concat(),
    };
    assert!(output == expected);
}

#[tokio::test]
async fn what_a_filter_keeps_back_comes_at_the_end() {
    let mut filter = filter("hold", "any").await;
    let mut output = Vec::new();
    filter.push(b"one ", &mut output).await.unwrap();
    filter.push(b"two", &mut output).await.unwrap();
    assert!(output.is_empty());
    filter.finish(&mut output).await.unwrap();
    assert_eq!(output, b"one two");
}

#[tokio::test]
async fn a_filter_knows_its_stream_and_may_want_none() {
    let session = session(r#"{"do": "channel", "chunks": "stdout-only"}"#).await;
    assert!(
        session
            .filter(&step(), Stream::Stderr)
            .await
            .unwrap()
            .is_none()
    );
    let mut filter = session
        .filter(&step(), Stream::Stdout)
        .await
        .unwrap()
        .unwrap();
    let mut output = Vec::new();
    filter.push(b"x", &mut output).await.unwrap();
    assert_eq!(output, b"Channel::Stdout");
}

#[tokio::test]
async fn a_filter_gives_no_more_than_twice_what_it_gets() {
    let mut filter = filter("blow-up", "any").await;
    let chunk = vec![b'x'; CHUNK];
    let mut output = Vec::new();
    let failure = loop {
        if let Err(failure) = filter.push(&chunk, &mut output).await {
            break failure;
        }
    };
    assert!(
        matches!(failure.ending, Ending::TooMuch { .. }),
        "{failure}"
    );
    assert_eq!(
        output.len(),
        16 * 3 * CHUNK + CHUNK,
        "the limit was reached after 1 MiB of growth, and the chunk that reached it passes as it is"
    );
    assert_eq!(failure.call, "output.filter.push");
}

#[tokio::test]
async fn failures_at_each_point_of_a_stream() {
    let failure = session(r#"{"chunks": "trap"}"#)
        .await
        .filter(&step(), Stream::Stdout)
        .await;
    assert!(failure.err().unwrap().last_lines.contains("ouch at 2"));

    let mut unlucky = (*step()).clone();
    unlucky.number = 99;
    let failure = doing("copy")
        .await
        .filter(&unlucky.into(), Stream::Stdout)
        .await
        .err()
        .unwrap();
    assert_eq!(failure.call, "output.filter");

    let failure = filtered("error-at-end", "any", &[b"x"]).await.unwrap_err();
    assert_eq!(failure.call, "output.filter.finish");
    assert_eq!(failure.ending.to_string(), "cut short (input)");
}

#[tokio::test]
async fn a_failed_filter_stays_failed() {
    let mut filter = filter("trap", "any").await;
    let mut output = Vec::new();
    assert!(filter.push(b"x", &mut output).await.is_err());
    assert!(filter.push(b"y", &mut output).await.is_err());
    assert_eq!(output, b"xy", "it passes as it is");
}
