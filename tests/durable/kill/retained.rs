//! Retained messages of QoS 1: after a kill each topic has the last acknowledged value or a later one.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::link::{Keep, Link, PUBACK, packet_id};

use crate::wire::{QOS1, RETAIN, publish_id};

const TOPICS: usize = 5;

/// Publishes ever greater numbers to its topics in turn.
#[derive(Default)]
pub(super) struct RetainedPublisher {
    /// The last number sent.
    sent: usize,
    /// By topic.
    acknowledged: [usize; TOPICS],
}

impl RetainedPublisher {
    /// Publishes until the connection ends, ten at a time.
    pub(super) fn run(&mut self, address: SocketAddr, acknowledged: &AtomicUsize) {
        let (mut link, _) = Link::connect(address, "retained-publisher", Keep::Nothing);
        loop {
            let first = self.sent + 1;
            self.sent += 10;
            for number in first..=self.sent {
                let topic = format!("kept/{}", number % TOPICS);
                link.send(&publish_id(QOS1 | RETAIN, &topic, packet_id(number), &number.to_string()));
            }
            for number in first..=self.sent {
                let Some(ack) = link.next() else { return };
                assert_eq!((ack.first, &ack.body[..]), (PUBACK, &packet_id(number).to_be_bytes()[..]));
                self.acknowledged[number % TOPICS] = number;
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A new subscriber gets what was acknowledged last, or something later.
    pub(super) fn check(&self, address: SocketAddr) {
        let (mut link, _) = Link::connect(address, "retained-watcher", Keep::Nothing);
        link.subscribe("kept/#", 1);
        let mut missing: Vec<_> = (0..TOPICS).filter(|topic| self.acknowledged[*topic] > 0).collect();
        if missing.is_empty() {
            return;
        }
        link.drain(|topic, payload| {
            let topic: usize = topic.strip_prefix("kept/").unwrap().parse().unwrap();
            let number: usize = String::from_utf8(payload).unwrap().parse().unwrap();
            let acknowledged = self.acknowledged[topic];
            assert!(
                (acknowledged..=self.sent).contains(&number),
                "kept/{topic}: {number}, not {acknowledged} or later"
            );
            assert_eq!(number % TOPICS, topic);
            missing.retain(|awaited| *awaited != topic);
            if missing.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
}
