//! What is asked for: by cargo, and by variables of the environment.

use std::str::FromStr;

/// Whether `cargo bench` started this. `cargo test --benches` and test runners start benchmarks too, without this word.
pub(crate) fn is_bench() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// The variable's value, or `default` when it has none that can be read.
pub(crate) fn variable<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The gateway under measurement.
pub(crate) fn sensegate() -> String {
    variable("SENSEGATE", env!("CARGO_BIN_EXE_sensegate").to_owned())
}
