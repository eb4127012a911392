//! The binary from outside.

fn main() {}
