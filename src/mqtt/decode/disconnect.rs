//! DISCONNECT (section 3.14) and AUTH (version 5, section 3.15).

use super::super::packet::{Auth, Disconnect};
use super::cursor::Cursor;
use super::error::DecodeError;
use super::properties::properties_if_any;

pub(super) fn disconnect(mut body: Cursor<'_>) -> Result<Disconnect, DecodeError> {
    let reason = body.reason_or_success()?;
    let properties = properties_if_any(&mut body)?;
    body.finish()?;
    Ok(Disconnect { reason, properties })
}

pub(super) fn auth(mut body: Cursor<'_>) -> Result<Auth, DecodeError> {
    let reason = body.reason_or_success()?;
    let properties = properties_if_any(&mut body)?;
    body.finish()?;
    Ok(Auth { reason, properties })
}
