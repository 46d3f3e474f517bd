//! A consumer at the far side: its session stays, it comes back by itself, and it records everything.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use sensegate::mqtt::ReasonCode;

use crate::connection::{Connection, Login, Message, Received};
use crate::place::Place;
use crate::sequences::Sequences;
use crate::server::{ENGINE_PATIENCE, within};
use crate::support::POLL;

/// A thread that takes messages until it is stopped. Dropping it stops it as well.
pub(crate) struct Consumer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What it recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) sequences: Sequences,
    /// How many connections ended by themselves.
    pub(crate) cuts: usize,
    /// How often it came back and was told that its session is not there.
    pub(crate) absent_sessions: usize,
    /// How many messages had RETAIN set.
    pub(crate) retained: usize,
    is_subscribed: bool,
}

#[derive(Default)]
struct Shared {
    is_stopping: AtomicBool,
    record: Mutex<Record>,
}

impl Consumer {
    /// Subscribes to `filter` with QoS 1 from `place`, in a session that stays, and waits until that is acknowledged.
    /// The addresses are tried one after the other, from the first on, again after each cut.
    pub(crate) fn start(place: &Place, addresses: Vec<SocketAddr>, client_id: &str, filter: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let (work, login, filter) = (Arc::clone(&shared), Login::staying(client_id), filter.to_owned());
        let thread = Some(place.spawn(move || work.run(&addresses, &login, &filter)));
        let consumer = Self { shared, thread };
        let subscribed = within(ENGINE_PATIENCE, || consumer.record().is_subscribed.then_some(()));
        assert!(subscribed.is_some(), "no subscription");
        consumer
    }

    /// What it recorded so far.
    pub(crate) fn record(&self) -> Record {
        self.shared.record.lock().unwrap().clone()
    }

    /// Waits until every number from `first` to `last` has come; how many is said when they do not.
    pub(crate) fn wait_for(&self, first: u64, last: u64) {
        let complete = || self.shared.record.lock().unwrap().sequences.gaps(first, last).is_empty().then_some(());
        if within(ENGINE_PATIENCE, complete).is_none() {
            self.record().sequences.expect_all(first, last);
        }
    }

    /// Waits until so many different numbers have come.
    pub(crate) fn wait_for_count(&self, count: usize) {
        let reached = || (self.shared.record.lock().unwrap().sequences.count() >= count).then_some(());
        assert!(within(ENGINE_PATIENCE, reached).is_some(), "not {count}: {:?}", self.record());
    }

    /// Waits until everything has come that came elsewhere.
    pub(crate) fn wait_for_all_of(&self, elsewhere: &Sequences) {
        let missing = || self.shared.record.lock().unwrap().sequences.missing_of(elsewhere);
        let complete = within(ENGINE_PATIENCE, || missing().is_empty().then_some(()));
        assert!(complete.is_some(), "{:?} of {elsewhere:?} are missing: {:?}", missing(), self.record());
    }

    /// Ends it, its session stays.
    pub(crate) fn stop(mut self) -> Record {
        self.end();
        self.record()
    }

    fn end(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn run(&self, addresses: &[SocketAddr], login: &Login, filter: &str) {
        for address in addresses.iter().cycle() {
            if self.is_stopping() {
                return;
            }
            if let Ok((connection, session_present)) = Connection::open(*address, login) {
                match self.consume(connection, session_present, filter) {
                    Ok(()) => return,
                    Err(_) => self.record.lock().unwrap().cuts += 1,
                }
            }
            std::thread::sleep(POLL);
        }
    }

    /// Takes messages until the stop, or until the connection ends.
    fn consume(&self, mut connection: Connection, session_present: bool, filter: &str) -> io::Result<()> {
        if !session_present {
            let mut record = self.record.lock().unwrap();
            record.absent_sessions += usize::from(record.is_subscribed);
            drop(record);
            connection.subscribe(filter)?;
        }
        while !self.is_stopping() {
            match connection.receive(POLL)? {
                Some(Received::Message(message)) => {
                    self.take(&message);
                    message.packet_id.map_or(Ok(()), |id| connection.acknowledge(id))?;
                }
                Some(Received::SubAck(codes)) => {
                    assert!(!codes.contains(&ReasonCode::UnspecifiedError), "{filter} is refused");
                    self.record.lock().unwrap().is_subscribed = true;
                }
                _ => {}
            }
        }
        connection.disconnect();
        Ok(())
    }

    fn take(&self, message: &Message) {
        let mut record = self.record.lock().unwrap();
        record.sequences.take(&message.payload);
        record.retained += usize::from(message.retain);
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}
