//! TCP and Unix streams, and those with TLS or WebSocket, as one type. The state of TLS and WebSocket is boxed, so that
//! a plain connection does not pay for it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::layered::Layered;
use super::login_bytes::LoginMeter;

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Bytes, and no more for now: the next read is pending.
    Drained,
    /// Bytes or none, and there may be more. No waker is registered: another read has to follow.
    More,
    /// The end of the stream.
    Closed,
}

impl Read {
    /// What a read of a plain socket found.
    fn of(buffer: &ReadBuf<'_>) -> Self {
        match buffer.filled() {
            [] => Self::Closed,
            _ if buffer.remaining() == 0 => Self::More,
            _ => Self::Drained,
        }
    }
}

/// A connected socket.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Layered(Box<Layered>),
}

impl Stream {
    /// Reads once into `buffer`, which is empty. A short read tells tokio that the socket is drained, so that the next
    /// poll costs no system call.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<Read>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer).map_ok(|()| Read::of(buffer)),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer).map_ok(|()| Read::of(buffer)),
            Self::Layered(layered) => layered.poll_read(cx, buffer),
        }
    }

    /// Writes as much as the socket accepts without blocking.
    pub(super) fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            // write(2) costs the kernel less than writev(2)
            (Self::Tcp(stream), [one]) => stream.try_write(one),
            (Self::Unix(stream), [one]) => stream.try_write(one),
            (Self::Tcp(stream), _) => stream.try_write_vectored(slices),
            (Self::Unix(stream), _) => stream.try_write_vectored(slices),
            (Self::Layered(layered), _) => layered.try_write_vectored(slices),
        }
    }

    /// Writes what TLS and WebSocket hold back, without blocking.
    pub(super) fn try_flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
            Self::Layered(layered) => layered.try_flush(),
        }
    }

    /// Writes what TLS and WebSocket hold back, and their close messages, without blocking. Call again when it would
    /// block.
    pub(super) fn try_finish(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
            Self::Layered(layered) => layered.try_finish(),
        }
    }

    /// Returns the meter of a connection that had handshakes below MQTT.
    pub(super) fn login_meter(&self) -> Option<&Arc<LoginMeter>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => None,
            Self::Layered(layered) => Some(layered.login_meter()),
        }
    }

    /// Accepts packets of this size: the client has logged in.
    pub(super) fn set_packet_bytes_max(&mut self, packet_bytes_max: usize) {
        if let Self::Layered(layered) = self {
            layered.set_packet_bytes_max(packet_bytes_max);
        }
    }

    /// Returns the user that TLS has verified by a client certificate.
    pub(super) fn user(&self) -> Option<&str> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => None,
            Self::Layered(layered) => layered.user(),
        }
    }

    /// Waits until the socket accepts bytes again. Only the latest waker is woken.
    pub(super) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
            Self::Layered(layered) => layered.poll_writable(cx),
        }
    }
}
