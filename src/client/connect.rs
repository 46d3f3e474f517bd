//! From an address to a link: the name, the socket, TLS, CONNECT and its answer.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::error::{ConnectError, io_error_text};
use super::link::Link;
use super::stream::Stream;
use super::terms::Terms;
use super::{Address, Options, TlsConfig};
use crate::mqtt::{
    ClientId, ConnAck, Connect, ConnectReturnCode, DecodeError, Decoded, Packet, Password, Properties, PropertyFields,
    ProtocolVersion, ReasonCode, decode, encode,
};

/// What is read of an answer to CONNECT at a time.
const READ_BYTES: usize = 1024;

/// The largest CONNACK that is waited for.
const CONNACK_BYTES_MAX: usize = 64 << 10;

/// A link and on which terms it stands.
pub type Connected = (Link, Terms);

/// Connects to `address`; the name is resolved anew each time, and each of its addresses is tried. All of it within
/// `options.patience`. `tls` is used where the address says so.
///
/// # Errors
/// Which step failed, and how.
pub async fn connect(address: &Address, tls: Option<&TlsConfig>, options: &Options) -> Result<Connected, ConnectError> {
    let all = async {
        let stream = open(address, tls).await?;
        connect_over(stream, options).await
    };
    tokio::time::timeout(options.patience, all).await.unwrap_or(Err(ConnectError::Timeout))
}

/// Opens a stream to `address`, with TLS where the address says so: [`resolve`], [`reach`], [`secure`]. Not bounded in
/// time.
///
/// # Errors
/// As [`connect`].
pub async fn open(address: &Address, tls: Option<&TlsConfig>) -> Result<Box<dyn Stream>, ConnectError> {
    match address {
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            Ok(Box::new(stream.map_err(|error| ConnectError::Socket(io_error_text(&error)))?))
        }
        Address::Tcp { host, port, is_tls } => {
            let stream = reach(&resolve(host, *port).await?).await?;
            if !is_tls {
                return Ok(Box::new(stream));
            }
            let config = tls.ok_or_else(|| ConnectError::Tls("it is not set up".into()))?;
            secure(stream, host, config).await.map_err(|error| tls_error(&error))
        }
    }
}

/// The addresses of a host: at least one. Not bounded in time.
///
/// # Errors
/// When it has none, or nobody knows.
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    let addresses = lookup_host((host, port)).await;
    let addresses = addresses.map_err(|error| ConnectError::Resolve(format!("{host} has no address: {error}")))?;
    let addresses: Vec<_> = addresses.collect();
    if addresses.is_empty() {
        return Err(ConnectError::Resolve(format!("{host} has no address")));
    }
    Ok(addresses)
}

/// Connects to the first of `addresses` that accepts. Not bounded in time.
///
/// # Errors
/// How the last of them failed.
pub async fn reach(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut failure = ConnectError::Resolve("there is no address".into());
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // without it a small packet would wait for the acknowledgement of the one before
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => failure = ConnectError::Socket(io_error_text(&error)),
        }
    }
    Err(failure)
}

/// Shakes hands with `host` above `stream`. Not bounded in time.
///
/// # Errors
/// Holds a [`rustls::Error`] where TLS failed, and none where the network did.
pub async fn secure(stream: TcpStream, host: &str, tls: &TlsConfig) -> io::Result<Box<dyn Stream>> {
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Box::new(TlsConnector::from(tls.clone()).connect(name, stream).await?))
}

/// A broken certificate is no failure of the network, though rustls tells it as one.
fn tls_error(error: &io::Error) -> ConnectError {
    match error.get_ref() {
        Some(cause) if error.kind() == io::ErrorKind::InvalidData => ConnectError::Tls(cause.to_string()),
        _ => ConnectError::Socket(format!("during the handshake of TLS: {}", io_error_text(error))),
    }
}

/// Sends CONNECT over `stream` and takes the answer in. Not bounded in time.
///
/// # Errors
/// As [`connect`].
pub async fn connect_over(mut stream: Box<dyn Stream>, options: &Options) -> Result<Connected, ConnectError> {
    let mut bytes = Vec::new();
    encode(&Packet::Connect(connect_packet(options)), options.version, &mut bytes);
    stream.write_all(&bytes).await.map_err(|error| ConnectError::Socket(io_error_text(&error)))?;
    stream.flush().await.map_err(|error| ConnectError::Socket(io_error_text(&error)))?;
    let mut input = Vec::new();
    loop {
        let length = input.len();
        input.resize(length + READ_BYTES, 0);
        let read = stream.read(input.get_mut(length..).unwrap_or_default()).await;
        let read = read.map_err(|error| ConnectError::Socket(io_error_text(&error)))?;
        input.truncate(length + read);
        if read == 0 {
            return Err(ConnectError::Closed);
        }
        if let Some((accepted, version, length)) = answer(&input, options.version)? {
            input.drain(..length);
            if accepted.reason.is_failure() {
                return Err(refused(&accepted, version));
            }
            let terms = Terms::new(options, version, &accepted);
            return Ok((Link::new(stream, &input, options.packet_bytes_max, &terms), terms));
        }
    }
}

