//! Work that takes milliseconds of processor time, off the broker's thread: password hashes and TLS handshakes.
//!
//! At most [`threads`] pieces of work run at a time. What has to wait does so in a [`FairQueue`], by source.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::fair::{Failures, FairQueue, JobId, Source};
use crate::base::clock;

/// Returns how many worker threads there are: one leaves the broker's thread a core of its own where there are two,
/// and on a single core two would only switch between each other; more would leave nothing to other programs.
pub(super) fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / 2).clamp(1, 2)
}

/// The workers, as seen from the broker's thread.
#[derive(Debug)]
pub(super) struct Workers(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Workers without work; none while jobs wait.
    idle: usize,
    /// Each is sent a permit when its turn has come.
    waiting: FairQueue<oneshot::Sender<Permit>>,
    failures: Failures,
}

/// One worker is occupied as long as this exists.
#[derive(Debug)]
struct Permit(Arc<Mutex<State>>);

/// A job that waits for its permit. Dropping it takes the job out of the queue.
struct Waiting<'a> {
    workers: &'a Workers,
    source: Source,
    id: JobId,
    permit: oneshot::Receiver<Permit>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workers {
    pub(super) fn new(threads: usize) -> Self {
        let state = State { idle: threads, waiting: FairQueue::default(), failures: Failures::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Runs `work` on a worker thread when it is the turn of `source`. Cancel safe: work that has not begun is not
    /// done, and the result of other work is dropped.
    pub(super) async fn run<T: Send + 'static>(&self, source: Source, work: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = self.permit(source).await;
        let task = move || {
            let result = work();
            drop(permit);
            result
        };
        match tokio::task::spawn_blocking(task).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // the runtime is shutting down, and this task with it
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Lets the next jobs of `source` wait behind those of sources without failures.
    pub(super) fn record_failure(&self, source: Source) {
        lock(&self.0).failures.record(source, clock::monotonic());
    }

    async fn permit(&self, source: Source) -> Permit {
        let mut waiting = {
            let mut state = lock(&self.0);
            if let Some(idle) = state.idle.checked_sub(1) {
                state.idle = idle;
                return Permit(self.0.clone());
            }
            let (sender, permit) = oneshot::channel();
            let is_suspect = state.failures.has_recent(source, clock::monotonic());
            let id = state.waiting.push(source, is_suspect, sender);
            Waiting { workers: self, source, id, permit }
        };
        match (&mut waiting.permit).await {
            Ok(permit) => permit,
            // the sender is dropped only together with the queue, which `self` keeps
            Err(_) => std::future::pending().await,
        }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.0).waiting.len()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.workers.0).waiting.remove(self.source, self.id);
    }
}

impl Drop for Permit {
    /// Hands the worker on to the next job.
    fn drop(&mut self) {
        let next = {
            let mut state = lock(&self.0);
            let next = state.waiting.pop();
            if next.is_none() {
                state.idle += 1;
            }
            next
        };
        // a permit that a job no longer wants is dropped, and so handed on as well
        next.map(|next| next.send(Permit(self.0.clone())));
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::mpsc;

    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    const LOCAL: Source = Source::Local(0);

    /// Work that has begun when this returns, and ends when the sender is dropped.
    async fn occupy(workers: &Rc<Workers>, source: Source) -> mpsc::Sender<()> {
        let (end, wait) = mpsc::channel::<()>();
        let (start, begun) = oneshot::channel();
        let workers = workers.clone();
        spawn_local(async move {
            let work = move || {
                start.send(()).unwrap();
                wait.recv()
            };
            let _ = workers.run(source, work).await;
        });
        begun.await.unwrap();
        end
    }

    #[tokio::test]
    async fn sources_are_served_in_turn_while_one_of_them_asks_without_end() {
        let workers = Rc::new(Workers::new(1));
        let tasks = LocalSet::new();
        let served = tasks
            .run_until(async {
                let occupied = occupy(&workers, LOCAL).await;
                let (sender, served) = mpsc::channel();
                let mut running = tokio::task::JoinSet::new();
                for source in [1, 1, 1, 1, 2] {
                    let (workers, sender) = (workers.clone(), sender.clone());
                    running.spawn_local(async move {
                        workers.run(Source::Local(source), move || sender.send(source).unwrap()).await;
                    });
                }
                tokio::task::yield_now().await;
                assert_eq!(workers.waiting(), 5);
                drop(occupied);
                running.join_all().await;
                served.try_iter().collect::<Vec<_>>()
            })
            .await;
        assert_eq!(served, [1, 2, 1, 1, 1]);
    }

    #[tokio::test]
    async fn cancelled_jobs_leave_the_queue_and_their_permits_are_handed_on() {
        let workers = Rc::new(Workers::new(1));
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                let occupied = occupy(&workers, LOCAL).await;
                let waiting: Vec<_> = (0..3)
                    .map(|number| {
                        let workers = workers.clone();
                        spawn_local(async move { workers.run(Source::Local(number), || ()).await })
                    })
                    .collect();
                tokio::task::yield_now().await;
                assert_eq!(workers.waiting(), 3);
                waiting.iter().for_each(tokio::task::JoinHandle::abort);
                for task in waiting {
                    assert!(task.await.unwrap_err().is_cancelled());
                }
                assert_eq!(workers.waiting(), 0);
                drop(occupied);
                assert_eq!(workers.run(LOCAL, || 7).await, 7);
            })
            .await;
    }
}
