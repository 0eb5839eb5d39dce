//! The frostline binary.
fn main() {}
