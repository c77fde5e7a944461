use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn secrets(values: &[&str]) -> Secrets {
    Secrets::new(values.iter().copied()).unwrap()
}

/// Hands in `text` cut after each of the lengths, over and over.
fn in_chunks(secrets: &Secrets, text: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut stream = secrets.stream();
    let mut redacted = Vec::new();
    let mut rest = text;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at((*length).clamp(1, rest.len()));
        stream.push(chunk, &mut redacted);
        rest = after;
    }
    stream.finish(&mut redacted);
    redacted
}

#[rstest]
#[case("nothing to see", "nothing to see")]
#[case("the token is hunter2-token!", "the token is ********!")]
#[case("hunter2-tokenhunter2-token", "****************")]
#[case("hunter2-token\nhunter2-token\n", "********\n********\n")]
#[case("hunter2-toke", "hunter2-toke")]
// Broken by a terminal or a tool, on either system.
#[case("hunter2\n-token\n", "********\n")]
#[case("hunter2\r\n-token\r\n", "********\r\n")]
#[case("hunter2\n\n\n-token", "hunter2\n\n\n-token")]
// With a part in colour, or marks that nobody sees.
#[case("\x1b[1mhunter2\x1b[0m-token\n", "\x1b[1m********\n")]
#[case(
    "hunter2\x1b]8;;https://example.com\x07-token\x1b]8;;\x07",
    "********\x1b]8;;\x07"
)]
#[case("hun\x00ter2-\x08token", "********")]
#[case("hunter2\t-token", "hunter2\t-token")]
// `printf hunter2-token | base64`, and behind `user:`, `me:` and `u:`.
#[case("aHVudGVyMi10b2tlbg==", "********")]
#[case("dXNlcjpodW50ZXIyLXRva2Vu", "dXNlcjp********")]
#[case("bWU6aHVudGVyMi10b2tlbg==", "bWU6********")]
#[case("dTpodW50ZXIyLXRva2Vu", "dTp********")]
// Two secrets that overlap.
#[case("hunter2-token-and-more", "********")]
#[case(
    "p w/é=1 p+w%2F%C3%A9%3D1 p%20w/%c3%a9%3d1",
    "******** ******** ********"
)]
#[case(r#"{"a":"say \"friend\""}"#, r#"{"a":"********"}"#)]
fn takes_out(#[case] text: &str, #[case] expected: &str) {
    let secrets = secrets(&[
        "hunter2-token",
        "token-and-more",
        "p w/é=1",
        "say \"friend\"",
        "short",
    ]);
    assert_eq!(secrets.redact(text), expected);
    assert_eq!(
        in_chunks(&secrets, text.as_bytes(), &[1]),
        expected.as_bytes()
    );
}

#[test]
fn a_key_is_found_whole_in_lines_and_in_wrapped_base64() {
    let lines = [
        "-----BEGIN KEY-----",
        "MIIEpAIBAAKCAQEA",
        "7bq+/x==",
        "-----END KEY-----",
    ];
    let key = lines.join("\n");
    let secrets = secrets(&[&key]);
    assert_eq!(secrets.redact(&format!("a {key} b")), "a ******** b");
    assert_eq!(secrets.redact(&lines.join("\r\n")), MASK);
    let indented: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    assert_eq!(
        secrets.redact(&indented),
        "  ********\n  ********\n  7bq+/x==\n  ********\n"
    );
    let encoded = STANDARD.encode(&key);
    let wrapped: Vec<&str> = encoded
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    assert!(wrapped.len() > 1);
    assert_eq!(secrets.redact(&wrapped.join("\n")), MASK);
}

