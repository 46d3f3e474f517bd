//! Who is let in: logins are verified one after the other on a thread of their own, so that nobody's traffic waits for
//! a hash.

use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::info;

use super::hub::{Hub, Shared};
use super::peers::Peer;
use super::{ListenerOptions, Tls};
use crate::access::{self, Acl, Passwords};
use crate::base::clock;
use crate::broker::{ConnectionId, Origin, Standing, Verdict};
use crate::mqtt::{ClientId, ConnectReturnCode, Password};

/// Logins that may wait for the thread; one more is refused with CONNACK 3.
const LOGINS_MAX: usize = 32;

/// Who may come in and what they may do, as the two files said when they were read last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The users; without a password file every client is anonymous, whatever it calls itself.
    pub passwords: Option<Arc<Passwords>>,
    /// The access control list; without a file everything is allowed.
    pub acl: Arc<Acl>,
}

/// By which door a socket came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// The private socket.
    House,
    /// A listener for everyone.
    Public {
        /// Whether clients without a user name are let in.
        allow_anonymous: bool,
    },
}

impl Door {
    pub(super) fn origin(self) -> Origin {
        match self {
            Self::House => Origin::House,
            Self::Public { .. } => Origin::Public,
        }
    }

    fn allows_anonymous(self) -> bool {
        matches!(self, Self::House | Self::Public { allow_anonymous: true })
    }
}

/// A client that wants to come in.
#[derive(Debug)]
pub(super) struct Login {
    connection: ConnectionId,
    user: Box<str>,
    password: Option<Password>,
    client_id: ClientId,
}

/// What the gate knows.
#[derive(Debug)]
pub(super) struct Gate {
    access: Access,
    waiting: VecDeque<Login>,
    /// Whether any listener takes certificates in place of passwords: then the password file need not know a user.
    takes_certificates: bool,
}

impl Gate {
    pub(super) fn new(access: Access, listeners: &[ListenerOptions]) -> Self {
        let asks = |listener: &ListenerOptions| listener.tls.as_ref().is_some_and(Tls::asks_certificate);
        let takes_certificates = listeners.iter().any(asks);
        Self { access, waiting: VecDeque::new(), takes_certificates }
    }

    fn accepted(&self, user: Option<Box<str>>, client_id: &ClientId) -> Verdict {
        let rights = self.access.acl.rights(user.as_deref(), client_id.as_str());
        Verdict::Accepted { user, rights }
    }

    /// What becomes of a session from before this start. Where certificates are taken, nobody knows who still has one.
    pub(super) fn standing_today(&self, user: Option<&str>, client_id: &str) -> Standing {
        let passwords = self.access.passwords.as_ref();
        match user {
            Some(user) if !self.takes_certificates && !passwords.is_some_and(|known| known.has_user(user)) => {
                Standing::Gone
            }
            user => Standing::Stays(self.access.acl.rights(user, client_id)),
        }
    }

    /// What becomes of a client that is in, now that the files say something else than `earlier`. What is known of
    /// whoever shows a certificate does not stand in them.
    fn standing(&self, earlier: &Access, user: Option<&str>, client_id: &str, is_certified: bool) -> Standing {
        let Some(user) = user.filter(|_| !is_certified) else {
            return Standing::Stays(self.access.acl.rights(user, client_id));
        };
        let Some(passwords) = self.access.passwords.as_ref().filter(|passwords| passwords.has_user(user)) else {
            // a certificate may go on with the name, and keeps its session
            let rights = self.access.acl.rights(Some(user), client_id);
            return if self.takes_certificates { Standing::Unproven(rights) } else { Standing::Gone };
        };
        let rights = self.access.acl.rights(Some(user), client_id);
        match &earlier.passwords {
            Some(earlier) if passwords.agrees_on(user, earlier) => Standing::Stays(rights),
            _ => Standing::Unproven(rights),
        }
    }
}

