//! A fleet of gateways in one process, against any broker: `cargo run --release --example fleet -- --help`.
//!
//! Each gateway connects with a client identifier of its own, a will and a birth, and publishes one sample in each
//! interval, as a real one does. Consumers subscribe to all samples and check that every one that the broker
//! acknowledged arrives, once and in order. What comes of it is printed as a table.
//!
//! Exit codes: 0 when everything arrived, 1 when something did not or nothing could begin, 64 for a mistake on the
//! command line. `docs/fleet.md` shows what it measured.

mod arguments;
mod load;
mod report;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;

const FAILURE: u8 = 1;
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            // nobody is left to tell when the streams are closed
            let _ = error.print();
            return code.into();
        }
    };
    let is_json = arguments.json;
    let options = match arguments.decide() {
        Ok(options) => options,
        Err(problem) => return fail(USAGE, &problem),
    };
    match load::run(&options) {
        Ok(outcome) => {
            let text = if is_json { report::line(&outcome) } else { report::table(&outcome) };
            match io::stdout().write_all(text.as_bytes()) {
                Ok(()) if outcome.is_sound() => ExitCode::SUCCESS,
                _ => FAILURE.into(),
            }
        }
        Err(error) => fail(FAILURE, &error.to_string()),
    }
}

fn fail(code: u8, problem: &str) -> ExitCode {
    // nobody is left to tell when the stream is closed
    let _ = writeln!(io::stderr(), "fleet: {problem}");
    code.into()
}
