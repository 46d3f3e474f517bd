//! Listening sockets: bound before anything is promised, served on the broker's thread.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use thiserror::Error;
use tokio::sync::watch;
use tracing::warn;

use super::arrival::{self, Layers};
use super::bind::{Share, bind_tcp};
use super::connection;
use super::gate::Door;
use super::hub::Shared;
use super::stream::Stream;
use super::tls::Certificates;
use super::{ListenerAddress, ListenerOptions};

/// Why the broker cannot listen.
#[derive(Debug, Error)]
pub enum BindError {
    /// The port is taken.
    #[error(
        "cannot listen on {address}: the port is in use; stop the other broker (is mosquitto running? \
         `systemctl stop mosquitto`) or choose another address in [[broker.listener]]"
    )]
    InUse {
        /// Where.
        address: String,
    },
    /// Somebody else listens on the Unix socket.
    #[error(
        "cannot listen on {address}: another program serves this socket; choose another path in [[broker.listener]]"
    )]
    Served {
        /// Where.
        address: String,
    },
    /// The path of the Unix socket is taken by something that is not to be replaced.
    #[error(
        "cannot listen on {address}: there is a file that is no socket; choose another path in [[broker.listener]]"
    )]
    NoSocket {
        /// Where.
        address: String,
    },
    /// This machine has no such address, or not that family of addresses.
    #[error("cannot listen on {address}: this machine has no such address")]
    NoAddress {
        /// Where.
        address: String,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {cause}")]
    Other {
        /// Where.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
}

/// A bound socket that is not served yet.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp { socket: std::net::TcpListener, door: Door, layers: Layers },
    Unix { socket: std::os::unix::net::UnixListener, file: SocketFile, door: Door },
}

/// A socket's name among the files; gone with this value.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Listener {
    /// `certificates` has those of all listeners, now and after a reload; `share` tells whether others of them have the
    /// same port.
    pub(super) fn bind(
        options: &ListenerOptions,
        certificates: &watch::Sender<Certificates>,
        share: Share,
    ) -> Result<Self, BindError> {
        let door = Door::Public { allow_anonymous: options.allow_anonymous };
        match &options.address {
            ListenerAddress::Tcp(address) => {
                let layers = Layers::new(options, certificates);
                bind_tcp(*address, share)
                    .map(|socket| Self::Tcp { socket, door, layers })
                    .map_err(|cause| BindError::of(address.to_string(), cause))
            }
            ListenerAddress::Unix(path) => Self::bind_unix(path, door, 0o660),
        }
    }

    /// The private socket: only this user may open it.
    pub(super) fn bind_house(path: &Path) -> Result<Self, BindError> {
        Self::bind_unix(path, Door::House, 0o600)
    }

    /// Binds beside the path and moves the socket into place when its mode is right: nobody can open it before. What
    /// an earlier run left behind is replaced, which is a socket that nobody serves any more.
    fn bind_unix(path: &Path, door: Door, mode: u32) -> Result<Self, BindError> {
        check_replaceable(path)?;
        let bind = || {
            let draft = path.with_extension("new");
            let _ = fs::remove_file(&draft);
            let socket = std::os::unix::net::UnixListener::bind(&draft)?;
            socket.set_nonblocking(true)?;
            fs::set_permissions(&draft, fs::Permissions::from_mode(mode))?;
            fs::rename(&draft, path)?;
            Ok(Self::Unix { socket, file: SocketFile(path.to_owned()), door })
        };
        bind().map_err(|cause| BindError::of(path.display().to_string(), cause))
    }

    /// What it serves, with the port that the system chose for port 0; `None` for the private socket.
    pub(super) fn options(&self) -> Option<ListenerOptions> {
        match self {
            Self::Tcp { socket, layers, .. } => {
                let address = ListenerAddress::Tcp(socket.local_addr().ok()?);
                Some(ListenerOptions { address, ..layers.options.clone() })
            }
            Self::Unix { door: Door::House, .. } => None,
            Self::Unix { file, door: Door::Public { allow_anonymous }, .. } => {
                let address = ListenerAddress::Unix(file.0.clone());
                Some(ListenerOptions { allow_anonymous: *allow_anonymous, ..ListenerOptions::plain(address) })
            }
        }
    }

    /// Accepts until its task is dropped. TLS and WebSocket have `patience` to stand.
    pub(super) async fn run(self, shared: Rc<Shared>, patience: Duration) -> io::Result<()> {
        match self {
            Self::Tcp { socket, door, layers } => {
                let listener = tokio::net::TcpListener::from_std(socket)?;
                loop {
                    match listener.accept().await {
                        Ok(accepted) => arrival::open(&shared, accepted, door, &layers, patience),
                        Err(cause) => pause(&cause).await,
                    }
                }
            }
            Self::Unix { socket, door, file: _file } => {
                let listener = tokio::net::UnixListener::from_std(socket)?;
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => connection::open(&shared, Stream::Unix(stream), None, door),
                        Err(cause) => pause(&cause).await,
                    }
                }
            }
        }
    }
}

/// Checks that nothing is lost when a socket takes the place of what is at `path`.
fn check_replaceable(path: &Path) -> Result<(), BindError> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let address = path.display().to_string();
    if !found.file_type().is_socket() {
        return Err(BindError::NoSocket { address });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(BindError::Served { address }),
        Err(_) => Ok(()),
    }
}

/// Where descriptors or memory are short, new connections wait while the open ones go on; any other failure is the
/// peer's own, which has gone again.
async fn pause(cause: &io::Error) {
    let is_short =
        matches!(Errno::from_io_error(cause), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM));
    if !is_short {
        return;
    }
    warn!(%cause, "cannot accept a connection; trying again in a second");
    tokio::time::sleep(Duration::from_secs(1)).await;
}

impl BindError {
    fn of(address: String, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported => Self::NoAddress { address },
            _ => Self::Other { address, cause },
        }
    }
}
