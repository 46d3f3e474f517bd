//! Where our own socket stands: without a place of its own, nobody can be answered.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, bind};

use super::connect_to;
use crate::stick::StickError;

/// What the names begin with; a number follows. No process's id: those of two containers may be equal, and what a
/// killed gateway leaves is taken by the next.
const NAME: &str = "sensegate-stick-";
/// More gateways than listen to one emulator.
const NUMBERS_MAX: u8 = 16;

/// Whose datagrams the file of our socket lets through. The kernel takes those of the emulator alone, in both cases: a
/// socket that is connected refuses everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writers {
    /// Those of this user: mode 0600.
    Owner,
    /// Those of everybody, for an emulator of another user: mode 0666.
    Everybody,
}

/// The place of a socket. It is given up when this is dropped.
#[derive(Debug)]
pub(super) struct Address {
    path: PathBuf,
    identity: (u64, u64),
}

impl Address {
    /// Gives `socket` the first free place in `directory`.
    ///
    /// # Errors
    /// When all are taken by sockets that are in use, or the directory may not be written to.
    pub(super) fn bind(socket: BorrowedFd<'_>, directory: &Path, writers: Writers) -> Result<Self, StickError> {
        let paths = (0..NUMBERS_MAX).map(|number| directory.join(format!("{NAME}{number}")));
        for path in paths {
            match Self::bind_to(socket, &path, writers) {
                Ok(address) => return Ok(address),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(source) => return Err(StickError::Io { path, source }),
            }
        }
        Err(StickError::Io { path: directory.join(format!("{NAME}*")), source: Errno::ADDRINUSE.into() })
    }

    fn bind_to(socket: BorrowedFd<'_>, path: &Path, writers: Writers) -> io::Result<Self> {
        if is_left_behind(path) {
            // somebody else's cannot be removed, and counts as taken
            let _ = fs::remove_file(path);
        }
        bind(socket, &SocketAddrUnix::new(path)?)?;
        let address = Self { path: path.to_owned(), identity: identity(&fs::symlink_metadata(path)?) };
        fs::set_permissions(path, Permissions::from_mode(mode(writers)))?;
        Ok(address)
    }

    /// Whether it still is where whoever wants to answer looks for it.
    pub(super) fn is_in_place(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|metadata| identity(&metadata) == self.identity)
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        if self.is_in_place() {
            // a file that stays is taken by the next gateway
            let _ = fs::remove_file(&self.path);
        }
    }
}

const fn mode(writers: Writers) -> u32 {
    match writers {
        Writers::Owner => 0o600,
        Writers::Everybody => 0o666,
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Whether a socket stands there that nobody has any more.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    is_socket && connect_to(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use std::os::fd::AsFd;

    use super::*;

    fn bound(directory: &Path, writers: Writers) -> (UnixDatagram, Address) {
        let socket = UnixDatagram::unbound().unwrap();
        let address = Address::bind(socket.as_fd(), directory, writers).unwrap();
        (socket, address)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn each_has_a_place_of_its_own_and_gives_it_up_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let first = bound(directory.path(), Writers::Owner);
        let second = bound(directory.path(), Writers::Owner);
        assert_eq!(names(directory.path()), ["sensegate-stick-0", "sensegate-stick-1"]);
        drop((first, second));
        assert_eq!(names(directory.path()), [""; 0]);
    }

    #[test]
    fn what_a_killed_gateway_left_is_taken_and_what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("sensegate-stick-0"), "somebody's").unwrap();
        drop(UnixDatagram::bind(directory.path().join("sensegate-stick-1")).unwrap());
        let (_socket, address) = bound(directory.path(), Writers::Owner);
        assert_eq!(address.path, directory.path().join("sensegate-stick-1"));
        assert_eq!(fs::read_to_string(directory.path().join("sensegate-stick-0")).unwrap(), "somebody's");
    }

    #[test]
    fn a_place_that_somebody_else_took_over_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (_socket, address) = bound(directory.path(), Writers::Owner);
        fs::remove_file(&address.path).unwrap();
        assert!(!address.is_in_place());
        let (_other, other) = bound(directory.path(), Writers::Owner);
        drop(address);
        assert!(other.is_in_place());
    }

    #[test]
    fn the_file_lets_others_through_only_where_the_emulator_is_theirs() {
        let directory = tempfile::tempdir().unwrap();
        for (writers, expected) in [(Writers::Owner, 0o600), (Writers::Everybody, 0o666)] {
            let (_socket, address) = bound(directory.path(), writers);
            assert_eq!(fs::metadata(&address.path).unwrap().mode() & 0o777, expected);
        }
    }

    #[test]
    fn where_all_places_are_taken_it_is_said_where() {
        let directory = tempfile::tempdir().unwrap();
        let _taken: Vec<_> = (0..NUMBERS_MAX).map(|_| bound(directory.path(), Writers::Owner)).collect();
        let socket = UnixDatagram::unbound().unwrap();
        let error = Address::bind(socket.as_fd(), directory.path(), Writers::Owner).unwrap_err();
        assert!(error.to_string().contains("sensegate-stick-*"), "{error}");
    }
}
