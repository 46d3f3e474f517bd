//! One sample to the broker and away: what `run --once` does.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::delivery::Receipt;
use super::link::{Link, LinkEvent};
use super::publish::{publications, retained_topics};
use super::reach::mqtt_options;
use super::run::load_memory;
use super::said::Said;
use super::sample::Sample;
use super::{Options, Publication};
use crate::base::clock::Monotonic;
use crate::client::TlsError;

/// Why one sample could not be published.
#[derive(Debug, Error)]
pub enum OnceError {
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection could not be made or was lost.
    #[error("no connection to {broker}: {why}")]
    Connection {
        /// The broker.
        broker: String,
        /// The reason in words.
        why: String,
    },
    /// The broker did not take everything in time.
    #[error("{broker} did not take the sample within {} s", wait.as_secs_f64())]
    Timeout {
        /// The broker.
        broker: String,
        /// How long it was waited for.
        wait: Duration,
    },
}

/// Connects, publishes everything that `sample` is worth, waits until the broker has it, and disconnects; all within
/// `wait`. Gives the number of messages.
///
/// The status topic and its will are left alone, and the client identifier gets `-once` appended, so that a gateway
/// that runs beside it is not disturbed. `memory` is the file of [`super::Inputs::memory`].
///
/// # Errors
/// When there is no connection, or the broker does not take everything in time.
pub async fn publish_once(
    mut options: Options,
    sample: &Sample,
    started: Monotonic,
    memory: PathBuf,
    wait: Duration,
) -> Result<usize, OnceError> {
    options.status = None;
    options.client_id.push_str("-once");
    let broker = options.broker.to_string();
    let messages = publications(&options, sample, &Said::default(), started);
    let mut link = Link::open(mqtt_options(&options)?);
    match tokio::time::timeout(wait, deliver(&mut link, messages, || remember(&options, memory))).await {
        Ok(Ok(delivered)) => {
            link.close().await;
            Ok(delivered)
        }
        Ok(Err(why)) => Err(OnceError::Connection { broker, why }),
        Err(_) => Err(OnceError::Timeout { broker, wait }),
    }
}

/// What is retained now is to be cleared when its topic is renamed later.
fn remember(options: &Options, memory: PathBuf) {
    if let Err(error) = load_memory(memory).remember(&options.broker.to_string(), &retained_topics(options)) {
        tracing::warn!("a topic that is renamed later may not be cleared: {error}");
    }
}

async fn deliver(link: &mut Link, messages: Vec<Publication>, remember: impl FnOnce()) -> Result<usize, String> {
    wait_until_up(link).await?;
    remember();
    let wanted = messages.len();
    for message in messages {
        if !link.try_publish(message, Receipt::None) {
            return Err("it takes no messages".into());
        }
    }
    for _ in 0..wanted {
        if let LinkEvent::Down(why) = link.next_event().await {
            return Err(why);
        }
    }
    Ok(wanted)
}

async fn wait_until_up(link: &mut Link) -> Result<(), String> {
    loop {
        match link.next_event().await {
            LinkEvent::Up => return Ok(()),
            LinkEvent::Delivered(_) | LinkEvent::Incoming(_) | LinkEvent::SubscriptionRefused => {}
            LinkEvent::Down(why) => return Err(why),
        }
    }
}
