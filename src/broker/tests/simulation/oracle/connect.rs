//! CONNECT (section 3.1): who comes in, and what becomes of an earlier session.

use std::collections::VecDeque;

use super::super::FOREVER_S;
use super::answers::{Expected, Key, Says};
use super::*;

impl Oracle {
    /// A CONNECT was refused. Only a full disk is a reason here.
    pub(in super::super) fn refuse(&mut self, serial: usize, client: usize, connect: &Connect, code: ReasonCode) {
        let is_removed = self.rights[client].back().is_some_and(|(_, rights)| rights.is_none());
        let needs_disk = expiry_s(connect) > 0
            || connect.will.is_some()
            || self.current.get(&client).is_some_and(|session| self.sessions[*session].is_kept);
        let is_full = self.is_disk_full && needs_disk;
        assert!(is_removed || is_full, "c{client} is refused with {code:?} on connection {serial}");
    }

    /// A client is admitted. Its CONNACK may follow later.
    pub(in super::super) fn admit(&mut self, serial: usize, client: usize, connect: &Connect) {
        let mark = self.next_mark();
        // [MQTT-3.1.4-3]
        if let Some(other) = self.current.get(&client).and_then(|session| self.sessions[*session].connection) {
            self.end_connection(other, true);
        }
        // [MQTT-3.1.2-4]
        if connect.clean_session {
            self.end_session(client);
        }
        let expiry_s = expiry_s(connect);
        let found = self.current.get(&client).copied();
        let was_uncertain = found.is_some_and(|session| self.sessions[session].is_uncertain);
        let session = found.unwrap_or_else(|| self.begin_session(client, expiry_s));
        let is_will_void = self.take_up(session, serial, expiry_s);
        let mut connection = self.greet(serial, session, connect);
        (connection.began_session, connection.mark) = (found.is_none(), mark);
        let present = if was_uncertain { vec![false, true] } else { vec![found.is_some()] };
        let mut expected = Expected::new(Says::ConnAck, 0, vec![vec![ReasonCode::Success]]);
        expected.present = present;
        expected.promises.push((Key::Kept(client), self.kept[client].mark()));
        // its will, or that an earlier one is void; nobody waits for room that only others can make
        let is_promised = if connect.will.is_some() { !self.is_disk_full } else { is_will_void };
        if is_promised {
            expected.promises.push((Key::Will(client), self.wills[client].mark()));
        }
        connection.expected.push_back(expected);
        self.connections.insert(serial, connection);
        self.note_packet_size(session, serial);
    }

    /// A CONNECT that waited is refused after all. Only a full disk is a reason here.
    pub(super) fn refuse_late(&mut self, serial: usize) {
        let Connection { client, began_session, .. } = self.connections[&serial];
        assert!(self.is_disk_full && began_session, "c{client} is refused on connection {serial}");
        self.end_connection(serial, false);
        if self.current.get(&client).is_some_and(|session| self.sessions[*session].is_uncertain) {
            self.end_session(client);
        }
    }

    fn begin_session(&mut self, client: usize, expiry_s: u32) -> usize {
        let session = self.sessions.len();
        self.sessions.push(Session::new(client, expiry_s));
        self.current.insert(client, session);
        session
    }

    /// The client is back in time: a will that waits is void [MQTT-3.1.3-9]. Returns whether there is one.
    fn take_up(&mut self, index: usize, serial: usize, expiry_s: u32) -> bool {
        let mark = self.next_mark();
        let session = &mut self.sessions[index];
        (session.expiry_s, session.ends, session.connection) = (expiry_s, None, Some(serial));
        (session.is_uncertain, session.was_connected) = (false, Some(Mark::MAX));
        let client = session.client;
        let has_will = session.will.take().is_some();
        if has_will {
            self.wills[client].set(mark, WillValue::None);
        }
        self.note_terms(index);
        has_will
    }

    /// Records the present terms of a persistent session.
    pub(super) fn note_terms(&mut self, index: usize) {
        let mark = self.next_mark();
        let Session { client, is_kept, expiry_s, ends, .. } = self.sessions[index];
        if is_kept {
            self.kept[client].set(mark, Some(KeptTerms { session: index, expiry_s, ends }));
        }
    }

    fn greet(&mut self, serial: usize, session: usize, connect: &Connect) -> Connection {
        let mark = self.next_mark();
        let client = self.sessions[session].client;
        let fields = &connect.properties;
        // [MQTT-3.1.2-22]
        let silence = (connect.keep_alive_s > 0).then(|| Duration::from_secs(connect.keep_alive_s.into()).mul_f64(1.5));
        if let Some(will) = &connect.will {
            self.wills[client].set(mark, WillValue::Set(will.clone()));
        }
        assert!(!self.connections.contains_key(&serial));
        Connection {
            client,
            session,
            is_five: connect.version == ProtocolVersion::V5,
            receive_max: fields.receive_maximum.map_or(usize::MAX, |most| most.get().into()).min(INFLIGHT_MAX),
            packet_max: fields.maximum_packet_size.map_or(usize::MAX, |most| most.get() as usize),
            alias_max: fields.topic_alias_maximum.unwrap_or(0),
            will: connect.will.clone(),
            heard: self.now,
            silence,
            mark,
            is_greeted: false,
            is_ending: false,
            began_session: false,
            expected: VecDeque::new(),
            inflight: [].into(),
            aliases_in: [].into(),
            aliases_out: [].into(),
            latest: [].into(),
            pings: 0,
        }
    }

    /// What is too large for its client may be dropped [MQTT-3.1.2-25].
    fn note_packet_size(&mut self, session: usize, serial: usize) {
        if self.connections[&serial].packet_max == usize::MAX {
            return;
        }
        self.sessions[session].was_small = Some(Mark::MAX);
        for copy in self.sessions[session].copies.clone() {
            if self.messages[self.copies[copy].message()].is_large() {
                self.copies[copy].is_due = false;
            }
        }
    }
}

/// Seconds that a session is to outlive its connection (section 3.1.2.11.2; 3.1.1, section 3.1.2.4).
fn expiry_s(connect: &Connect) -> u32 {
    match connect.properties.session_expiry_interval_s {
        asked if connect.version == ProtocolVersion::V5 => asked.unwrap_or(0),
        _ if connect.clean_session => 0,
        _ => FOREVER_S,
    }
}
