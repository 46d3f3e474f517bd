//! The socket below TLS and WebSocket, with its two limits: bytes of one turn, and bytes before the login.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::login_bytes::LoginMeter;

/// A stream of bytes whose reads are limited by a budget: TCP, or TLS above it.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Debug {
    /// Sets how many bytes may be read from the socket until the next call. A read that began within the budget may
    /// exceed it.
    fn set_read_budget(&mut self, bytes: usize);

    /// Returns whether a read was pending only because the budget was used up. No waker is registered then.
    fn is_over_budget(&self) -> bool;
}

/// A socket that counts what is read from it.
#[derive(Debug)]
pub(super) struct MeteredSocket<S> {
    socket: S,
    /// Counts what is read until the client has logged in.
    login_meter: Arc<LoginMeter>,
    /// Bytes that may still be read.
    budget: usize,
    is_over_budget: bool,
}

impl<S> MeteredSocket<S> {
    /// Wraps a socket without a limit by turn, as handshakes need it.
    pub(super) fn new(socket: S, login_meter: Arc<LoginMeter>) -> Self {
        Self { socket, login_meter, budget: usize::MAX, is_over_budget: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Debug> Transport for MeteredSocket<S> {
    fn set_read_budget(&mut self, bytes: usize) {
        (self.budget, self.is_over_budget) = (bytes, false);
    }

    fn is_over_budget(&self) -> bool {
        self.is_over_budget
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Debug> Transport for TlsStream<MeteredSocket<S>> {
    fn set_read_budget(&mut self, bytes: usize) {
        self.get_mut().0.set_read_budget(bytes);
    }

    fn is_over_budget(&self) -> bool {
        self.get_ref().0.is_over_budget()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MeteredSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.budget == 0 {
            self.is_over_budget = true;
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        let count = buffer.filled().len() - before;
        self.budget = self.budget.saturating_sub(count);
        self.login_meter.charge(count)?;
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MeteredSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::login_bytes::LoginBudget;
    use super::*;

    fn read(wire: &mut MeteredSocket<&[u8]>) -> Poll<usize> {
        let mut room = [0; 10];
        let mut buffer = ReadBuf::new(&mut room);
        let read = Pin::new(wire).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        read.map(|result| result.map_or(0, |()| buffer.filled().len()))
    }

    #[test]
    fn a_read_beyond_the_budget_is_pending_until_the_next_turn() {
        let meter = LoginMeter::new(&LoginBudget::new(usize::MAX, usize::MAX));
        let mut wire = MeteredSocket::new(&[0; 100][..], meter.clone());
        wire.budget = 15;
        assert_eq!((read(&mut wire), read(&mut wire)), (Poll::Ready(10), Poll::Ready(10)));
        assert_eq!((read(&mut wire), wire.is_over_budget), (Poll::Pending, true));
        (wire.budget, wire.is_over_budget) = (1, false);
        assert_eq!((read(&mut wire), wire.is_over_budget), (Poll::Ready(10), false));
        assert_eq!(meter.bytes(), 30);
    }
}
