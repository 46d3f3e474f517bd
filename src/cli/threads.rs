//! The embedded broker on its own thread.

use std::thread::{self, JoinHandle};

use anyhow::Context;
use tokio::sync::{oneshot, watch};

use super::life;
use crate::base::clock;
use crate::base::ids::BootId;
use crate::base::progress::Progress;
use crate::broker::state::State;
use crate::config::{EmbeddedBroker, StorageOptions};
use crate::server::{Access, Certificates, ListenerOptions, Server, Watched};
use crate::store::{self, Store};

/// The thread `broker`, its sockets bound.
#[derive(Debug)]
pub(super) struct BrokerThread {
    listeners: Vec<ListenerOptions>,
    progress: Progress,
    access: watch::Sender<Access>,
    certificates: watch::Sender<Certificates>,
    watched: watch::Sender<Watched>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// Tells when the broker has ended, and why.
pub(super) type BrokerEnd = oneshot::Receiver<std::io::Result<()>>;

impl BrokerThread {
    /// Binds every socket, then serves on a thread of its own.
    ///
    /// # Errors
    /// When a socket cannot be bound: what is in the way and what to do.
    pub(super) fn start(options: &EmbeddedBroker, storage: &StorageOptions) -> anyhow::Result<(Self, BrokerEnd)> {
        let store = open_store(storage)?;
        life::allow_open_files(options.server.connections_max);
        let server = Server::bind(options.server.clone(), options.machine.clone())?;
        let (listeners, access, certificates) = (server.listeners(), server.access(), server.certificates());
        let watched = server.watched();
        let progress = Progress::new(clock::monotonic());
        let (stop, stopped) = watch::channel(false);
        let (ended, end) = oneshot::channel();
        let marks = progress.clone();
        let serve = move || {
            let result = server.run(fastrand::u64(..), Some(store), &marks, stopped);
            // nobody waits for it any more when the process ends
            let _ = ended.send(result);
        };
        let thread = thread::Builder::new().name("broker".into()).spawn(serve).context("cannot start a thread")?;
        Ok((Self { listeners, progress, access, certificates, watched, stop, thread }, end))
    }

    pub(super) fn listeners(&self) -> &[ListenerOptions] {
        &self.listeners
    }

    /// Takes newer passwords and rights.
    pub(super) fn access(&self) -> watch::Sender<Access> {
        self.access.clone()
    }

    /// Takes newer certificates.
    pub(super) fn certificates(&self) -> watch::Sender<Certificates> {
        self.certificates.clone()
    }

    /// Takes the sessions whose queues are looked at.
    pub(super) fn watched(&self) -> watch::Sender<Watched> {
        self.watched.clone()
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Sends what is waiting, closes every connection, and waits for the thread.
    pub(super) fn stop(self) {
        // a receiver that is gone has stopped already
        let _ = self.stop.send(true);
        // a panic has ended the process before
        let _ = self.thread.join();
    }
}

/// Opens the broker's state. What was damaged is told loudly; what could be read goes on.
fn open_store(storage: &StorageOptions) -> anyhow::Result<(Store, State)> {
    let options = store::Options { sync: storage.sync, coalesce: storage.coalesce, ..store::Options::default() };
    let path = storage.directory.join("broker.db");
    let clocks = store::Clocks { boot_id: BootId::read(), monotonic: clock::monotonic(), wall: clock::wall() };
    let (store, state, damages) = Store::open(&path, options, clocks)
        .with_context(|| format!("cannot open the broker's state {}", path.display()))?;
    for damage in damages {
        tracing::error!("{damage}");
    }
    Ok((store, state))
}
