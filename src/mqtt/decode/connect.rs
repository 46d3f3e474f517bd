//! CONNECT (section 3.1) and CONNACK (section 3.2).

use bytes::Bytes;

use super::super::packet::{ClientId, ConnAck, Connect, ProtocolVersion, QoS, Will};
use super::super::reason::{ConnectReturnCode, ReasonCode};
use super::super::topic::TopicName;
use super::cursor::Cursor;
use super::error::DecodeError;
use super::properties::{WillProperties, properties, will_properties};

/// Bytes of a wrong protocol name that its error shows.
const NAME_SHOWN_BYTES_MAX: usize = 16;

pub(super) fn connect(mut body: Cursor<'_>) -> Result<Connect, DecodeError> {
    let version = protocol_version(&mut body)?;
    body.set_version(version);
    let flags = Flags::check(body.u8("connect flags")?, version)?;
    let keep_alive_s = body.u16("keep alive")?;
    let properties = properties(&mut body)?;
    // in this order [MQTT-3.1.3-1]
    // its code points are for the server to check: it may have a session of this name from before they were refused
    let client_id = ClientId::new(body.text_of_any_code_points("client identifier")?);
    let will = flags.will().then(|| will(flags, &mut body)).transpose()?;
    let user_name = flags.user_name().then(|| body.text("user name").map(str::to_owned)).transpose()?;
    let password = flags
        .password()
        .then(|| body.binary("password").map(|password| Bytes::copy_from_slice(password).into()))
        .transpose()?;
    body.finish()?;
    let clean_session = flags.clean_session();
    Ok(Connect { version, clean_session, keep_alive_s, properties, client_id, will, user_name, password })
}

/// A level that is not spoken is told before anything behind it is looked at: its layout is not known.
fn protocol_version(body: &mut Cursor<'_>) -> Result<ProtocolVersion, DecodeError> {
    let name = body.binary("protocol name")?;
    if !matches!(name, b"MQTT" | b"MQIsdp") {
        let shown = name.get(..NAME_SHOWN_BYTES_MAX).unwrap_or(name);
        return Err(DecodeError::ProtocolName(shown.escape_ascii().to_string()));
    }
    match (body.u8("protocol level")?, name) {
        (3, b"MQIsdp") => Ok(ProtocolVersion::V31),
        (4, b"MQTT") => Ok(ProtocolVersion::V311),
        (5, b"MQTT") => Ok(ProtocolVersion::V5),
        (other, _) => Err(DecodeError::UnsupportedProtocolLevel(other)),
    }
}

fn will(flags: Flags, body: &mut Cursor<'_>) -> Result<Will, DecodeError> {
    const FIELD: &str = "will topic";
    let qos = flags.will_qos()?;
    let properties = will_properties(body)?;
    let topic = TopicName::new(body.topic(FIELD)?).map_err(|error| DecodeError::Topic { field: FIELD, error })?;
    let payload = Bytes::copy_from_slice(body.binary("will message")?);
    let WillProperties { delay_interval_s, message_expiry_interval_s, message } = properties;
    let retain = flags.will_retain();
    Ok(Will { topic, payload, qos, retain, delay_interval_s, message_expiry_interval_s, properties: message })
}

/// CONNECT's flags (section 3.1.2.3).
#[derive(Clone, Copy)]
struct Flags(u8);

impl Flags {
    fn check(bits: u8, version: ProtocolVersion) -> Result<Self, DecodeError> {
        let flags = Self(bits);
        if bits & 0b0000_0001 != 0 {
            return Err(DecodeError::ConnectReservedFlag(bits));
        }
        if !flags.will() && flags.will_qos_bits() != 0 {
            return Err(DecodeError::WillQoSWithoutWill(flags.will_qos_bits()));
        }
        if !flags.will() && flags.will_retain() {
            return Err(DecodeError::WillRetainWithoutWill(bits));
        }
        if flags.password() && !flags.user_name() && version != ProtocolVersion::V5 {
            return Err(DecodeError::PasswordWithoutUserName(bits));
        }
        flags.will_qos()?;
        Ok(flags)
    }

    const fn clean_session(self) -> bool {
        self.0 & 0b0000_0010 != 0
    }

    const fn will(self) -> bool {
        self.0 & 0b0000_0100 != 0
    }

    const fn will_qos_bits(self) -> u8 {
        self.0 >> 3 & 0b11
    }

    fn will_qos(self) -> Result<QoS, DecodeError> {
        QoS::from_bits(self.will_qos_bits()).ok_or(DecodeError::WillQoS(self.will_qos_bits()))
    }

    const fn will_retain(self) -> bool {
        self.0 & 0b0010_0000 != 0
    }

    const fn password(self) -> bool {
        self.0 & 0b0100_0000 != 0
    }

    const fn user_name(self) -> bool {
        self.0 & 0b1000_0000 != 0
    }
}

