//! A step that does nothing.

fn main() {}
