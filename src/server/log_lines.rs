//! The log lines about clients: what each of them says, which key decides it, and what to do about it.
//!
//! Every line that clients can cause is written here, through the [`LogLimiter`].

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use tracing::field::display;
use tracing::{Level, event};

use super::log_limiter::{Decision, LogLimiter, Summary};
use crate::base::clock::Monotonic;
use crate::broker::{CloseReason, NotRetained};
use crate::mqtt::{DecodeError, ReasonCode, TopicError, disallowed_code_point};

/// Longest text of a client, in characters, that a line contains; the rest is left out.
const CHARACTERS_MAX: usize = 100;

/// A kind of line. Each has its own limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A client was accepted.
    Connected,
    /// A connection ended in the ordinary way.
    Closed,
    /// A connection was closed at once, because there are too many.
    TooManyConnections,
    /// A connection ended before its CONNECT: in the handshakes of TLS and WebSocket, or because none came.
    NoLogin,
    /// A CONNECT was refused because there are too many sessions.
    SessionLimit,
    /// A CONNECT was refused for another reason.
    LoginRefused,
    /// A connection ended because its client broke the protocol.
    ProtocolError,
    /// A message was refused because its client may not publish it.
    PublishDenied,
    /// A subscription was refused because a limit is reached.
    SubscriptionLimit,
    /// A subscription was refused because its client may not read anything under it.
    SubscriptionDenied,
    /// A queued message was dropped.
    MessageDropped,
    /// Messages of QoS 0 are dropped because their receiver does not read.
    SlowClient,
    /// A retained message was not stored.
    RetainedRefused,
    /// A stored retained message has a topic that is refused today.
    RetainedNotSent,
}

impl Kind {
    const fn message(self) -> &'static str {
        match self {
            Self::Connected => "client connected",
            Self::Closed | Self::ProtocolError => "connection closed",
            Self::TooManyConnections => "connection refused",
            Self::NoLogin => "connection closed before its login",
            Self::SessionLimit | Self::LoginRefused => "login refused",
            Self::PublishDenied => "message refused",
            Self::SubscriptionLimit | Self::SubscriptionDenied => "subscription refused",
            Self::MessageDropped => "queued message dropped",
            Self::SlowClient => "messages of QoS 0 are dropped",
            Self::RetainedRefused => "retained message not stored",
            Self::RetainedNotSent => "retained message not sent to subscribers",
        }
    }

    const fn is_warning(self) -> bool {
        !matches!(self, Self::Connected | Self::Closed)
    }
}

/// Who a line is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// The client identifier; empty before CONNECT.
    pub(super) client: &'a str,
    /// The remote address; `None` on a Unix socket, and for a session without a connection.
    pub(super) address: Option<IpAddr>,
}

/// What a line says. Fields that do not apply are left out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) kind: Kind,
    /// Topic or topic filter that the line is about.
    pub(super) topic: Option<&'a str>,
    /// Why it happened.
    pub(super) reason: Option<Cow<'a, str>>,
    /// The key of the configuration that decides it.
    pub(super) key: Option<&'static str>,
    /// What the operator can do.
    pub(super) remedy: Option<Cow<'a, str>>,
    /// Whether the client found its session.
    pub(super) session_present: Option<bool>,
    /// Messages of QoS 0 that were dropped on this connection.
    pub(super) left_out: Option<u64>,
}

impl<'a> Line<'a> {
    const fn new(kind: Kind) -> Self {
        Self { kind, topic: None, reason: None, key: None, remedy: None, session_present: None, left_out: None }
    }

    fn because(mut self, reason: impl Into<Cow<'a, str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    fn on(mut self, topic: &'a str) -> Self {
        self.topic = Some(topic);
        self
    }

    fn decided_by(mut self, key: &'static str, remedy: &'static str) -> Self {
        (self.key, self.remedy) = (Some(key), Some(remedy.into()));
        self
    }
}

/// A client was accepted.
pub(super) fn connected(session_present: bool) -> Line<'static> {
    Line { session_present: Some(session_present), ..Line::new(Kind::Connected) }
}

/// The client closed its connection without a DISCONNECT, and `left_out` messages of QoS 0 were dropped on it.
pub(super) fn gone(left_out: u64) -> Line<'static> {
    let line = Line { left_out: (left_out > 0).then_some(left_out), ..Line::new(Kind::Closed) };
    line.because("the client closed it without DISCONNECT")
}