impl Hub {
    /// Answers at once where there is nothing to verify; tells whether a login waits for the thread now.
    pub(super) fn ask(
        &mut self,
        connection: ConnectionId,
        user_name: Option<String>,
        password: Option<Password>,
        client_id: ClientId,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(connection) else { return false };
        if let Some(user) = peer.stream.user() {
            let verdict = self.gate.accepted(Some(user.into()), &client_id);
            self.broker.handle_verdict(connection, verdict, clock::monotonic());
            return false;
        }
        let verdict = match user_name.filter(|_| self.gate.access.passwords.is_some()) {
            None if peer.door.allows_anonymous() => self.gate.accepted(None, &client_id),
            None => Verdict::Refused(ConnectReturnCode::NotAuthorized),
            Some(_) if self.gate.waiting.len() >= LOGINS_MAX => Verdict::Refused(ConnectReturnCode::ServerUnavailable),
            Some(user) => {
                peer.is_asking = true;
                self.gate.waiting.push_back(Login { connection, user: user.into(), password, client_id });
                return true;
            }
        };
        self.broker.handle_verdict(connection, verdict, clock::monotonic());
        false
    }

    /// The login that has waited longest, with the passwords of now. Those who are gone are passed over.
    fn next_login(&mut self) -> Option<(Login, Arc<Passwords>)> {
        loop {
            let login = self.gate.waiting.pop_front()?;
            let is_there = self.peers.get(login.connection).is_some_and(|peer| !peer.is_closing);
            match &self.gate.access.passwords {
                Some(passwords) if is_there => return Some((login, passwords.clone())),
                None if is_there => {
                    let refused = Verdict::Refused(ConnectReturnCode::NotAuthorized);
                    self.settle_login(login.connection, refused);
                }
                _ => {}
            }
        }
    }

    /// The verdict on a login that `verified` says was right by `passwords`, which may be out of date by now.
    fn judge(&self, login: &Login, verified: access::Verdict, passwords: &Passwords) -> Verdict {
        let now = self.gate.access.passwords.as_ref();
        let still_holds = now.is_some_and(|now| now.agrees_on(&login.user, passwords));
        match verified {
            access::Verdict::Accepted if still_holds => self.gate.accepted(Some(login.user.clone()), &login.client_id),
            _ => Verdict::Refused(ConnectReturnCode::NotAuthorized),
        }
    }

    fn settle_login(&mut self, connection: ConnectionId, verdict: Verdict) {
        self.broker.handle_verdict(connection, verdict, clock::monotonic());
        if let Some(peer) = self.peers.get_mut(connection) {
            peer.is_asking = false;
            peer.resume();
        }
    }
}

/// Verifies logins as they come, one at a time. Runs until its task is dropped.
pub(super) async fn run(shared: Rc<Shared>) {
    loop {
        shared.login.notified().await;
        while let Some((login, passwords)) = next(&shared) {
            let verify = move || {
                let verified = passwords.verify(&login.user, login.password.as_deref());
                (login, passwords, verified)
            };
            // a panic in it has ended the process before
            let Ok((login, passwords, verified)) = tokio::task::spawn_blocking(verify).await else { return };
            let mut hub = shared.hub.borrow_mut();
            let verdict = hub.judge(&login, verified, &passwords);
            hub.settle_login(login.connection, verdict);
            shared.carry_out(&mut hub);
        }
    }
}

fn next(shared: &Shared) -> Option<(Login, Arc<Passwords>)> {
    let mut hub = shared.hub.borrow_mut();
    let next = hub.next_login();
    shared.carry_out(&mut hub);
    next
}

/// Applies what the files say whenever they were read again, also to those who are in. Ends with the last sender.
pub(super) async fn reload(shared: Rc<Shared>, mut news: watch::Receiver<Access>) {
    while news.changed().await.is_ok() {
        let access = news.borrow_and_update().clone();
        let mut hub = shared.hub.borrow_mut();
        let Hub { broker, gate, peers, .. } = &mut *hub;
        let earlier = std::mem::replace(&mut gate.access, access);
        let certified: HashSet<&str> =
            peers.iter().filter(|peer| !peer.is_closing && peer.stream.user().is_some()).map(Peer::name).collect();
        let judge = |user: Option<&str>, client_id: &str| {
            gate.standing(&earlier, user, client_id, certified.contains(client_id))
        };
        broker.handle_access(judge, clock::monotonic());
        shared.carry_out(&mut hub);
        info!("passwords and rights were read again");
    }
}
