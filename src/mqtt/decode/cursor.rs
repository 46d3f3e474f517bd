//! A packet's body, read from the front field by field. No read can panic; each names the field it was for.

use super::super::packet::PacketId;
use super::super::packet_type::PacketType;
use super::super::topic::{TopicError, TopicFilter, TopicName};
use super::error::DecodeError;

pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    packet: PacketType,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) const fn new(body: &'a [u8], packet: PacketType) -> Self {
        Self { rest: body, packet }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that has not been read yet.
    #[inline]
    pub(super) const fn into_rest(self) -> &'a [u8] {
        self.rest
    }

    /// # Errors
    /// When something has not been read.
    pub(super) const fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { packet: self.packet.name(), count }),
        }
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| self.too_short(field, 1))?;
        self.rest = rest;
        Ok(*byte)
    }

    /// Two bytes, the high one first (section 1.5.2).
    #[inline]
    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(|| self.too_short(field, 2))?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    /// Bytes of any content behind their two-byte length.
    #[inline]
    pub(super) fn binary(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = usize::from(self.u16(field)?);
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.too_short(field, length))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A string as section 1.5.3 wants it.
    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let text = self.utf8(field)?;
        if text.as_bytes().contains(&0) { Err(DecodeError::Nul { field }) } else { Ok(text) }
    }

    /// A topic name that stays where it is.
    #[inline]
    pub(super) fn topic(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let text = self.utf8(field)?;
        TopicName::check(text).map_err(|error| topic_error(field, error))?;
        Ok(text)
    }

    pub(super) fn filter(&mut self) -> Result<TopicFilter, DecodeError> {
        const FIELD: &str = "topic filter";
        TopicFilter::new(self.utf8(FIELD)?).map_err(|error| topic_error(FIELD, error))
    }

    #[inline]
    pub(super) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        let number = self.u16("packet identifier")?;
        PacketId::new(number).ok_or_else(|| DecodeError::PacketIdZero { packet: self.packet.name() })
    }

    /// A string in which NUL has still to be looked for.
    #[inline]
    fn utf8(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let bytes = self.binary(field)?;
        str::from_utf8(bytes).map_err(|error| DecodeError::Utf8 { field, at: error.valid_up_to() })
    }

    #[cold]
    const fn too_short(&self, field: &'static str, needed: usize) -> DecodeError {
        DecodeError::TooShort { packet: self.packet.name(), field, left: self.rest.len(), needed }
    }
}

#[cold]
const fn topic_error(field: &'static str, error: TopicError) -> DecodeError {
    DecodeError::Topic { field, error }
}