/// The broker closed a connection. `left_out` messages of QoS 0 were dropped on it.
pub(super) fn closed(reason: &CloseReason, left_out: u64) -> Line<'static> {
    let kind = match reason {
        CloseReason::TooManySessions => Kind::SessionLimit,
        _ if reason.refusal().is_some() => Kind::LoginRefused,
        CloseReason::ConnectTimeout => Kind::NoLogin,
        _ if reason.is_peers_fault() => Kind::ProtocolError,
        _ => Kind::Closed,
    };
    let line = Line { left_out: (left_out > 0).then_some(left_out), ..Line::new(kind) }.because(reason.to_string());
    match remedy(reason) {
        Some((key, remedy)) => Line { key, remedy: Some(remedy.into()), ..line },
        None => line,
    }
}

/// Returns the key that decides why a connection was closed, and what to do about it.
fn remedy(reason: &CloseReason) -> Option<(Option<&'static str>, &'static str)> {
    Some(match reason {
        CloseReason::ConnectTimeout => (
            Some("broker.limits.connect_timeout"),
            "if the client is slow, raise the key; a port scan or a health check needs nothing",
        ),
        CloseReason::Expelled => (Some("broker.password_file"), "connect again with the new password"),
        CloseReason::TooManySessions => (
            Some("broker.limits.sessions"),
            "raise the key, lower broker.limits.session_idle or session_expiry, or connect with a clean session",
        ),
        CloseReason::SessionOfAnotherUser => {
            (None, "use another client identifier, or let the other user end the session by a clean one")
        }
        CloseReason::Refused(code) => return remedy_of_refusal(*code),
        CloseReason::Violation { code, .. } => return remedy_of_violation(*code),
        CloseReason::Malformed(DecodeError::TooLarge { packet: "CONNECT", .. }) => {
            (Some("broker.limits.login_size"), "raise the key, or make the client's will and properties smaller")
        }
        CloseReason::Malformed(DecodeError::TooLarge { .. }) => {
            (Some("broker.limits.packet_size"), "raise the key, or split the message")
        }
        CloseReason::Malformed(
            DecodeError::DisallowedCodePoint { .. }
            | DecodeError::Topic { error: TopicError::DisallowedCodePoint(_), .. },
        ) => (None, "correct the text in the client: brokers refuse control characters"),
        _ => return None,
    })
}

fn remedy_of_refusal(code: ReasonCode) -> Option<(Option<&'static str>, &'static str)> {
    Some(match code {
        ReasonCode::NotAuthorized | ReasonCode::BadUserNameOrPassword => (
            Some("broker.password_file"),
            "check the client's user name and password; `sensegate passwd` sets one, and allow_anonymous of a listener \
             admits clients without",
        ),
        ReasonCode::ClientIdentifierNotValid => (
            None,
            "use another client identifier: this one begins with sensegate/, is empty, or has a control character",
        ),
        ReasonCode::TopicNameInvalid => {
            (Some("broker.limits.topic_levels"), "raise the key, or shorten the will's topic")
        }
        ReasonCode::QuotaExceeded => (Some("storage.directory"), "make room on this directory's disk"),
        _ => return None,
    })
}

fn remedy_of_violation(code: ReasonCode) -> Option<(Option<&'static str>, &'static str)> {
    Some(match code {
        ReasonCode::TopicNameInvalid => (Some("broker.limits.topic_levels"), "raise the key, or shorten the topic"),
        ReasonCode::TopicAliasInvalid => (Some("broker.limits.topic_aliases"), "raise the key, or correct the client"),
        ReasonCode::ReceiveMaximumExceeded => {
            (Some("broker.limits.receive_maximum"), "raise the key, or correct the client")
        }
        _ => return None,
    })
}

/// The broker has as many connections as it may.
pub(super) fn too_many_connections() -> Line<'static> {
    Line::new(Kind::TooManyConnections)
        .because("the broker has as many connections as it may")
        .decided_by("broker.limits.connections", "raise the key, or close connections")
}

/// A network has as many connections as it may.
pub(super) fn too_many_connections_of_address() -> Line<'static> {
    Line::new(Kind::TooManyConnections)
        .because("this address, or its IPv6 /64, has as many connections as it may")
        .decided_by("broker.limits.connections_per_address", "raise the key, or find out which client opens so many")
}

/// A connection ended during a handshake, or because its TLS or WebSocket was broken.
pub(super) fn broken(kind: Kind, reason: &str) -> Line<'_> {
    Line::new(kind).because(reason)
}

/// A client may not publish to `topic`.
pub(super) fn publish_denied(topic: &str) -> Line<'_> {
    Line::new(Kind::PublishDenied)
        .because("its client may not write to this topic")
        .on(topic)
        .decided_by("broker.acl_file", "add a line `topic write TOPIC` for the user")
}

