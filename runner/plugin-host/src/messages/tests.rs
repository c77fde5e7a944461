use std::sync::Arc;

use super::*;
use crate::fixture::Heard;

fn said(limit: usize, say: impl FnOnce(&Messages)) -> (Vec<(Level, String)>, String) {
    let heard = Arc::new(Heard::default());
    let messages = Messages::new(
        "tester".into(),
        Some(Hook::Policy),
        Some(Arc::clone(&heard) as Arc<dyn Log>),
        limit,
    );
    say(&messages);
    messages.finish();
    let last = messages.last_lines();
    (heard.messages.lock().unwrap().clone(), last)
}

#[test]
fn printed_lines_are_messages_however_they_are_cut() {
    let (heard, last) = said(1000, |messages| {
        for piece in ["he", "llo\nwor", "ld\n\nend"] {
            messages.print(Standard::Out, piece.as_bytes());
        }
        messages.print(Standard::Err, b"oh\n");
        messages.write(Level::Debug, "two\nlines");
    });
    assert_eq!(
        heard,
        [
            (Level::Info, "hello".to_owned()),
            (Level::Info, "world".to_owned()),
            (Level::Info, String::new()),
            (Level::Warn, "oh".to_owned()),
            (Level::Debug, "two\nlines".to_owned()),
            (Level::Info, "end".to_owned()),
        ]
    );
    assert_eq!(last, "hello\nworld\n\noh\ntwo\nlines\nend");
}

#[test]
fn what_exceeds_the_limit_is_counted_and_dropped() {
    let (heard, last) = said(10, |messages| {
        messages.write(Level::Info, "12345");
        messages.write(Level::Info, "67890");
        messages.write(Level::Error, "the reason");
    });
    assert_eq!(
        heard,
        [
            (Level::Info, "12345".to_owned()),
            (Level::Info, "6789".to_owned()),
            (
                Level::Warn,
                "11 more bytes of messages were dropped".to_owned()
            ),
        ]
    );
    // Errors show the end all the same.
    assert_eq!(last, "12345\n67890\nthe reason");
}

#[test]
fn a_line_without_an_end_does_not_fill_the_memory() {
    let (heard, last) = said(10, |messages| {
        for _ in 0..1000 {
            messages.print(Standard::Out, &[b'x'; 1000]);
        }
    });
    assert_eq!(heard[0].1, "x".repeat(10));
    assert_eq!(heard[1].1, "999990 more bytes of messages were dropped");
    assert!(last.len() <= LAST, "{}", last.len());
}

#[test]
fn the_last_lines_are_whole_lines() {
    let (_, last) = said(0, |messages| {
        for number in 0..2000 {
            messages.write(Level::Info, &format!("line {number:04} é"));
        }
    });
    assert!(last.len() <= LAST);
    assert!(last.starts_with("line "), "{last}");
    assert!(last.ends_with("line 1999 é"), "{last}");
}
