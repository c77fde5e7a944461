//! Makes a component of a case: the good plugin of its hook, with what the case defines in place of its own.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The component of a hook's prelude and a case's text.
pub(crate) fn component(hook: &str, case: &str) -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let prelude =
        std::fs::read_to_string(format!("{root}/tests/hostile/prelude/{hook}.wat")).unwrap();
    let mut text = String::from("(module\n");
    for piece in prelude.split("\n\n").filter(|piece| !replaced(piece, case)) {
        text.push_str(piece);
        text.push_str("\n\n");
    }
    text.push_str(case);
    text.push_str("\n)");
    let mut module = wat::parse_str(&text).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(format!("{root}/wit")).unwrap();
    let world = resolve
        .select_world(&[package], Some(&format!("{hook}-plugin")))
        .unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

/// Whether the case exports what the piece exports.
fn replaced(piece: &str, case: &str) -> bool {
    piece
        .split_once("(export \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .is_some_and(|(name, _)| case.contains(&format!("(export \"{name}\")")))
}
