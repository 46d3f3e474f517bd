//! The command `sensegate`.

fn main() {}