/// A subscription to `filter` was refused with this code.
pub(super) fn subscription_refused(filter: &str, code: ReasonCode) -> Line<'_> {
    let limit = Line::new(Kind::SubscriptionLimit).on(filter);
    match code {
        ReasonCode::QuotaExceeded => limit
            .because("its session has as many subscriptions as it may")
            .decided_by("broker.limits.subscriptions", "raise the key, or subscribe with wildcards"),
        ReasonCode::NotAuthorized => Line::new(Kind::SubscriptionDenied)
            .because("its client may not read anything under this filter")
            .on(filter)
            .decided_by("broker.acl_file", "add a line `topic read FILTER` for the user"),
        _ => limit
            .because("the filter has too many levels, or is no shared subscription")
            .decided_by("broker.limits.topic_levels", "raise the key, or correct the filter"),
    }
}

/// A session's queue was full, and a message was dropped.
pub(super) fn message_dropped() -> Line<'static> {
    Line::new(Kind::MessageDropped)
        .because("the queue of the session is full")
        .decided_by("broker.limits.queue_messages", "raise the key or queue_size, or let the client connect more often")
}

/// A client does not read as fast as messages are published.
pub(super) fn slow_client() -> Line<'static> {
    Line::new(Kind::SlowClient)
        .because("the client does not read as fast as messages come")
        .decided_by("broker.limits.send_buffer", "raise the key, subscribe to less, or subscribe with QoS 1")
}

/// A message could not be retained.
pub(super) fn not_retained(topic: &str, outcome: NotRetained) -> Line<'_> {
    let reason = match outcome {
        NotRetained::Refused => {
            "the retained messages of its user have no more room: it was refused, and the earlier one stays"
        }
        NotRetained::Delivered => {
            "the retained messages of its user have no more room: it was delivered, and the topic's earlier one is cleared"
        }
    };
    Line::new(Kind::RetainedRefused).because(reason).on(topic).decided_by(
        "broker.limits.retained_size",
        "raise the key or retained_messages, or clear topics of this user with empty retained messages",
    )
}

/// The topic of a stored retained message has a control character, which clients refuse.
pub(super) fn retained_not_sent(topic: &str) -> Line<'_> {
    let remedy = format!("clear it: sensegate pub -r -n -t {}", ShellWord(topic));
    Line { remedy: Some(remedy.into()), ..Line::new(Kind::RetainedNotSent) }
        .because("its topic has a control character or non-character, which clients refuse")
        .on(topic)
}

/// Writes lines, each within the limit of its kind and source.
#[derive(Debug, Default)]
pub(super) struct Log {
    limiter: LogLimiter,
}

impl Log {
    /// Writes or counts `line`.
    pub(super) fn write(&mut self, line: &Line<'_>, subject: Subject<'_>, now: Monotonic) {
        // lines about no client, for example of a stored message, are told apart by their topics
        let who = if subject.client.is_empty() { line.topic.unwrap_or_default() } else { subject.client };
        let note = match self.limiter.decide(line.kind, subject.address, who, now) {
            Decision::Show => None,
            Decision::ShowLast => Some("further lines of this kind are counted and not shown, for a minute at most"),
            Decision::Count => return,
        };
        let (kind, key) = (line.kind, line.key.map(display));
        let client = display(Shown(if subject.client.is_empty() { "-" } else { subject.client }));
        let (address, topic) = (subject.address.map(display), line.topic.map(Shown).map(display));
        let Line { session_present, left_out, .. } = *line;
        let (reason, remedy) = (line.reason.as_deref(), line.remedy.as_deref());
        // the level of an event is a constant
        if kind.is_warning() {
            event!(Level::WARN, client, address, topic, reason, key, remedy, left_out, note, "{}", kind.message());
        } else {
            event!(
                Level::INFO,
                client,
                address,
                session_present,
                reason,
                key,
                remedy,
                left_out,
                note,
                "{}",
                kind.message()
            );
        }
    }

    /// Writes how many lines were not shown in the periods that have ended.
    pub(super) fn summarise(&mut self, now: Monotonic) {
        while let Some(Summary { kind, lines }) = self.limiter.poll_summary(now) {
            let message = kind.message();
            if kind.is_warning() {
                event!(Level::WARN, lines, "{lines} more lines \"{message}\" were not shown");
            } else {
                event!(Level::INFO, lines, "{lines} more lines \"{message}\" were not shown");
            }
        }
    }

    /// Returns when [`Log::summarise`] has something to write.
    pub(super) const fn next_deadline(&self) -> Option<Monotonic> {
        self.limiter.next_deadline()
    }
}

/// A client's text on one line: cut, and with control characters escaped.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(CHARACTERS_MAX) {
            if is_printed(character) { write!(f, "{character}")? } else { write!(f, "{}", character.escape_default())? }
        }
        if characters.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

fn is_printed(character: char) -> bool {
    character != '\0' && disallowed_code_point(character.encode_utf8(&mut [0; 4])).is_none()
}

/// A text as one word of bash, in `$'…'`, whose escapes stand for control characters.
struct ShellWord<'a>(&'a str);

