//! What MQTT and the design's laws ask of the broker, independent of how the broker does it.
//!
//! The oracle sees what a client or a disk can see: packets in both directions, the clock, changed rights, and what a
//! restart would find. It never looks at the broker's state nor at the order or the content of single changes.
//!
//! - An accepted message creates a copy for each matching session and one obligation for each matching group.
//! - A packet that the broker sends must be explained by a copy, an obligation, or an expected answer.
//! - An answer promises values of durable keys. From then on no restart may find an older value.
//! - What the standards leave open (which member of a group, what a crash undoes, when a copy that may be dropped is
//!   dropped) is decided by what is observed, if that is one of the permitted outcomes.
//! - When all is quiet, every copy and every obligation that may not be dropped is complete.
//!
//! | file | holds |
//! |---|---|
//! | `history` | the possible values of a durable key |
//! | `types` | messages, copies, obligations of groups, sessions, connections |
//! | `connect`, `packets` | the effects of packets from clients |
//! | `route` | accepted messages, wills, retained messages |
//! | `end` | ends of connections and sessions, time, rights |
//! | `answers` | expected answers and what they promise |
//! | `deliver`, `group` | explanations of a sent PUBLISH |
//! | `observe` | what the disk says of the way in which a message came |
//! | `restart`, `adopt` | what a restart may find, and the start from it |
//! | `quiet` | what must be complete in the end |

mod adopt;
mod answers;
mod connect;
mod deliver;
mod end;
mod group;
mod history;
mod observe;
mod packets;
mod quiet;
mod restart;
mod route;
mod types;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::*;
use crate::access::Rights;
use history::{History, Mark};
use types::{Connection, Copy, Group, KeptTerms, Message, Retained, Session, WillValue};

/// The expectations of all clients together.
pub(super) struct Oracle {
    pub(super) now: Monotonic,
    pub(super) is_disk_full: bool,
    /// When and at which mark the oldest ticket that is not answered was requested. A packet that is sent now may have
    /// been decided since then.
    pub(super) oldest_open: Option<(Monotonic, Mark)>,
    mark: Mark,
    messages: Vec<Message>,
    /// Messages by topic and payload; a message that is published again is another one.
    by_content: BTreeMap<(String, Bytes), Vec<usize>>,
    copies: Vec<Copy>,
    groups: Vec<Group>,
    sessions: Vec<Session>,
    /// Sessions by client.
    current: BTreeMap<usize, usize>,
    connections: BTreeMap<usize, Connection>,
    /// The persistent session of each client.
    kept: Vec<History<Option<KeptTerms>>>,
    wills: Vec<History<WillValue>>,
    retained: BTreeMap<String, Retained>,
    /// The rights of each client since each change; `None` for a removed user.
    rights: Vec<VecDeque<(Mark, Option<Rights>)>>,
}

impl Oracle {
    pub(super) fn new(clients: usize, now: Monotonic) -> Self {
        Self {
            now,
            is_disk_full: false,
            oldest_open: None,
            mark: 0,
            messages: Vec::new(),
            by_content: BTreeMap::new(),
            copies: Vec::new(),
            groups: Vec::new(),
            sessions: Vec::new(),
            current: BTreeMap::new(),
            connections: BTreeMap::new(),
            kept: vec![History::new(None); clients],
            wills: vec![History::new(WillValue::None); clients],
            retained: BTreeMap::new(),
            rights: vec![[(0, Some(Rights::everything()))].into(); clients],
        }
    }

    /// Starts the next moment in the order of inputs.
    pub(super) fn next_mark(&mut self) -> Mark {
        self.mark += 1;
        self.mark
    }

    /// Whether the client may read `topic` now [law 9].
    fn may_read(&self, client: usize, topic: &str) -> bool {
        let rights = self.rights[client].back().and_then(|(_, rights)| rights.as_ref());
        rights.is_some_and(|rights| rights.may_read(topic))
    }

    fn may_write(&self, client: usize, topic: &str) -> bool {
        let rights = self.rights[client].back().and_then(|(_, rights)| rights.as_ref());
        rights.is_some_and(|rights| rights.may_write(topic))
    }

    /// Whether the client could read `topic` at some moment since `mark`.
    fn could_read_since(&self, client: usize, topic: &str, mark: Mark) -> bool {
        let log = &self.rights[client];
        let from = log.iter().rposition(|(since, _)| *since <= mark).unwrap_or(0);
        log.iter().skip(from).any(|(_, rights)| rights.as_ref().is_some_and(|rights| rights.may_read(topic)))
    }

    /// The live session of a connection that has not ended.
    fn session_of(&self, serial: usize) -> Option<usize> {
        self.connections.get(&serial).filter(|connection| !connection.is_ending).map(|connection| connection.session)
    }

    /// Whether the client has a will or messages of any kind under this topic, for readable failures.
    fn describe(&self, topic: &str, payload: &[u8]) -> String {
        let key = (topic.to_owned(), Bytes::copy_from_slice(payload));
        let Some(known) = self.by_content.get(&key) else { return "it was never accepted".into() };
        let lines = known.iter().map(|message| {
            let message = &self.messages[*message];
            let copies: Vec<&Copy> = message.copies.iter().map(|copy| &self.copies[*copy]).collect();
            let groups: Vec<&Group> = message.groups.iter().map(|group| &self.groups[*group]).collect();
            format!("{message:?} {copies:#?} {groups:#?}")
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

pub(super) fn is_shared(filter: &str) -> bool {
    filter.starts_with("$share/")
}

/// The filter without the name of its group.
fn plain(filter: &str) -> &str {
    filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')).map_or(filter, |(_, filter)| filter)
}

fn matches(filter: &str, topic: &str) -> bool {
    TopicFilter::new(plain(filter)).unwrap().matches(topic)
}

fn sorted(ids: impl Iterator<Item = SubscriptionId>) -> Vec<u32> {
    let mut ids: Vec<u32> = ids.map(SubscriptionId::get).collect();
    ids.sort_unstable();
    ids
}
