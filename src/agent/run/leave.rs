//! How the agent leaves a broker.

use std::time::Duration;

use tracing::warn;

use super::Agent;
use crate::agent::delivery::Receipt;
use crate::agent::link::{Link, LinkEvent};
use crate::agent::publish::{Presence, status_publication};

/// How long the broker may take to acknowledge that the gateway leaves.
const OFFLINE_WAIT: Duration = Duration::from_secs(2);

impl Agent {
    /// Says `offline` and disconnects. When the broker does not acknowledge it in time, the connection is cut
    /// instead, and its will says the same.
    pub(super) async fn leave(&mut self) {
        let offline = self.options.status.as_ref().map(|status| status_publication(status, Presence::Offline));
        let Some(mut link) = self.connection.take_link() else { return };
        let said = match offline {
            None => true,
            Some(offline) => {
                link.try_publish(offline, Receipt::Offline)
                    && tokio::time::timeout(OFFLINE_WAIT, self.offline_said(&mut link)).await.unwrap_or(false)
            }
        };
        if said {
            for receipt in link.close().await {
                self.handle_receipt(receipt);
            }
        } else {
            warn!("{} did not acknowledge the last message; the will says it", self.options.broker);
        }
    }

    async fn offline_said(&mut self, link: &mut Link) -> bool {
        loop {
            match link.next_event().await {
                LinkEvent::Delivered(Receipt::Offline) => return true,
                LinkEvent::Delivered(receipt) => self.handle_receipt(receipt),
                LinkEvent::Down(_) => return false,
                LinkEvent::Up | LinkEvent::Incoming(_) | LinkEvent::SubscriptionRefused => {}
            }
        }
    }
}
