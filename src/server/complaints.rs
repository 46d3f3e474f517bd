//! Lines about peers that break the protocol, a few an address and minute, so that no peer can fill the log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::base::clock::Monotonic;

const PERIOD: Duration = Duration::from_secs(60);
const LINES_PER_PERIOD: u32 = 5;
/// Addresses that are watched at a time; beyond it those that were quiet for a period are forgotten first, and a new
/// address's lines are passed over as long as there is no room.
const ADDRESSES_MAX: usize = 1024;

/// Who has complained about whom, and how often of late. `None` stands for all Unix sockets.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    recent: HashMap<Option<IpAddr>, Recent>,
}

#[derive(Debug)]
struct Recent {
    since: Monotonic,
    lines: u32,
}

/// What to do with one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Write it.
    Show,
    /// Write it and say that further ones of this address are passed over for a while.
    ShowLast,
    /// Pass over it.
    Hide,
}

impl Complaints {
    /// Counts a line about `address`.
    pub(super) fn judge(&mut self, address: Option<IpAddr>, now: Monotonic) -> Verdict {
        if self.recent.len() >= ADDRESSES_MAX {
            self.recent.retain(|_, recent| now.since(recent.since) < PERIOD);
        }
        if self.recent.len() >= ADDRESSES_MAX && !self.recent.contains_key(&address) {
            return Verdict::Hide;
        }
        let recent = self.recent.entry(address).or_insert(Recent { since: now, lines: 0 });
        if now.since(recent.since) >= PERIOD {
            *recent = Recent { since: now, lines: 0 };
        }
        recent.lines = recent.lines.saturating_add(1);
        match recent.lines {
            ..LINES_PER_PERIOD => Verdict::Show,
            LINES_PER_PERIOD => Verdict::ShowLast,
            _ => Verdict::Hide,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_five_lines_a_minute_and_does_not_silence_others() {
        let mut complaints = Complaints::default();
        let (one, other) = (Some(IpAddr::from([127, 0, 0, 1])), Some(IpAddr::from([127, 0, 0, 2])));
        let verdicts: Vec<_> = (0..6).map(|_| complaints.judge(one, Monotonic::ZERO)).collect();
        assert_eq!(verdicts[3..], [Verdict::Show, Verdict::ShowLast, Verdict::Hide]);
        assert_eq!(complaints.judge(other, Monotonic::ZERO), Verdict::Show);
        assert_eq!(complaints.judge(one, Monotonic::ZERO + PERIOD), Verdict::Show);
    }

    #[test]
    fn memory_stays_bounded_under_many_addresses() {
        let mut complaints = Complaints::default();
        for number in 0..5000_u32 {
            complaints.judge(Some(IpAddr::from(number.to_be_bytes())), Monotonic::ZERO);
        }
        assert_eq!(complaints.recent.len(), ADDRESSES_MAX);
        let fresh = Some(IpAddr::from([200, 0, 0, 1]));
        assert_eq!(complaints.judge(fresh, Monotonic::ZERO), Verdict::Hide);
        assert_eq!(complaints.judge(fresh, Monotonic::ZERO + PERIOD), Verdict::Show);
    }
}
