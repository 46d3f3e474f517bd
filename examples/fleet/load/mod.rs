//! A fleet of gateways and its consumers on one thread, against any broker.
//!
//! - Holds a socket, a window and a schedule for each gateway, and one ledger of all samples: what is lost, doubled or
//!   out of order is known sample by sample.
//! - A gateway does to the broker what a real one does: client identifier of its own, will, birth, one JSON a cycle,
//!   QoS 1, a bounded window, decorrelated jitter between attempts, and once more what a lost connection left
//!   unanswered.
//! - Never enters: threads, the command line, printing.
//! - Uses the codec of `sensegate::mqtt` over `mio`. Follows MQTT 3.1.1, which every broker speaks.
//! - Every phase has an end: a number of samples, or `Options::patience` without progress.
//!
//! Start reading at [`run`].

mod connection;
mod consumer;
mod error;
mod gateway;
mod latency;
mod ledger;
mod link;
mod options;
mod outcome;
mod phases;
mod sample;
mod usage;

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use mio::{Events, Poll, Token};
use sensegate::base::clock::{self, Monotonic};

use consumer::Consumer;
use gateway::Gateway;
use latency::Histogram;
use ledger::Ledger;
use link::{Client, Context};

pub(crate) use error::FleetError;
pub(crate) use latency::Latency;
pub(crate) use options::{CONSUMERS_MAX, Options, SAMPLES_MAX, Template};
pub(crate) use outcome::{BrokerUsage, Outcome};

const READ_BYTES_MAX: usize = 64 * 1024;

/// Events of one look at the sockets.
const EVENTS_MAX: usize = 1024;

/// The longest wait for the sockets, and how often waits between attempts and keep-alives are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Runs a fleet from the first connection to the last goodbye.
///
/// # Errors
/// When the system or the broker does not let it begin, or stops letting it go on.
pub(crate) fn run(options: &Options) -> Result<Outcome, FleetError> {
    usage::allow_sockets(u64::from(options.gateways) + u64::from(options.consumers))?;
    Fleet::new(options)?.run()
}

struct Fleet<'o> {
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    gateways: Vec<Gateway>,
    consumers: Vec<Consumer>,
    context: Context<'o>,
    looked: Monotonic,
}

impl<'o> Fleet<'o> {
    fn new(options: &'o Options) -> Result<Self, FleetError> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let gateways = (0..options.gateways).map(|place| Gateway::new(place, Token(place as usize), options));
        let gateways: Vec<Gateway> = gateways.collect::<Result<_, _>>()?;
        let places = gateways.iter().zip(0..).map(|(gateway, place)| (gateway.topic().to_owned(), place));
        let places: Rc<HashMap<String, u32>> = Rc::new(places.collect());
        let token = |place: u16| Token(gateways.len() + usize::from(place));
        let consumers =
            (0..options.consumers).map(|place| Consumer::new(place, token(place), options, Rc::clone(&places)));
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            scratch: vec![0; READ_BYTES_MAX],
            consumers: consumers.collect::<Result<_, _>>()?,
            gateways,
            context: Context {
                options,
                registry,
                boot_id: format!("{:032x}", fastrand::u128(..)),
                ledger: Ledger::new(options),
                opening: 0,
                is_proven: false,
                lost: 0,
                last_reason: "none".into(),
                connect: Histogram::default(),
                connected: Monotonic::ZERO,
            },
            looked: Monotonic::ZERO,
        })
    }

    /// Waits for the sockets, until `until` at most, and does what is due on them.
    fn turn(&mut self, until: Option<Monotonic>) -> Result<(), FleetError> {
        let now = clock::monotonic();
        let wait = until.map_or(LOOK, |until| until.since(now).min(LOOK));
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &self.events {
            let (place, now) = (event.token().0, clock::monotonic());
            if let Some(gateway) = self.gateways.get_mut(place) {
                gateway.handle_ready(&mut self.scratch, &mut self.context, now)?;
            } else if let Some(consumer) = self.consumers.get_mut(place - self.gateways.len()) {
                consumer.handle_ready(&mut self.scratch, &mut self.context, now)?;
            }
        }
        self.look_after_all()
    }

    fn look_after_all(&mut self) -> Result<(), FleetError> {
        let now = clock::monotonic();
        if now.since(self.looked) < LOOK {
            return Ok(());
        }
        self.looked = now;
        for gateway in &mut self.gateways {
            gateway.link().keep(&mut self.context, now)?;
        }
        for consumer in &mut self.consumers {
            consumer.link().keep(&mut self.context, now)?;
        }
        Ok(())
    }
}
