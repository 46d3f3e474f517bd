//! Logins: who may connect, and with which rights.
//!
//! A login with a password is verified by the workers, unless the same one was verified before. Until its verdict the
//! connection is not read from. Logins wait by source: that of a remote network, or of this machine's clients by user
//! name, since these share one address.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::sync::Arc;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::info;

use super::fair::Source;
use super::hub::{Hub, Shared};
use super::network::Network;
use super::peers::Peer;
use super::{ListenerOptions, Tls};
use crate::access::{self, Acl, LOGIN_KEY_BYTES, LoginDigest, Passwords, VerifiedLogins};
use crate::base::clock;
use crate::broker::{ConnectionId, Origin, Standing, Verdict};
use crate::mqtt::{ClientId, ConnectReturnCode, Password};

/// The users and their rights, as the two files were last read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The users; without a password file every client is anonymous, whatever it calls itself.
    pub passwords: Option<Arc<Passwords>>,
    /// The access control list; without a file everything is allowed.
    pub acl: Arc<Acl>,
}

/// The rules of the listener that accepted a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListenerPolicy {
    /// The private socket of the gateway's internal clients.
    Internal,
    /// A public listener.
    Public {
        /// Whether clients without a user name are accepted.
        allow_anonymous: bool,
    },
}

impl ListenerPolicy {
    pub(super) fn origin(self) -> Origin {
        match self {
            Self::Internal => Origin::House,
            Self::Public { .. } => Origin::Public,
        }
    }

    fn allows_anonymous(self) -> bool {
        matches!(self, Self::Internal | Self::Public { allow_anonymous: true })
    }
}

/// A login with a user name.
#[derive(Debug)]
struct Login {
    source: Source,
    user: Arc<str>,
    password: Option<Password>,
    client_id: ClientId,
    /// Of the user, the password and the user's entry when the login came; `None` without a password.
    digest: Option<LoginDigest>,
}

/// A login whose verdict is not known yet. Dropping it ends its task.
#[derive(Debug)]
pub(super) struct PendingLogin {
    login: Rc<Login>,
    /// The task that verifies it, once it has begun.
    task: Option<AbortHandle>,
}

impl Drop for PendingLogin {
    fn drop(&mut self) {
        // if that is the calling task, it runs to its end
        self.task.iter().for_each(AbortHandle::abort);
    }
}

/// Decides who may connect.
#[derive(Debug)]
pub(super) struct Authenticator {
    access: Access,
    verified: VerifiedLogins,
    /// Makes sources of user names.
    user_hasher: RandomState,
    /// Connections whose login waits for its task to begin.
    new_logins: Vec<ConnectionId>,
    /// Whether any listener identifies clients by certificates: then a user may be missing in the password file.
    accepts_certificates: bool,
}

impl Authenticator {
    pub(super) fn new(access: Access, listeners: &[ListenerOptions]) -> Self {
        let asks = |listener: &ListenerOptions| listener.tls.as_ref().is_some_and(Tls::asks_certificate);
        let mut key = [0; LOGIN_KEY_BYTES];
        SystemRandom::new().fill(&mut key).expect("getrandom fails only before the system's first random numbers");
        Self {
            access,
            verified: VerifiedLogins::new(&key),
            user_hasher: RandomState::new(),
            new_logins: Vec::new(),
            accepts_certificates: listeners.iter().any(asks),
        }
    }

    fn accepted(&self, user: Option<Box<str>>, client_id: &ClientId) -> Verdict {
        let rights = self.access.acl.rights(user.as_deref(), client_id.as_str());
        Verdict::Accepted { user, rights }
    }

    /// Returns the verdict on a client without a user name, or with one that no password file knows about.
    fn anonymous(&self, policy: ListenerPolicy, client_id: &ClientId) -> Verdict {
        if policy.allows_anonymous() {
            self.accepted(None, client_id)
        } else {
            Verdict::Refused(ConnectReturnCode::NotAuthorized)
        }
    }

    /// Returns whether the same login was right before.
    fn is_verified(&self, login: &Login) -> bool {
        login.digest.is_some_and(|digest| self.verified.contains(&login.user, &digest))
    }

