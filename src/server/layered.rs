//! A socket with TLS, WebSocket or both above it, with the interface of a plain socket. What the layers hold back is
//! bounded: 64 KB of TLS records, one WebSocket message of [`websocket::MESSAGE_BYTES_MAX`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::login_bytes::LoginMeter;
use super::stream::Read;
use super::transport::Transport;
use super::websocket::{WebSocket, WebSocketIo};

/// One connection. Its reader and its writer run on one thread and borrow it only while they poll.
#[derive(Debug)]
pub(super) struct Layered {
    transport: Box<dyn Transport>,
    /// WebSocket above the transport, if the listener has it.
    websocket: Option<WebSocket>,
    /// The common name in the client's certificate.
    user: Option<Box<str>>,
    /// Counts what the transport reads until the client has logged in.
    login_meter: Arc<LoginMeter>,
    /// The waker of the task that waits to write. A socket remembers one waker for writing, so writes by the reader,
    /// such as the answer to a ping, have to register this one.
    writer: Waker,
    /// An error that the next read returns, because the last one returned the bytes before it.
    failure: Option<io::Error>,
}

impl Layered {
    pub(super) fn new(
        transport: Box<dyn Transport>,
        websocket: Option<WebSocket>,
        user: Option<Box<str>>,
        login_meter: Arc<LoginMeter>,
    ) -> Self {
        Self { transport, websocket, user, login_meter, writer: Waker::noop().clone(), failure: None }
    }

    /// Returns the user that TLS has verified.
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(super) fn login_meter(&self) -> &Arc<LoginMeter> {
        &self.login_meter
    }

    /// Accepts packets of this size: the client has logged in.
    pub(super) fn set_packet_bytes_max(&mut self, packet_bytes_max: usize) {
        self.websocket.iter_mut().for_each(|websocket| websocket.set_packet_bytes_max(packet_bytes_max));
    }

    /// Fills `buffer` as far as bytes are available, within the turn's budgets of bytes of the socket and of WebSocket
    /// messages.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<Read>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Err(failure));
        }
        // records and websocket may hold a byte or none, and cost more than their bytes
        self.transport.set_read_budget(buffer.remaining());
        self.websocket.iter_mut().for_each(WebSocket::begin_turn);
        let before = buffer.filled().len();
        while buffer.remaining() > 0 {
            let filled = buffer.filled().len();
            match self.poll_read_some(cx, buffer) {
                Poll::Ready(Ok(())) if buffer.filled().len() > filled => {
                    if self.websocket.as_ref().is_some_and(WebSocket::is_before_login) {
                        break;
                    }
                }
                Poll::Ready(Ok(())) if filled == before => return Poll::Ready(Ok(Read::Closed)),
                // the next read finds the end again
                Poll::Ready(Ok(())) => break,
                Poll::Ready(Err(failure)) if filled > before => {
                    self.failure = Some(failure);
                    break;
                }
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending if self.is_over_budget() => break,
                Poll::Pending if filled > before => return Poll::Ready(Ok(Read::Drained)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(Read::More))
    }

    fn is_over_budget(&self) -> bool {
        self.transport.is_over_budget() || self.websocket.as_ref().is_some_and(WebSocket::is_over_budget)
    }

    fn poll_read_some(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.websocket {
            None => Pin::new(&mut self.transport).poll_read(cx, buffer),
            Some(websocket) => {
                let (reader, writer) = (cx.waker(), &self.writer);
                let mut io = WebSocketIo { transport: &mut *self.transport, reader, writer, defers_writes: false };
                websocket.poll_read(&mut io, buffer)
            }
        }
    }

    /// Writes as much as the socket accepts without blocking, and a little more that the layers hold back.
    pub(super) fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Self { transport, websocket, writer, .. } = self;
        match websocket {
            None => {
                let mut cx = Context::from_waker(writer);
                would_block(Pin::new(transport).poll_write_vectored(&mut cx, slices))
            }
            Some(websocket) => websocket.write(&mut WebSocketIo::to_write(&mut **transport, writer), slices),
        }
    }

    /// Writes what the layers hold back, without blocking.
    pub(super) fn try_flush(&mut self) -> io::Result<()> {
        let Self { transport, websocket, writer, .. } = self;
        match websocket {
            None => would_block(Pin::new(transport).poll_flush(&mut Context::from_waker(writer))),
            Some(websocket) => websocket.flush(&mut WebSocketIo::to_write(&mut **transport, writer)),
        }
    }

    /// Writes the close messages of the layers, without blocking. Call again when it would block.
    pub(super) fn try_finish(&mut self) -> io::Result<()> {
        let Self { transport, websocket, writer, .. } = self;
        if let Some(websocket) = websocket {
            websocket.finish(&mut WebSocketIo::to_write(&mut **transport, writer))?;
        }
        would_block(Pin::new(transport).poll_shutdown(&mut Context::from_waker(writer)))
    }

    /// Waits until the layers hold nothing back.
    pub(super) fn poll_writable(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.writer.clone_from(cx.waker());
        match self.try_flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            flushed => Poll::Ready(flushed),
        }
    }
}

