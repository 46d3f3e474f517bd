//! A client that subscribes to the samples of all gateways, and enters what comes.

use std::collections::HashMap;
use std::rc::Rc;

use mio::Token;
use sensegate::base::clock::Monotonic;
use sensegate::mqtt::{
    Acknowledgement, Packet, PacketId, Publish, SubAck, Subscribe, Subscription, TopicError, TopicFilter,
};

use super::connection::Output;
use super::error::FleetError;
use super::link::{Client, Context, Link};
use super::options::Options;
use super::sample;

pub(super) struct Consumer {
    place: u16,
    link: Link,
    filter: TopicFilter,
    /// The places of the gateways, by topic.
    gateways: Rc<HashMap<String, u32>>,
    /// The latest sample of each gateway on this connection.
    latest: Vec<u32>,
    is_ready: bool,
    /// What is left to do once the run is over.
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    /// Connect once more with a clean session, so that the broker forgets the old one.
    Forget,
    Leave,
}

impl Consumer {
    pub(super) fn new(
        place: u16,
        token: Token,
        options: &Options,
        gateways: Rc<HashMap<String, u32>>,
    ) -> Result<Self, TopicError> {
        let link = Link::new(token, options.consumer_id(place), None, !options.is_persistent);
        let (filter, latest) = (options.filter()?, vec![0; gateways.len()]);
        Ok(Self { place, link, filter, gateways, latest, is_ready: false, end: End::NotYet })
    }

    pub(super) const fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Whether nothing more is to be done.
    pub(super) fn is_gone(&self) -> bool {
        self.end == End::Leave && self.link.has_left()
    }

    /// Ends the connection, and the session with it.
    pub(super) fn leave(&mut self, context: &mut Context<'_>, now: Monotonic) -> Result<(), FleetError> {
        self.end = if self.link.clean_session { End::Leave } else { End::Forget };
        let Some(mut connection) = self.link.connection.take() else { return Ok(()) };
        self.link.leave(&mut connection.output);
        self.link.settle(connection, None, context, now)?;
        if self.end == End::Forget {
            (self.end, self.link.clean_session) = (End::Leave, true);
            self.link.open(context, now)?;
        }
        Ok(())
    }

    fn handle_open(&mut self, output: &mut Output, context: &Context<'_>) {
        if self.end != End::NotYet {
            return self.link.leave(output);
        }
        self.latest.fill(0);
        let subscription = Subscription::new(self.filter.clone(), context.options.qos);
        let packet_id = PacketId::new(1).expect("not 0");
        output.push(&Packet::Subscribe(Subscribe::new(packet_id, vec![subscription])));
    }

    fn handle_suback(&mut self, suback: &SubAck) -> Result<(), FleetError> {
        if suback.codes.iter().any(|code| code.is_failure()) {
            return Err(FleetError::NotGranted { filter: self.filter.to_string() });
        }
        self.is_ready = true;
        Ok(())
    }

    fn handle_publish(
        &mut self,
        publish: &Publish<'_>,
        output: &mut Output,
        context: &mut Context<'_>,
        now: Monotonic,
    ) {
        if let Some(packet_id) = publish.packet_id {
            output.push(&Packet::PubAck(Acknowledgement::success(packet_id)));
        }
        let gateway = self.gateways.get(publish.topic).copied();
        let identity = sample::identity(publish.payload).filter(|identity| identity.boot_id == context.boot_id);
        let (Some(gateway), Some(identity)) = (gateway, identity) else {
            context.ledger.counts.foreign += 1;
            return;
        };
        let Some(latest) = self.latest.get_mut(gateway as usize) else { return };
        let is_late = identity.sequence < *latest;
        *latest = identity.sequence.max(*latest);
        context.ledger.deliver(gateway, identity.sequence, self.place, is_late, now);
    }
}

impl Client for Consumer {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn handle_packet(
        &mut self,
        packet: &Packet<'_>,
        output: &mut Output,
        context: &mut Context<'_>,
        now: Monotonic,
    ) -> Result<(), FleetError> {
        match packet {
            Packet::ConnAck(connack) if self.link.handle_connack(connack, context, now)? => {
                self.handle_open(output, context);
            }
            Packet::SubAck(suback) => self.handle_suback(suback)?,
            Packet::Publish(publish) => self.handle_publish(publish, output, context, now),
            _ => {}
        }
        Ok(())
    }
}
