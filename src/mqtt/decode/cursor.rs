//! A packet's body, read from the front field by field. No read can panic; each names the field it was for.

use super::super::code_points::{CodePoints, disallowed_code_point};
use super::super::packet::{PacketId, ProtocolVersion};
use super::super::packet_type::PacketType;
use super::super::reason::ReasonCode;
use super::super::topic::{TopicError, TopicFilter, TopicName};
use super::error::DecodeError;

pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    packet: PacketType,
    version: ProtocolVersion,
    code_points: CodePoints,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) const fn new(
        body: &'a [u8],
        packet: PacketType,
        version: ProtocolVersion,
        code_points: CodePoints,
    ) -> Self {
        Self { rest: body, packet, version, code_points }
    }

    pub(super) const fn packet(&self) -> PacketType {
        self.packet
    }

    pub(super) const fn version(&self) -> ProtocolVersion {
        self.version
    }

    pub(super) const fn code_points(&self) -> CodePoints {
        self.code_points
    }

    /// What follows is laid out as in this version: a CONNECT tells its own.
    pub(super) const fn set_version(&mut self, version: ProtocolVersion) {
        self.version = version;
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
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

    /// Four bytes, the high one first (version 5, section 1.5.3).
    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(|| self.too_short(field, 4))?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    /// A variable byte integer in the fewest bytes that say it [MQTT-1.5.5-1].
    pub(super) fn variable(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8(field)?;
            value |= u32::from(byte & 0x7f) << shift;
            match byte {
                0 if shift > 0 => return Err(DecodeError::NotMinimal { field }),
                0..=0x7f => return Ok(value),
                _ => {}
            }
        }
        Err(DecodeError::VariableByteInteger { field })
    }

    /// The bytes of the properties behind their length; none where the version has none.
    #[inline]
    pub(super) fn property_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        if !self.version.has_properties() {
            return Ok(&[]);
        }
        let length = self.variable("property length")?;
        self.take(length as usize, "properties")
    }

    /// Bytes of any content behind their two-byte length.
    #[inline]
    pub(super) fn binary(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = usize::from(self.u16(field)?);
        self.take(length, field)
    }

    #[inline]
    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.too_short(field, length))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads a string with the code points that are accepted.
    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let text = self.text_of_any_code_points(field)?;
        self.check_code_points(field, text)?;
        Ok(text)
    }

    /// Reads a string with all code points but NUL [MQTT-1.5.3-2].
    pub(super) fn text_of_any_code_points(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let text = self.utf8(field)?;
        if text.as_bytes().contains(&0) { Err(DecodeError::Nul { field }) } else { Ok(text) }
    }

    /// Reads a topic name with the code points that are accepted, without copying it.
    #[inline]
    pub(super) fn topic(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let text = self.topic_of_any_code_points(field)?;
        self.check_code_points(field, text)?;
        Ok(text)
    }

    /// Reads a topic name with all code points that the standards permit, without copying it.
    #[inline]
    pub(super) fn topic_of_any_code_points(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let text = self.utf8(field)?;
        TopicName::check(text).map_err(|error| topic_error(field, error))?;
        Ok(text)
    }

    /// Checks `text` for code points that are not accepted.
    #[inline]
    pub(super) fn check_code_points(&self, field: &'static str, text: &str) -> Result<(), DecodeError> {
        if self.code_points == CodePoints::All {
            return Ok(());
        }
        match disallowed_code_point(text) {
            None => Ok(()),
            Some(character) => Err(DecodeError::DisallowedCodePoint { field, character: character.into() }),
        }
    }

    pub(super) fn filter(&mut self) -> Result<TopicFilter, DecodeError> {
        const FIELD: &str = "topic filter";
        let filter = TopicFilter::new(self.utf8(FIELD)?).map_err(|error| topic_error(FIELD, error))?;
        if self.version.has_properties() {
            filter.shared().map_err(|error| topic_error(FIELD, error))?;
        }
        // a client may end a subscription from before such code points were refused
        if self.packet != PacketType::Unsubscribe {
            self.check_code_points(FIELD, filter.as_str())?;
        }
        Ok(filter)
    }

    #[inline]
    pub(super) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        let number = self.u16("packet identifier")?;
        PacketId::new(number).ok_or_else(|| DecodeError::PacketIdZero { packet: self.packet.name() })
    }

    /// Reads the empty text, or a topic name with all code points that the standards permit.
    #[inline]
    pub(super) fn topic_or_empty(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        if self.rest.starts_with(&[0, 0]) { self.utf8(field) } else { self.topic_of_any_code_points(field) }
    }

    /// A reason code that the packet may carry.
    pub(super) fn reason(&mut self) -> Result<ReasonCode, DecodeError> {
        let code = self.u8("reason code")?;
        let packet = self.packet;
        ReasonCode::from_byte(code)
            .filter(|reason| reason.may_stand_in(packet))
            .ok_or(DecodeError::ReasonCode { packet: packet.name(), code })
    }

    /// A reason code; [`ReasonCode::Success`] where the packet ends before it.
    #[inline]
    pub(super) fn reason_or_success(&mut self) -> Result<ReasonCode, DecodeError> {
        if self.is_empty() { Ok(ReasonCode::Success) } else { self.reason() }
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