impl fmt::Display for ShellWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$'")?;
        for character in self.0.chars() {
            match character {
                '\'' | '\\' => write!(f, "\\{character}")?,
                _ if is_printed(character) => write!(f, "{character}")?,
                // as bytes: an escape \u depends on the locale
                _ => character.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?,
            }
        }
        f.write_str("'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_closed(reason: &CloseReason, kind: Kind, key: Option<&str>) {
        let line = closed(reason, 0);
        assert_eq!((line.kind, line.key), (kind, key), "{reason}");
        assert!(key.is_none() || line.remedy.is_some(), "{reason} has a key and no remedy");
        assert_eq!(line.reason.as_deref(), Some(reason.to_string().as_str()));
    }

    #[test]
    fn connection_that_a_limit_ends_names_the_key() {
        let too_large = |packet| CloseReason::Malformed(DecodeError::TooLarge { packet, length: 2, max: 1 });
        let violation = |code| CloseReason::Violation { code, what: "x", clause: "y" };
        for (reason, kind, key) in [
            (CloseReason::ConnectTimeout, Kind::NoLogin, Some("broker.limits.connect_timeout")),
            (CloseReason::Refused(ReasonCode::NotAuthorized), Kind::LoginRefused, Some("broker.password_file")),
            (CloseReason::TooManySessions, Kind::SessionLimit, Some("broker.limits.sessions")),
            (CloseReason::SessionOfAnotherUser, Kind::LoginRefused, None),
            (CloseReason::Refused(ReasonCode::ClientIdentifierNotValid), Kind::LoginRefused, None),
            (too_large("CONNECT"), Kind::ProtocolError, Some("broker.limits.login_size")),
            (too_large("PUBLISH"), Kind::ProtocolError, Some("broker.limits.packet_size")),
            (violation(ReasonCode::TopicNameInvalid), Kind::ProtocolError, Some("broker.limits.topic_levels")),
            (violation(ReasonCode::ProtocolError), Kind::ProtocolError, None),
            (CloseReason::KeepAlive, Kind::Closed, None),
            (CloseReason::Disconnected, Kind::Closed, None),
        ] {
            check_closed(&reason, kind, key);
        }
    }

    #[test]
    fn every_line_about_a_loss_or_a_refusal_has_a_reason_a_key_and_a_remedy() {
        for line in [
            too_many_connections(),
            too_many_connections_of_address(),
            publish_denied("a"),
            subscription_refused("a", ReasonCode::QuotaExceeded),
            subscription_refused("a", ReasonCode::NotAuthorized),
            subscription_refused("a", ReasonCode::TopicFilterInvalid),
            message_dropped(),
            slow_client(),
            not_retained("a", NotRetained::Refused),
            not_retained("a", NotRetained::Delivered),
        ] {
            assert!(line.kind.is_warning(), "{line:?}");
            assert!(line.reason.is_some() && line.remedy.is_some(), "{line:?}");
            let key = line.key.unwrap();
            assert!(key.starts_with("broker."), "{key}");
        }
    }

    #[test]
    fn every_key_that_a_line_names_is_in_the_shipped_file() {
        let file = include_str!("../../config/sensegate.toml");
        let source = include_str!("log_lines.rs");
        let texts = source.split('"').filter(|text| text.starts_with("broker.") || text.starts_with("storage."));
        let keys: Vec<_> =
            texts.filter(|text| !text.contains(' ')).filter_map(|text| text.rsplit('.').next()).collect();
        assert!(keys.len() > 10, "{keys:?}");
        for key in keys.into_iter().filter(|key| !key.is_empty()) {
            let is_there = file.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
            assert!(is_there, "{key}");
        }
    }

    #[test]
    fn command_that_clears_a_topic_can_be_pasted_into_a_shell() {
        let topic = "it's/\u{1}\u{7f}\u{80}é\\";
        let line = retained_not_sent(topic);
        let command = line.remedy.unwrap();
        let word = command.strip_prefix("clear it: sensegate pub -r -n -t ").unwrap();
        assert_eq!(word, "$'it\\'s/\\x01\\x7f\\xc2\\x80é\\\\'");
        let printed = std::process::Command::new("bash").args(["-c", &format!("printf %s {word}")]).output();
        // where there is no bash, the word above is the test
        assert!(printed.map_or(true, |output| output.stdout == topic.as_bytes()));
    }

    #[test]
    fn text_of_a_client_is_cut_and_has_no_control_characters() {
        assert_eq!(Shown("a\nb\u{1b}[0m é").to_string(), "a\\nb\\u{1b}[0m é");
        assert_eq!(Shown(&"x".repeat(101)).to_string(), format!("{}…", "x".repeat(100)));
        assert_eq!(Shown(&"x".repeat(100)).to_string(), "x".repeat(100));
    }
}
