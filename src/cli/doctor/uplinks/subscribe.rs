//! A bridge: whether each rule that brings something in may subscribe.

use std::time::Duration;

use super::Probe;
use crate::cli::doctor::finding::Finding;
use crate::client::{Event, Link, Loss};
use crate::mqtt::{QoS, ReasonCode, RetainHandling, Subscription};
use crate::uplink::bridge::Rule;

/// The longest time for SUBACK.
const SUBSCRIBE_WAIT: Duration = Duration::from_secs(5);

impl Probe<'_> {
    /// Subscribes as the rules do, in a session that ends with the connection; what comes is not acknowledged.
    pub(super) async fn ask_for(&mut self, rules: &[Rule], link: &mut Link) -> Result<(), Finding> {
        let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.direction.comes_in()).collect();
        if rules.is_empty() {
            return Ok(());
        }
        link.subscribe(rules.iter().map(|rule| subscription(rule)).collect());
        match tokio::time::timeout(SUBSCRIBE_WAIT, answer(link)).await {
            Ok(Ok(codes)) => {
                for (rule, code) in rules.into_iter().zip(codes) {
                    self.judge(rule, code);
                }
                Ok(())
            }
            Ok(Err(loss)) => {
                let cure = "may this user subscribe to what the rules bring in? Look at the broker's log";
                Err(self.problem(&format!("SUBSCRIBE: {loss}"), cure))
            }
            Err(_) => {
                let text = format!("no answer to SUBSCRIBE within {} s", SUBSCRIBE_WAIT.as_secs());
                Err(self.problem(&text, "look at the broker's log"))
            }
        }
    }

    fn judge(&mut self, rule: &Rule, code: ReasonCode) {
        let filter = rule.remote.as_str();
        match granted(code) {
            None => {
                let text = format!("SUBSCRIBE to {filter:?} is refused: {} (SUBACK {:#04x})", code.name(), code as u8);
                let finding = self.problem(&text, "the broker has to let this user read that; else take the rule away");
                self.findings.push(finding);
            }
            Some(qos) if qos < rule.qos => {
                let text = format!("SUBSCRIBE to {filter:?} is granted, with QoS {} alone", qos as u8);
                self.warn(&text, "what comes while the connection is cut is lost; look for a setting of the broker");
            }
            Some(qos) => self.ok(&format!("SUBSCRIBE to {filter:?} is granted, with QoS {}", qos as u8)),
        }
    }
}

/// As the rule's own, without what is retained there.
fn subscription(rule: &Rule) -> Subscription {
    let retain_handling = RetainHandling::DoNotSend;
    Subscription { no_local: true, retain_handling, ..Subscription::new(rule.remote.clone(), rule.qos) }
}

async fn answer(link: &mut Link) -> Result<Vec<ReasonCode>, Loss> {
    loop {
        match link.next_event().await {
            Event::Subscribed(_, codes) => return Ok(codes),
            Event::Lost(loss) => return Err(loss),
            Event::Message(_) | Event::Acknowledged(..) | Event::Unsubscribed(_) => {}
        }
    }
}

const fn granted(code: ReasonCode) -> Option<QoS> {
    match code {
        ReasonCode::Success => Some(QoS::AtMostOnce),
        ReasonCode::GrantedQoS1 => Some(QoS::AtLeastOnce),
        ReasonCode::GrantedQoS2 => Some(QoS::ExactlyOnce),
        _ => None,
    }
}