/// A prompt that waits for an answer is seen before the next chunk comes.
#[test]
fn holds_back_only_what_may_be_a_secret() {
    let secrets = secrets(&["hunter2-token"]);
    let mut stream = secrets.stream();
    for (chunk, expected) in [
        ("Continue? ", "Continue? "),
        ("hun", ""),
        ("gry\n", "hungry\n"),
        ("hunter2-token", "********"),
        ("hunter2-", ""),
    ] {
        let mut out = Vec::new();
        stream.push(chunk.as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{chunk:?}");
    }
    let mut out = Vec::new();
    stream.finish(&mut out);
    assert_eq!(out, b"hunter2-");
}

/// However much follows half a secret that nobody sees, it does not pile up.
#[test]
fn holds_back_only_so_many_marks() {
    let secrets = secrets(&["hunter2-token"]);
    for marks in ["\x1b[m", "\x1b]0;title", "\x00"] {
        let mut stream = secrets.stream();
        let mut out = Vec::new();
        let text = format!("hunter2{}", marks.repeat(1000));
        stream.push(text.as_bytes(), &mut out);
        assert!(out.len() + 200 > text.len(), "{marks:?}: {}", out.len());
    }
}

#[test]
fn without_secrets_everything_passes() {
    let secrets = secrets(&["true", ""]);
    assert!(secrets.is_empty());
    assert!(matches!(secrets.redact("it is true"), Cow::Borrowed(_)));
}

/// A spelling, written down independently of those that are looked for, and the part of it that tells of the secret alone.
fn spell(secret: &str, how: usize, before: &str, after: &str) -> (String, String) {
    let percent = |byte: u8| format!("%{byte:02X}");
    let encoded: String = match how {
        0 => secret.to_owned(),
        1 => secret.bytes().map(percent).collect(),
        2 => secret
            .bytes()
            .map(|byte| percent(byte).to_lowercase())
            .collect(),
        3 => secret
            .bytes()
            .map(|byte| match byte {
                b' ' => "+".to_owned(),
                _ if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => {
                    char::from(byte).to_string()
                }
                _ => percent(byte),
            })
            .collect(),
        _ => {
            let alphabets = [&STANDARD, &URL_SAFE, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD];
            let spelled = alphabets[how - 4].encode(format!("{before}{secret}{after}"));
            let from = (before.len() * 8).div_ceil(6);
            let until = (before.len() + secret.len()) * 8 / 6;
            let telling = spelled[from..until].to_owned();
            return (spelled, telling);
        }
    };
    (encoded.clone(), encoded)
}

proptest! {
    #[test]
    fn no_spelling_survives(
        secret in r#"[!-~]{6}[ -~é\n]{0,55}[!-~]"#,
        how in 0..8_usize,
        before in "[a-z:]{0,5}",
        after in "[a-z:]{0,5}",
        around in "[._ ]{0,20}",
        lengths in prop::collection::vec(1..40_usize, 1..8),
    ) {
        let secrets = secrets(&[&secret]);
        let (spelled, telling) = spell(&secret, how, &before, &after);
        let text = format!("{around}{spelled}{around}");
        let redacted = in_chunks(&secrets, text.as_bytes(), &lengths);
        for window in telling.as_bytes().windows(6) {
            let survives = redacted.windows(6).any(|other| other == window);
            prop_assert!(!survives, "{text:?} became {:?}", String::from_utf8_lossy(&redacted));
        }
        let kept = |text: &[u8]| text.starts_with(around.as_bytes()) && text.ends_with(around.as_bytes());
        prop_assert!(kept(&redacted));
    }

    #[test]
    fn chunks_do_not_matter(
        secrets_ in prop::collection::vec("[ab=\n%]{6,14}", 1..4),
        text in prop::collection::vec(prop::sample::select(&b"ab=\n\r%YWJi\x1b[]\x07"[..]), 0..200),
        lengths in prop::collection::vec(1..30_usize, 1..8),
    ) {
        let values: Vec<&str> = secrets_.iter().map(String::as_str).collect();
        let secrets = secrets(&values);
        let whole = in_chunks(&secrets, &text, &[usize::MAX]);
        prop_assert_eq!(in_chunks(&secrets, &text, &lengths), whole);
    }

    #[test]
    fn other_text_is_unchanged(
        text in prop::collection::vec(any::<u8>(), 0..300),
        lengths in prop::collection::vec(1..30_usize, 1..8),
    ) {
        // Its spellings need bytes that no text of this property has beside each other.
        let secrets = secrets(&["zq9zq9zq9zq9zq9zq9zq9zq9"]);
        prop_assert_eq!(in_chunks(&secrets, &text, &lengths), text);
    }
}