    /// Returns the standing of a session that was restored at the start. Where certificates are accepted, it is unknown
    /// which users still have one.
    pub(super) fn standing_today(&self, user: Option<&str>, client_id: &str) -> Standing {
        let passwords = self.access.passwords.as_ref();
        match user {
            Some(user) if !self.accepts_certificates && !passwords.is_some_and(|known| known.has_user(user)) => {
                Standing::Gone
            }
            user => Standing::Stays(self.access.acl.rights(user, client_id)),
        }
    }

    /// Returns the standing of a session after a reload that replaced `earlier`. The files say nothing about users with
    /// certificates except their rights.
    fn standing(&self, earlier: &Access, user: Option<&str>, client_id: &str, is_certified: bool) -> Standing {
        let Some(user) = user.filter(|_| !is_certified) else {
            return Standing::Stays(self.access.acl.rights(user, client_id));
        };
        let Some(passwords) = self.access.passwords.as_ref().filter(|passwords| passwords.has_user(user)) else {
            // a client may prove this name by a certificate, and keeps the session
            let rights = self.access.acl.rights(Some(user), client_id);
            return if self.accepts_certificates { Standing::Unproven(rights) } else { Standing::Gone };
        };
        let rights = self.access.acl.rights(Some(user), client_id);
        match &earlier.passwords {
            Some(earlier) if passwords.agrees_on(user, earlier) => Standing::Stays(rights),
            _ => Standing::Unproven(rights),
        }
    }
}

impl Hub {
    /// Answers a request to authenticate at once where nothing is to be verified. Returns whether the login has to be
    /// verified by [`run`].
    pub(super) fn authenticate(
        &mut self,
        connection: ConnectionId,
        user_name: Option<String>,
        password: Option<Password>,
        client_id: ClientId,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(connection) else { return false };
        let authenticator = &mut self.authenticator;
        let verdict = match (peer.stream.user(), user_name, &authenticator.access.passwords) {
            (Some(user), ..) => authenticator.accepted(Some(user.into()), &client_id),
            (None, Some(user), Some(passwords)) => {
                let source = Network::of(peer.address)
                    .map_or_else(|| Source::Local(authenticator.user_hasher.hash_one(&user)), Source::Remote);
                let digest =
                    password.as_ref().map(|password| authenticator.verified.digest(passwords, &user, password));
                let login = Login { source, user: user.into(), password, client_id, digest };
                if !authenticator.is_verified(&login) {
                    peer.login = Some(PendingLogin { login: Rc::new(login), task: None });
                    authenticator.new_logins.push(connection);
                    return true;
                }
                authenticator.accepted(Some((&*login.user).into()), &login.client_id)
            }
            (None, ..) => authenticator.anonymous(peer.policy, &client_id),
        };
        self.broker.handle_verdict(connection, verdict, clock::monotonic());
        false
    }

    /// Returns the pending login of a connection, and the passwords of now.
    fn pending(&self, connection: ConnectionId) -> Option<(Rc<Login>, Option<Arc<Passwords>>)> {
        let pending = self.peers.get(connection)?.login.as_ref()?;
        Some((pending.login.clone(), self.authenticator.access.passwords.clone()))
    }

    /// Accepts a login that was right, and all others that wait with the same user and password.
    fn accept_login(&mut self, connection: ConnectionId, login: &Login) {
        if let Some(digest) = login.digest {
            self.authenticator.verified.insert(&login.user, digest);
        }
        self.settle_login(connection, self.authenticator.accepted(Some((&*login.user).into()), &login.client_id));
        for (connection, login) in self.peers.pending_logins() {
            if self.authenticator.is_verified(&login) {
                self.settle_login(
                    connection,
                    self.authenticator.accepted(Some((&*login.user).into()), &login.client_id),
                );
            }
        }
    }

    fn settle_login(&mut self, connection: ConnectionId, verdict: Verdict) {
        self.broker.handle_verdict(connection, verdict, clock::monotonic());
        if let Some(peer) = self.peers.get_mut(connection) {
            peer.login = None;
            peer.resume();
        }
    }
}

impl super::peers::Peers {
    fn pending_logins(&self) -> Vec<(ConnectionId, Rc<Login>)> {
        let pending =
            |(connection, peer): (ConnectionId, &Peer)| Some((connection, peer.login.as_ref()?.login.clone()));
        self.iter().filter_map(pending).collect()
    }
}

