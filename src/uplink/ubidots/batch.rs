//! Waiting samples as one publish: all their dots, up to the size that Ubidots takes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{BODY_BYTES_MAX, Options};
use crate::sensors::SampleMessage;
use crate::uplink::lane::Entry;
use crate::uplink::stamps::{Now, Stamp};
use crate::uplink::work::Draw;

/// How long behind the end of an interval one more sample of it may come.
const INTERVAL_GRACE: Duration = Duration::from_secs(1);

/// `"":[]` and a comma around the dots of a variable.
const VARIABLE_OVERHEAD: usize = 6;

/// Who a dot is from, for the one who gets it back.
pub(super) const ORIGIN: &str = "sensegate";

/// Dots by variable.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Samples that it takes care of.
    pub(super) count: usize,
    dots: BTreeMap<String, Vec<(i64, String)>>,
    bytes: usize,
}

/// What of a sample, or of the samples of an interval, is to be told.
struct Told {
    /// Samples that it stands for.
    count: usize,
    stamp: Stamp,
    /// Variable and value.
    values: Vec<(String, f64)>,
    context: Map<String, Value>,
}

impl Batch {
    /// As many of `waiting` as fit one publish and `budget` dots; the first one in any case.
    pub(super) fn of(
        waiting: &[&Entry],
        options: &Options,
        now: Now,
        budget: Option<f64>,
        is_alone: bool,
    ) -> Result<Self, Draw> {
        let mut batch = Self { bytes: 2, ..Self::default() };
        let mut rest = waiting;
        while !rest.is_empty() && (batch.count == 0 || !is_alone) {
            let told = match next(rest, options, now) {
                Ok(told) => told,
                // what cannot be told yet, or ever, does not hold up what can
                Err(_) if batch.count > 0 => break,
                Err(draw) => return Err(draw),
            };
            let dots = formatted(&told, options);
            let bytes: usize = dots.iter().map(|(label, dot)| batch.cost(label, dot)).sum();
            let within = budget.is_none_or(|budget| batch.dots() + count(dots.len()) <= budget);
            if batch.count > 0 && (!within || batch.bytes + bytes > BODY_BYTES_MAX) {
                break;
            }
            batch.count += told.count;
            batch.bytes += bytes;
            for (label, dot) in dots {
                batch.dots.entry(label).or_default().push((told.stamp.time_ms, dot));
            }
            rest = rest.get(told.count..).unwrap_or_default();
        }
        Ok(batch)
    }

    /// Whether it has nothing to say: all its samples are without a value.
    pub(super) fn is_empty(&self) -> bool {
        self.dots.is_empty()
    }

    /// How many dots.
    pub(super) fn dots(&self) -> f64 {
        count(self.dots.values().map(Vec::len).sum())
    }

    /// Variable and time of each dot.
    pub(super) fn times(&self) -> impl Iterator<Item = (&str, i64)> {
        self.dots.iter().flat_map(|(label, dots)| dots.iter().map(move |(time_ms, _)| (label.as_str(), *time_ms)))
    }

    /// The body of the publish.
    pub(super) fn body(&self) -> String {
        let variables = self.dots.iter().map(|(label, dots)| match dots.as_slice() {
            [(_, dot)] => format!("\"{label}\":{dot}"),
            dots => {
                let dots: Vec<&str> = dots.iter().map(|(_, dot)| dot.as_str()).collect();
                format!("\"{label}\":[{}]", dots.join(","))
            }
        });
        format!("{{{}}}", variables.collect::<Vec<_>>().join(","))
    }

    /// Bytes that one more dot adds.
    fn cost(&self, label: &str, dot: &str) -> usize {
        let variable = if self.dots.contains_key(label) { 0 } else { label.len() + VARIABLE_OVERHEAD };
        variable + dot.len() + 1
    }
}

/// The dots of what is told, each with its variable.
fn formatted(told: &Told, options: &Options) -> Vec<(String, String)> {
    let dot = |(label, value): &(String, f64)| {
        let mut context = told.context.clone();
        if options.receive.iter().any(|rule| rule.variable == *label) {
            context.insert("origin".into(), ORIGIN.into());
        }
        let (time_ms, comma) = (told.stamp.time_ms, if context.is_empty() { "" } else { ",\"context\":" });
        let context = if context.is_empty() { String::new() } else { Value::Object(context).to_string() };
        (label.clone(), format!("{{\"value\":{value},\"timestamp\":{time_ms}{comma}{context}}}"))
    };
    told.values.iter().map(dot).collect()
}

