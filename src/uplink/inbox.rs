//! Messages of the far side on their way to the local broker. Each is acknowledged there only when the local broker
//! has it, in order of receipt [MQTT-4.6.0-2].

use std::collections::VecDeque;

use super::machine::Token;
use crate::client::Publication;
use crate::mqtt::PacketId;

#[derive(Clone, Debug)]
struct Entry {
    /// What the far side waits for; `None` with QoS 0, and when the connection that it came over has ended.
    packet_id: Option<PacketId>,
    /// What the local broker is to have; `None` once it has it, or if it is to have nothing.
    publication: Option<(Token, Publication)>,
    /// Whether that is under way.
    is_sent: bool,
}

/// What is between the two.
#[derive(Clone, Debug, Default)]
pub(super) struct Inbox {
    entries: VecDeque<Entry>,
}

impl Inbox {
    /// A message came; with nothing to publish it only waits for those before it.
    pub(super) fn push(&mut self, packet_id: Option<PacketId>, publication: Option<(Token, Publication)>) {
        self.entries.push_back(Entry { packet_id, publication, is_sent: false });
    }

    /// The next to be published, when fewer than `most` are under way.
    pub(super) fn poll_publication(&mut self, most: usize) -> Option<(Token, Publication)> {
        let is_open = |entry: &&Entry| entry.publication.is_some();
        let under_way = self.entries.iter().filter(is_open).filter(|entry| entry.is_sent).count();
        let mut unsent = self.entries.iter_mut().filter(|entry| entry.publication.is_some() && !entry.is_sent);
        let entry = unsent.next().filter(|_| under_way < most)?;
        entry.is_sent = true;
        entry.publication.clone()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The local broker has what `token` stands for; tells whether that was one of these.
    pub(super) fn settle(&mut self, token: Token) -> bool {
        let is_meant = |entry: &&mut Entry| entry.publication.as_ref().is_some_and(|(of, _)| *of == token);
        let entry = self.entries.iter_mut().find(is_meant);
        entry.map(|entry| entry.publication = None).is_some()
    }

    /// Takes out what the local broker has, from the front; gives what is to be acknowledged, in order.
    pub(super) fn take_settled(&mut self) -> Vec<PacketId> {
        let settled = self.entries.iter().take_while(|entry| entry.publication.is_none()).count();
        self.entries.drain(..settled).filter_map(|entry| entry.packet_id).collect()
    }

    /// What is under way to the local broker is to be published once more.
    pub(super) fn rewind(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.is_sent = false);
    }

    /// The connection has ended: nothing is to be acknowledged, and what is on its way arrives all the same. A far
    /// session that outlives the connection brings it once more.
    pub(super) fn handle_far_lost(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.packet_id = None);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_the_local_broker_has_is_acknowledged_in_the_order_of_receipt() {
        let mut inbox = Inbox::default();
        let publication = Publication::new("a".into(), Bytes::new());
        inbox.push(PacketId::new(1), Some((Token(1), publication.clone())));
        inbox.push(PacketId::new(2), None);
        inbox.push(PacketId::new(3), Some((Token(2), publication)));
        assert_eq!(inbox.take_settled(), []);
        assert_eq!(inbox.poll_publication(1).map(|(token, _)| token), Some(Token(1)));
        assert_eq!(inbox.poll_publication(1), None);
        inbox.rewind();
        assert_eq!(inbox.poll_publication(2).map(|(token, _)| token), Some(Token(1)));
        assert_eq!(inbox.poll_publication(2).map(|(token, _)| token), Some(Token(2)));
        assert!(inbox.settle(Token(1)));
        assert!(!inbox.settle(Token(9)));
        assert_eq!(inbox.take_settled(), [PacketId::new(1).unwrap(), PacketId::new(2).unwrap()]);
        inbox.handle_far_lost();
        assert!(inbox.settle(Token(2)));
        assert_eq!(inbox.take_settled(), []);
        assert_eq!(inbox.len(), 0);
    }
}
