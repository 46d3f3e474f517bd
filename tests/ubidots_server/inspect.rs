//! What the server saw, and waiting until it did.

use std::time::Duration;

use sensegate::base::clock::Monotonic;
use sensegate::mqtt::ConnectReturnCode;

use crate::support::eventually;

use super::handle::Ubidots;
use super::journal::{Connected, Counters, Logged, Testament, Way};
use super::packet::Published;
use super::store::Dot;

impl Ubidots {
    /// All dots of a variable, in the order of their arrival.
    pub fn dots(&self, device: &str, variable: &str) -> Vec<Dot> {
        self.filtered(|dot| dot.device == device && dot.variable == variable)
    }

    /// All dots, in the order of their arrival.
    pub fn all_dots(&self) -> Vec<Dot> {
        self.filtered(|_| true)
    }

    fn filtered(&self, is_wanted: impl Fn(&Dot) -> bool) -> Vec<Dot> {
        self.shared.lock().store.all().iter().filter(|dot| is_wanted(dot)).cloned().collect()
    }

    /// Waits until a variable has so many dots, or more; gives all of them.
    pub fn wait_for_dots(&self, device: &str, variable: &str, count: usize) -> Vec<Dot> {
        let what = format!("{count} dots of {device}/{variable}");
        eventually(&what, || Some(self.dots(device, variable)).filter(|dots| dots.len() >= count))
    }

    /// How often what happened so far.
    pub fn counters(&self) -> Counters {
        self.shared.lock().journal.counters.clone()
    }

    /// Waits until the counters are as wanted; gives them.
    pub fn wait_for(&self, what: &str, is_reached: impl Fn(&Counters) -> bool) -> Counters {
        eventually(what, || Some(self.counters()).filter(&is_reached))
    }

    /// All packets that came and went.
    pub fn packets(&self) -> Vec<Logged> {
        self.shared.lock().journal.packets.clone()
    }

    /// Each PUBLISH that came, copies among them, with the moment of its arrival.
    pub fn publishes(&self) -> Vec<(Monotonic, Published)> {
        let received = self.packets().into_iter().filter(|logged| logged.way == Way::In);
        received.filter_map(|logged| Some((logged.at, logged.published?))).collect()
    }

    /// When connections were accepted, whether or not a CONNECT came.
    pub fn arrivals(&self) -> Vec<Monotonic> {
        self.shared.lock().journal.arrivals.clone()
    }

    /// Each CONNECT and its answer.
    pub fn connects(&self) -> Vec<Connected> {
        self.shared.lock().journal.connects.clone()
    }

    /// Waits until a CONNECT came so often, or more; gives all of them.
    pub fn wait_for_connects(&self, count: usize) -> Vec<Connected> {
        eventually(&format!("{count} CONNECTs"), || Some(self.connects()).filter(|connects| connects.len() >= count))
    }

    /// All wills that were published.
    pub fn wills(&self) -> Vec<Testament> {
        self.shared.lock().journal.wills.clone()
    }

    /// Waits until so many wills were published, or more; gives all of them.
    pub fn wait_for_wills(&self, count: usize) -> Vec<Testament> {
        eventually(&format!("{count} wills"), || Some(self.wills()).filter(|wills| wills.len() >= count))
    }

    /// Identifiers of the clients that are connected.
    pub fn clients(&self) -> Vec<String> {
        self.shared.lock().sessions.values().map(|session| session.client_id.clone()).collect()
    }

    /// How many publishes came at most in any window as long as this.
    pub fn publishes_max_within(&self, window: Duration) -> usize {
        let times: Vec<_> = self.publishes().into_iter().map(|(at, _)| at).collect();
        let from = |(index, first): (usize, &Monotonic)| {
            times.iter().skip(index).take_while(|at| at.since(*first) < window).count()
        };
        times.iter().enumerate().map(from).max().unwrap_or(0)
    }

    /// What clients did that a client of Ubidots should never do; empty when all is well.
    pub fn misconduct(&self) -> Vec<String> {
        let sent = self.publishes().into_iter().map(|(_, sent)| (sent.topic, sent.qos, sent.retain));
        let wills = self.connects().into_iter().filter_map(|connect| connect.will);
        let wills = wills.map(|will| (format!("a will for {}", will.topic), will.qos as u8, will.retain));
        let mut found: Vec<_> = sent.chain(wills).flat_map(flags_that_should_not_be).collect();
        let counters = self.counters();
        for (why, count) in counters.dropped.iter().filter(|(why, _)| why.is_clients_fault()) {
            found.push(format!("lost {count} times: {why}"));
        }
        for (count, what) in [
            (counters.early, "connections on which something came before the CONNACK"),
            (counters.malformed, "connections with bytes that are no MQTT"),
        ] {
            found.extend((count > 0).then(|| format!("{count} {what}")));
        }
        found
    }

    /// From each CONNECT of a client to its next.
    pub fn reconnect_delays(&self, client_id: &str) -> Vec<Duration> {
        let connects = self.connects();
        let times: Vec<_> = connects.iter().filter(|it| it.client_id == client_id).map(|it| it.at).collect();
        times.iter().zip(times.iter().skip(1)).map(|(earlier, later)| later.since(*earlier)).collect()
    }

    /// Whether any client was ever let in.
    pub fn has_let_in(&self) -> bool {
        self.connects().iter().any(|connect| connect.answer == ConnectReturnCode::Accepted)
    }
}

fn flags_that_should_not_be((what, qos, retain): (String, u8, bool)) -> Vec<String> {
    let mut found = Vec::new();
    found.extend((qos > 1).then(|| format!("{what} has QoS {qos}")));
    found.extend(retain.then(|| format!("{what} is retained")));
    found
}