pub(super) fn connack(mut body: Cursor<'_>) -> Result<ConnAck, DecodeError> {
    let session_present = match body.u8("acknowledge flags")? {
        // MQTT 3.1 leaves this byte without a meaning
        _ if body.version() == ProtocolVersion::V31 => false,
        0 => false,
        1 => true,
        flags => return Err(DecodeError::ConnAckFlags(flags)),
    };
    let reason = if body.version().has_properties() { body.reason()? } else { return_code(body.u8("return code")?)? };
    if session_present && reason != ReasonCode::Success {
        return Err(DecodeError::SessionPresentWithRefusal(reason));
    }
    let properties = properties(&mut body)?;
    body.finish()?;
    Ok(ConnAck { session_present, reason, properties })
}

fn return_code(byte: u8) -> Result<ReasonCode, DecodeError> {
    ConnectReturnCode::from_byte(byte).map(ReasonCode::from).ok_or(DecodeError::ConnAckCode(byte))
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::Packet;
    use super::super::super::properties::Properties;
    use super::super::super::topic::TopicError;
    use super::super::check::{check_decodes, check_refused};
    use super::*;

    /// A CONNECT of level 4 with these flags, keep alive 60 and this payload.
    fn connect_bytes(flags: u8, payload: &[u8]) -> Vec<u8> {
        let remaining = u8::try_from(10 + payload.len()).unwrap();
        let header = [0x10, remaining, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04, flags, 0x00, 0x3c];
        [&header[..], payload].concat()
    }

    fn too_short(field: &'static str, left: usize, needed: usize) -> DecodeError {
        DecodeError::TooShort { packet: "CONNECT", field, left, needed }
    }

    #[test]
    fn connect_with_everything() {
        let bytes = [
            0x10, // CONNECT
            0x1e, // remaining length
            0x00, 0x04, b'M', b'Q', b'T', b'T', // protocol name
            0x04, // protocol level
            0xf4, // user name, password, will retain, will QoS 2, will; the session is not clean
            0x01, 0x00, // keep alive 256 s
            0x00, 0x02, b'i', b'd', // client identifier
            0x00, 0x03, b'a', b'/', b'b', // will topic
            0x00, 0x00, // will message, empty
            0x00, 0x02, 0xc3, 0xa9, // user name é
            0x00, 0x03, 0x00, 0xff, 0x01, // password of any bytes
        ];
        let topic = TopicName::new("a/b").unwrap();
        let will = Will { qos: QoS::ExactlyOnce, retain: true, ..Will::new(topic, Bytes::new()) };
        let connect = Connect {
            version: ProtocolVersion::V311,
            clean_session: false,
            keep_alive_s: 256,
            properties: Properties::NONE,
            client_id: ClientId::new("id"),
            will: Some(will),
            user_name: Some("é".to_owned()),
            password: Some(Bytes::from_static(&[0x00, 0xff, 0x01]).into()),
        };
        check_decodes(&bytes, Packet::Connect(connect));
    }

    #[test]
    fn an_empty_client_identifier_is_for_the_server_to_judge() {
        for clean_session in [false, true] {
            let connect = Connect {
                version: ProtocolVersion::V311,
                clean_session,
                keep_alive_s: 60,
                properties: Properties::NONE,
                client_id: ClientId::new(""),
                will: None,
                user_name: None,
                password: None,
            };
            let bytes = connect_bytes(u8::from(clean_session) << 1, &[0x00, 0x00]);
            check_decodes(&bytes, Packet::Connect(connect));
        }
    }

    #[test]
    fn another_protocol_name_is_refused() {
        let error = |name: &str| DecodeError::ProtocolName(name.to_owned());
        let old = [0x10, 0x09, 0x00, 0x06, b'M', b'Q', b'I', b's', b'd', b'q', 0x03];
        check_refused(&old, &error("MQIsdq"), "MQTT-3.1.2-1");
        let bytes = [0x10, 0x07, 0x00, 0x04, b'm', b'q', 0xff, b'\n', 0x04];
        check_refused(&bytes, &error("mq\\xff\\n"), "MQTT-3.1.2-1");
        let long = [&[0x10, 0x22, 0x00, 0x20][..], &[b'x'; 32]].concat();
        check_refused(&long, &error("xxxxxxxxxxxxxxxx"), "MQTT-3.1.2-1");
    }

    #[test]
    fn another_level_is_refused_whatever_follows_it() {
        for level in (0..=u8::MAX).filter(|level| !matches!(level, 4 | 5)) {
            let bytes = [0x10, 0x08, 0x00, 0x04, b'M', b'Q', b'T', b'T', level, 0xff];
            check_refused(&bytes, &DecodeError::UnsupportedProtocolLevel(level), "MQTT-3.1.2-2");
        }
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        for (flags, error, clause) in [
            (0b0000_0001, DecodeError::ConnectReservedFlag(0b0000_0001), "MQTT-3.1.2-3"),
            (0b0000_1010, DecodeError::WillQoSWithoutWill(1), "MQTT-3.1.2-13"),
            (0b0001_1010, DecodeError::WillQoSWithoutWill(3), "MQTT-3.1.2-13"),
            (0b0001_1110, DecodeError::WillQoS(3), "MQTT-3.1.2-14"),
            (0b0010_0010, DecodeError::WillRetainWithoutWill(0b0010_0010), "MQTT-3.1.2-15"),
            (0b0100_0010, DecodeError::PasswordWithoutUserName(0b0100_0010), "MQTT-3.1.2-22"),
        ] {
            check_refused(&connect_bytes(flags, &[0x00, 0x01, b'a']), &error, clause);
        }
    }

    #[test]
    fn strings_of_a_connect_that_are_no_utf_8_are_refused() {
        let utf8 = |field| DecodeError::Utf8 { field, at: 1 };
        let bad = [0x00, 0x04, b'a', 0xed, 0xa0, 0x80]; // a and the surrogate U+D800
        let id = [0x00, 0x01, b'i'];
        check_refused(&connect_bytes(0x02, &bad), &utf8("client identifier"), "MQTT-1.5.3-1");
        let will_topic = [&id[..], &bad, &[0x00, 0x00]].concat();
        check_refused(&connect_bytes(0x06, &will_topic), &utf8("will topic"), "MQTT-1.5.3-1");
        let user_name = [&id[..], &bad].concat();
        check_refused(&connect_bytes(0x82, &user_name), &utf8("user name"), "MQTT-1.5.3-1");
    }

    #[test]
    fn strings_of_a_connect_with_nul_are_refused() {
        let bad = [0x00, 0x02, b'a', 0x00];
        let error = DecodeError::Nul { field: "client identifier" };
        check_refused(&connect_bytes(0x02, &bad), &error, "MQTT-1.5.3-2");
        let user_name = [&[0x00, 0x01, b'i'][..], &bad].concat();
        check_refused(&connect_bytes(0x82, &user_name), &DecodeError::Nul { field: "user name" }, "MQTT-1.5.3-2");
    }

    #[test]
    fn a_will_topic_that_is_none_is_refused() {
        for (topic, error, clause) in [
            (&b""[..], TopicError::Empty, "MQTT-4.7.3-1"),
            (b"a/+", TopicError::WildcardInName('+'), "MQTT-3.3.2-2"),
            (b"#", TopicError::WildcardInName('#'), "MQTT-3.3.2-2"),
            (b"a\0", TopicError::Nul, "MQTT-4.7.3-2"),
        ] {
            let length = u8::try_from(topic.len()).unwrap();
            let payload = [&[0x00, 0x01, b'i', 0x00, length][..], topic, &[0x00, 0x00]].concat();
            check_refused(&connect_bytes(0x06, &payload), &DecodeError::Topic { field: "will topic", error }, clause);
        }
    }

    #[test]
    fn a_connect_that_ends_in_a_field_is_refused() {
        check_refused(&[0x10, 0x00], &too_short("protocol name", 0, 2), "MQTT-4.8.0-1");
        let no_level = [0x10, 0x06, 0x00, 0x04, b'M', b'Q', b'T', b'T'];
        check_refused(&no_level, &too_short("protocol level", 0, 1), "MQTT-4.8.0-1");
        check_refused(&connect_bytes(0x02, &[]), &too_short("client identifier", 0, 2), "MQTT-4.8.0-1");
        let id = [0x00, 0x01, b'i'];
        check_refused(&connect_bytes(0x06, &id), &too_short("will topic", 0, 2), "MQTT-4.8.0-1");
        let will_topic = [&id[..], &id].concat();
        check_refused(&connect_bytes(0x06, &will_topic), &too_short("will message", 0, 2), "MQTT-4.8.0-1");
        check_refused(&connect_bytes(0x82, &id), &too_short("user name", 0, 2), "MQTT-4.8.0-1");
        let user_name = [&id[..], &id, &[0x00, 0x02, b'p']].concat();
        check_refused(&connect_bytes(0xc2, &user_name), &too_short("password", 1, 2), "MQTT-4.8.0-1");
    }

    #[test]
    fn a_connect_that_goes_on_after_its_last_field_is_refused() {
        let bytes = connect_bytes(0x02, &[0x00, 0x01, b'i', 0x00, 0x01, b'u']);
        check_refused(&bytes, &DecodeError::TrailingBytes { packet: "CONNECT", count: 3 }, "MQTT-4.8.0-1");
    }

    #[test]
    fn connack_says_whether_there_was_a_session_and_why_not() {
        let accepted = ConnAck::new(true, ReasonCode::Success);
        check_decodes(&[0x20, 0x02, 0x01, 0x00], Packet::ConnAck(accepted));
        for byte in 0..=5 {
            let code = ConnectReturnCode::from_byte(byte).unwrap();
            check_decodes(&[0x20, 0x02, 0x00, byte], Packet::ConnAck(ConnAck::new(false, code.into())));
        }
    }

    #[test]
    fn connack_with_reserved_flags_or_codes_is_refused() {
        check_refused(&[0x20, 0x02, 0x02, 0x00], &DecodeError::ConnAckFlags(2), "MQTT-4.8.0-1");
        check_refused(&[0x20, 0x02, 0x00, 0x06], &DecodeError::ConnAckCode(6), "MQTT-3.2.2-6");
        check_refused(
            &[0x20, 0x02, 0x01, 0x05],
            &DecodeError::SessionPresentWithRefusal(ReasonCode::NotAuthorized),
            "MQTT-3.2.2-4",
        );
    }
}
