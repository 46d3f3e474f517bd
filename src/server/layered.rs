//! A socket with TLS, WebSocket or both above it. It reads and writes as a plain one does; what these layers hold back
//! is bounded: 64 KB of TLS records, one WebSocket message of [`frames::MESSAGE_BYTES_MAX`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::carrier::Carrier;
use super::frames::{Frames, Wires};
use super::login_bytes::LoginMeter;
use super::stream::Read;

/// One connection. Its reader and its writer share it; both run on one thread and hold it only while they poll.
#[derive(Debug)]
pub(super) struct Layered {
    carrier: Box<dyn Carrier>,
    /// WebSocket, above the carrier.
    frames: Option<Frames>,
    /// The common name of the certificate that the client has shown.
    user: Option<Box<str>>,
    /// Counts what the carrier reads until the client has logged in.
    login_meter: Arc<LoginMeter>,
    /// Whoever waits to write. A write on behalf of the reader, such as an answer to a ping, has to leave it in place:
    /// a socket remembers one of them only.
    writer: Waker,
    /// Why reading has failed, while bytes from before had to be handed over first.
    failure: Option<io::Error>,
}

impl Layered {
    pub(super) fn new(
        carrier: Box<dyn Carrier>,
        frames: Option<Frames>,
        user: Option<Box<str>>,
        login_meter: Arc<LoginMeter>,
    ) -> Self {
        Self { carrier, frames, user, login_meter, writer: Waker::noop().clone(), failure: None }
    }

    /// The user that TLS has verified.
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(super) fn login_meter(&self) -> &Arc<LoginMeter> {
        &self.login_meter
    }

    /// Accepts packets of this size: the client has logged in.
    pub(super) fn set_packet_bytes_max(&mut self, packet_bytes_max: usize) {
        self.frames.iter_mut().for_each(|frames| frames.set_packet_bytes_max(packet_bytes_max));
    }

    /// Fills `buffer` as far as bytes are there and the turn's budget allows: of the socket, and of WebSocket messages,
    /// which may be empty.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<Read>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Err(failure));
        }
        // records and frames may hold a byte or none, and cost more than their bytes
        self.carrier.set_read_budget(buffer.remaining());
        self.frames.iter_mut().for_each(Frames::begin_turn);
        let before = buffer.filled().len();
        while buffer.remaining() > 0 {
            let filled = buffer.filled().len();
            match self.poll_read_some(cx, buffer) {
                Poll::Ready(Ok(())) if buffer.filled().len() > filled => {
                    if self.frames.as_ref().is_some_and(Frames::is_before_login) {
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
        self.carrier.is_over_budget() || self.frames.as_ref().is_some_and(Frames::is_over_budget)
    }

    fn poll_read_some(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.frames {
            None => Pin::new(&mut self.carrier).poll_read(cx, buffer),
            Some(frames) => {
                let (reader, writer) = (cx.waker(), &self.writer);
                let mut wires = Wires { carrier: &mut *self.carrier, reader, writer, defers_writes: false };
                frames.poll_read(&mut wires, buffer)
            }
        }
    }

    /// Writes what the socket takes without waiting, and a little more that these layers hold back for it.
    pub(super) fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Self { carrier, frames, writer, .. } = self;
        match frames {
            None => {
                let mut cx = Context::from_waker(writer);
                would_block(Pin::new(carrier).poll_write_vectored(&mut cx, slices))
            }
            Some(frames) => frames.write(&mut Wires::to_write(&mut **carrier, writer), slices),
        }
    }

    /// Writes what is held back, without waiting.
    pub(super) fn try_flush(&mut self) -> io::Result<()> {
        let Self { carrier, frames, writer, .. } = self;
        match frames {
            None => would_block(Pin::new(carrier).poll_flush(&mut Context::from_waker(writer))),
            Some(frames) => frames.flush(&mut Wires::to_write(&mut **carrier, writer)),
        }
    }

    /// Takes leave in the words of each layer, without waiting; to be called again when it would block.
    pub(super) fn try_finish(&mut self) -> io::Result<()> {
        let Self { carrier, frames, writer, .. } = self;
        if let Some(frames) = frames {
            frames.finish(&mut Wires::to_write(&mut **carrier, writer))?;
        }
        would_block(Pin::new(carrier).poll_shutdown(&mut Context::from_waker(writer)))
    }

    /// Waits until nothing is held back: then the socket takes bytes again.
    pub(super) fn poll_writable(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.writer.clone_from(cx.waker());
        match self.try_flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            flushed => Poll::Ready(flushed),
        }
    }
}

/// What a poll came to, in the words of a socket that does not block.
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

    use super::super::carrier::Wire;
    use super::super::login_bytes::LoginBudget;
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
        let frames = Some(Frames::new(Vec::new(), 1 << 20));
        let mut layered = Layered::new(Box::new(Wire::new(socket, meter.clone())), frames, None, meter);
        layered.set_packet_bytes_max(1 << 20);
        layered
    }

    struct Somebody;

    impl Wake for Somebody {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn an_answer_to_a_ping_leaves_whoever_waits_to_write_in_place() {
        // PING with a mask of zeros
        let socket = Socket { incoming: vec![0x89, 0x80, 0, 0, 0, 0].into(), ..Socket::default() };
        let woken = socket.writer.clone();
        let mut layered = layered(socket);
        let message = [IoSlice::new(b"x")];
        assert_eq!(layered.try_write_vectored(&message).unwrap(), 1, "it is held back");
        assert_eq!(layered.try_write_vectored(&message).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let (writer, reader) = (Waker::from(Arc::new(Somebody)), Waker::from(Arc::new(Somebody)));
        assert!(layered.poll_writable(&Context::from_waker(&writer)).is_pending());
        let mut bytes = [0; 16];
        let read = layered.poll_read(&mut Context::from_waker(&reader), &mut ReadBuf::new(&mut bytes));
        assert!(read.is_pending(), "a ping is no bytes");
        assert!(woken.borrow().as_ref().is_some_and(|waker| waker.will_wake(&writer)));
    }

    /// Frames with a mask of zeros.
    const PING: &[u8] = &[0x89, 0x80, 0, 0, 0, 0];
    const PONG: &[u8] = &[0x8A, 0x80, 0, 0, 0, 0];
    const EMPTY: &[u8] = &[0x82, 0x80, 0, 0, 0, 0];
    const FIRST: &[u8] = &[0x02, 0x80, 0, 0, 0, 0];
    const CONTINUATION: &[u8] = &[0x00, 0x80, 0, 0, 0, 0];

    /// Sends `first`, many times `frame`, and PINGREQ in a frame that begins with `last`; counts the turns until PINGREQ
    /// is read.
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
