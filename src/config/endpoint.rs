//! What leads to a broker elsewhere: its address, and the names and files that the gateway is known by there.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::ValueKind;

use super::value::{describe, duration, path, shown, text};
use crate::base::secret::Secret;
use crate::broker::RESERVED_CLIENT_ID_PREFIX;

/// The longest is what two bytes of seconds hold (section 3.1.2.10), the shortest spares a slow link.
const KEEP_ALIVE: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(18 * 3600);

/// A user name and a password carry their length in two bytes (sections 3.1.3.4 and 3.1.3.5).
const STRING_BYTES_MAX: usize = 65_535;

/// What is read of a file that a key names; certificates of a whole system are a fifth of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
}

/// A user name.
pub(super) fn username(kind: &ValueKind) -> Result<String, String> {
    at_most(text(kind)?, STRING_BYTES_MAX)
}

fn at_most(text: String, bytes_max: usize) -> Result<String, String> {
    match text.len() {
        length if length <= bytes_max => Ok(text),
        longer => Err(format!("is {longer} bytes long, at most {bytes_max} are allowed")),
    }
}

/// The password in a file, without the newline that editors end files with.
pub(super) fn password(kind: &ValueKind) -> Result<Secret, String> {
    let file = path(kind)?;
    let content = read_start(&file).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    let content = content.map_err(|error| unreadable(kind, &error))?;
    let line = content.strip_suffix('\n').unwrap_or(&content);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line.len() {
        0 => Err(format!("names {}, which is empty", shown(&file.to_string_lossy()))),
        1..=STRING_BYTES_MAX => Ok(Secret::new(line)),
        longer => Err(format!("names a file of {longer} bytes, a password has {STRING_BYTES_MAX} at most")),
    }
}

/// A file that holds at least one certificate.
pub(super) fn ca_file(kind: &ValueKind) -> Result<PathBuf, String> {
    let file = path(kind)?;
    let content = read_start(&file).map_err(|error| unreadable(kind, &error))?;
    let marker = b"-----BEGIN CERTIFICATE-----";
    if content.windows(marker.len()).any(|window| window == marker) {
        return Ok(file);
    }
    Err(format!("names {}, which holds no PEM certificate", shown(&file.to_string_lossy())))
}

/// In whole seconds, as CONNECT carries it.
pub(super) fn keep_alive(kind: &ValueKind) -> Result<Duration, String> {
    let keep_alive = duration(KEEP_ALIVE)(kind)?;
    match keep_alive.subsec_nanos() {
        0 => Ok(keep_alive),
        _ => Err(format!("is {}, whole seconds are expected", describe(kind))),
    }
}

/// The first bytes of a file, so that a device that never ends does no harm.
pub(super) fn read_start(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why the file that `kind` names cannot be read.
pub(super) fn unreadable(kind: &ValueKind, error: &io::Error) -> String {
    format!("names {}, which cannot be read: {error}", describe(kind))
}

/// A client identifier that is not the house's own.
pub(super) fn client_id(kind: &ValueKind) -> Result<String, String> {
    let id = at_most(text(kind)?, STRING_BYTES_MAX)?;
    if id.starts_with(RESERVED_CLIENT_ID_PREFIX) {
        return Err(format!("begins with {RESERVED_CLIENT_ID_PREFIX}, which every sensegate keeps for itself"));
    }
    if id.contains('\0') { Err("contains the NUL character [MQTT-1.5.3-2]".into()) } else { Ok(id) }
}

/// `mqtt://HOST:PORT` or `mqtts://HOST:PORT`. What is wrong is told without what was typed: somebody may have put a
/// password into it.
pub(super) fn url(kind: &ValueKind) -> Result<Url, String> {
    let typed = text(kind)?;
    let expected = "mqtt://HOST:PORT or mqtts://HOST:PORT is expected";
    let (scheme, rest) = typed.split_once("://").ok_or(format!("has no scheme, {expected}"))?;
    let (is_tls, default_port) = match scheme {
        "mqtt" => (false, 1883),
        "mqtts" => (true, 8883),
        _ => return Err(format!("has the scheme {}, {expected}", shown(scheme))),
    };
    if rest.contains('@') {
        return Err("holds a user name, `username` and `password_file` are expected instead".into());
    }
    let (host, port) = split_host(rest.strip_suffix('/').unwrap_or(rest)).ok_or(format!("has no host, {expected}"))?;
    let port = port.map_or(Some(default_port), parse_port).ok_or("has no port from 1 to 65535 behind its host")?;
    Ok(Url { host: host.to_owned(), port, is_tls })
}

/// `host`, `host:port`, `[address]` or `[address]:port`; the host without its brackets.
fn split_host(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some((address, behind)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        address.parse::<Ipv6Addr>().ok()?;
        let port = behind.strip_prefix(':');
        return (behind.is_empty() || port.is_some()).then_some((address, port));
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (!host.is_empty() && host.bytes().all(is_name)).then_some((host, port))
}

fn parse_port(port: &str) -> Option<u16> {
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| is_number && *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(typed: &str) -> Result<Url, String> {
        url(&ValueKind::String(typed.into()))
    }

    #[test]
    fn urls_name_host_port_and_tls() {
        for (typed, host, port, is_tls) in [
            ("mqtt://broker", "broker", 1883, false),
            ("mqtts://broker.example", "broker.example", 8883, true),
            ("mqtts://10.0.0.1:883/", "10.0.0.1", 883, true),
            ("mqtt://[::1]", "::1", 1883, false),
            ("mqtt://[fe80::1]:1884", "fe80::1", 1884, false),
        ] {
            assert_eq!(parse(typed), Ok(Url { host: host.into(), port, is_tls }), "{typed}");
        }
    }

    #[test]
    fn urls_without_host_scheme_or_port_are_refused_and_never_repeat_a_password() {
        for typed in [
            "broker:1883",
            "http://broker",
            "mqtt://",
            "mqtt://:1883",
            "mqtt://broker:",
            "mqtt://broker:0",
            "mqtt://broker:65536",
            "mqtt://broker:+1",
            "mqtt://broker/path",
            "mqtt://[::1",
            "mqtt://[x]:1",
            "mqtt://[::1]1883",
            "mqtt://a b",
            "",
        ] {
            assert!(parse(typed).is_err(), "{typed}");
        }
        assert!(!parse("mqtt://joe:hunter2@broker").unwrap_err().contains("hunter2"));
        assert!(!parse("mqtt://joe:hunter2").unwrap_err().contains("hunter2"));
    }
}
