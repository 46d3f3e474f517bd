//! TCP and Unix streams, and those with further layers, as one type, split so that one task reads while the hub
//! writes. The plain ones come first in mind: whatever only TLS and WebSocket need stands behind a pointer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use super::layered::Layered;

/// A connected socket.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Layered(Box<Layered>),
}

/// The half that one task reads.
#[derive(Debug)]
pub(super) enum Reader {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
    Layered(Rc<RefCell<Layered>>),
}

/// The half that the hub writes.
#[derive(Debug)]
pub(super) enum Writer {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
    Layered(Rc<RefCell<Layered>>),
}

impl Stream {
    pub(super) fn split(self) -> (Reader, Writer) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            Self::Unix(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Unix(reader), Writer::Unix(writer))
            }
            Self::Layered(layered) => {
                let shared = Rc::new(RefCell::new(*layered));
                (Reader::Layered(shared.clone()), Writer::Layered(shared))
            }
        }
    }
}

impl Reader {
    /// One read. A short one tells tokio that the socket is empty, so that the next poll costs no system call.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, buffer),
            Self::Unix(half) => Pin::new(half).poll_read(cx, buffer),
            Self::Layered(layered) => layered.borrow_mut().poll_read(cx, buffer),
        }
    }
}

impl Writer {
    /// Writes what the socket takes without waiting.
    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.try_write_vectored(slices),
            Self::Unix(half) => half.try_write_vectored(slices),
            Self::Layered(layered) => layered.borrow_mut().try_write_vectored(slices),
        }
    }

    /// Writes without waiting what was taken before and is held back.
    pub(super) fn try_flush(&self) -> io::Result<()> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
            Self::Layered(layered) => layered.borrow_mut().try_flush(),
        }
    }

    /// Writes without waiting what is held back, and the words of leave that a plain socket has none of. To be called
    /// again when it would block.
    pub(super) fn try_finish(&self) -> io::Result<()> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
            Self::Layered(layered) => layered.borrow_mut().try_finish(),
        }
    }

    /// The user that the connection itself has verified.
    pub(super) fn user(&self) -> Option<Box<str>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => None,
            Self::Layered(layered) => layered.borrow().user().map(Box::from),
        }
    }

    /// Waits until the socket takes bytes again.
    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.writable().await,
            Self::Unix(half) => half.writable().await,
            Self::Layered(layered) => poll_fn(|cx| layered.borrow_mut().poll_writable(cx)).await,
        }
    }
}