/// Begins a task for each login that has to be verified. Runs until its task is dropped.
pub(super) async fn run(shared: Rc<Shared>) {
    loop {
        shared.login.notified().await;
        let new_logins = std::mem::take(&mut shared.hub.borrow_mut().authenticator.new_logins);
        for connection in new_logins {
            let task = tokio::task::spawn_local(verify(shared.clone(), connection)).abort_handle();
            match shared.hub.borrow_mut().peers.get_mut(connection).and_then(|peer| peer.login.as_mut()) {
                Some(pending) => pending.task = Some(task),
                None => task.abort(),
            }
        }
    }
}

/// Verifies a login, again when the password file changed meanwhile.
async fn verify(shared: Rc<Shared>, connection: ConnectionId) {
    loop {
        let Some((login, passwords)) = shared.hub.borrow().pending(connection) else { return };
        let Some(passwords) = passwords else { return shared.settle_anonymous(connection, &login) };
        let (user, password, file) = (login.user.clone(), login.password.clone(), passwords.clone());
        let verdict = shared.workers.run(login.source, move || file.verify(&user, password.as_deref())).await;
        if shared.conclude(connection, &login, verdict, &passwords) {
            return;
        }
    }
}

impl Shared {
    /// The password file was removed while a login waited.
    fn settle_anonymous(&self, connection: ConnectionId, login: &Login) {
        let mut hub = self.hub.borrow_mut();
        let Some(policy) = hub.peers.get(connection).map(|peer| peer.policy) else { return };
        let verdict = hub.authenticator.anonymous(policy, &login.client_id);
        hub.settle_login(connection, verdict);
        self.carry_out(&mut hub);
    }

    /// Answers a login that was verified against `passwords`. Returns `false` when the user's entry has changed since.
    fn conclude(
        &self,
        connection: ConnectionId,
        login: &Login,
        verdict: access::Verdict,
        passwords: &Passwords,
    ) -> bool {
        let mut hub = self.hub.borrow_mut();
        if !hub.authenticator.access.passwords.as_ref().is_some_and(|now| now.agrees_on(&login.user, passwords)) {
            return false;
        }
        match verdict {
            access::Verdict::Accepted => hub.accept_login(connection, login),
            access::Verdict::Refused => {
                self.workers.record_failure(login.source);
                hub.settle_login(connection, Verdict::Refused(ConnectReturnCode::NotAuthorized));
            }
        }
        self.carry_out(&mut hub);
        true
    }
}

/// Applies users and rights whenever the files were read again, also to connected clients. Ends with the last sender.
pub(super) async fn reload(shared: Rc<Shared>, mut news: watch::Receiver<Access>) {
    while news.changed().await.is_ok() {
        let access = news.borrow_and_update().clone();
        shared.apply_access(access);
        info!("passwords and rights were read again");
    }
}

impl Shared {
    fn apply_access(&self, access: Access) {
        let mut hub = self.hub.borrow_mut();
        let Hub { broker, authenticator, peers, .. } = &mut *hub;
        let earlier = std::mem::replace(&mut authenticator.access, access);
        authenticator.verified.clear();
        let certified: HashSet<&str> =
            peers.iter().filter_map(|(_, peer)| peer.certified_client_id()).map(ClientId::as_str).collect();
        let judge = |user: Option<&str>, client_id: &str| {
            authenticator.standing(&earlier, user, client_id, certified.contains(client_id))
        };
        broker.handle_access(judge, clock::monotonic());
        self.carry_out(&mut hub);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::PathBuf;
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;
    use tokio::task::{LocalSet, spawn_local};

    use super::super::durable::Durable;
    use super::super::layered::Layered;
    use super::super::login_bytes::LoginMeter;
    use super::super::stream::Stream;
    use super::super::transport::MeteredSocket;
    use super::super::{Options, rounds};
    use super::*;
    use crate::access::{Method, SALT_BYTES};
    use crate::broker::{self, Broker};

    const PUBLIC: ListenerPolicy = ListenerPolicy::Public { allow_anonymous: false };
    const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];
    const REFUSED: [u8; 4] = [0x20, 2, 0, 5];

