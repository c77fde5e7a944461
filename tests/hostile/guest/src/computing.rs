//! Memory and time, as a program in Rust uses them up.

use std::hint::black_box;
use std::io;

/// The result of the attack, or nothing if it is not one of these.
pub(crate) fn attempt(attack: &str) -> Option<io::Result<String>> {
    match attack {
        "spin" => loop {
            black_box(());
        },
        "hoard" => {
            let mut kept: Vec<Vec<u8>> = Vec::new();
            loop {
                kept.push(black_box(vec![7; 1 << 20]));
            }
        }
        "recurse" => Some(Ok(recurse(0).to_string())),
        "panic" => panic!("a plugin's last words"),
        _ => None,
    }
}

#[allow(unconditional_recursion, reason = "that is the attack")]
fn recurse(depth: u64) -> u64 {
    black_box([depth; 64]);
    black_box(recurse(black_box(depth + 1))) + 1
}
