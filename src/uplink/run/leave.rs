//! The end: goodbye on both sides.

use std::time::Duration;

use bytes::Bytes;

use super::{Uplink, now};
use crate::base::clock;
use crate::client::{Event, Publication};
use crate::uplink::state::State;

/// How long the far side may take to hear the last message.
const FAREWELL_WAIT: Duration = Duration::from_secs(2);

impl Uplink {
    /// Tells the far side that the gateway goes, so that its will needs not.
    pub(super) async fn leave(mut self) {
        let farewell = self.machine.handle_leave(now());
        if let Some(mut link) = self.far.take_link() {
            if let Some(farewell) = farewell
                && let Some(said) = link.publish(&farewell)
            {
                let heard = async {
                    loop {
                        match link.next_event().await {
                            Event::Acknowledged(packet_id, _) if packet_id == said => return true,
                            Event::Lost(_) => return false,
                            _ => {}
                        }
                    }
                };
                if tokio::time::timeout(FAREWELL_WAIT, heard).await.unwrap_or(false) {
                    link.disconnect().await;
                }
                // else the will says it
            } else {
                link.disconnect().await;
            }
        }
        self.say_gone().await;
    }

    /// What was told of the connection is true no longer.
    async fn say_gone(mut self) {
        self.tell_far(false, Some("the gateway has stopped".into()), None);
        let state = State::new(&self.far_state, &self.machine, self.queued.as_ref());
        if let Some(mut link) = self.local.take_link() {
            if let Some(json) = self.told.poll(state, clock::monotonic()) {
                let told = Publication::new(self.state_topic.clone(), Bytes::from(json));
                link.publish(&Publication { retain: true, ..told });
            }
            link.disconnect().await;
        }
    }
}
