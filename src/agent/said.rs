//! What was published last of each quantity, on one connection.

use std::collections::BTreeMap;

use super::publish::decimal;
use super::sample::Sample;
use super::{Options, QuantityTopic, Report};
use crate::base::clock::Monotonic;
use crate::sensors::{Quantity, Reading};

/// The last reading of each quantity that was published, and when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said(BTreeMap<Quantity, (Reading, Monotonic)>);

impl Said {
    /// What has been said when `sample` was published too.
    #[must_use]
    pub fn with(mut self, options: &Options, sample: &Sample) -> Self {
        for topic in &options.quantities {
            let Some(reading) = sample.readings.get(topic.quantity) else { continue };
            if !matches!(reading, Ok(value) if !self.is_due(topic, *value, sample.monotonic)) {
                self.0.insert(topic.quantity, (reading.clone(), sample.monotonic));
            }
        }
        self
    }

    /// What was said last of a quantity.
    pub(super) fn last(&self, quantity: Quantity) -> Option<&Reading> {
        self.0.get(&quantity).map(|(reading, _)| reading)
    }

    /// Whether a value is to be said.
    pub(super) fn is_due(&self, topic: &QuantityTopic, value: f64, now: Monotonic) -> bool {
        match (topic.report, self.0.get(&topic.quantity)) {
            (Report::OnChange { deadband, heartbeat }, Some((Ok(last), at))) => {
                let looks_different = decimal(value, topic.decimals) != decimal(*last, topic.decimals);
                looks_different && (value - last).abs() >= deadband || now.since(*at) >= heartbeat
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::publish::tests::{check, options};
    use super::super::sample::tests::absent;
    use super::*;
    use crate::agent::PayloadFormat;
    use crate::sensors::Reason;

    fn on_change(deadband: f64, heartbeat_s: u64) -> Options {
        let mut options = options(PayloadFormat::Plain, true);
        let report = Report::OnChange { deadband, heartbeat: Duration::from_secs(heartbeat_s) };
        options.quantities.iter_mut().for_each(|topic| topic.report = report);
        options
    }

    #[test]
    fn a_value_is_said_when_it_left_the_deadband_around_the_last_one_that_was() {
        check(
            &on_change(0.5, 3600),
            &[Ok(20.0), Ok(20.3), Ok(20.49), Ok(20.5), Ok(20.1), Ok(20.0)],
            &[Some("20.00"), None, None, Some("20.50"), None, Some("20.00")],
        );
    }

    #[test]
    fn without_a_deadband_the_digits_that_are_shown_count() {
        check(&on_change(0.0, 3600), &[Ok(20.001), Ok(20.004), Ok(20.006)], &[Some("20.00"), None, Some("20.01")]);
    }

    #[test]
    fn a_heartbeat_says_the_same_again() {
        let same = [Ok(20.0), Ok(20.0), Ok(20.0), Ok(20.0), Ok(20.0)];
        check(&on_change(0.5, 2), &same, &[Some("20.00"), None, Some("20.00"), None, Some("20.00")]);
    }

    #[test]
    fn an_absence_is_said_at_once_and_so_is_the_value_that_ends_it() {
        let dead = || absent(Reason::NoChip, 2);
        check(
            &on_change(5.0, 3600),
            &[Ok(20.0), dead(), dead(), Ok(20.0), Ok(20.0)],
            &[Some("20.00"), Some(""), None, Some("20.00"), None],
        );
    }
}
