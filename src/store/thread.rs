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
use super::tickets::Tickets;
use crate::base::clock::{self, Monotonic};
use crate::broker::{Change, Ticket};
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

/// What is asked of the thread.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Make these changes durable.
    Commit {
        /// The number for the answer; higher than that of every earlier request.
        ticket: Ticket,
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
pub enum Answer {
    /// The changes of these tickets are durable. A ticket that was answered with `Waits` may be followed by later ones.
    /// After a long time on a full disk, a range may contain tickets that were answered before.
    Written(Tickets),
    /// The changes could not be written, for want of room or by a failure. They are tried again, each second at least,
    /// and `Written` follows.
    Waits(Ticket, StoreError),
    /// A piece of a queue. With an error it is tried again each second, and `Loaded` with the piece follows.
    Loaded {
        /// Whose.
        client_id: ClientId,
        /// The piece.
        result: Result<Loaded, StoreError>,
    },
    /// The file turned out to be damaged and was replaced by one with what is readable. Worth a loud line.
    Damaged(Damage),
    /// Writing fails from now on. On a full disk, tickets that need no room are still written.
    Trouble(StoreError),
    /// Everything is written again.
    Recovered,
}

/// The running thread. Dropping it lets the thread finish what waits, without waiting for that.
#[derive(Debug)]
pub struct StoreThread {
    requests: SyncSender<Request>,
    thread: JoinHandle<Result<(), StoreError>>,
}

impl StoreThread {
    /// Starts the thread `store`. `answer` is called on it and must not block.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn spawn(
        store: Store,
        options: ThreadOptions,
        answer: impl FnMut(Answer) + Send + 'static,
    ) -> io::Result<Self> {
        let (requests, waiting) = sync_channel(options.requests_max);
        let ThreadOptions { requests_max: group_max, delay } = options;
        let worker = Worker {
            store,
            delay,
            took: Duration::ZERO,
            group_max,
            answer,
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
    pub fn request(&self, request: Request) -> Result<(), TrySendError<Request>> {
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

struct Worker<A> {
    store: Store,
    delay: Duration,
    /// How long the last commit took.
    took: Duration,
    /// Requests handled in one round; what comes meanwhile is for the next.
    group_max: usize,
    answer: A,
    is_troubled: bool,
    /// Pieces that could not be read yet.
    unread: Vec<Piece>,
    /// When to try these again.
    retry_at: Monotonic,
}

impl<A: FnMut(Answer)> Worker<A> {
    fn run(mut self, requests: &Receiver<Request>) -> Result<(), StoreError> {
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
                    self.answer_written();
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

    fn wait(&self, requests: &Receiver<Request>) -> Result<Request, RecvTimeoutError> {
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
    fn handle(&mut self, first: Request, requests: &Receiver<Request>) {
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

    fn commit(&mut self, group: Vec<(Ticket, Vec<Change>)>) {
        if group.is_empty() {
            return;
        }
        let began = self.now();
        let result = self.store.commit_tickets(&group, began);
        if !self.delay.is_zero() {
            thread::sleep(self.delay);
        }
        self.took = clock::monotonic() - began;
        let written = self.answer_written();
        if let Err(error) = &result {
            let is_written = |ticket: Ticket| written.iter().any(|range| range.first <= ticket && ticket <= range.last);
            for (ticket, _) in group.into_iter().filter(|(ticket, _)| !is_written(*ticket)) {
                (self.answer)(Answer::Waits(ticket, error.clone()));
            }
        }
        self.conclude(result);
    }

    /// Answers the tickets that were written, and returns them.
    fn answer_written(&mut self) -> Vec<Tickets> {
        let written = self.store.take_written();
        for tickets in &written {
            (self.answer)(Answer::Written(*tickets));
        }
        written
    }

    fn tell_damages(&mut self) {
        self.store.take_damages().into_iter().for_each(|damage| (self.answer)(Answer::Damaged(damage)));
    }

    /// Answers once when writing begins to fail, and once when everything is written again.
    fn conclude(&mut self, written: Result<(), StoreError>) {
        self.tell_damages();
        match written {
            Err(error) if !self.is_troubled => (self.answer)(Answer::Trouble(error)),
            Ok(()) if self.is_troubled => (self.answer)(Answer::Recovered),
            _ => return,
        }
        self.is_troubled = !self.is_troubled;
    }
}
