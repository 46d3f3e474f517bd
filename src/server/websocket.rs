//! MQTT over WebSocket (MQTT 3.1.1 section 6): the payloads of binary messages, joined, are the byte stream of a plain
//! socket.

use std::borrow::Cow;
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::ReadBuf;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::layered::would_block;
use super::transport::Transport;

/// Bytes of one outgoing message, and so the bytes that one connection may hold back for its socket.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Bytes that may wait in total: a message, and pongs to a peer that pings and does not read.
const WAITING_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// Bytes of other packets that may be in one message with the largest packet.
const SPARE_BYTES: usize = 64 * 1024;

/// Messages that one turn may read, pings and empty ones included.
const TURN_MESSAGES_MAX: u32 = 32;

/// Bytes of one read from the transport. The buffer exists as long as the connection.
const READ_BYTES: usize = 4 * 1024;

/// The WebSocket of one connection.
#[derive(Debug)]
pub(super) struct WebSocket {
    context: WebSocketContext,
    /// The unread part of the latest message.
    unread: Bytes,
    /// Messages that may still be read in this turn.
    messages_left: u32,
    /// Whether the client has not logged in. What follows its CONNECT may be larger, and is read once it has.
    is_before_login: bool,
}

/// The transport, with the wakers for reading and for writing.
pub(super) struct WebSocketIo<'a> {
    pub(super) transport: &'a mut dyn Transport,
    pub(super) reader: &'a Waker,
    pub(super) writer: &'a Waker,
    /// Whether writes wait until the end of the read: then the answers to many pings are one write.
    pub(super) defers_writes: bool,
}

impl<'a> WebSocketIo<'a> {
    /// A transport that is only written.
    pub(super) fn to_write(transport: &'a mut dyn Transport, writer: &'a Waker) -> Self {
        Self { transport, reader: Waker::noop(), writer, defers_writes: false }
    }
}

impl Read for WebSocketIo<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(bytes);
        let read = Pin::new(&mut *self.transport).poll_read(&mut Context::from_waker(self.reader), &mut buffer);
        would_block(read).map(|()| buffer.filled().len())
    }
}

impl Write for WebSocketIo<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.defers_writes {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        would_block(Pin::new(&mut *self.transport).poll_write(&mut Context::from_waker(self.writer), bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        would_block(Pin::new(&mut *self.transport).poll_flush(&mut Context::from_waker(self.writer)))
    }
}

impl WebSocket {
    /// Creates the WebSocket after the upgrade. `early` are the bytes behind the request. A message is limited to the
    /// largest CONNECT and [`SPARE_BYTES`].
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

    /// Limits messages to the largest packet and [`SPARE_BYTES`]: the client has logged in.
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

    /// Reads some bytes, none at the end of the stream. Answers the pings that came before them.
    pub(super) fn poll_read(&mut self, io: &mut WebSocketIo<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.poll_message(io, buffer);
        if std::mem::take(&mut io.defers_writes) {
            // if the socket is full, the next write sends them; if it is closed, the next read finds out
            let _ = self.flush(io);
        }
        read
    }

    fn poll_message(&mut self, io: &mut WebSocketIo<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            let Some(messages_left) = self.messages_left.checked_sub(1) else { return Poll::Pending };
            self.messages_left = messages_left;
            match self.context.read(io) {
                Ok(Message::Binary(bytes)) => self.unread = bytes,
                // [MQTT-6.0.0-1]
                Ok(Message::Text(_)) | Err(Error::Utf8(_)) => {
                    return Poll::Ready(Err(self.fail(io, CloseCode::Unsupported, "MQTT is binary")));
                }
                Ok(Message::Ping(_)) => io.defers_writes = true,
                // the next read answers it
                Ok(Message::Close(_)) => io.defers_writes = false,
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Poll::Ready(Ok(())),
                Err(Error::Capacity(_)) => {
                    return Poll::Ready(Err(self.fail(io, CloseCode::Size, "larger than any packet may be")));
                }
                Err(Error::Protocol(_)) => {
                    return Poll::Ready(Err(self.fail(io, CloseCode::Protocol, "broken frame")));
                }
                Err(error) => return Poll::Ready(Err(io_error(error))),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(self.unread.get(..count).unwrap_or_default());
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }

    /// Writes the beginning of `slices` as one message, once the previous message is written.
    pub(super) fn write(&mut self, io: &mut WebSocketIo<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.flush(io)?;
        let message = gather(slices);
        let count = message.len();
        match self.context.write(io, Message::Binary(message)) {
            Ok(()) => Ok(count),
            // the message is held back
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(count),
            Err(error) => Err(io_error(error)),
        }
    }

    pub(super) fn flush(&mut self, io: &mut WebSocketIo<'_>) -> io::Result<()> {
        match self.context.flush(io) {
            // the reader finds the end of the stream
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(()),
            Err(error) => Err(io_error(error)),
        }
    }

    /// Sends a close frame.
    pub(super) fn finish(&mut self, io: &mut WebSocketIo<'_>) -> io::Result<()> {
        match self.context.close(io, Some(close_frame(CloseCode::Normal, ""))) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(()),
            Err(error) => Err(io_error(error)),
        }
    }

    /// Sends a close frame with the reason, if the socket accepts it.
    fn fail(&mut self, io: &mut WebSocketIo<'_>, code: CloseCode, why: &'static str) -> io::Error {
        io.defers_writes = false;
        let _ = self.context.close(io, Some(close_frame(code, why)));
        io::Error::new(io::ErrorKind::InvalidData, why)
    }
}

fn close_frame(code: CloseCode, why: &'static str) -> CloseFrame {
    CloseFrame { code, reason: Cow::Borrowed(why).into_owned().into() }
}

/// Copies the first bytes of `slices`, at most [`MESSAGE_BYTES_MAX`].
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
