//! What must be complete when everybody is connected, the disk writes, and all is read and acknowledged.

use super::*;

impl Oracle {
    pub(in super::super) fn check_quiet(&self) {
        for copy in self.copies.iter().filter(|copy| copy.is_due && !copy.is_void && !copy.is_complete) {
            let message = &self.messages[copy.message()];
            let client = self.sessions[copy.session].client;
            assert!(message.is_expired(self.now), "lost for c{client}: {copy:?} {message:?}");
        }
        for (index, group) in self.groups.iter().enumerate().filter(|(_, group)| group.is_due && !group.is_void) {
            let mut others = self.exchangeable(index).map(|other| &self.groups[other]);
            let is_exchanged = others.any(|other| self.is_fulfilled(other) && self.may_be_lost(other));
            let is_fulfilled = self.is_fulfilled(group) || is_exchanged || self.may_be_lost(group);
            assert!(is_fulfilled, "lost for a group: {group:?} {:?}", self.messages[group.message]);
        }
        for (client, session) in &self.current {
            let open: Vec<_> =
                self.sessions[*session].received.iter().filter(|(_, known)| *known.0.current()).collect();
            assert!(open.is_empty(), "a publish of c{client} is never complete: {open:?}");
        }
        for connection in self.connections.values().filter(|connection| !connection.is_ending) {
            let Connection { client, expected, pings, .. } = connection;
            assert!(expected.is_empty() && *pings == 0, "c{client} gets no answer: {expected:?}, {pings} PINGRESP");
        }
    }

    /// Whether the standards permit that no member gets a message: with QoS 0, when it expires, or when a member cannot
    /// take it because of its size.
    fn may_be_lost(&self, group: &Group) -> bool {
        let message = &self.messages[group.message];
        let is_lossy = |session: &Session| {
            let is_too_large = message.is_large() && Session::was_since(session.was_small, message.mark);
            let mut memberships = session.memberships_since(&group.filter, message.mark);
            memberships.any(|membership| is_too_large || membership.granted.qos.min(message.qos) == QoS::AtMostOnce)
        };
        !group.is_due || message.is_refused || message.is_expired(self.now) || self.sessions.iter().any(is_lossy)
    }
}