    /// A password file in which every user has the password `secret`.
    fn file(users: &[&str]) -> Access {
        let hash = Method::Pbkdf2Sha512 { iterations: 2 }.hash(b"secret", &[1; SALT_BYTES]).unwrap();
        let lines: Vec<_> = users.iter().map(|user| format!("{user}:{hash}\n")).collect();
        Access { passwords: Some(Arc::new(Passwords::parse(&lines.concat()).unwrap())), ..Access::default() }
    }

    /// Runs `body` beside a broker on this thread.
    async fn with_broker<F: Future<Output = ()>>(access: Access, body: impl FnOnce(Rc<Shared>) -> F) {
        let options = Options {
            listeners: Vec::new(),
            house_socket: PathBuf::new(),
            connections_max: 1000,
            connections_per_address_max: 1000,
            send_buffer_bytes_max: 4096,
            login_bytes_max: 100_000,
            logins_bytes_max: 8 << 20,
            access,
        };
        let durable = Durable::Memory(std::collections::VecDeque::new());
        let shared = Shared::new(Broker::new(broker::Options::default(), 1), durable, &options, 1 << 20);
        let shared = Rc::new(shared);
        LocalSet::new()
            .run_until(async {
                spawn_local(rounds::run(shared.clone()));
                spawn_local(run(shared.clone()));
                body(shared).await;
            })
            .await;
    }

    /// Opens a connection from an address and sends CONNECT with a clean session.
    async fn connect(shared: &Shared, address: Option<&str>, client_id: &str, login: (&str, &str)) -> UnixStream {
        let (near, mut far) = UnixStream::pair().unwrap();
        let address: Option<IpAddr> = address.map(|text| text.parse().unwrap());
        shared.open(PUBLIC, address, Stream::Unix(near));
        let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
        let head = [0, 4, b'M', b'Q', b'T', b'T', 4, 0xC2, 0, 0];
        let body = [&head[..], &text(client_id), &text(login.0), &text(login.1)].concat();
        far.write_all(&[&[0x10, u8::try_from(body.len()).unwrap()][..], &body].concat()).await.unwrap();
        far
    }

    async fn answer(client: &mut UnixStream) -> [u8; 4] {
        let mut answer = [0; 4];
        client.read_exact(&mut answer).await.unwrap();
        answer
    }

    async fn until(mut is_true: impl FnMut() -> bool) {
        while !is_true() {
            tokio::task::yield_now().await;
        }
    }

    /// Occupies all workers until the sender is dropped.
    async fn occupy(shared: &Rc<Shared>) -> mpsc::Sender<()> {
        let (end, wait) = mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        for _ in 0..super::super::workers::threads() {
            let (shared, wait) = (shared.clone(), wait.clone());
            let work = move || wait.lock().map(|wait| wait.recv()).is_ok();
            spawn_local(async move { shared.workers.run(Source::Local(u64::MAX), work).await });
        }
        tokio::task::yield_now().await;
        end
    }

