//! Where the machine's state goes: to the store's thread, or nowhere when state lives in memory.

use std::collections::VecDeque;
use std::sync::mpsc::TrySendError;

use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::broker::{Change, Delivery, Disk, Ticket};
use crate::mqtt::ClientId;
use crate::store::{Answer, Loaded, Request, Store, StoreError, StoreThread, ThreadOptions, Tickets};

/// The way to durability.
#[derive(Debug)]
pub(super) enum Durable {
    /// What is asked to be durable is as durable as it gets. Tickets to answer.
    Memory(VecDeque<Ticket>),
    /// The store's thread.
    Store(Writer),
}

/// Requests to the store's thread. Those it has no room for wait here, and nobody is read from until they have gone:
/// what peers can make grow is bounded by what they were read.
#[derive(Debug)]
pub(super) struct Writer {
    thread: StoreThread,
    waiting: VecDeque<Request>,
}

/// Answers of the store's thread on their way to the broker's.
pub(super) type Answers = mpsc::UnboundedReceiver<Answer>;

/// What an answer means to the machine.
pub(super) enum Meaning {
    /// These tickets are durable.
    Written(Tickets),
    /// A piece of a queue.
    Loaded(ClientId, Vec<Delivery>),
    /// How the disk takes what is written.
    Disk(Disk),
    /// Nothing.
    None,
}

impl Durable {
    /// Starts the thread of `store`. The channel of its answers holds at most as many as requests are open.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn start(store: Store) -> std::io::Result<(Self, Answers)> {
        let (sender, answers) = mpsc::unbounded_channel();
        // a broker that is gone needs no answer
        let answer = move |answer| drop(sender.send(answer));
        let thread = StoreThread::spawn(store, ThreadOptions::default(), answer)?;
        Ok((Self::Store(Writer { thread, waiting: VecDeque::new() }), answers))
    }

    /// Starts a thread that takes one request at a time and answers each when `release` receives a message.
    #[cfg(test)]
    pub(super) fn start_slow(file: &std::path::Path, release: std::sync::mpsc::Receiver<()>) -> (Self, Answers) {
        let (sender, answers) = mpsc::unbounded_channel();
        let answer = move |answer| {
            let _ = release.recv();
            drop(sender.send(answer));
        };
        let options = ThreadOptions { requests_max: 1, ..ThreadOptions::default() };
        let clocks = crate::store::Clocks {
            boot_id: crate::base::ids::BootId::read(),
            monotonic: crate::base::clock::monotonic(),
            wall: crate::base::clock::wall(),
        };
        let store = Store::open(file, crate::store::Options::default(), clocks).unwrap().0;
        let thread = StoreThread::spawn(store, options, answer).unwrap();
        (Self::Store(Writer { thread, waiting: VecDeque::new() }), answers)
    }

    pub(super) fn persist(&mut self, ticket: Ticket, changes: Vec<Change>) {
        match self {
            Self::Memory(tickets) => tickets.push_back(ticket),
            Self::Store(writer) => writer.request(Request::Commit { ticket, changes }),
        }
    }

    /// Asks for a piece of a queue. In memory there is none to ask for: queues are whole there.
    pub(super) fn load(&mut self, client_id: ClientId, after: u64, count: usize) {
        if let Self::Store(writer) = self {
            writer.request(Request::Load { client_id, after, count });
        }
    }

    /// The next ticket that is settled without anybody else.
    pub(super) fn poll_settled(&mut self) -> Option<Ticket> {
        match self {
            Self::Memory(tickets) => tickets.pop_front(),
            Self::Store(_) => None,
        }
    }

    /// Whether requests wait for room.
    pub(super) fn is_choked(&self) -> bool {
        matches!(self, Self::Store(writer) if !writer.waiting.is_empty())
    }

    /// Hands on what waits, as far as there is room.
    pub(super) fn hand_on(&mut self) {
        if let Self::Store(writer) = self {
            writer.hand_on();
        }
    }

    /// Writes what is left and closes the file.
    ///
    /// # Errors
    /// When not everything could be written.
    pub(super) fn stop(self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Store(writer) => writer.thread.stop(),
        }
    }
}

impl Writer {
    fn request(&mut self, request: Request) {
        self.waiting.push_back(request);
        self.hand_on();
    }

    fn hand_on(&mut self) {
        while let Some(request) = self.waiting.pop_front() {
            match self.thread.request(request) {
                Ok(()) => {}
                Err(TrySendError::Full(request)) => return self.waiting.push_front(request),
                // its panic has ended the process
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }
}

/// Logs what an answer tells the operator; gives what it tells the machine.
pub(super) fn read(answer: Answer) -> Meaning {
    match answer {
        Answer::Written(tickets) => Meaning::Written(tickets),
        Answer::Loaded { client_id, result } => read_piece(client_id, result),
        Answer::Waits(..) => Meaning::None,
        Answer::Trouble(cause) => {
            error!(%cause, "state cannot be written: what needs it waits for its acknowledgement until there is room");
            Meaning::Disk(if cause == StoreError::Full { Disk::Full } else { Disk::Fails })
        }
        Answer::Damaged(damage) => {
            error!("{damage}");
            Meaning::None
        }
        Answer::Recovered => {
            info!("state is written again");
            Meaning::Disk(Disk::Writes)
        }
    }
}

/// A piece that cannot be read means nothing yet: an empty one would say that the queue has come to its end.
fn read_piece(client_id: ClientId, result: Result<Loaded, StoreError>) -> Meaning {
    match result {
        Ok(Loaded { deliveries, damaged }) => {
            if !damaged.is_empty() {
                error!(client = %client_id, "{} queued messages are damaged on disk and given up", damaged.len());
            }
            Meaning::Loaded(client_id, deliveries)
        }
        Err(cause) => {
            warn!(client = %client_id, %cause, "a queue cannot be read; it is tried again each second");
            Meaning::None
        }
    }
}
