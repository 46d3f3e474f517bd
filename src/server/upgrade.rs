//! The HTTP request that turns a connection into a WebSocket (RFC 6455 section 4.2). Every path is accepted.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tungstenite::handshake::machine::TryParse as _;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::HeaderValue;

use super::transport::Transport;

/// Bytes of the request with its headers; a longer one is answered with status 431.
const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// [MQTT-6.0.0-3], [MQTT-6.0.0-4]
const SUBPROTOCOL: &str = "mqtt";
const SUBPROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol";

/// Why the request was refused.
#[derive(Debug, Error)]
pub(super) enum UpgradeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("a request of more than {REQUEST_BYTES_MAX} bytes")]
    TooLong,
    #[error("no WebSocket request: {0}")]
    NoRequest(String),
    /// [MQTT-6.0.0-3]
    #[error("the WebSocket subprotocol `{SUBPROTOCOL}` is not offered [MQTT-6.0.0-3]")]
    NoSubprotocol,
}

/// Reads and answers the request; returns the bytes that came after it.
pub(super) async fn upgrade(stream: &mut dyn Transport) -> Result<Vec<u8>, UpgradeError> {
    let upgraded = match read_request(stream).await {
        Ok((request, early)) => accept(&request).map(|response| (response, early)),
        Err(error) => Err(error),
    };
    match upgraded {
        Ok((response, early)) => {
            stream.write_all(&response).await?;
            stream.flush().await?;
            Ok(early)
        }
        Err(error) => {
            refuse(stream, &error).await;
            Err(error)
        }
    }
}

async fn read_request(stream: &mut dyn Transport) -> Result<(Request, Vec<u8>), UpgradeError> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match Request::try_parse(&bytes) {
            Ok(Some((length, request))) => return Ok((request, bytes.split_off(length))),
            Ok(None) if bytes.len() < REQUEST_BYTES_MAX => {}
            Ok(None) => return Err(UpgradeError::TooLong),
            Err(error) => return Err(UpgradeError::NoRequest(error.to_string())),
        }
    }
}

/// Returns the response that accepts the request.
fn accept(request: &Request) -> Result<Vec<u8>, UpgradeError> {
    let mut response = create_response(request).map_err(|error| UpgradeError::NoRequest(error.to_string()))?;
    if !offers_mqtt(request) {
        return Err(UpgradeError::NoSubprotocol);
    }
    response.headers_mut().insert(SUBPROTOCOL_HEADER, HeaderValue::from_static(SUBPROTOCOL));
    let mut bytes = Vec::new();
    write_response(&mut bytes, &response).map_err(io::Error::other)?;
    Ok(bytes)
}

fn offers_mqtt(request: &Request) -> bool {
    let offers = request.headers().get_all(SUBPROTOCOL_HEADER).iter().filter_map(|offers| offers.to_str().ok());
    offers.flat_map(|offers| offers.split(',')).any(|offer| offer.trim() == SUBPROTOCOL)
}

/// Sends the reason of the refusal as text, for a person with a browser or a wrong port.
async fn refuse(stream: &mut dyn Transport, error: &UpgradeError) {
    let status = match error {
        UpgradeError::Io(_) => return,
        UpgradeError::TooLong => "431 Request Header Fields Too Large",
        UpgradeError::NoRequest(_) => "426 Upgrade Required\r\nUpgrade: websocket",
        UpgradeError::NoSubprotocol => "400 Bad Request",
    };
    let text = format!("This port speaks MQTT over WebSocket. {error}\n");
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    // the client may be gone
    let _ = stream.write_all((head + &text).as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(protocols: &str, expected: bool) {
        let text = format!(
            "GET /any/path?x=1 HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocols}\r\n"
        );
        let (length, request) = Request::try_parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(length, text.len());
        let response = accept(&request).map(|bytes| String::from_utf8(bytes).unwrap().to_lowercase());
        assert_eq!(
            response.is_ok_and(|text| text.contains("sec-websocket-protocol: mqtt\r\n")),
            expected,
            "{protocols}"
        );
    }

    #[test]
    fn mqtt_is_chosen_among_the_offered_subprotocols() {
        check("Sec-WebSocket-Protocol: mqtt\r\n", true);
        check("Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n", true);
        check("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: mqtt\r\n", true);
        check("Sec-WebSocket-Protocol: mqttv3.1\r\n", false);
        check("", false);
    }
}
