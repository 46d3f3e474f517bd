//! Listening sockets: bound before the program reports that it is ready, served on the broker's thread.

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

use super::bind::{PortSharing, bind_tcp};
use super::connection;
use super::handshake::{self, Layers};
use super::hub::Shared;
use super::logins::ListenerPolicy;
use super::stream::Stream;
use super::tls::Certificates;
use super::{ListenerAddress, ListenerOptions};

/// Why the broker cannot listen.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another program has the port.
    #[error(
        "cannot listen on {address}: the port is in use; stop the other broker (is mosquitto running? \
         `systemctl stop mosquitto`) or choose another address in [[broker.listener]]"
    )]
    InUse {
        /// The address of the listener.
        address: String,
    },
    /// Another program listens on the Unix socket.
    #[error(
        "cannot listen on {address}: another program serves this socket; choose another path in [[broker.listener]]"
    )]
    Served {
        /// The address of the listener.
        address: String,
    },
    /// At the path of the Unix socket is a file that is no socket.
    #[error(
        "cannot listen on {address}: there is a file that is no socket; choose another path in [[broker.listener]]"
    )]
    NoSocket {
        /// The address of the listener.
        address: String,
    },
    /// This machine has no such address, or no address of this family.
    #[error("cannot listen on {address}: this machine has no such address")]
    NoAddress {
        /// The address of the listener.
        address: String,
    },
    /// Another error of the system.
    #[error("cannot listen on {address}: {cause}")]
    Other {
        /// The address of the listener.
        address: String,
        /// The error of the system.
        cause: io::Error,
    },
}

/// A bound socket that is not served yet.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp { socket: std::net::TcpListener, policy: ListenerPolicy, layers: Layers },
    Unix { socket: std::os::unix::net::UnixListener, file: SocketFile, policy: ListenerPolicy },
}

/// The file of a Unix socket; removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds a listener. `certificates` has those of all listeners, now and after each reload; `sharing` says whether
    /// other listeners have the same port.
    pub(super) fn bind(
        options: &ListenerOptions,
        certificates: &watch::Sender<Certificates>,
        sharing: PortSharing,
    ) -> Result<Self, BindError> {
        let policy = ListenerPolicy::Public { allow_anonymous: options.allow_anonymous };
        match &options.address {
            ListenerAddress::Tcp(address) => {
                let layers = Layers::new(options, certificates);
                bind_tcp(*address, sharing)
                    .map(|socket| Self::Tcp { socket, policy, layers })
                    .map_err(|cause| BindError::of(address.to_string(), cause))
            }
            ListenerAddress::Unix(path) => Self::bind_unix(path, policy, 0o660),
        }
    }

    /// Binds the private socket of the internal clients: only this user may open it.
    pub(super) fn bind_internal(path: &Path) -> Result<Self, BindError> {
        Self::bind_unix(path, ListenerPolicy::Internal, 0o600)
    }

    /// Binds beside the path and renames the socket when its mode is set, so that no other user can open it before. A
    /// socket without a listener, as after a crash, is replaced.
    fn bind_unix(path: &Path, policy: ListenerPolicy, mode: u32) -> Result<Self, BindError> {
        check_replaceable(path)?;
        let bind = || {
            let draft = path.with_extension("new");
            let _ = fs::remove_file(&draft);
            let socket = std::os::unix::net::UnixListener::bind(&draft)?;
            socket.set_nonblocking(true)?;
            fs::set_permissions(&draft, fs::Permissions::from_mode(mode))?;
            fs::rename(&draft, path)?;
            Ok(Self::Unix { socket, file: SocketFile(path.to_owned()), policy })
        };
        bind().map_err(|cause| BindError::of(path.display().to_string(), cause))
    }

    /// Returns the options of the listener, with the port that the system chose for port 0; `None` for the private
    /// socket.
    pub(super) fn options(&self) -> Option<ListenerOptions> {
        match self {
            Self::Tcp { socket, layers, .. } => {
                let address = ListenerAddress::Tcp(socket.local_addr().ok()?);
                Some(ListenerOptions { address, ..layers.options.clone() })
            }
            Self::Unix { policy: ListenerPolicy::Internal, .. } => None,
            Self::Unix { file, policy: ListenerPolicy::Public { allow_anonymous }, .. } => {
                let address = ListenerAddress::Unix(file.0.clone());
                Some(ListenerOptions { allow_anonymous: *allow_anonymous, ..ListenerOptions::plain(address) })
            }
        }
    }

    /// Accepts connections until the task is dropped. Handshakes of TLS and WebSocket have `handshake_timeout`.
    pub(super) async fn run(self, shared: Rc<Shared>, handshake_timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp { socket, policy, layers } => {
                let listener = tokio::net::TcpListener::from_std(socket)?;
                loop {
                    match listener.accept().await {
                        Ok(accepted) => handshake::open(&shared, accepted, policy, &layers, handshake_timeout),
                        Err(cause) => pause(&cause).await,
                    }
                }
            }
            Self::Unix { socket, policy, file: _file } => {
                let listener = tokio::net::UnixListener::from_std(socket)?;
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => connection::open(&shared, Stream::Unix(stream), None, policy),
                        Err(cause) => pause(&cause).await,
                    }
                }
            }
        }
    }
}

/// Checks that a socket at `path` replaces nothing that is in use.
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

/// Waits a second after `accept` has failed for want of descriptors or memory. Other errors concern a peer that has
/// disconnected already.
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
