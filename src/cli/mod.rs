//! The words the operator sees: arguments in, lines and exit codes out.
