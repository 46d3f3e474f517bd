//! What waits for the thread of the matrix: the newest of each kind, so that nothing queues up.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::matrix::{Command, Options};

/// Values of quantities, or that there are none.
pub(super) type Values = Vec<(&'static str, Option<f64>)>;

/// Whether the matrix is in use.
#[derive(Debug, PartialEq)]
pub(super) enum Usage {
    /// It shows what it is told, in this way.
    Shown(Options),
    /// It is left alone.
    LeftAlone,
}

impl Usage {
    /// With options it is in use.
    pub(super) fn of(options: Option<Options>) -> Self {
        options.map_or(Self::LeftAlone, Self::Shown)
    }
}

/// What came since the thread looked last.
#[derive(Debug, Default, PartialEq)]
pub(super) struct News {
    /// Another usage.
    pub(super) usage: Option<Usage>,
    /// What all commands together ask for.
    pub(super) command: Option<Command>,
    /// Of the newest sample.
    pub(super) values: Option<Values>,
    /// Whether to end.
    pub(super) is_stop: bool,
}

/// One slot a kind. Whoever puts something in never waits for the thread.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    news: Mutex<News>,
    arrived: Condvar,
}

impl Inbox {
    /// Changes what waits, and wakes the thread.
    pub(super) fn put(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.lock());
        self.arrived.notify_one();
    }

    /// A command in the place of what it replaces.
    pub(super) fn put_command(&self, command: Command) {
        self.put(|news| {
            news.command = Some(match news.command.take() {
                Some(earlier) => earlier.followed_by(command),
                None => command,
            });
        });
    }

    /// Takes what waits; where nothing does, waits for it, at most for `wait`, or for as long as it takes.
    pub(super) fn take(&self, wait: Option<Duration>) -> News {
        let is_empty = |news: &mut News| *news == News::default();
        let guard = self.lock();
        let mut guard = match wait {
            None => self.arrived.wait_while(guard, is_empty).unwrap_or_else(PoisonError::into_inner),
            Some(wait) => {
                self.arrived.wait_timeout_while(guard, wait, is_empty).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        std::mem::take(&mut *guard)
    }

    /// A panic elsewhere ends the process; until then what is there is whole.
    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(payload: &str) -> Command {
        Command::parse(payload.as_bytes()).unwrap()
    }

    #[test]
    fn commands_that_wait_become_one() {
        let inbox = Inbox::default();
        inbox.put_command(command(r#"{"fill": "red", "rotation": 90, "timeout": 5}"#));
        inbox.put_command(command(r#"{"fill": "blue", "brightness": 0.5}"#));
        let expected = command(r#"{"fill": "blue", "rotation": 90, "brightness": 0.5}"#);
        assert_eq!(inbox.take(None), News { command: Some(expected), ..News::default() });
        assert_eq!(inbox.take(Some(Duration::ZERO)), News::default());
    }

    #[test]
    fn the_newest_values_and_usage_count() {
        let inbox = Inbox::default();
        for value in [1.0, 2.0] {
            inbox.put(|news| news.values = Some(vec![("pressure", Some(value))]));
        }
        inbox.put(|news| news.usage = Some(Usage::of(Some(Options::default()))));
        inbox.put(|news| news.usage = Some(Usage::of(None)));
        let news = inbox.take(None);
        assert_eq!((news.values, news.usage), (Some(vec![("pressure", Some(2.0))]), Some(Usage::LeftAlone)));
    }
}