    #[tokio::test]
    async fn every_right_login_is_accepted_however_many_come_together_and_whoever_guesses() {
        with_broker(file(&["ann", "bob", "eve"]), async |shared| {
            let occupied = occupy(&shared).await;
            let (mut right, mut wrong) = (Vec::new(), Vec::new());
            for number in 0..100 {
                let user = ["ann", "bob", "eve"][number % 3];
                let address = [None, Some("127.0.0.1"), Some("192.0.2.1"), Some("2001:db8::1")][number % 4];
                wrong.push(connect(&shared, address, &format!("w{number}"), (user, "guess")).await);
                wrong.push(connect(&shared, address, &format!("u{number}"), ("nobody", "guess")).await);
                right.push(connect(&shared, address, &format!("r{number}"), (user, "secret")).await);
            }
            until(|| shared.workers.waiting() == 300).await;
            drop(occupied);
            for client in &mut right {
                assert_eq!(answer(client).await, ACCEPTED);
            }
            for client in &mut wrong {
                assert_eq!(answer(client).await, REFUSED);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_login_that_was_right_before_waits_for_no_worker_until_the_next_reload() {
        with_broker(file(&["ann"]), async |shared| {
            assert_eq!(answer(&mut connect(&shared, None, "a", ("ann", "secret")).await).await, ACCEPTED);
            let occupied = occupy(&shared).await;
            assert_eq!(answer(&mut connect(&shared, None, "b", ("ann", "secret")).await).await, ACCEPTED);
            let mut wrong = connect(&shared, None, "c", ("ann", "guess")).await;
            until(|| shared.workers.waiting() == 1).await;
            shared.apply_access(file(&["ann", "bob"]));
            let mut again = connect(&shared, None, "d", ("ann", "secret")).await;
            until(|| shared.workers.waiting() == 2).await;
            drop(occupied);
            assert_eq!((answer(&mut wrong).await, answer(&mut again).await), (REFUSED, ACCEPTED));
        })
        .await;
    }

    #[tokio::test]
    async fn one_verification_answers_all_logins_with_the_same_password() {
        with_broker(file(&["ann"]), async |shared| {
            let occupied = occupy(&shared).await;
            let mut clients = Vec::new();
            for number in 0..20 {
                clients.push(connect(&shared, None, &number.to_string(), ("ann", "secret")).await);
            }
            until(|| shared.workers.waiting() == 20).await;
            let login = shared.hub.borrow().peers.pending_logins().swap_remove(0);
            assert!(shared.conclude(
                login.0,
                &login.1,
                access::Verdict::Accepted,
                file(&["ann"]).passwords.as_ref().unwrap()
            ));
            for client in &mut clients {
                assert_eq!(answer(client).await, ACCEPTED);
            }
            assert_eq!(shared.workers.waiting(), 0);
            drop(occupied);
        })
        .await;
    }

    #[tokio::test]
    async fn a_login_is_judged_by_the_password_file_of_the_moment_it_is_answered() {
        with_broker(file(&["ann", "eve"]), async |shared| {
            let occupied = occupy(&shared).await;
            let mut removed = connect(&shared, None, "a", ("ann", "secret")).await;
            let mut added = connect(&shared, None, "b", ("bob", "secret")).await;
            until(|| shared.workers.waiting() == 2).await;
            shared.apply_access(file(&["bob", "eve"]));
            drop(occupied);
            assert_eq!((answer(&mut removed).await, answer(&mut added).await), (REFUSED, ACCEPTED));
        })
        .await;
    }

    #[tokio::test]
    async fn a_client_is_not_taken_for_dead_because_its_login_had_to_wait() {
        with_broker(file(&["ann"]), async |shared| {
            let occupied = occupy(&shared).await;
            let mut client = connect(&shared, None, "a", ("ann", "secret")).await;
            until(|| shared.workers.waiting() == 1).await;
            shared.timeout(clock::monotonic() + Duration::from_secs(3600));
            drop(occupied);
            assert_eq!(answer(&mut client).await, ACCEPTED);
        })
        .await;
    }

    #[tokio::test]
    async fn a_closed_connection_takes_its_login_out_of_the_queue() {
        with_broker(file(&["ann"]), async |shared| {
            let _occupied = occupy(&shared).await;
            let _client = connect(&shared, None, "a", ("ann", "secret")).await;
            until(|| shared.workers.waiting() == 1).await;
            let connection = shared.hub.borrow().peers.iter().next().unwrap().0;
            shared.close(connection);
            until(|| shared.workers.waiting() == 0).await;
        })
        .await;
    }

    #[tokio::test]
    async fn a_client_called_like_one_without_an_identifier_is_not_taken_for_certified() {
        with_broker(file(&["bob"]), async |shared| {
            let (near, _far) = UnixStream::pair().unwrap();
            let meter = LoginMeter::new(&shared.login_budget);
            let transport = Box::new(MeteredSocket::new(near, meter.clone()));
            let certified = Layered::new(transport, None, Some("ann".into()), meter);
            shared.open(PUBLIC, None, Stream::Layered(Box::new(certified)));
            let mut client = connect(&shared, None, "-", ("bob", "secret")).await;
            assert_eq!(answer(&mut client).await, ACCEPTED);
            shared.apply_access(file(&[]));
            assert_eq!(client.read(&mut [0; 16]).await.unwrap(), 0, "a removed user is disconnected");
        })
        .await;
    }
}