/// The CONNACK at the start of `input`, once it is whole, with its version and length. A server that speaks only
/// 3.1.1 answers a CONNECT of version 5 in its own form.
fn answer(input: &[u8], version: ProtocolVersion) -> Result<Option<(ConnAck, ProtocolVersion, usize)>, ConnectError> {
    let decoded = match decode(input, version, CONNACK_BYTES_MAX) {
        Err(error) if version == ProtocolVersion::V5 => {
            let older = decode(input, ProtocolVersion::V311, CONNACK_BYTES_MAX);
            older.map(|decoded| (decoded, ProtocolVersion::V311)).map_err(|_| no_mqtt(&error))?
        }
        decoded => (decoded.map_err(|error| no_mqtt(&error))?, version),
    };
    match decoded {
        (Decoded::Incomplete { .. }, _) => Ok(None),
        (Decoded::Packet { packet: Packet::ConnAck(accepted), length }, version) => {
            Ok(Some((accepted, version, length)))
        }
        (Decoded::Packet { packet, .. }, _) => {
            Err(ConnectError::NotMqtt(format!("it answered CONNECT with {packet:.40?}")))
        }
    }
}

fn no_mqtt(error: &DecodeError) -> ConnectError {
    ConnectError::NotMqtt(error.to_string())
}

fn refused(answer: &ConnAck, version: ProtocolVersion) -> ConnectError {
    let code = answer.reason;
    let mut text = match version {
        ProtocolVersion::V5 => format!("{} (CONNACK {:#04x})", code.name(), code as u8),
        _ => return_code_text(code),
    };
    if let Some(reason) = &answer.properties.reason_string {
        text.push_str(": ");
        text.extend(reason.chars().filter(|character| !character.is_control()).take(200));
    }
    ConnectError::Refused { code, text }
}

/// CONNACK's return code of 3.1.1 in words (table 3.1).
fn return_code_text(code: ReasonCode) -> String {
    let code = ConnectReturnCode::from(code);
    let words = match code {
        ConnectReturnCode::Accepted => "accepted",
        ConnectReturnCode::UnacceptableProtocolVersion => "this version of MQTT is not spoken there",
        ConnectReturnCode::IdentifierRejected => "the client identifier is not allowed",
        ConnectReturnCode::ServerUnavailable => "the service is not available",
        ConnectReturnCode::BadUserNameOrPassword => "the user name or the password is wrong",
        ConnectReturnCode::NotAuthorized => "not authorised",
    };
    format!("{words} (CONNACK {})", code as u8)
}

fn connect_packet(options: &Options) -> Connect {
    let keep_alive_s = u16::try_from(options.keep_alive.as_secs()).unwrap_or(u16::MAX);
    let (user_name, password) = match &options.credentials {
        None => (None, None),
        Some((user, password)) => {
            let bytes = |secret: &crate::base::secret::Secret| secret.reveal().as_bytes().to_vec();
            (Some(user.clone()), password.as_ref().map(|secret| Password::from(bytes::Bytes::from(bytes(secret)))))
        }
    };
    Connect {
        version: options.version,
        clean_session: options.clean_session,
        keep_alive_s,
        properties: properties(options),
        client_id: ClientId::new(options.client_id.as_str()),
        will: options.will.clone(),
        user_name,
        password,
    }
}

/// Topic aliases are not announced, so every message carries its topic.
fn properties(options: &Options) -> Properties {
    if !options.version.has_properties() {
        return Properties::NONE;
    }
    let expiry_s = if options.clean_session { 0 } else { options.session_expiry_s };
    Properties::new(PropertyFields {
        session_expiry_interval_s: (expiry_s > 0).then_some(expiry_s),
        receive_maximum: std::num::NonZeroU16::new(options.receive_max).filter(|most| most.get() < u16::MAX),
        maximum_packet_size: u32::try_from(options.packet_bytes_max).ok().and_then(std::num::NonZeroU32::new),
        ..PropertyFields::default()
    })
}
