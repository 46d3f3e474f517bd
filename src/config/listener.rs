//! `[[broker.listener]]`: where the embedded broker listens.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use config::ValueKind;

use super::section::{Read, Section, index_path, key_path};
use super::storage::check_socket_path;
use super::tls;
use super::value::{boolean, choice, path, shown, text};
use crate::server::{ListenerAddress, ListenerOptions, Protocol, Tls};

/// `protocol`: what is spoken, and over which kind of socket.
#[derive(Clone, Copy)]
enum Kind {
    Tcp(Protocol),
    Unix,
}

const KINDS: [(&str, Kind); 3] =
    [("mqtt", Kind::Tcp(Protocol::Mqtt)), ("websocket", Kind::Tcp(Protocol::WebSocket)), ("unix", Kind::Unix)];

/// Reads the list; at least one listener, and no two on one address.
pub(super) fn read(broker: &mut Section<'_>, has_passwords: bool) -> Read<Vec<ListenerOptions>> {
    let listeners = broker.sections("listener", |section| read_one(section, has_passwords))?;
    if listeners.is_empty() {
        broker.problem("listener", "is empty, at least one [[broker.listener]] is expected".into());
    }
    for (index, listener) in listeners.iter().enumerate() {
        if is_bound_earlier(listener, listeners.get(..index).unwrap_or_default()) {
            let address = key_path(&index_path(&broker.path("listener"), index), "address");
            broker.notes().problem(&address, "is the address of an earlier listener; each needs its own".into());
        }
    }
    Ok(listeners)
}

/// Port 0 stands for any free one, so two of them do not meet.
fn is_bound_earlier(listener: &ListenerOptions, earlier: &[ListenerOptions]) -> bool {
    let is_any_port = matches!(listener.address, ListenerAddress::Tcp(address) if address.port() == 0);
    !is_any_port && earlier.iter().any(|earlier| earlier.address == listener.address)
}

fn read_one(section: &mut Section<'_>, has_passwords: bool) -> Read<ListenerOptions> {
    let kind = section.optional("protocol", choice(&KINDS)).map(|kind| kind.unwrap_or(Kind::Tcp(Protocol::Mqtt)));
    let tls = section.optional_section("tls", tls::read);
    // a section with problems may have named authorities all the same
    let asks_certificates = tls.as_ref().map_or(true, |tls| tls.as_ref().is_some_and(Tls::asks_certificate));
    let proof = Proof { has_passwords, asks_certificates };
    let anonymous = section.optional("allow_anonymous", |kind| anonymous(kind, proof));
    let address = match kind {
        Ok(Kind::Tcp(_)) => section.required("address", tcp).map(ListenerAddress::Tcp),
        Ok(Kind::Unix) => section.required("address", unix).map(ListenerAddress::Unix),
        // asked for all the same, so that it is no unknown key
        Err(noted) => section.required("address", text).and(Err(noted)),
    };
    let (anonymous, address, tls) = (anonymous?, address?, tls?);
    let protocol = match kind? {
        Kind::Tcp(protocol) => protocol,
        Kind::Unix if tls.is_some() => {
            return Err(section.problem("tls", "has no use on a Unix socket, which no network carries".into()));
        }
        Kind::Unix => Protocol::Mqtt,
    };
    if !proof.is_asked() && anonymous != Some(true) {
        check_is_private(section, &address)?;
    }
    Ok(ListenerOptions { address, allow_anonymous: anonymous.unwrap_or(!proof.is_asked()), protocol, tls })
}

/// How clients can show who they are.
#[derive(Clone, Copy)]
struct Proof {
    has_passwords: bool,
    asks_certificates: bool,
}

impl Proof {
    fn is_asked(self) -> bool {
        self.has_passwords || self.asks_certificates
    }
}

fn anonymous(kind: &ValueKind, proof: Proof) -> Result<bool, String> {
    match boolean(kind)? {
        false if !proof.is_asked() => {
            Err("is false, and there is no broker.password_file: nobody could connect".into())
        }
        true if proof.asks_certificates => {
            Err("is true, and tls.client_ca asks every client for a certificate: leave one of them out".into())
        }
        allowed => Ok(allowed),
    }
}

/// Without passwords nobody beyond this machine is let in by mistake.
fn check_is_private(section: &mut Section<'_>, address: &ListenerAddress) -> Read<()> {
    match address {
        ListenerAddress::Tcp(address) if !address.ip().is_loopback() => {
            let text =
                "is open to other machines, and there is no broker.password_file; name one, or tls.client_ca, bind to";
            let port = address.port();
            let text = format!("{text} 127.0.0.1:{port} or [::1]:{port}, or let everybody in: allow_anonymous = true");
            Err(section.problem("address", text))
        }
        _ => Ok(()),
    }
}

fn tcp(kind: &ValueKind) -> Result<SocketAddr, String> {
    let typed = text(kind)?;
    typed.parse::<SocketAddr>().map_err(|_| no_address(&typed))
}

/// Why `typed` is no address and port.
fn no_address(typed: &str) -> String {
    let (host, port) = typed.rsplit_once(':').unwrap_or((typed, ""));
    let is_ip = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if is_ip && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("has the port {}, a port from 0 to 65535 is expected", shown(port));
    }
    format!("is {}, an IP address and a port are expected: \"127.0.0.1:1883\" or \"[::1]:1883\"", shown(typed))
}

fn unix(kind: &ValueKind) -> Result<PathBuf, String> {
    let socket = path(kind)?;
    if socket.is_relative() {
        return Err(format!("is {}, an absolute path is expected", shown(&socket.to_string_lossy())));
    }
    check_socket_path(&socket)?;
    Ok(socket)
}
