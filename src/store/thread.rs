//! The store on its own thread: commits block, the broker's thread must not.
//!
//! Everything that waits goes into one commit. Requests are bounded; when they are many, [`StoreThread::request`] gives
//! the request back, and the caller stops reading from its peers until the next answer.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::durable::Store;
use super::error::{Damage, StoreError};
use super::loaded::Loaded;
use crate::base::clock::{self, Monotonic};
use crate::broker::Change;
use crate::mqtt::ClientId;

/// How the thread works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadOptions {
    /// Requests that may wait; a further one is given back.
    pub requests_max: usize,
    /// Added to each commit: what a slow card would take. For benchmarks; zero otherwise.
    pub delay: Duration,
}

impl Default for ThreadOptions {
    fn default() -> Self {
        Self { requests_max: 256, delay: Duration::ZERO }
    }
}

/// What is asked of the thread. `T` names a commit in its answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Request<T> {
    /// Make these changes durable.
    Commit {
        /// The name for the answer.
        ticket: T,
        /// What changed, in order.
        changes: Vec<Change>,
    },
    /// Read a piece of a queue; it holds everything that was asked to be committed before.
    Load {
        /// Whose.
        client_id: ClientId,
        /// Behind this arrival number.
        after: u64,
        /// How many at most.
        count: usize,
    },
}

/// What the thread answers, on its own thread.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<T> {
    /// The changes are durable. First answers come in the order of the tickets; one that waited comes later.
    Written(T),
    /// The changes could not be written, for want of room or by a failure. They are kept, tried again each second and
    /// with each commit, and `Written` follows.
    Waits(T, StoreError),
    /// A piece of a queue. With an error it is tried again each second, and `Loaded` with the piece follows.
    Loaded {
        /// Whose.
        client_id: ClientId,
        /// The piece.
        result: Result<Loaded, StoreError>,
    },
    /// The file turned out to be damaged and was replaced by one with what is readable. Worth a loud line.
    Damaged(Damage),
    /// Writing fails from now on. What needs no room may still be written.
    Trouble(StoreError),
    /// Everything is written again.
    Recovered,
}

/// The running thread. Dropping it lets the thread finish what waits, without waiting for that.
#[derive(Debug)]
pub struct StoreThread<T> {
    requests: SyncSender<Request<T>>,
    thread: JoinHandle<Result<(), StoreError>>,
}

impl<T: Clone + Send + 'static> StoreThread<T> {
    /// Starts the thread `store`. `answer` is called on it and must not block.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn spawn(
        store: Store,
        options: ThreadOptions,
        answer: impl FnMut(Answer<T>) + Send + 'static,
    ) -> io::Result<Self> {
        let (requests, waiting) = sync_channel(options.requests_max);
        let ThreadOptions { requests_max: group_max, delay } = options;
        let worker = Worker {
            store,
            delay,
            took: Duration::ZERO,
            group_max,
            answer,
            tickets: Vec::new(),
            is_troubled: false,
            unread: Vec::new(),
            retry_at: Monotonic::ZERO,
        };
        let thread = thread::Builder::new().name("store".into()).spawn(move || worker.run(&waiting))?;
        Ok(Self { requests, thread })
    }

    /// Hands a request over; never blocks.
    ///
    /// # Errors
    /// `Full` gives the request back: `requests_max` are waiting. `Disconnected`: the thread is gone, which only a
    /// panic in it or in `answer` can cause.
    pub fn request(&self, request: Request<T>) -> Result<(), TrySendError<Request<T>>> {
        self.requests.try_send(request)
    }

    /// Waits until everything that was requested is answered and the file is closed.
    ///
    /// # Errors
    /// What kept the last changes from being written.
    pub fn stop(self) -> Result<(), StoreError> {
        drop(self.requests);
        self.thread.join().unwrap_or_else(|_| Err(StoreError::Failed("the store's thread panicked".into())))
    }
}

/// Time between two tries to read a piece that could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// A piece of a queue that is asked for.
struct Piece {
    client_id: ClientId,
    after: u64,
    count: usize,
}

/// The part of a commit's time that the next one may wait for company, as its inverse, and the longest such wait.
const COMPANY_PART: u32 = 8;
const COMPANY_MAX: Duration = Duration::from_millis(2);

/// Below this a wait costs more than the company brings.
const COMPANY_MIN: Duration = Duration::from_micros(100);

