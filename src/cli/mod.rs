//! The words the operator sees: arguments in, lines and exit codes out.

#![expect(dead_code, reason = "the command line that calls the commands is not there yet")]

mod check;
mod client;
mod publish;
mod subscribe;
