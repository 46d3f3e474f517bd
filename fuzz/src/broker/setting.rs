//! How a machine is set up, and what it is told of clients.

use std::time::Duration;

use arbitrary::Arbitrary;
use sensegate::access::{Acl, Rights};
use sensegate::broker::{ClientIdPattern, Options, Overflow, QueueLimits, Standing, Verdict};
use sensegate::mqtt::ConnectReturnCode;

/// What somebody of few rights may do.
const ACL: &str = "topic read a/#\ntopic write b\ntopic deny a/c\n";

/// How a machine is set up, in bits.
#[derive(Arbitrary, Debug)]
pub struct Setting(u16);

impl Setting {
    /// Small limits, so that few operations reach them.
    pub fn options(&self) -> Options {
        let has = |bit| self.has(bit);
        Options {
            packet_bytes_max: 256,
            inflight_max: if has(0) { 2 } else { 5 },
            queue: QueueLimits {
                messages_max: if has(1) { 3 } else { 20 },
                bytes_max: if has(2) { 60 } else { 1000 },
                age_max: has(11).then_some(Duration::from_secs(30)),
                overflow: if has(3) { Overflow::DropOldest } else { Overflow::DropNewest },
            },
            queues: vec![(ClientIdPattern::new("a*"), QueueLimits { messages_max: 1, ..QueueLimits::default() })],
            subscriptions_max: 3,
            sessions_max: if has(4) { 2 } else { 5 },
            // more than the values of $SYS
            retained_messages_max: if self.tells_system() { 100 } else { 2 },
            topic_levels_max: 4,
            spills_queues: has(5),
            keep_alive_max: has(6).then_some(Duration::from_secs(60)),
            receive_max: if has(8) { 1 } else { 3 },
            topic_aliases_max: if has(9) { 1 } else { 3 },
            session_expiry_s_max: if has(10) { 50 } else { u32::MAX },
            ..Options::default()
        }
    }

    /// How many deliveries a session come back into memory.
    pub fn deliveries_max(&self) -> usize {
        if self.has(5) { 1 } else { usize::MAX }
    }

    /// Whether the machine is told that it serves, and then tells of itself.
    pub fn tells_system(&self) -> bool {
        self.has(7)
    }

    fn has(&self, bit: u16) -> bool {
        self.0 & 1 << bit != 0
    }
}

/// What is said of a login: the lower bits decide.
pub fn verdict(bits: u8, user: Option<String>) -> Verdict {
    let rights = if bits & 2 == 0 { Acl::everything().rights(None, "") } else { few() };
    match bits % 8 {
        7 => Verdict::Refused(ConnectReturnCode::NotAuthorized),
        _ => Verdict::Accepted { rights, user: user.map(Into::into) },
    }
}

/// What is said of each session or will in turn, two bits each; 0 changes nothing for anybody.
pub fn standings(mut bits: u8) -> impl FnMut(Option<&str>, &str) -> Standing {
    move |_, _| {
        bits = bits.rotate_right(2);
        match bits % 4 {
            0 => Standing::Stays(Acl::everything().rights(None, "")),
            1 => Standing::Stays(few()),
            2 => Standing::Unproven(few()),
            _ => Standing::Gone,
        }
    }
}

fn few() -> Rights {
    Acl::parse(ACL).expect("a constant").rights(None, "")
}