/// What the front of `waiting` tells next: one sample, or the mean of an interval.
fn next(waiting: &[&Entry], options: &Options, now: Now) -> Result<Told, Draw> {
    let first = dated(waiting.first())?;
    match options.every {
        None => Ok(Told {
            count: 1,
            stamp: first.1,
            values: values(first.0, options),
            context: context(first.0, first.1, options),
        }),
        Some(every) => interval(waiting, first, every, options, now),
    }
}

type Dated<'a> = (&'a SampleMessage, Stamp);

fn dated<'a>(entry: Option<&&'a Entry>) -> Result<Dated<'a>, Draw> {
    let Some(entry) = entry else { return Err(Draw::Wait(None)) };
    match (&entry.sample, entry.stamp) {
        (Some(sample), Some(stamp)) => Ok((sample, stamp)),
        (Some(_), None) => Err(Draw::Wait(None)),
        (None, _) => Err(Draw::Reject { reason: "is no sample".into() }),
    }
}

/// The mean of the first interval, once it is over. Intervals begin at multiples of their length since 1970, so that a
/// sample belongs to the same one after a restart.
fn interval(waiting: &[&Entry], first: Dated<'_>, every: Duration, options: &Options, now: Now) -> Result<Told, Draw> {
    let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    let key = |stamp: Stamp| (stamp.time_ms.div_euclid(every_ms), stamp.is_known);
    let mut members: Vec<Dated<'_>> = Vec::new();
    let mut is_over = false;
    for entry in waiting {
        match dated(Some(entry)) {
            Ok(dated) if key(dated.1) == key(first.1) => members.push(dated),
            Ok(_) => {
                is_over = true;
                break;
            }
            // whether it belongs here is to be seen
            Err(_) => break,
        }
    }
    let end_ms = (key(first.1).0 + 1).saturating_mul(every_ms);
    let left_ms = end_ms.saturating_sub(now.wall.unix_ms());
    let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)) + INTERVAL_GRACE;
    let is_past = now.wall.unix_ms() >= end_ms.saturating_add(i64::try_from(INTERVAL_GRACE.as_millis()).unwrap_or(0));
    if !is_over && !is_past {
        return Err(Draw::Wait(Some(now.monotonic + left)));
    }
    let (last, stamp) = members.last().copied().unwrap_or(first);
    let mut context = context(last, stamp, options);
    if options.context {
        context.insert("samples".into(), members.len().into());
    }
    Ok(Told { count: members.len(), stamp, values: means(&members, options), context })
}

/// The values of a sample that are to be sent.
fn values(sample: &SampleMessage, options: &Options) -> Vec<(String, f64)> {
    let value = |quantity: &String| sample.readings.get(quantity)?.value.filter(|value| value.is_finite());
    options.send.iter().filter_map(|(quantity, label)| Some((label.clone(), value(quantity)?))).collect()
}

/// The mean of each variable that has a value in any of `members`.
fn means(members: &[Dated<'_>], options: &Options) -> Vec<(String, f64)> {
    let mut sums: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    for (label, value) in members.iter().flat_map(|(sample, _)| values(sample, options)) {
        let (sum, summands) = sums.entry(label).or_default();
        (*sum, *summands) = (*sum + value, *summands + 1);
    }
    let mean = |(sum, summands): (f64, usize)| (sum / count(summands) * 10_000.0).round() / 10_000.0;
    sums.into_iter().map(|(label, summed)| (label, mean(summed))).collect()
}

fn context(sample: &SampleMessage, stamp: Stamp, options: &Options) -> Map<String, Value> {
    let mut context = Map::new();
    if options.context
        && let Value::Object(fields) = json!({"boot_id": sample.boot_id, "sequence": sample.sequence})
    {
        context.extend(fields);
    }
    if !stamp.is_known {
        context.insert("time_quality".into(), "unsynchronised".into());
    }
    context
}

#[expect(clippy::cast_precision_loss, reason = "a publish has hundreds of dots")]
fn count(number: usize) -> f64 {
    number as f64
}
