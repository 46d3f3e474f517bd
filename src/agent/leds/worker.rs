//! The thread `matrix`: waits for news or for the next moment at which the frame changes, and shows it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::display::Display;
use super::door::LedsDoor;
use super::inbox::{Inbox, News, Usage};
use super::report::{Health, Report};
use crate::base::clock::{self, Monotonic};
use crate::matrix::Options;

/// How long the thread may take to make the matrix dark. One that the kernel keeps longer is not waited for.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// The running thread. It goes on until it is stopped or the process ends.
#[derive(Debug)]
pub struct Leds {
    inbox: Arc<Inbox>,
    reports: watch::Receiver<Option<Report>>,
}

impl Leds {
    /// What the agent needs of it.
    pub fn door(&self) -> LedsDoor {
        LedsDoor::new(Arc::clone(&self.inbox), self.reports.clone())
    }

    /// Other options from now on; with `None` the matrix is made dark and left alone.
    pub fn set_options(&self, options: Option<Options>) {
        self.inbox.put(|news| news.usage = Some(Usage::of(options)));
    }

    /// Makes the matrix dark and ends the thread; waits for it for a second at most.
    pub async fn stop(mut self) {
        self.inbox.put(|news| news.is_stop = true);
        let ended = async { while self.reports.changed().await.is_ok() {} };
        if tokio::time::timeout(STOP_WAIT, ended).await.is_err() {
            warn!("the LED matrix did not get dark in time");
        }
    }
}

/// Starts the thread `matrix` on the machine whose files are below `root`, which is `/` outside tests. Without options
/// it leaves the matrix alone until it gets some.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn_leds(root: PathBuf, options: Option<Options>) -> io::Result<Leds> {
    let inbox = Arc::new(Inbox::default());
    inbox.put(|news| news.usage = Some(Usage::of(options)));
    let (told, reports) = watch::channel(None);
    let (worker, letters) = (Worker { root, display: None, told }, Arc::clone(&inbox));
    thread::Builder::new().name("matrix".into()).spawn(move || worker.run(&letters))?;
    Ok(Leds { inbox, reports })
}

struct Worker {
    root: PathBuf,
    /// `None` while the matrix is left alone.
    display: Option<Display>,
    told: watch::Sender<Option<Report>>,
}

impl Worker {
    fn run(mut self, inbox: &Inbox) {
        let mut wait = None;
        loop {
            let mut news = inbox.take(wait);
            let now = clock::monotonic();
            if let Some(usage) = news.usage.take() {
                self.set_usage(usage, now);
            }
            if news.is_stop {
                return self.clear(now);
            }
            wait = self.handle_news(news, now);
        }
    }

    fn set_usage(&mut self, usage: Usage, now: Monotonic) {
        match (&mut self.display, usage) {
            (Some(display), Usage::Shown(options)) => display.set_options(options, now),
            (None, Usage::Shown(options)) => {
                self.display = Some(Display::new(self.root.clone(), options, now, fastrand::u64(..)));
            }
            (_, Usage::LeftAlone) => {
                self.clear(now);
                self.display = None;
                self.told.send_replace(None);
            }
        }
    }

    /// Shows what is to be shown now; gives how long that stays, `None` for as long as nothing comes.
    fn handle_news(&mut self, news: News, now: Monotonic) -> Option<Duration> {
        let display = self.display.as_mut()?;
        display.handle_news(news, now);
        let (report, deadline) = (display.show(now), display.next_deadline(now));
        self.tell(report);
        Some(deadline.since(now))
    }

    fn clear(&mut self, now: Monotonic) {
        if let Some(report) = self.display.as_mut().map(|display| display.clear(now)) {
            self.tell(report);
        }
    }

    /// Hands a report over that says something new; the log hears of the health alone.
    fn tell(&self, report: Report) {
        let health = self.told.borrow().as_ref().map(|told| told.health.clone());
        if health.as_ref() != Some(&report.health) {
            log_health(&report.health);
        }
        self.told.send_if_modified(|told| {
            let is_new = told.as_ref() != Some(&report);
            *told = Some(report);
            is_new
        });
    }
}

/// A HAT without its overlay is common and no reason to worry whoever only wants readings.
fn log_health(health: &Health) {
    match health {
        Health::Ok => info!("the LED matrix is there"),
        Health::Absent(text) => info!("{text}"),
        Health::Permission(text) | Health::Failed(text) => warn!("{text}"),
    }
}
