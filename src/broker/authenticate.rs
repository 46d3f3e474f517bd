//! Who a client is, as the world outside found out, and what that allows.

use super::RESERVED_CLIENT_ID_PREFIX;
use super::connection::{Login, Origin, Verified};
use super::handle;
use super::machine::{Broker, WillFate};
use super::output::{CloseReason, ConnectionId, Output};
use super::session::{Session, SessionKey};
use crate::access::Rights;
use crate::base::clock::Monotonic;
use crate::mqtt::{ConnectReturnCode, ReasonCode};

/// The broker's own topics, which nobody may write to.
const SYSTEM: &str = "$SYS";

/// Returns whether a topic is one of the broker's own.
pub(super) fn is_system_topic(topic: &str) -> bool {
    topic.strip_prefix(SYSTEM).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer to `RequestAuthenticate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The client may come in.
    Accepted {
        /// Its verified name; `None` for an anonymous client.
        user: Option<Box<str>>,
        /// What it may do.
        rights: Rights,
    },
    /// It may not, and CONNACK says why.
    Refused(ConnectReturnCode),
}

/// What becomes of a client when passwords or rights have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It stays, with these rights.
    Stays(Rights),
    /// It has to log in again: its connection ends, its session is kept with these rights.
    Unproven(Rights),
    /// Its user is gone and has no rights any more: connection and session end without a will, so that nobody who is
    /// given the name later inherits them.
    Gone,
}

/// What ends for a client that cannot stay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expulsion {
    Connection,
    Session,
}

impl Broker {
    /// Who the client of `connection` is. One whose connection has ended meanwhile is passed over.
    pub fn handle_verdict(&mut self, connection: ConnectionId, verdict: Verdict, now: Monotonic) {
        self.now = now;
        let Some(record) = self.connections.get_mut(connection) else { return };
        let Some(Login::Verifying(connect)) = record.login.take_if(|login| matches!(login, Login::Verifying(_))) else {
            return;
        };
        match verdict {
            Verdict::Accepted { user, rights } => {
                handle::admit(self, connection, Verified { connect: *connect, user, rights });
            }
            Verdict::Refused(code) => handle::refuse(self, connection, code.into()),
        }
    }

    /// Passwords or rights have changed: asks `judge` about the user name and client identifier of every session,
    /// connected or not, but for the house's own. Subscriptions stay as they are; what may not be read any more does
    /// not come.
    pub fn handle_access(&mut self, mut judge: impl FnMut(Option<&str>, &str) -> Standing, now: Monotonic) {
        self.now = now;
        let mut expelled = Vec::new();
        let keys: Vec<SessionKey> = self.sessions.keys().collect();
        for key in keys {
            let Some(session) = self.sessions.get(key).filter(|session| !self.is_of_the_house(session)) else {
                continue;
            };
            let (rights, expulsion) = match judge(session.user.as_deref(), session.client_id.as_str()) {
                Standing::Stays(rights) => (rights, None),
                Standing::Unproven(rights) => (rights, Some(Expulsion::Connection)),
                Standing::Gone => (Rights::nothing(), Some(Expulsion::Session)),
            };
            self.set_rights(key, rights);
            expelled.extend(expulsion.map(|expulsion| (key, expulsion)));
        }
        // wills are published and messages given to other members under the rights of today
        for (key, expulsion) in expelled {
            self.expel(key);
            if expulsion == Expulsion::Session {
                self.remove_session(key);
            }
        }
        self.judge_waiting(&mut judge);
    }

    fn set_rights(&mut self, key: SessionKey, rights: Rights) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.rights = rights;
        }
    }

    /// Applies new passwords and rights to clients whose CONNECT waits for the end of an earlier session.
    fn judge_waiting(&mut self, judge: &mut dyn FnMut(Option<&str>, &str) -> Standing) {
        for connection in self.connections_waiting_for_session_end() {
            let Some(record) = self.connections.get_mut(connection).filter(|record| !record.is_internal()) else {
                continue;
            };
            let Some(Login::Waiting(verified)) = &mut record.login else { continue };
            match judge(verified.user.as_deref(), verified.connect.client_id.as_str()) {
                Standing::Stays(rights) => verified.rights = rights,
                Standing::Unproven(_) | Standing::Gone => {
                    handle::refuse(self, connection, ReasonCode::NotAuthorized);
                }
            }
        }
    }

    pub(super) fn is_of_the_house(&self, session: &Session) -> bool {
        let connection = session.connection.and_then(|connection| self.connections.get(connection));
        let is_connected = connection.is_some_and(|record| record.origin == Origin::House);
        is_connected || session.client_id.as_str().starts_with(RESERVED_CLIENT_ID_PREFIX)
    }

    fn expel(&mut self, key: SessionKey) {
        if let Some(connection) = self.sessions.get(key).and_then(|session| session.connection) {
            self.end(connection, CloseReason::Expelled, WillFate::Publish);
        }
    }

    /// Whether the client may write to `topic`; tells when it may not.
    pub(super) fn may_write(&mut self, key: SessionKey, topic: &str) -> bool {
        let Some(session) = self.sessions.get(key) else { return false };
        if !is_system_topic(topic) && session.rights.may_write(topic) {
            return true;
        }
        let client_id = session.client_id.clone();
        self.outputs.push_back(Output::NotifyDenied { client_id, topic: topic.into() });
        false
    }
}
