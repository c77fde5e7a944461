//! What nobody can guess.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

/// What the cluster makes names of: no vowels, no digits that look like some.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The id of an object.
pub(super) fn uid() -> String {
    let (high, low) = (number(), number());
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

/// Some letters for the end of a name.
pub(super) fn letters(count: usize) -> String {
    let letter = |_| {
        let at = number() % LETTERS.len() as u64;
        char::from(LETTERS[usize::try_from(at).expect("it is small")])
    };
    (0..count).map(letter).collect()
}

/// A token.
pub(super) fn token() -> String {
    format!("{:016x}{:016x}", number(), number())
}
