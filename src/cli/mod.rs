//! The words the operator sees: arguments in, lines and exit codes out.

#[allow(dead_code, reason = "called by the command line")]
mod check;
