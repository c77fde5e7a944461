//! Any secret in any text, cut anywhere: it does not survive, and the cuts do not matter.
#![no_main]

use capstan_core::redact::{MASK, Secrets, is_short};

libfuzzer_sys::fuzz_target!(|data: (String, Vec<u8>, Vec<u8>, u8)| {
    let (secret, before, after, chunk) = data;
    let Ok(secrets) = Secrets::new([secret.as_str()]) else {
        return;
    };
    let secret = secret.trim();
    let text = [before, secret.as_bytes().to_vec(), after].concat();
    let redact = |length: usize| {
        let (mut stream, mut redacted) = (secrets.stream(), Vec::new());
        for chunk in text.chunks(length.max(1)) {
            stream.push(chunk, &mut redacted);
        }
        stream.finish(&mut redacted);
        redacted
    };
    let whole = redact(text.len());
    assert_eq!(redact(usize::from(chunk)), whole, "cuts matter");
    if is_short(secret) {
        assert_eq!(whole, text);
    } else if !MASK.contains(secret) {
        // What is left on both sides of a mask may happen to be the secret again only if the mask is part of it.
        let survives = whole
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!survives || secret.contains('*'), "the secret survives");
    }
});
