//! Ubidots: one value there and back. Ubidots acknowledges what it takes in and drops without a word what the plan or
//! the token does not allow, so only a value that comes back says that values arrive.

use std::time::Duration;

use super::Probe;
use crate::base::clock;
use crate::cli::doctor::finding::Finding;
use crate::client::{Event, Link, Loss, Publication};
use crate::mqtt::{QoS, ReasonCode, Subscription, TopicFilter};
use crate::uplink::ubidots::{Options as Account, device_topic};

/// The variable that is written to: the gateway's device gets it once the doctor was there.
const VARIABLE: &str = "doctor";

/// The longest time for all of it.
const WAIT: Duration = Duration::from_secs(10);

const MS_A_DAY: i64 = 24 * 3600 * 1000;

/// How far the value has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// SUBSCRIBE is not answered.
    Asked,
    /// The value is not acknowledged.
    Published,
    /// The value is acknowledged and was not seen.
    Acknowledged,
}

/// Why it will not come.
enum Trouble {
    NotSubscribed(ReasonCode),
    NotTaken(ReasonCode),
    Lost(Loss),
}

impl Probe<'_> {
    /// Sends a value and waits until it comes back.
    pub(super) async fn send_round(&mut self, account: &Account, link: &mut Link) -> Result<(), Finding> {
        if is_in_use(account) {
            let text = format!("nothing is sent: the configuration has a use of its own for the variable `{VARIABLE}`");
            self.warn(&text, "another label there lets the doctor try it");
            return Ok(());
        }
        // no value of today's: it tells itself apart from the one that the last doctor left
        let value = clock::wall().unix_ms().rem_euclid(MS_A_DAY);
        let (started, mut stage) = (clock::monotonic(), Stage::Asked);
        let travelled = tokio::time::timeout(WAIT, travel(link, &account.device, value, &mut stage)).await;
        match travelled {
            Ok(Ok(())) => {
                let took_ms = clock::monotonic().since(started).as_millis();
                let device = &account.device;
                self.ok(&format!(
                    "{value} went to the variable `{VARIABLE}` of the device `{device}`, and came back in {took_ms} ms"
                ));
                Ok(())
            }
            Ok(Err(trouble)) => Err(self.in_trouble(&trouble, stage)),
            Err(_) => Err(self.not_seen(stage, &account.device)),
        }
    }

    fn in_trouble(&self, trouble: &Trouble, stage: Stage) -> Finding {
        let rights = "has the token the rights to read and write this device?";
        match trouble {
            Trouble::NotSubscribed(code) => {
                self.problem(&format!("SUBSCRIBE to the variable `{VARIABLE}` is refused: {}", code.name()), rights)
            }
            Trouble::NotTaken(code) => self.problem(&format!("a value is refused: {}", code.name()), rights),
            Trouble::Lost(loss) => {
                let what = if stage == Stage::Asked { "SUBSCRIBE" } else { "a value" };
                self.problem(&format!("{loss}, behind {what}"), rights)
            }
        }
    }

    fn not_seen(&self, stage: Stage, device: &str) -> Finding {
        let seconds = WAIT.as_secs();
        let later = "try again later; meanwhile what the gateway measures waits";
        match stage {
            Stage::Asked => self.problem(&format!("SUBSCRIBE is not answered within {seconds} s"), later),
            Stage::Published => self.problem(&format!("a value is not acknowledged within {seconds} s"), later),
            Stage::Acknowledged => {
                let text = format!(
                    "a value for the variable `{VARIABLE}` of the device `{device}` was acknowledged, and not seen \
                     within {seconds} s"
                );
                let cure = "has the token the rights to read and write this device, and does the plan allow one more \
                            device or variable, and so many dots?";
                self.problem(&text, cure)
            }
        }
    }
}

/// Whether the gateway itself sends to the variable, or is commanded by it.
fn is_in_use(account: &Account) -> bool {
    let received = account.receive.iter().filter(|rule| rule.device == account.device).map(|rule| &rule.variable);
    account.send.values().chain(&account.online).chain(received).any(|label| label == VARIABLE)
}

/// Without a time of its own, so that it is the last value there whatever the clock says here.
async fn travel(link: &mut Link, device: &str, value: i64, stage: &mut Stage) -> Result<(), Trouble> {
    let topic = format!("{}/{VARIABLE}", device_topic(device));
    let last_value = format!("{topic}/lv");
    let filter = TopicFilter::new(&last_value).ok();
    link.subscribe(filter.into_iter().map(|filter| Subscription::new(filter, QoS::AtLeastOnce)).collect());
    loop {
        match link.next_event().await {
            Event::Subscribed(_, codes) => {
                if let Some(code) = codes.into_iter().find(|code| code.is_failure()) {
                    return Err(Trouble::NotSubscribed(code));
                }
                link.publish(&Publication::new(topic.clone(), format!("{{\"value\":{value}}}").into()));
                *stage = Stage::Published;
            }
            Event::Acknowledged(_, code) if code.is_failure() => return Err(Trouble::NotTaken(code)),
            Event::Acknowledged(..) => *stage = Stage::Acknowledged,
            Event::Message(message) if message.topic == last_value && is_number(&message.payload, value) => {
                return Ok(());
            }
            Event::Message(_) | Event::Unsubscribed(_) => {}
            Event::Lost(loss) => return Err(Trouble::Lost(loss)),
        }
    }
}

/// Whether `payload` says this number, whatever its form.
#[expect(clippy::cast_precision_loss, reason = "a day's milliseconds are exact")]
fn is_number(payload: &[u8], value: i64) -> bool {
    let number = std::str::from_utf8(payload).ok().and_then(|text| text.trim().parse::<f64>().ok());
    number.is_some_and(|number| (number - value as f64).abs() < 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_known_in_any_form() {
        for payload in ["48731234", "48731234.0", "4.8731234E7", " 48731234\n"] {
            assert!(is_number(payload.as_bytes(), 48_731_234), "{payload}");
        }
        for payload in ["48731233", "", "null", "{}"] {
            assert!(!is_number(payload.as_bytes(), 48_731_234), "{payload}");
        }
    }
}
