//! The uplinks that run: started, changed by a reload, stopped, and cleaned up after.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future as _;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::base::queued::Queued;
use crate::mqtt::ClientId;
use crate::server::Watched;
use crate::uplink::{self, Files, Inputs, LocalOptions, Options, Outset, Registry};

/// How long an uplink may take to say goodbye to both sides.
const LEAVE_WAIT: Duration = Duration::from_secs(5);

/// All of them.
pub(super) struct Uplinks {
    files: Files,
    running: BTreeMap<String, Running>,
    /// Whether all outboxes stand: then samples are worth publishing.
    carried: watch::Sender<bool>,
    following: Option<JoinHandle<()>>,
    /// Of the embedded broker, which tells what waits in the outboxes.
    watched: Option<watch::Sender<Watched>>,
    /// The broker that outboxes are at.
    local: LocalOptions,
}

struct Running {
    options: Options,
    queued: Queued,
    outset: watch::Receiver<Outset>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Uplinks {
    /// Starts `options`, and ends the sessions of uplinks that there were and are no longer.
    pub(super) fn start(
        files: Files,
        local: LocalOptions,
        watched: Option<watch::Sender<Watched>>,
        options: &[Options],
    ) -> Self {
        let carried = watch::Sender::new(false);
        let mut uplinks = Self { files, running: BTreeMap::new(), carried, following: None, watched, local };
        for options in options {
            uplinks.start_one(options);
        }
        uplinks.settle(options);
        uplinks
    }

    /// Tells whether samples are worth publishing.
    pub(super) fn carried(&self) -> watch::Receiver<bool> {
        self.carried.subscribe()
    }

    /// Goes on with these: those that are the same go on as they are.
    pub(super) async fn change_to(&mut self, options: Vec<Options>) {
        let wanted = |name: &str| options.iter().find(|options| options.name == name);
        let ending = |(name, running): (&String, &Running)| {
            let is_same = wanted(name) == Some(&running.options);
            (!is_same).then(|| name.clone())
        };
        let ending: Vec<String> = self.running.iter().filter_map(ending).collect();
        if ending.is_empty() && self.running.len() == options.len() {
            return;
        }
        for name in ending {
            if let Some(running) = self.running.remove(&name) {
                running.stop(&name).await;
            }
        }
        for options in &options {
            if !self.running.contains_key(&options.name) {
                self.start_one(options);
            }
        }
        self.settle(&options);
    }

    /// Says goodbye on both sides.
    pub(super) async fn stop(self) {
        for (name, running) in self.running {
            running.stop(&name).await;
        }
    }

    fn start_one(&mut self, options: &Options) {
        let (outset, told) = watch::channel(Outset::default());
        let (stop, stopped) = watch::channel(false);
        let queued = Queued::default();
        let inputs = Inputs {
            files: self.files.clone(),
            outset,
            queued: self.watched.is_some().then(|| queued.clone()),
            stop: stopped,
        };
        info!("uplink {} starts", options.name);
        let task = tokio::spawn(uplink::run(options.clone(), inputs));
        let running = Running { options: options.clone(), queued, outset: told, stop, task };
        self.running.insert(options.name.clone(), running);
    }

    /// What follows from which uplinks there are now.
    fn settle(&mut self, options: &[Options]) {
        if let Some(watched) = &self.watched {
            let watch = |running: &Running| {
                let client_id = running.options.local.client_id(&running.options.name);
                (ClientId::new(client_id), running.queued.clone())
            };
            watched.send_replace(self.running.values().map(watch).collect());
        }
        if let Some(following) = self.following.take() {
            following.abort();
        }
        self.carried.send_replace(false);
        let outsets: Vec<_> = self.running.values().map(|running| running.outset.clone()).collect();
        if !outsets.is_empty() {
            self.following = Some(tokio::spawn(follow(outsets, self.carried.clone())));
        }
        self.tidy(options);
    }

    /// Ends the sessions of uplinks that are gone.
    fn tidy(&self, options: &[Options]) {
        let mut registry = match Registry::load(&self.files.registry) {
            Ok(registry) => registry,
            Err(error) => return error!("sessions of uplinks that are gone may stay: {error}"),
        };
        let names: BTreeSet<&str> = options.iter().map(|options| options.name.as_str()).collect();
        let gone = registry.gone(&names);
        for options in options {
            let client_id = options.local.client_id(&options.name);
            if let Err(error) = registry.add(&options.name, &client_id, options.topics.state.as_str()) {
                warn!("the session of uplink {} may stay when it is removed: {error}", options.name);
            }
        }
        if gone.is_empty() {
            return;
        }
        let (path, local) = (self.files.registry.clone(), self.local.clone());
        tokio::spawn(async move {
            for (name, known) in gone {
                match uplink::end_session(&local, &known).await {
                    Ok(()) => {
                        info!("uplink {name} is gone: its session is ended");
                        let forgotten = Registry::load(&path).and_then(|mut registry| registry.remove(&name));
                        if let Err(error) = forgotten {
                            warn!("the session of uplink {name} is ended once more after the next start: {error}");
                        }
                    }
                    Err(error) => warn!("the session of uplink {name} stays until the next start: {error}"),
                }
            }
        });
    }
}

impl Running {
    async fn stop(self, name: &str) {
        // a task that has ended needs no word
        let _ = self.stop.send(true);
        if tokio::time::timeout(LEAVE_WAIT, self.task).await.is_err() {
            warn!("uplink {name} was not let go in time: its will speaks for it");
        }
    }
}

/// Tells `carried` whether all outboxes stand, whenever that changes.
async fn follow(mut outsets: Vec<watch::Receiver<Outset>>, carried: watch::Sender<bool>) {
    loop {
        let standing = outsets.iter_mut().filter_map(|outset| {
            let is_standing = *outset.borrow_and_update() == Outset::Standing;
            is_standing.then_some(())
        });
        let is_all = standing.count() == outsets.len();
        carried.send_if_modified(|told| std::mem::replace(told, is_all) != is_all);
        let mut news: Vec<_> = outsets.iter_mut().map(|outset| Box::pin(change(outset))).collect();
        std::future::poll_fn(|cx| {
            if news.iter_mut().any(|news| news.as_mut().poll(cx).is_ready()) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Pending for ever when the uplink has ended.
async fn change(outset: &mut watch::Receiver<Outset>) {
    if outset.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
