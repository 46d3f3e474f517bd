//! DISCONNECT (section 3.14) and AUTH (version 5, section 3.15).

use super::super::packet::{Auth, Disconnect};
use super::super::properties::Properties;
use super::super::reason::ReasonCode;
use super::cursor::Cursor;
use super::error::DecodeError;
use super::properties::{properties, properties_if_any};

pub(super) fn disconnect(mut body: Cursor<'_>) -> Result<Disconnect, DecodeError> {
    let reason = body.reason_or_success()?;
    let properties = properties_if_any(&mut body)?;
    body.finish()?;
    Ok(Disconnect { reason, properties })
}

/// Reason and properties are there, or neither is: unlike a DISCONNECT's, its properties never end with the packet
/// before their length (sections 3.15.2.1 and 3.15.2.2.1).
pub(super) fn auth(mut body: Cursor<'_>) -> Result<Auth, DecodeError> {
    if body.is_empty() {
        return Ok(Auth { reason: ReasonCode::Success, properties: Properties::NONE });
    }
    let reason = body.reason()?;
    let properties = properties(&mut body)?;
    body.finish()?;
    Ok(Auth { reason, properties })
}