/// Converts a poll to the result of a non-blocking socket.
pub(super) fn would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::task::Wake;

    use super::super::login_bytes::LoginBudget;
    use super::super::transport::MeteredSocket;
    use super::*;

    /// A socket in memory.
    #[derive(Debug, Default)]
    struct Socket {
        /// Bytes to read.
        incoming: VecDeque<u8>,
        /// Whether it accepts bytes.
        is_writable: bool,
        /// Writes that it accepted.
        writes: Rc<Cell<usize>>,
        /// The waker of the latest write that was pending.
        writer: Rc<RefCell<Option<Waker>>>,
    }

    impl AsyncRead for Socket {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if self.incoming.is_empty() {
                return Poll::Pending;
            }
            let count = buffer.remaining().min(self.incoming.len());
            buffer.put_slice(&self.incoming.drain(..count).collect::<Vec<_>>());
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Socket {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            if self.is_writable {
                self.writes.set(self.writes.get() + 1);
                return Poll::Ready(Ok(bytes.len()));
            }
            self.writer.replace(Some(cx.waker().clone()));
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A WebSocket over `socket` whose client has logged in.
    fn layered(socket: Socket) -> Layered {
        let meter = LoginMeter::new(&LoginBudget::new(usize::MAX, usize::MAX));
        let websocket = Some(WebSocket::new(Vec::new(), 1 << 20));
        let mut layered = Layered::new(Box::new(MeteredSocket::new(socket, meter.clone())), websocket, None, meter);
        layered.set_packet_bytes_max(1 << 20);
        layered
    }

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn an_answer_to_a_ping_keeps_the_waker_of_the_writer() {
        // PING with a mask of zeros
        let socket = Socket { incoming: vec![0x89, 0x80, 0, 0, 0, 0].into(), ..Socket::default() };
        let woken = socket.writer.clone();
        let mut layered = layered(socket);
        let message = [IoSlice::new(b"x")];
        assert_eq!(layered.try_write_vectored(&message).unwrap(), 1, "it is held back");
        assert_eq!(layered.try_write_vectored(&message).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let (writer, reader) = (Waker::from(Arc::new(Task)), Waker::from(Arc::new(Task)));
        assert!(layered.poll_writable(&Context::from_waker(&writer)).is_pending());
        let mut bytes = [0; 16];
        let read = layered.poll_read(&mut Context::from_waker(&reader), &mut ReadBuf::new(&mut bytes));
        assert!(read.is_pending(), "a ping is no bytes");
        assert!(woken.borrow().as_ref().is_some_and(|waker| waker.will_wake(&writer)));
    }

    /// WebSocket with a mask of zeros.
    const PING: &[u8] = &[0x89, 0x80, 0, 0, 0, 0];
    const PONG: &[u8] = &[0x8A, 0x80, 0, 0, 0, 0];
    const EMPTY: &[u8] = &[0x82, 0x80, 0, 0, 0, 0];
    const FIRST: &[u8] = &[0x02, 0x80, 0, 0, 0, 0];
    const CONTINUATION: &[u8] = &[0x00, 0x80, 0, 0, 0, 0];

    /// Sends `first`, many times `frame`, and PINGREQ in a frame that begins with `last`; counts the turns until
    /// PINGREQ is read.
    fn check_turns(first: &[u8], frame: &[u8], last: u8) {
        let bytes = [first, &frame.repeat(10_000), &[last, 0x82, 0, 0, 0, 0, 0xC0, 0]].concat();
        let sent = bytes.len();
        let socket = Socket { incoming: bytes.into(), is_writable: true, ..Socket::default() };
        let mut layered = layered(socket);
        let (mut room, mut turns) = ([0; 4096], 0);
        loop {
            turns += 1;
            let mut buffer = ReadBuf::new(&mut room);
            let read = layered.poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
            assert!(matches!(read, Poll::Ready(Ok(Read::More | Read::Drained))), "{read:?}");
            if !buffer.filled().is_empty() {
                assert_eq!(buffer.filled(), [0xC0, 0]);
                break;
            }
        }
        // a read that begins within the 4 KiB may exceed them by as much
        assert!(turns >= sent / (2 * 4096), "{frame:02X?}: {turns} turns");
    }

    #[test]
    fn pings_of_one_turn_are_answered_in_one_write() {
        let socket = Socket { incoming: PING.repeat(10).into(), is_writable: true, ..Socket::default() };
        let writes = socket.writes.clone();
        let read =
            layered(socket).poll_read(&mut Context::from_waker(Waker::noop()), &mut ReadBuf::new(&mut [0; 4096]));
        assert!(read.is_pending());
        assert_eq!(writes.get(), 1);
    }

    #[test]
    fn frames_without_payload_are_read_in_turns() {
        for frame in [PING, PONG, EMPTY] {
            check_turns(&[], frame, 0x82);
        }
        check_turns(FIRST, CONTINUATION, 0x80);
    }
}
