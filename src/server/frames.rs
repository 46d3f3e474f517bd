//! MQTT in WebSocket frames (MQTT 3.1.1 section 6): the bytes of binary messages, one behind the other, are the stream
//! that a plain socket would carry.

use std::borrow::Cow;
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::ReadBuf;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::carrier::Carrier;
use super::layered::would_block;

/// Bytes of one outgoing message; what one connection may hold back for its socket.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Bytes that may wait in all: a message, and pongs to a peer that pings and does not read.
const WAITING_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// Bytes of smaller packets that may share a message with the largest one.
const SPARE_BYTES: usize = 64 * 1024;

/// Messages that one turn may read, pings and empty ones included.
const TURN_MESSAGES_MAX: u32 = 32;

/// Bytes of one read below the frames. Held as long as the connection lives.
const READ_BYTES: usize = 4 * 1024;

/// The WebSocket of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    context: WebSocketContext,
    /// The unread part of the latest message.
    unread: Bytes,
    /// Messages that may still be read in this turn.
    messages_left: u32,
    /// Whether the client has not logged in. What follows its CONNECT may be larger, and is read once it has.
    is_before_login: bool,
}

/// The carrier below, with whom to wake when it can be read and when it can be written.
pub(super) struct Wires<'a> {
    pub(super) carrier: &'a mut dyn Carrier,
    pub(super) reader: &'a Waker,
    pub(super) writer: &'a Waker,
    /// Whether writes wait until the end of the read: then the answers to many pings are one write.
    pub(super) defers_writes: bool,
}

impl<'a> Wires<'a> {
    /// A carrier that is only written.
    pub(super) fn to_write(carrier: &'a mut dyn Carrier, writer: &'a Waker) -> Self {
        Self { carrier, reader: Waker::noop(), writer, defers_writes: false }
    }
}

impl Read for Wires<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(bytes);
        let read = Pin::new(&mut *self.carrier).poll_read(&mut Context::from_waker(self.reader), &mut buffer);
        would_block(read).map(|()| buffer.filled().len())
    }
}

impl Write for Wires<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.defers_writes {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        would_block(Pin::new(&mut *self.carrier).poll_write(&mut Context::from_waker(self.writer), bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        would_block(Pin::new(&mut *self.carrier).poll_flush(&mut Context::from_waker(self.writer)))
    }
}

impl Frames {
    /// After the upgrade; `early` is what has come behind its request. A frame, or a message of several, has room for
    /// the largest CONNECT and some more.
    pub(super) fn new(early: Vec<u8>, login_bytes_max: usize) -> Self {
        let message_bytes_max = login_bytes_max.saturating_add(SPARE_BYTES);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(WAITING_BYTES_MAX)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let context = WebSocketContext::from_partially_read(early, Role::Server, Some(config));
        Self { context, unread: Bytes::new(), messages_left: TURN_MESSAGES_MAX, is_before_login: true }
    }

    /// Gives a frame, or a message of several, room for the largest packet and some more: the client has logged in.
    pub(super) fn set_packet_bytes_max(&mut self, packet_bytes_max: usize) {
        let message_bytes_max = Some(packet_bytes_max.saturating_add(SPARE_BYTES));
        self.context.set_config(|config| {
            (config.max_message_size, config.max_frame_size) = (message_bytes_max, message_bytes_max);
        });
        self.is_before_login = false;
    }

    /// Returns whether the next message is to be read only when the one before was handled.
    pub(super) fn is_before_login(&self) -> bool {
        self.is_before_login
    }

    /// Allows the messages of another turn.
    pub(super) fn begin_turn(&mut self) {
        self.messages_left = TURN_MESSAGES_MAX;
    }

    /// Returns whether this turn may read no more messages. A read is pending then, and no waker is registered.
    pub(super) fn is_over_budget(&self) -> bool {
        self.messages_left == 0
    }

    /// Reads some bytes; none at the end. Answers the pings that came before them.
    pub(super) fn poll_read(&mut self, wires: &mut Wires<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.poll_message(wires, buffer);
        if std::mem::take(&mut wires.defers_writes) {
            // a socket that is full takes them with the next write, and one that is gone ends the next read
            let _ = self.flush(wires);
        }
        read
    }

    fn poll_message(&mut self, wires: &mut Wires<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            let Some(messages_left) = self.messages_left.checked_sub(1) else { return Poll::Pending };
            self.messages_left = messages_left;
            match self.context.read(wires) {
                Ok(Message::Binary(bytes)) => self.unread = bytes,
                // [MQTT-6.0.0-1]; whether it is UTF-8 makes no difference
                Ok(Message::Text(_)) | Err(Error::Utf8(_)) => {
                    return Poll::Ready(Err(self.fail(wires, CloseCode::Unsupported, "MQTT is binary")));
                }
                Ok(Message::Ping(_)) => wires.defers_writes = true,
                // it is answered with the next read
                Ok(Message::Close(_)) => wires.defers_writes = false,
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Poll::Ready(Ok(())),
                Err(Error::Capacity(_)) => {
                    return Poll::Ready(Err(self.fail(wires, CloseCode::Size, "larger than any packet may be")));
                }
                Err(Error::Protocol(_)) => {
                    return Poll::Ready(Err(self.fail(wires, CloseCode::Protocol, "broken frame")));
                }
                Err(error) => return Poll::Ready(Err(io_error(error))),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(self.unread.get(..count).unwrap_or_default());
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }

    /// Writes the beginning of `slices` as one message, once the one before has gone.
    pub(super) fn write(&mut self, wires: &mut Wires<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.flush(wires)?;
        let message = gather(slices);
        let count = message.len();
        match self.context.write(wires, Message::Binary(message)) {
            Ok(()) => Ok(count),
            // it was taken and is held back
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(count),
            Err(error) => Err(io_error(error)),
        }
    }

    pub(super) fn flush(&mut self, wires: &mut Wires<'_>) -> io::Result<()> {
        match self.context.flush(wires) {
            // the reader finds the end
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(()),
            Err(error) => Err(io_error(error)),
        }
    }

    /// Says that it was the last message.
    pub(super) fn finish(&mut self, wires: &mut Wires<'_>) -> io::Result<()> {
        match self.context.close(wires, Some(close_frame(CloseCode::Normal, ""))) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(()),
            Err(error) => Err(io_error(error)),
        }
    }

    /// Tells the peer why it is over, as far as its socket takes it.
    fn fail(&mut self, wires: &mut Wires<'_>, code: CloseCode, why: &'static str) -> io::Error {
        wires.defers_writes = false;
        let _ = self.context.close(wires, Some(close_frame(code, why)));
        io::Error::new(io::ErrorKind::InvalidData, why)
    }
}

fn close_frame(code: CloseCode, why: &'static str) -> CloseFrame {
    CloseFrame { code, reason: Cow::Borrowed(why).into_owned().into() }
}

/// The first bytes of `slices`, at most [`MESSAGE_BYTES_MAX`].
fn gather(slices: &[IoSlice<'_>]) -> Bytes {
    let mut message = BytesMut::new();
    for slice in slices {
        let room = MESSAGE_BYTES_MAX - message.len();
        message.extend_from_slice(slice.get(..room.min(slice.len())).unwrap_or_default());
    }
    message.freeze()
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
