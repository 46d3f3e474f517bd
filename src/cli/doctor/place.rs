//! The place the gateway runs in: its clock, its directory of state, its dump, and the broker it is a client of.

use std::fs::{self, File};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use crate::base::clock::Wall;

use super::finding::Finding;

/// How long a broker may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether the wall clock can be believed.
pub(super) fn check_clock(now: Wall, is_synchronised: bool) -> Finding {
    if is_synchronised {
        return Finding::ok("clock", format!("set from the network: {now}"));
    }
    let text = format!("says {now}; nobody is known to have set it from the network");
    Finding::warning("clock", text, "sudo timedatectl set-ntp true; nothing to do where chrony or ntpd sets it")
}

/// Whether files can be made in `directory`, or `directory` itself where it is not there yet. The file that is made to
/// find out is named after `process_id`, and taken away again.
pub(super) fn check_directory(directory: &Path, process_id: u32) -> Finding {
    let Some(nearest) = directory.ancestors().find(|ancestor| ancestor.exists()) else {
        return cannot_write(directory, &io::Error::from(io::ErrorKind::NotFound));
    };
    match try_write(nearest, process_id) {
        Ok(()) if nearest == directory => Finding::ok("state", format!("{} can be written", directory.display())),
        Ok(()) => Finding::ok("state", format!("{} will be made at the first start", directory.display())),
        Err(error) => cannot_write(directory, &error),
    }
}

fn try_write(directory: &Path, process_id: u32) -> io::Result<()> {
    let file = directory.join(format!(".sensegate-doctor-{process_id}"));
    File::create_new(&file)?;
    fs::remove_file(file)
}

fn cannot_write(directory: &Path, error: &io::Error) -> Finding {
    let shown = directory.display();
    let text = format!("{shown} cannot be written: {error}");
    let cure = format!("sudo chown the user of the gateway over {shown}, or another one in storage.directory");
    Finding::problem("state", text, cure)
}

/// Whether the registers of the simulated HAT can be read.
pub(super) fn check_dump(file: &Path) -> Finding {
    match File::open(file) {
        Ok(_) => Finding::ok("hat", format!("simulated, with the registers of {}: no bus is touched", file.display())),
        Err(error) => {
            let text = format!("{} cannot be read: {error}", file.display());
            Finding::problem("hat", text, "sensegate dump on a machine with a HAT writes such a file")
        }
    }
}

/// Whether a broker accepts connections at `host`:`port`. Nothing is sent, so neither TLS nor passwords are tried.
pub(super) fn check_broker(host: &str, port: u16) -> Finding {
    match connect(host, port) {
        Ok(()) => Finding::ok("broker", format!("{host}:{port} accepts connections; TLS and password are not tried")),
        Err(error) => {
            let text = format!("{host}:{port} is not reached: {error}");
            Finding::problem("broker", text, "start it, open its firewall, or look at [broker.external]")
        }
    }
}

/// Tries each address of the name; the last error counts.
fn connect(host: &str, port: u16) -> io::Result<()> {
    let mut result = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for address in (host, port).to_socket_addrs()? {
        result = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).map(drop);
        if result.is_ok() {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn clock_that_nobody_set_is_a_warning() {
        assert_eq!(check_clock(Wall::from_unix_ms(0), true).verdict, Verdict::Ok);
        let finding = check_clock(Wall::from_unix_ms(0), false);
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.text.contains("1970"), "{finding}");
    }

    #[test]
    fn directory_is_ok_when_it_can_be_written_or_made_and_nothing_stays_in_it() {
        let place = tempfile::tempdir().unwrap();
        assert!(check_directory(place.path(), 7).text.contains("can be written"));
        assert!(check_directory(&place.path().join("a/b"), 7).text.contains("will be made"));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn directory_below_a_file_is_a_problem() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let finding = check_directory(&file.path().join("state"), 7);
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(finding.cure.contains("storage.directory"), "{finding}");
    }

    #[test]
    fn dump_that_is_not_there_is_a_problem() {
        assert_eq!(check_dump(Path::new("/nowhere/dump.toml")).verdict, Verdict::Problem);
        assert_eq!(check_dump(tempfile::NamedTempFile::new().unwrap().path()).verdict, Verdict::Ok);
    }

    #[test]
    fn broker_is_ok_while_it_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(check_broker("127.0.0.1", port).verdict, Verdict::Ok);
        drop(listener);
        assert_eq!(check_broker("127.0.0.1", port).verdict, Verdict::Problem);
    }
}