struct Worker<T, A> {
    store: Store,
    delay: Duration,
    /// How long the last commit took.
    took: Duration,
    /// Requests handled in one round; what comes meanwhile is for the next.
    group_max: usize,
    answer: A,
    /// Those that wait for room.
    tickets: Vec<T>,
    is_troubled: bool,
    /// Pieces that could not be read yet.
    unread: Vec<Piece>,
    /// When to try these again.
    retry_at: Monotonic,
}

impl<T: Clone, A: FnMut(Answer<T>)> Worker<T, A> {
    fn run(mut self, requests: &Receiver<Request<T>>) -> Result<(), StoreError> {
        loop {
            if let Ok(first) = requests.try_recv() {
                self.gather();
                self.handle(first, requests);
                continue;
            }
            match self.wait(requests) {
                Ok(first) => self.handle(first, requests),
                Err(RecvTimeoutError::Timeout) => {
                    self.retry_unread();
                    let now = self.now();
                    let flushed = self.store.flush(now);
                    self.conclude(flushed);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let now = self.now();
                    return self.store.close(now);
                }
            }
        }
    }

    /// Reads both clocks for a commit.
    fn now(&mut self) -> Monotonic {
        let now = clock::monotonic();
        self.store.note_time(now, clock::wall());
        now
    }

    fn wait(&self, requests: &Receiver<Request<T>>) -> Result<Request<T>, RecvTimeoutError> {
        let retry = (!self.unread.is_empty()).then_some(self.retry_at);
        match self.store.next_flush().into_iter().chain(retry).min() {
            Some(due) => requests.recv_timeout(due.since(clock::monotonic())),
            None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Requests came while the last commit was under way, and its answers are about to bring more: waits a little for
    /// them. Else publishers fall into two halves that take turns, and each waits for the commit of the other.
    fn gather(&self) {
        let company = (self.took / COMPANY_PART).min(COMPANY_MAX);
        if company >= COMPANY_MIN {
            thread::sleep(company);
        }
    }

    /// Handles what waits: commits together, a load behind the commits before it.
    fn handle(&mut self, first: Request<T>, requests: &Receiver<Request<T>>) {
        let mut group = Vec::new();
        for request in std::iter::once(first).chain(requests.try_iter().take(self.group_max)) {
            match request {
                Request::Commit { ticket, changes } => group.push((ticket, changes)),
                Request::Load { client_id, after, count } => {
                    self.commit(std::mem::take(&mut group));
                    self.load(Piece { client_id, after, count });
                }
            }
        }
        self.commit(group);
        self.retry_unread();
    }

    fn load(&mut self, piece: Piece) {
        let result = self.store.load(&piece.client_id, piece.after, piece.count);
        self.tell_damages();
        (self.answer)(Answer::Loaded { client_id: piece.client_id.clone(), result: result.clone() });
        if result.is_err() {
            self.unread.push(piece);
            self.retry_at = clock::monotonic() + RETRY;
        }
    }

    /// Tries pieces again that could not be read, each second; busy times with commits make it later.
    fn retry_unread(&mut self) {
        if self.retry_at <= clock::monotonic() {
            for piece in std::mem::take(&mut self.unread) {
                self.load(piece);
            }
        }
    }

    fn commit(&mut self, group: Vec<(T, Vec<Change>)>) {
        if group.is_empty() {
            return;
        }
        let changes: Vec<_> = group.iter().flat_map(|(_, changes)| changes).cloned().collect();
        let began = self.now();
        let written = self.store.commit(&changes, began);
        if !self.delay.is_zero() {
            thread::sleep(self.delay);
        }
        self.took = clock::monotonic() - began;
        for (ticket, changes) in group {
            match &written {
                Err(error) if changes.iter().any(|change| self.store.is_waiting(change)) => {
                    (self.answer)(Answer::Waits(ticket.clone(), error.clone()));
                    self.tickets.push(ticket);
                }
                _ => (self.answer)(Answer::Written(ticket)),
            }
        }
        self.conclude(written);
    }

    fn tell_damages(&mut self) {
        self.store.take_damages().into_iter().for_each(|damage| (self.answer)(Answer::Damaged(damage)));
    }

    /// Tells of trouble once, and of its end with everything that waited.
    fn conclude(&mut self, written: Result<(), StoreError>) {
        self.tell_damages();
        match written {
            Err(error) if !self.is_troubled => (self.answer)(Answer::Trouble(error)),
            Ok(()) if self.is_troubled => {
                self.tickets.drain(..).for_each(|ticket| (self.answer)(Answer::Written(ticket)));
                (self.answer)(Answer::Recovered);
            }
            _ => return,
        }
        self.is_troubled = !self.is_troubled;
    }
}
