//! A Sense HAT in a virtual machine: the simulated chips behind a USB adapter that the kernel drives itself, and the
//! stick as an input device.
//!
//! - `virtual_hat serve SOCKET DUMP` plugs a HAT with these registers in, and makes faults as it is told.
//! - `virtual_hat tell SOCKET WORD…` tells it, prints the answer and fails where the answer is a failure. The words
//!   stand in [`hat::COMMANDS`].
//!
//! Start reading at [`hat::VirtualHat`].

mod hat;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use hat::VirtualHat;

const USAGE: &str = "usage: virtual_hat serve SOCKET DUMP | virtual_hat tell SOCKET WORD…";

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", socket, dump] => serve(Path::new(socket), Path::new(dump)),
        ["tell", socket, words @ ..] => tell(Path::new(socket), &words.join(" ")),
        _ => {
            eprintln!("{USAGE}\n{}", hat::COMMANDS);
            Ok(ExitCode::from(64))
        }
    }
}

/// Serves one connection after the other: a line each, and its answer.
fn serve(socket: &Path, dump: &Path) -> anyhow::Result<ExitCode> {
    let mut hat = VirtualHat::new(dump)?;
    let listener = UnixListener::bind(socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
    for connection in listener.incoming() {
        // Whoever asked and is gone misses the answer, and nothing else happens.
        let _ = connection.and_then(|connection| answer(&connection, &mut hat));
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(mut connection: &UnixStream, hat: &mut VirtualHat) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    match hat.obey(&words) {
        Ok(text) => writeln!(connection, "ok {text}"),
        Err(error) => writeln!(connection, "failed: {error:#}"),
    }
}

fn tell(socket: &Path, line: &str) -> anyhow::Result<ExitCode> {
    let connect = UnixStream::connect(socket);
    let mut connection = connect.with_context(|| format!("nobody listens on {}", socket.display()))?;
    writeln!(connection, "{line}")?;
    connection.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    print!("{answer}");
    Ok(if answer.starts_with("ok") { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
